"""What a run of a profile would do, without doing it."""

import time
from pathlib import Path

import torch

from lib.data.dataset import side_of
from lib.encoders.card import Card, read_card
from lib.encoders.load import random_encoder
from lib.study.fingerprint import fingerprint, folders_once
from lib.study.layout import ROOT, find_notebook
from lib.study.parameters import encoders_in
from lib.study.profiles import missing_encoders, read_profile, resolve, results_profile
from lib.study.provenance import is_current, read_record

REFERENCE = "fashion"  # the profile whose runs tell how much longer than one pass a page takes


def seconds_per_image(card: Card, side: int, images: int = 2, repeats: int = 2) -> float:
    """Seconds of one forward pass per image, with random weights, on this machine: the fastest of some passes after a first."""
    encoder, x = random_encoder(card), torch.rand(images, 3, side, side)
    times = []
    for _ in range(1 + repeats):
        started = time.perf_counter()
        encoder.representations(x)
        times.append((time.perf_counter() - started) / images)
    return min(times[1:])


def images_of(values: dict) -> int:
    """Images that a page passes through each encoder at least once, by its parameters.

    >>> images_of({"images": 64}), images_of({"labels": [10, 100], "probe_test": 50})
    (64, 150)
    """
    labels = values.get("labels", 0)
    counted = [values.get(name, 0) for name in ("images", "probe_train", "probe_test")]
    return sum(counted) + (max(labels) if isinstance(labels, list) else labels)


@folders_once()
def plan(profile: str, assignments: list[str] = (), root: Path = ROOT) -> str:
    """Every notebook with what would happen to it, on which encoders, and its seconds; first, the files to fetch. Everything is checked as before a run.

    The seconds are those of the last run. Without one, they are those of one pass of each encoder over the page's images, measured now with random
    weights; times what the page took in the profile ``fashion`` over one such pass there, where it has been run on this machine.

    Args:
        profile: of ``notebooks/profiles/PROFILE.yaml``.
        assignments: as for a run.
        root: of the repository.

    Raises:
        StudyError: whatever would refuse the run.
    """
    (parameters, left_out), results = resolve(profile, list(assignments), root=root, planning=True), results_profile(profile, list(assignments), root)
    missing = missing_encoders(read_profile(profile, root)[2], root)

    measured: dict[tuple[str, int], float] = {}  # (architecture, side) -> seconds

    def one_pass(values: dict) -> float:
        total, side = 0.0, side_of(values.get("dataset", "fashion"))
        for encoder in encoders_in(values):
            card = missing[encoder].card() if encoder in missing else read_card(root / "data" / "checkpoints" / f"{encoder}.yaml")
            what = f"{card.architecture} {card.arguments or ''}".strip(), card.input_size or side
            if what not in measured:
                measured[what] = seconds_per_image(card, side)
            total += measured[what]
        return images_of(values) * total

    lines, total, bounds = [f"profile {profile}, results in data/results/{results}"], 0.0, 0
    used = {encoder for values in parameters.values() for encoder in encoders_in(values)}
    lines += ["images: none given, taken as a folder of 224 px; DATA=/path/to/folder"] if any(v.get("dataset") == "" for v in parameters.values()) else []
    lines += [f"to fetch, {encoder}: {file.command(encoder)}" for encoder, file in missing.items() if encoder in used]
    for name, values in parameters.items():
        encoders = ", ".join(dict.fromkeys(encoders_in(values))) or "no encoder"
        record, reference = read_record(results, name, root), read_record(REFERENCE, name, root)
        if used.isdisjoint(missing) and is_current(results, name, fingerprint(find_notebook(name, root), values, root)["key"], root):
            lines.append(f"{name}: unchanged, nothing to run ({encoders})")
            continue
        if record:
            seconds, how = record["seconds"], "as last time"
        elif reference and one_pass(reference["parameters"]):
            seconds, how = reference["seconds"] * one_pass(values) / one_pass(reference["parameters"]), f"at least, by its time in the profile {REFERENCE}, part of which may have been kept results"
        else:
            seconds, how, bounds = one_pass(values), f"at least, for one pass over {images_of(values)} images", bounds + 1
        lines.append(f"{name}: would run, {seconds:.0f} s {how} ({encoders})")
        total += seconds
    lines += [f"{name}: left out: {reason}" for name, reason in left_out.items()]
    lines += [f"measured here: {seconds:.4f} s an image and pass of {architecture} at {side} px" for (architecture, side), seconds in measured.items()]
    return "\n".join([*lines, f"about {total:.0f} s on this machine" + (f"; {bounds} of the notebooks have only a lower bound" if bounds else "")])
