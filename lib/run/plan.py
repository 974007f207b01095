"""What a run would do, without doing it."""

from pathlib import Path

from lib.encoders.device import describe
from lib.paths import ROOT
from lib.run.fingerprint import folders_once
from lib.run.page import Page
from lib.run.parameters import encoders_in
from lib.run.profiles import missing_encoders, read_profile, resolve, results_profile
from lib.run.record import read_record

SAME = ("parameters", "lib", "checkpoints", "data", "versions")  # then a page takes as long again


def last_seconds(page: Page, root: Path = ROOT) -> float | None:
    """What the page took last time, if it would compute the same again; None if that is not known:
    with other code, encoders, images or amounts, or on another device, nothing is foretold."""
    record = read_record(page.profile, page.notebook, root)
    if record is None:
        return None
    hashes = page.hashes(root)
    same = all(record["fingerprint"].get(part) == hashes[part] for part in SAME)
    same &= all(record.get(name) == value for name, value in describe().items())
    return record["seconds"] if same else None


@folders_once()
def plan(profile: str, assignments: list[str] = (), root: Path = ROOT) -> str:
    """Every page with what would happen to it, on which encoders, and its seconds where they are
    known; first, the files to fetch. Everything is checked as before a run.

    Args:
        profile: of ``notebooks/profiles/PROFILE.yaml``.
        assignments: as for a run.
        root: of the repository.

    Raises:
        StudyError: whatever would refuse the run.
    """
    pages, left_out = resolve(profile, list(assignments), root=root, planning=True)
    missing = missing_encoders(read_profile(profile, root)[2], root)
    folder = results_profile(profile, list(assignments), root)
    lines, total, unknown = [f"profile {profile}, results in data/results/{folder}"], 0.0, 0
    if any(page.parameters.get("dataset") == "" for page in pages):
        lines.append("images: none given, taken as a folder of 224 px; DATA=/path/to/folder")
    used = {encoder for page in pages for encoder in encoders_in(page.parameters)}
    lines += [
        f"to fetch, {name}: {missing[name].command(name)}" for name in missing if name in used
    ]
    for page in pages:
        encoders = dict.fromkeys(encoders_in(page.parameters))
        named, here = ", ".join(encoders) or "no encoder", not set(encoders) & set(missing)
        if here and page.damage(root) is None:
            lines.append(f"{page}: unchanged, nothing to run ({named})")
            continue
        seconds = last_seconds(page, root) if here else None
        known = (
            "how long is not known" if seconds is None else f"about {seconds:.0f} s, as last time"
        )
        lines.append(f"{page}: would run, {known} ({named})")
        total, unknown = total + (seconds or 0), unknown + (seconds is None)
    lines += [f"{name}: left out: {reason}" for name, reason in left_out.items()]
    rest = f" and {unknown} pages of which it is not known" if unknown else ""
    return "\n".join([*lines, f"about {total:.0f} s on this machine{rest}"])
