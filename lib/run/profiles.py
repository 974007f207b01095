"""A profile says which encoders, images and amounts the pages of the book are computed with:
``notebooks/profiles/PROFILE.yaml``."""

import re
from pathlib import Path

import yaml

from lib.encoders.card import Card
from lib.paths import ROOT
from lib.run.errors import StudyError, one_line, unknown
from lib.run.layout import find_notebook, pages_of_book
from lib.run.needs import lacking, unfit
from lib.run.page import Page
from lib.run.parameters import (
    check_parameters,
    declared_parameters,
    encoders_in,
    parse_assignments,
)  # fmt: skip
from lib.run.wanted import Wanted, read_wanted

CUSTOM = "custom"
KEYS = ("shared", "notebooks", "fetch")


def profile_names(root: Path = ROOT) -> list[str]:
    """Names of the profiles."""
    return sorted(path.stem for path in (root / "notebooks" / "profiles").glob("*.yaml"))


def read_profile(
    name: str, root: Path = ROOT
) -> tuple[dict, dict[str, dict], dict[str, Wanted]]:  # fmt: skip
    """The shared parameters of a profile, those of single notebooks, and the files that its
    encoders are made from.

    Raises:
        StudyError: no such profile, not YAML, or keys other than ``KEYS``.
    """
    path = root / "notebooks" / "profiles" / f"{name}.yaml"
    if not path.is_file():
        raise unknown("profile", name, profile_names(root))
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudyError(f"profile {name} is not YAML: {one_line(error)}.") from error
    if not isinstance(content, dict):
        raise StudyError(f"profile {name} is empty or not a mapping; expected the key `shared`.")
    for key in content:
        if key not in KEYS:
            raise unknown("key", key, KEYS, f"profile {name}")
    shared, own = content.get("shared") or {}, content.get("notebooks") or {}
    mappings = [shared, own, *(own.values() if isinstance(own, dict) else [])]
    if not all(isinstance(values or {}, dict) for values in mappings):
        raise StudyError(
            f"profile {name}: `shared` maps parameters to values and `notebooks` maps notebook"
            " names to their own parameters."
        )
    if shared.get("profile", name) != name or name == CUSTOM:
        raise StudyError(
            f"profile {name}: `profile` must be {name!r}, the name of the file, and not {CUSTOM!r}:"
            " results go to the folder of that name."
        )
    own = {str(notebook): values or {} for notebook, values in own.items()}
    return shared, own, read_wanted(content.get("fetch") or {}, name)


def results_profile(name: str, assignments: list[str], root: Path = ROOT) -> str:
    """Folder of the results: the profile's, or ``custom`` (or the given ``profile=``) once
    parameters are given, so that they never mix.

    Raises:
        StudyError: the given ``profile=`` is the name of a profile.
    """
    if not assignments:
        return name
    given = dict(assignment.split("=", 1) for assignment in assignments if "=" in assignment)
    folder = given.get("profile", CUSTOM)
    if folder in profile_names(root) or not re.fullmatch(r"\w[\w-]*", folder):
        raise StudyError(
            f"profile={folder} cannot take the results of a run with other parameters; choose a"
            " name of letters, digits, - and _ that is not a profile"
            f" ({', '.join(profile_names(root))}), or leave it out for {CUSTOM!r}."
        )
    return folder


def missing_encoders(wanted: dict[str, Wanted], root: Path = ROOT) -> dict[str, Wanted]:
    """Those that have not been made from their files yet."""
    folder = root / "data" / "checkpoints"
    return {name: file for name, file in wanted.items() if not (folder / f"{name}.yaml").is_file()}


