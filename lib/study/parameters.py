"""The parameters of a notebook: what its parameters cell declares, and whether given values fit.

Papermill adds the given values in a new cell after the parameters cell. It only warns of an unknown name, accepts any type, and a
value derived inside the parameters cell keeps the default; all three are refused here, before anything is executed.
"""

import ast
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from lib.encoders.card import read_card
from lib.study.check_dataset import check_dataset
from lib.study.errors import StudyError, one_line, unknown
from lib.study.layout import ROOT, read_notebook

SCALARS = ("str", "int", "float", "bool")
KINDS = (*SCALARS, *(f"list[{scalar}]" for scalar in SCALARS))


@dataclass(frozen=True)
class Declared:
    """A declared parameter.

    Attributes:
        kind: one of ``KINDS``.
        default: value in the notebook.
    """

    kind: str
    default: object


def conform(value: object, kind: str) -> object:
    """The value, if it is of that kind; an int is a fine float, a bool is not an int.

    Raises:
        TypeError: it is of another kind.

    >>> conform(1, "float"), conform(["a"], "list[str]")
    (1.0, ['a'])
    """
    if kind.startswith("list[") and isinstance(value, list):
        return [conform(item, kind[5:-1]) for item in value]
    if kind == "float" and type(value) is int:
        return float(value)
    if type(value).__name__ != kind:
        raise TypeError(f"expected {kind}, got {value!r}")
    return value


def kind_of(default: object, annotation: str | None) -> str:
    """Kind of a parameter, from its annotation if there is one, else the narrowest kind that its default fits; may be none of ``KINDS``.

    >>> kind_of(1, None), kind_of(1, "float"), kind_of([1, 2.5], "list"), kind_of([], None)
    ('int', 'float', 'list[float]', 'list[str]')
    """
    if annotation and not (annotation == "list" and isinstance(default, list)):
        return annotation
    kinds = sorted({type(item).__name__ for item in default} or {"str"}) if isinstance(default, list) else [type(default).__name__]
    kind = "float" if kinds == ["float", "int"] else " | ".join(kinds)
    return f"list[{kind}]" if isinstance(default, list) else kind


def declare(statement: ast.stmt, where: str) -> tuple[str, Declared]:
    """Name and declaration of one statement of the parameters cell; ``where`` opens the error messages."""
    source = one_line(ast.unparse(statement), 100)
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    try:
        if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or len(targets) != 1 or not isinstance(targets[0], ast.Name):
            raise ValueError
        default = ast.literal_eval(statement.value)
    except (ValueError, TypeError):
        raise StudyError(
            f"{where} may only assign literals such as `images = 64`, found `{source}` on line {statement.lineno}: given values are added "
            "after this cell, so a value derived here would silently keep its default. Move the line to the next cell."
        ) from None
    kind = kind_of(default, ast.unparse(statement.annotation) if isinstance(statement, ast.AnnAssign) else None)
    try:
        if kind not in KINDS:
            raise TypeError
        return targets[0].id, Declared(kind, conform(default, kind))
    except TypeError:
        raise StudyError(f"{where} declares `{source}`; a parameter and its default are one of {', '.join(KINDS)}.") from None


def declared_parameters(notebook: Path) -> dict[str, Declared]:
    """The parameters that a notebook declares.

    Raises:
        StudyError: not exactly one parameters cell, or one that contains anything but literal assignments.
    """
    cells = [cell for cell in read_notebook(notebook).cells if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise StudyError(f"{notebook.name} has {len(cells)} code cells with the tag `parameters`, expected exactly one: tag the cell with the defaults.")
    where = f"the parameters cell of {notebook.name}"
    try:
        statements = ast.parse(cells[0].source).body
    except SyntaxError as error:
        raise StudyError(f"{where} is not Python (line {error.lineno}: {error.msg}); it may only assign literals such as `images = 64`.") from error
    return dict(declare(statement, where) for statement in statements)


def check_encoder(name: str, root: Path = ROOT) -> None:
    """Refuse an encoder without a valid card or without weights."""
    folder = root / "data" / "checkpoints"
    card = folder / f"{name}.yaml"
    if not card.is_file():
        raise unknown("encoder", name, sorted(p.relative_to(folder).with_suffix("").as_posix() for p in folder.rglob("*.yaml")))
    try:
        read_card(card)
    except ValueError as error:
        raise StudyError(f"the card of encoder {name!r} cannot be used: {one_line(str(error).replace(str(root) + '/', ''))}") from error
    if not card.with_suffix(".safetensors").is_file():
        raise StudyError(f"encoder {name!r} has a card but no weights: expected data/checkpoints/{name}.safetensors beside it.")


def encoders_in(parameters: dict) -> list[str]:
    """Encoders named by the parameters ``encoder`` and ``encoders``."""
    found = []
    for name in ("encoder", "encoders"):
        value = parameters.get(name, [])
        found += value if isinstance(value, list) else [value]
    return found


def check_parameters(notebook: Path, given: dict, root: Path = ROOT, planned: Collection[str] | None = None) -> dict:
    """All parameters of a run: the given values, checked, and the notebook's defaults for the others.

    Args:
        notebook: to run.
        given: name -> value.
        root: of the repository.
        planned: encoders that need not be there yet, nor need images; None where everything must be.

    Raises:
        StudyError: an unknown name, a value of the wrong type, an encoder or images that are not there, more images than there are, or a bad parameters
            cell.
    """
    declared = declared_parameters(notebook)
    for name in given:
        if name not in declared:
            raise unknown("parameter", name, declared, f"notebook {notebook.stem}")
    values = {}
    for name, parameter in declared.items():
        value = given.get(name, parameter.default)
        try:
            values[name] = conform(value, parameter.kind)
        except TypeError:
            raise StudyError(f"parameter {name!r} of notebook {notebook.stem} is of type {parameter.kind}, got {value!r}.") from None
    if values.get("encoders") == []:
        raise StudyError(f"notebook {notebook.stem} was given no encoder: name some, ENCODERS='custom/a fashion/simmim-s'.")
    for encoder in encoders_in(values):
        if encoder not in (planned or ()):
            check_encoder(encoder, root)
    if values.get("dataset") or ("dataset" in values and planned is None):
        check_dataset(values, notebook.stem)
    return values
