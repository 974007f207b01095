"""The record beside the results of a page: from what, with what and when they were made."""

import json
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from lib.encoders.card import file_sha256
from lib.encoders.device import describe
from lib.kept.code import versions
from lib.paths import ROOT
from lib.run.fingerprint import digest
from lib.run.layout import record_path

PACKAGES = ("torch", "timm", "numpy", "scikit-learn", "papermill")


def git_state(root: Path = ROOT) -> dict:
    """Commit, and whether files other than results differ from it (None outside a repository)."""

    def git(*arguments: str) -> str | None:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    try:
        commit = git("rev-parse", "HEAD")
        changes = git("status", "--porcelain", "--", ".", ":(exclude)data/results")
    except FileNotFoundError:  # no git
        commit = changes = None
    uncommitted = None if changes is None else bool(changes)
    return {"commit": commit or "unknown", "uncommitted_changes": uncommitted}


def read_record(profile: str, name: str, root: Path = ROOT) -> dict | None:
    """The record of the last good run, None if there is none that can be read and is whole."""
    try:
        record = json.loads(record_path(profile, name, root).read_text(encoding="utf-8"))
        whole = record.pop("checksum") == digest(record)
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return None
    return record if whole else None


def make_record(
    name: str, profile: str, parameters: dict, hashes: dict, seconds: float,
    outputs: dict[str, Path], root: Path = ROOT,
) -> dict:  # fmt: skip
    """The record of a run.

    Args:
        name, profile: of the notebook, and of the folder of its results.
        parameters: all of them.
        hashes: as ``fingerprint`` returned before the run.
        seconds: of execution.
        outputs: path below ``root`` that a file will have -> where it is now.
        root: of the repository.
    """
    record = {
        "notebook": name,
        "profile": profile,
        "parameters": parameters,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        **git_state(root),
        **describe(),
        "versions": {"python": platform.python_version()} | versions(PACKAGES),
        "outputs": {path: file_sha256(file) for path, file in outputs.items()},
        "fingerprint": hashes,
    }
    return record | {"checksum": digest(record)}


def damage(profile: str, name: str, key: str, root: Path = ROOT) -> str | None:
    """Why results cannot be used as those of this key; None if they can: empty where there is
    nothing to speak of (never run, or from something else), else which file is not as it was."""
    record = read_record(profile, name, root)
    if record is None:
        path = record_path(profile, name, root)
        return f"{path.relative_to(root).as_posix()} is damaged" if path.is_file() else ""
    if record["fingerprint"].get("key") != key:
        return ""
    for path, sha256 in record["outputs"].items():
        if not (root / path).is_file():
            return f"{path} is gone"
        if file_sha256(root / path) != sha256:
            return f"{path} is damaged"
    return None