def resolve(
    name: str, assignments: list[str] = (), only: str | None = None, root: Path = ROOT,
    planning: bool = False,
) -> tuple[list[Page], dict[str, str]]:  # fmt: skip
    """The pages of a book with a profile's parameters, checked, and those that are left out.

    A page takes part wherever its needs allow: encoders that it cannot use are left to the others;
    with none left, or with images that it cannot use, it is left out.

    Args:
        name: of the profile.
        assignments: ``["images=64", …]``, for every page that declares the name.
        only: a notebook, to load no other.
        root: of the repository.
        planning: encoders whose files are still to be fetched count as there.

    Returns:
        pages in the order of the contents; notebook -> why it is left out.

    Raises:
        StudyError: anything wrong with the profile, a notebook, a parameter or an encoder; encoders
            or images that the only notebook, or an encoder list of the profile's own, cannot use.
    """
    shared, own, wanted = read_profile(name, root)
    every = pages_of_book(root)
    for notebook in own:
        find_notebook(notebook, root)
    names = every if only is None else [only]
    paths = {notebook: find_notebook(notebook, root) for notebook in names}
    declared = {notebook: declared_parameters(path) for notebook, path in paths.items()}
    known, where = (
        sorted(set().union(*declared.values())),
        f"notebook {only}" if only else f"profile {name}",
    )
    given_names = [assignment.partition("=")[0] for assignment in assignments]
    for parameter in given_names:
        if parameter not in known:
            raise unknown("parameter", parameter, known, where)
    for parameter in shared:
        if only is None and parameter not in known:
            raise unknown("shared parameter", parameter, known, where)

    results = results_profile(name, list(assignments), root)
    pages, left_out = [], {}
    for notebook, path in paths.items():
        mine = [a for a in assignments if a.partition("=")[0] in declared[notebook]]
        given = {key: value for key, value in shared.items() if key in declared[notebook]}
        given |= own.get(notebook, {}) | parse_assignments(mine, declared[notebook])
        if "profile" in declared[notebook]:
            given["profile"] = results
        planned = _planned(given, wanted, name, planning, root)
        why = lacking(path, given.get("dataset", "fashion"))
        if not why:
            values = check_parameters(path, given, root, planned)
            images = values.get("dataset", "fashion")
            reasons = unfit(path, encoders_in(values), root, images, planned)
            chosen = "encoders" in own.get(notebook, {}) and "encoders" not in given_names
            if reasons and (only is not None or chosen):
                said = "; ".join(dict.fromkeys(reasons.values()))
                raise StudyError(f"notebook {notebook} cannot use every encoder: {said}.")
            fit = [encoder for encoder in encoders_in(values) if encoder not in reasons]
            why = "; ".join(dict.fromkeys(reasons.values())) if reasons and not fit else ""
        if not why:
            pages.append(Page(notebook, values | ({"encoders": fit} if reasons else {}), results))
        elif only is not None:
            raise StudyError(f"notebook {notebook} cannot use these images: {why}.")
        else:
            left_out[notebook] = why
    return pages, left_out


def _planned(
    given: dict, wanted: dict[str, Wanted], profile: str, planning: bool, root: Path
) -> dict[str, Card] | None:
    """Cards of encoders that are still to be made, where that is allowed."""
    missing = {
        encoder: file
        for encoder, file in missing_encoders(wanted, root).items()
        if encoder in encoders_in(given)
    }
    if missing and not planning:
        steps = "; ".join(
            f"{encoder}: {file.command(encoder)}" for encoder, file in missing.items()
        )
        raise StudyError(
            f"profile {profile} compares encoders whose files are not here ({steps}). With DRY=1 it"
            " is checked without them."
        )
    return {encoder: file.card() for encoder, file in missing.items()} if planning else None


def folder_of(encoder: str) -> str:
    """Results folder of an encoder in a sweep.

    >>> folder_of("fashion/hybrid-0.2-s")
    'sweep-fashion-hybrid-0-2-s'
    """
    return "sweep-" + re.sub(r"[^\w-]", "-", encoder)


def sweep_pages(
    profile: str,
    encoders: list[str],
    notebooks: list[str] = (),
    dataset: str = "",
    root: Path = ROOT,
) -> tuple[list[Page], dict[tuple[str, str], str]]:
    """Every page with every encoder by itself: by page, then by encoder, so that neighbours share
    little work.

    Args:
        profile: whose other parameters.
        encoders: names.
        notebooks: no others than these.
        dataset: images other than the profile's.
        root: of the repository.

    Returns:
        pages; (notebook, encoder) -> why it is skipped.

    Raises:
        StudyError: whatever would refuse a run of the profile; no encoder, or two whose results
            would share a folder.
    """
    folders = {encoder: folder_of(encoder) for encoder in encoders}
    if not folders or len(set(folders.values())) < len(folders):
        least = (
            "at least one encoder"
            if not folders
            else "encoders whose names differ in more than punctuation"
        )
        raise StudyError(f"a sweep needs {least}, got {', '.join(folders) or 'none'}.")
    images = [f"dataset={dataset}"] if dataset else []
    found, skipped = [], {}
    for encoder, folder in folders.items():
        pages, out = resolve(
            profile, [f"encoders={encoder}", f"profile={folder}", *images], root=root
        )
        out |= {p.notebook: "it takes no encoders" for p in pages if "encoders" not in p.parameters}
        skipped |= {(notebook, encoder): why for notebook, why in out.items()}
        found += [
            Page(p.notebook, p.parameters, folder, encoder) for p in pages if p.notebook not in out
        ]
    every = pages_of_book(root)
    for notebook in notebooks:
        if notebook not in every:
            raise unknown("notebook", notebook, every, "the contents of the book")
    wanted = notebooks or every
    found.sort(key=lambda page: every.index(page.notebook))
    skipped = {key: why for key, why in skipped.items() if key[0] in wanted}
    return [page for page in found if page.notebook in wanted], skipped
