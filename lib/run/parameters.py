"""The parameters of a notebook: what its parameters cell declares, and whether given values fit.

Papermill adds the given values in a new cell after the parameters cell. It only warns of an unknown
name, accepts any type, and a value derived inside the parameters cell keeps the default; all three
are refused here, before anything is executed.
"""

import ast
import math
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from papermill.translators import PythonTranslator

from lib.encoders.card import read_card
from lib.paths import ROOT
from lib.run.errors import StudyError, one_line, unknown
from lib.run.images import check_images
from lib.run.layout import read_notebook

SCALARS = ("str", "int", "float", "bool")
KINDS = (*SCALARS, *(f"list[{scalar}]" for scalar in SCALARS))
FROM_ZERO = ("seed", "drawn", "classes", "query_rows", "query_columns")  # not counts: 0 is allowed


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
    """Kind of a parameter, from its annotation if there is one, else the narrowest kind that its
    default fits; may be none of ``KINDS``.

    >>> kind_of(1, None), kind_of(1, "float"), kind_of([1, 2.5], "list"), kind_of([], None)
    ('int', 'float', 'list[float]', 'list[str]')
    """
    if annotation and annotation != "None" and (annotation, type(default)) != ("list", list):
        return annotation
    if not isinstance(default, list):
        return type(default).__name__
    kinds = sorted({type(item).__name__ for item in default} or {"str"})
    return f"list[{'float' if kinds == ['float', 'int'] else ' | '.join(kinds)}]"


def declared_parameters(notebook: Path) -> dict[str, Declared]:
    """The parameters that a notebook declares, as papermill reads them.

    Raises:
        StudyError: not exactly one parameters cell, or one that contains anything but assignments
            of literals, each name once.
    """
    cells = [
        cell
        for cell in read_notebook(notebook).cells
        if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", [])
    ]
    if len(cells) != 1:
        raise StudyError(
            f"{notebook.name} has {len(cells)} code cells with the tag `parameters`, expected"
            " exactly one: tag the cell with the defaults."
        )
    where = f"the parameters cell of {notebook.name}"
    try:
        statements = ast.parse(cells[0].source).body
    except SyntaxError as error:
        raise StudyError(
            f"{where} is not Python (line {error.lineno}: {error.msg}); it may only assign literals"
            " such as `images = 64`."
        ) from error
    read = {parameter.name for parameter in PythonTranslator.inspect(cells[0])}
    found = {}
    for statement in statements:
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        name = getattr(targets[0], "id", None)
        try:
            default = ast.literal_eval(statement.value)
            if len(targets) != 1 or name not in read or name in found:
                raise ValueError
        except (ValueError, TypeError, AttributeError):
            raise StudyError(
                f"{where} may only assign literals such as `images = 64`, found"
                f" `{one_line(ast.unparse(statement), 100)}` on line {statement.lineno}: given"
                " values are added after this cell, so a value derived here would silently keep its"
                " default. Move the line to the next cell."
            ) from None
        annotation = getattr(statement, "annotation", None)
        kind = kind_of(default, ast.unparse(annotation) if annotation else None)
        try:
            if kind not in KINDS:
                raise TypeError
            found[name] = Declared(kind, conform(default, kind))
        except TypeError:
            raise StudyError(
                f"{where} declares `{one_line(ast.unparse(statement), 100)}`; a parameter and its"
                f" default are one of {', '.join(KINDS)}."
            ) from None
    return found


def parse_value(text: str, kind: str) -> object:
    """A text as a value; list items are separated by spaces or commas.

    Raises:
        ValueError: the text does not read as that kind.

    >>> parse_value("64", "int"), parse_value("a b,c", "list[str]"), parse_value("false", "bool")
    (64, ['a', 'b', 'c'], False)
    """
    if kind.startswith("list["):
        return [parse_value(item, kind[5:-1]) for item in re.split(r"[,\s]+", text) if item]
    if kind == "bool":
        if text.lower() not in ("true", "false"):
            raise ValueError
        return text.lower() == "true"
    return {"str": str, "int": int, "float": float}[kind](text)


