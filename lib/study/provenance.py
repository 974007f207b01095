"""The record beside the results of a run: from what, with what and when they were made."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from lib.encoders.card import file_sha256
from lib.study.layout import ROOT, executed_notebook, record_path

PACKAGES = ("torch", "timm", "numpy", "scikit-learn", "papermill")


def git_state(root: Path = ROOT) -> dict:
    """Commit, and whether files other than results differ from it (None outside a git repository)."""

    def git(*arguments: str) -> str | None:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    try:
        commit, changes = git("rev-parse", "HEAD"), git("status", "--porcelain", "--", ".", ":(exclude)data/results")
    except FileNotFoundError:  # no git
        commit = changes = None
    return {"commit": commit or "unknown", "uncommitted_changes": None if changes is None else bool(changes)}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that the numbers depend on."""
    return {"python": platform.python_version()} | {package: version(package) for package in PACKAGES}


def read_record(profile: str, name: str, root: Path = ROOT) -> dict | None:
    """The record of the last good run, None if there is none that can be read."""
    try:
        record = json.loads(record_path(profile, name, root).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def write_record(profile: str, name: str, parameters: dict, hashes: dict, seconds: float, tables: list[Path], root: Path = ROOT) -> None:
    """Write the record of a run, after its executed notebook and its tables are in place.

    Args:
        profile, name: of the run.
        parameters: all of them.
        hashes: as ``fingerprint`` returned before the run.
        seconds: of execution.
        tables: files the notebook wrote.
        root: of the repository.
    """
    outputs = [executed_notebook(profile, name, root), *tables]
    record = {
        "notebook": name,
        "profile": profile,
        "parameters": parameters,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        **git_state(root),
        "versions": versions(),
        "outputs": {path.relative_to(root).as_posix(): file_sha256(path) for path in outputs},
        "fingerprint": hashes,
    }
    path = record_path(profile, name, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def is_current(profile: str, name: str, key: str, root: Path = ROOT) -> bool:
    """Whether the last good run had this key and all that it wrote is still there, unchanged."""
    record = read_record(profile, name, root)
    try:
        return record["fingerprint"]["key"] == key and all(file_sha256(root / path) == sha256 for path, sha256 in record["outputs"].items())
    except (TypeError, KeyError, AttributeError, OSError):  # no record, another format, a file that is gone
        return False
