"""What runs in parallel: a notebook with its parameters; in a sweep, with one encoder and results of its own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.study.errors import StudyError
from lib.study.fingerprint import fingerprint
from lib.study.layout import ROOT, find_notebook
from lib.study.profiles import read_profile, resolve
from lib.study.provenance import is_current


@dataclass(frozen=True)
class Unit:
    """One notebook, in a sweep with one encoder.

    Attributes:
        notebook, encoder: their names; no encoder's outside a sweep.
        profile: folder of the results, in a sweep one for each encoder.
        parameters: all of the notebook's.
    """

    notebook: str
    encoder: str
    profile: str
    parameters: dict

    def __str__(self) -> str:
        return f"{self.notebook} × {self.encoder}" if self.encoder else self.notebook

    def finished(self, root: Path = ROOT) -> bool:
        """Whether its results are there, from exactly what it would be computed from now."""
        return is_current(self.profile, self.notebook, fingerprint(find_notebook(self.notebook, root), self.parameters, root)["key"], root)


def folder_of(encoder: str) -> str:
    """Results folder of an encoder in a sweep.

    >>> folder_of("fashion/hybrid-0.2-s")
    'sweep-fashion-hybrid-0-2-s'
    """
    return "sweep-" + re.sub(r"[^\w-]", "-", encoder)


def units_of(profile: str, encoders: Sequence[str], root: Path = ROOT, dataset: str = "") -> tuple[list[Unit], dict[tuple[str, str], str]]:
    """The units of a sweep, checked: by notebook, in the profile's order, then by encoder, so that neighbours share little work.

    Args:
        profile: whose notebooks, and their other parameters.
        encoders: names.
        root: of the repository.
        dataset: images other than the profile's.

    Returns:
        units; (notebook, encoder) -> why it is skipped.

    Raises:
        StudyError: whatever would refuse a run of the profile; no encoder, or two whose results would share a folder.
    """
    folders = {encoder: folder_of(encoder) for encoder in encoders}
    if not folders or len(set(folders.values())) < len(folders):
        wanted = "at least one encoder" if not folders else "encoders whose names differ in more than punctuation"
        raise StudyError(f'a sweep needs {wanted}, got {", ".join(folders) or "none"}; write for example ENCODERS="fashion/moco-v3-s fashion/simmim-s".')
    images = [f"dataset={dataset}"] if dataset else []
    resolved = {encoder: resolve(profile, [f"encoders={encoder}", f"profile={folder}", *images], root=root) for encoder, folder in folders.items()}
    units, skipped = [], {}
    for notebook in read_profile(profile, root)[1]:
        for encoder, (parameters, left_out) in resolved.items():
            if notebook in left_out:
                skipped[notebook, encoder] = left_out[notebook]
            elif "encoders" not in parameters[notebook]:
                skipped[notebook, encoder] = "it takes no encoders"
            else:
                units.append(Unit(notebook, encoder, folders[encoder], parameters[notebook]))
    return units, skipped
