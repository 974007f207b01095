"""A profile lists notebooks and their parameters: ``notebooks/profiles/PROFILE.yaml``."""

from pathlib import Path

import yaml

from lib.study.assignments import parse_assignments
from lib.study.errors import StudyError, one_line, unknown
from lib.study.fetch import Wanted, read_wanted
from lib.study.layout import ROOT, find_notebook
from lib.study.needs import lacking, unfit
from lib.study.parameters import check_parameters, declared_parameters, encoders_in

CUSTOM = "custom"


def profile_names(root: Path = ROOT) -> list[str]:
    """Names of the profiles."""
    return sorted(path.stem for path in (root / "notebooks" / "profiles").glob("*.yaml"))


def read_profile(name: str, root: Path = ROOT) -> tuple[dict, dict[str, dict], dict[str, Wanted]]:
    """The shared parameters of a profile, each notebook's own, and the files that its encoders are made from.

    Raises:
        StudyError: no such profile, not YAML, or keys other than ``shared``, ``notebooks`` and ``fetch``.
    """
    path = root / "notebooks" / "profiles" / f"{name}.yaml"
    if not path.is_file():
        raise unknown("profile", name, profile_names(root))
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudyError(f"profile {name} is not YAML: {one_line(error)}.") from error
    if not isinstance(content, dict):
        raise StudyError(f"profile {name} is empty or not a mapping; expected the keys `shared` and `notebooks`.")
    for key in content:
        if key not in ("shared", "notebooks", "fetch"):
            raise unknown("key", key, ("shared", "notebooks", "fetch"), f"profile {name}")
    shared, notebooks = content.get("shared") or {}, content.get("notebooks")
    if not isinstance(shared, dict) or not isinstance(notebooks, dict) or not all(isinstance(own or {}, dict) for own in notebooks.values()):
        raise StudyError(f"profile {name}: `shared` maps parameters to values and `notebooks` maps notebook names to their parameters, {{}} for none.")
    if shared.get("profile", name) != name or name == CUSTOM:
        raise StudyError(f"profile {name}: `profile` must be {name!r}, the name of the file, and not {CUSTOM!r}: results go to the folder of that name.")
    return shared, {str(notebook): own or {} for notebook, own in notebooks.items()}, read_wanted(content.get("fetch") or {}, name)


def results_profile(name: str, assignments: list[str], root: Path = ROOT) -> str:
    """Folder of the results: the profile's, or ``custom`` (or the given ``profile=``) once parameters are given, so that they never mix.

    Raises:
        StudyError: the given ``profile=`` is the name of a profile.
    """
    if not assignments:
        return name
    given = [text for key, _, text in (assignment.partition("=") for assignment in assignments) if key == "profile"]
    if given and (given[0] in profile_names(root) or not given[0].replace("-", "").replace("_", "").isalnum()):
        raise StudyError(
            f"profile={given[0]} cannot take the results of a run with other parameters; choose a name of letters, digits, - and _ "
            f"that is not a profile ({', '.join(profile_names(root))}), or leave it out for {CUSTOM!r}."
        )
    return given[0] if given else CUSTOM


def load_profile(name: str, assignments: list[str] = (), only: str | None = None, root: Path = ROOT) -> dict[str, dict]:
    """Checked parameters of the notebooks of a profile, in order; see :func:`resolve` for arguments and errors."""
    return resolve(name, assignments, only, root)[0]


def missing_encoders(wanted: dict[str, Wanted], root: Path = ROOT) -> dict[str, Wanted]:
    """Those that have not been made from their files yet."""
    return {name: file for name, file in wanted.items() if not (root / "data" / "checkpoints" / f"{name}.yaml").is_file()}


def resolve(
    name: str, assignments: list[str] = (), only: str | None = None, root: Path = ROOT, planning: bool = False
) -> tuple[dict[str, dict], dict[str, str]]:
    """Checked parameters of the notebooks of a profile, and the notebooks that are left out.

    Encoders given for a whole profile go to the notebooks that can use them; a notebook that can use none of them, or not the images, is left out.

    Args:
        name: of the profile.
        assignments: ``["images=64", …]``, for every notebook that declares the name.
        only: a notebook, to load no other.
        root: of the repository.
        planning: encoders whose files are still to be fetched count as there.

    Returns:
        notebook -> parameters, in order; notebook -> why it is left out.

    Raises:
        StudyError: anything wrong with the profile, a notebook, a parameter or an encoder; an encoder or images that the only notebook, or the profile,
            cannot use.
    """
    shared, notebooks, wanted = read_profile(name, root)
    if only is not None and only not in notebooks:
        raise unknown("notebook", only, notebooks, f"profile {name}")
    paths = {notebook: find_notebook(notebook, root) for notebook in notebooks if only in (None, notebook)}
    declared = {notebook: declared_parameters(path) for notebook, path in paths.items()}
    known = sorted(set().union(*declared.values()))
    for assignment in assignments:
        if assignment.partition("=")[0] not in known:
            raise unknown("parameter", assignment.partition("=")[0], known, f"notebook {only}" if only else f"profile {name}")
    for parameter in shared:
        if only is None and parameter not in known:
            raise unknown("shared parameter", parameter, known, f"profile {name}")
    results, given_names = results_profile(name, assignments, root), {assignment.partition("=")[0] for assignment in assignments}
    used = {encoder for notebook in paths for encoder in encoders_in(shared | notebooks[notebook])}
    missing = {encoder: file for encoder, file in missing_encoders(wanted, root).items() if encoder in used}
    if missing and not planning and "encoders" not in given_names:
        steps = "; ".join(f"{encoder}: {file.command(encoder)}" for encoder, file in missing.items())
        raise StudyError(f"profile {name} compares encoders whose files are not here ({steps}). With DRY=1 it is checked and its cost told without them.")
    planned = {encoder: file.card() for encoder, file in missing.items()} if planning else None
    every = sorted(path.stem for path in (root / "notebooks").glob("*.ipynb"))
    checked, left_out = {}, {} if only else {notebook: f"profile {name} does not list it" for notebook in every if notebook not in notebooks}
    for notebook, path in paths.items():
        mine = [assignment for assignment in assignments if assignment.partition("=")[0] in declared[notebook]]
        given = {key: value for key, value in shared.items() if key in declared[notebook]} | notebooks[notebook] | parse_assignments(mine, declared[notebook])
        if "profile" in declared[notebook]:
            given["profile"] = results
        lack = lacking(path, given.get("dataset", "fashion"))
        if lack and only is None:
            left_out[notebook] = lack
            continue
        if lack:
            raise StudyError(f"notebook {notebook} cannot use these images: {lack}.")
        values = check_parameters(path, given, root, planned)
        reasons = unfit(path, encoders_in(values), root, values.get("dataset", "fashion"), planned)
        if reasons and (only is not None or "encoders" not in given_names):
            raise StudyError(f"notebook {notebook} cannot use every encoder: {'; '.join(dict.fromkeys(reasons.values()))}.")
        if reasons and not set(encoders_in(values)) - set(reasons):
            left_out[notebook] = "; ".join(dict.fromkeys(reasons.values()))
            continue
        if reasons:
            values["encoders"] = [encoder for encoder in values["encoders"] if encoder not in reasons]
        checked[notebook] = values
    return checked, left_out