def parse_assignments(assignments: list[str], declared: dict[str, Declared]) -> dict:
    """Values of ``["images=64", "encoders=a b"]`` by their declared types.

    Raises:
        StudyError: not ``name=value``, a name given twice or not declared, or a value that does not
            read as the declared type.
    """
    values = {}
    for assignment in assignments:
        name, sign, text = assignment.partition("=")
        if not sign or not name or name in values:
            again = " a second time" if name in values else ""
            raise StudyError(
                f"expected name=value, each name once, such as images=64; got {assignment!r}{again}."
            )
        if name not in declared:
            raise unknown("parameter", name, declared)
        kind, default = declared[name].kind, declared[name].default
        try:
            values[name] = parse_value(text, kind)
        except ValueError:
            example = {"bool": "true or false", "list[str]": "'a b'"}.get(kind, repr(default))
            raise StudyError(
                f"parameter {name!r} is of type {kind}, got {text!r}; write for example"
                f" {name}={example}."
            ) from None
    return values


def check_range(name: str, value: object, notebook: str) -> None:
    """Refuse a count below 1, an index below 0, a number that is not finite, an empty list."""
    items = value if isinstance(value, list) else [value]
    if not items:
        raise StudyError(f"notebook {notebook} was given no value for {name}; it takes some.")
    for item in items:
        if type(item) is int and item < (least := 0 if name in FROM_ZERO else 1):
            raise StudyError(f"notebook {notebook} takes {name} of at least {least}, got {item}.")
        if type(item) is float and not (math.isfinite(item) and item >= 0):
            raise StudyError(f"notebook {notebook} takes a {name} of at least 0, got {item}.")


def check_encoder(name: str, root: Path = ROOT) -> None:
    """Refuse an encoder whose name leads elsewhere, or without a valid card or weights."""
    if not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)*", name) or ".." in name:
        raise StudyError(
            f"an encoder is named GROUP/NAME, of letters, digits, '.', '-' and '_', got {name!r}."
        )
    folder = root / "data" / "checkpoints"
    card = folder / f"{name}.yaml"
    if not card.is_file():
        known = (p.relative_to(folder).with_suffix("").as_posix() for p in folder.rglob("*.yaml"))
        raise unknown("encoder", name, sorted(known))
    try:
        read_card(card)
    except ValueError as error:
        said = one_line(str(error).replace(str(root) + "/", ""))
        raise StudyError(f"the card of encoder {name!r} cannot be used: {said}") from error
    if not card.with_suffix(".safetensors").is_file():
        raise StudyError(
            f"encoder {name!r} has a card but no weights: expected"
            f" data/checkpoints/{name}.safetensors beside it."
        )


def encoders_in(parameters: dict) -> list[str]:
    """Encoders named by the parameters ``encoder`` and ``encoders``."""
    found = []
    for name in ("encoder", "encoders"):
        value = parameters.get(name, [])
        found += value if isinstance(value, list) else [value]
    return found


def check_parameters(
    notebook: Path, given: dict, root: Path = ROOT, planned: Collection[str] | None = None
) -> dict:
    """All parameters of a run: the given values, checked, and the notebook's defaults for the
    others.

    Args:
        notebook: to run.
        given: name -> value.
        root: of the repository.
        planned: encoders that need not be there yet, nor need images; None where everything must
            be.

    Raises:
        StudyError: an unknown name, a value of the wrong type or range, an encoder or images that
            are not there or stand twice, more images than there are, or a bad parameters cell.
    """
    declared, name = declared_parameters(notebook), notebook.stem
    for parameter in given:
        if parameter not in declared:
            raise unknown("parameter", parameter, declared, f"notebook {name}")
    values = {}
    for parameter, facts in declared.items():
        value = given.get(parameter, facts.default)
        try:
            values[parameter] = conform(value, facts.kind)
        except TypeError:
            raise StudyError(
                f"parameter {parameter!r} of notebook {name} is of type {facts.kind}, got {value!r}."
            ) from None
        if parameter not in ("encoder", "encoders"):
            check_range(parameter, values[parameter], name)
    encoders = encoders_in(values)
    if not encoders and {"encoder", "encoders"} & set(values):
        raise StudyError(f"notebook {name} was given no encoder: name some.")
    for encoder, times in Counter(encoders).items():
        if times > 1:
            raise StudyError(f"notebook {name} was given the encoder {encoder} {times} times.")
        if encoder not in (planned or ()):
            check_encoder(encoder, root)
    if values.get("dataset") or ("dataset" in values and planned is None):
        check_images(values, name)
    return values
