"""Parameters given on the command line, as ``name=value``."""

import re

from lib.study.errors import StudyError, unknown
from lib.study.parameters import Declared


def parse_value(text: str, kind: str) -> object:
    """A command-line text as a value; list items are separated by spaces or commas.

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
        StudyError: not ``name=value``, a name given twice or not declared, or a value that does not read as the declared type.
    """
    values = {}
    for assignment in assignments:
        name, sign, text = assignment.partition("=")
        if not sign or not name or name in values:
            raise StudyError(f"expected name=value, each name once, such as images=64; got {assignment!r}{' a second time' if name in values else ''}.")
        if name not in declared:
            raise unknown("parameter", name, declared)
        try:
            values[name] = parse_value(text, declared[name].kind)
        except ValueError:
            example = {"bool": "true or false", "list[str]": "'a b'"}.get(declared[name].kind, repr(declared[name].default))
            raise StudyError(f"parameter {name!r} is of type {declared[name].kind}, got {text!r}; write for example {name}={example}.") from None
    return values
