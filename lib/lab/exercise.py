"""Check a student's function and say what is wrong with it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

Cases = Callable[[], list[tuple]]


class Unfilled(Exception):
    """The stub has not been filled in yet."""


class Mistake(AssertionError):
    """What is wrong with an answer, for the student to read."""


@dataclass(frozen=True)
class Exercise:
    """A function to write, and how to tell what is wrong with an attempt.

    Attributes:
        right: the reference; its name is the function's name.
        cases: makes the arguments that both are called with.
        mistakes: what to say -> a function that makes this mistake. An attempt that gives what such
            a function gives has made the mistake.
        tolerance: absolute and relative, for comparing numbers.
    """

    right: Callable
    cases: Cases
    mistakes: dict[str, Callable] = field(default_factory=dict)
    tolerance: float = 1e-4


def _parts(value: Any) -> tuple:
    return value if isinstance(value, tuple) else (value,)


def _array(value: Any) -> np.ndarray:
    return value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)


def same(got: Any, expected: Any, tolerance: float) -> bool:
    """Whether two results are equal: number of parts, shapes and values; NaN equals NaN.

    >>> same(torch.ones(2), np.ones(2), 1e-6), same(torch.ones(2), torch.ones(1, 2), 1e-6)
    (True, False)
    """
    got, expected = _parts(got), _parts(expected)
    if len(got) != len(expected):
        return False
    try:
        pairs = [(_array(g), _array(e)) for g, e in zip(got, expected, strict=True)]
        return all(
            g.shape == e.shape
            and (g.dtype.kind in "cb" or e.dtype.kind in "cb") <= (g.dtype.kind == e.dtype.kind)
            and np.allclose(g, e, tolerance, tolerance, equal_nan=True)
            for g, e in pairs
        )
    except (TypeError, ValueError, RuntimeError):
        return False


def _shape(value: Any) -> str:
    shapes = [
        f"shape {tuple(part.shape)}" if hasattr(part, "shape") else type(part).__name__
        for part in _parts(value)
    ]
    return shapes[0] if len(shapes) == 1 else f"a tuple of {', '.join(shapes)}"


def _difference(got: Any, expected: Any) -> str:
    """What differs, where no known mistake explains it."""
    if len(_parts(got)) != len(_parts(expected)):
        return f"expected {_shape(expected)}, got {_shape(got)}"
    for name, g, e in zip(
        ("first", "second", "third"), _parts(got), _parts(expected), strict=False
    ):
        part = "" if len(_parts(got)) == 1 else f"the {name} part: "
        try:
            g, e = _array(g), _array(e)
        except (TypeError, ValueError, RuntimeError):
            return f"{part}expected numbers, got a {type(g).__name__}"
        if g.dtype.kind in "OUS":
            kind = type(g.item() if g.ndim == 0 else g.flat[0]).__name__
            return f"{part}expected numbers, got {kind}"
        if g.shape != e.shape:
            return f"{part}expected shape {e.shape}, got {g.shape}"
        if np.iscomplexobj(g) and not np.iscomplexobj(e):
            return f"{part}expected real numbers, got complex ones"
        if e.dtype == bool and g.dtype != bool:
            return f"{part}expected True and False, got numbers"
        if np.isnan(g).any() and not np.isnan(e).any():
            return f"{part}{np.isnan(g).mean():.0%} of the values are NaN"
        off = np.abs(g.astype(float) - e.astype(float))
        if off.max() > 0:
            where = np.unravel_index(off.argmax(), off.shape) if off.ndim else ()
            place = f" at {[int(i) for i in where]}" if where else ""
            return f"{part}expected {e[where]:.4g}{place}, got {g[where]:.4g}"
    return "the values differ a little"


def _copies(arguments: tuple) -> tuple:
    return tuple(a.clone() if isinstance(a, Tensor) else a for a in arguments)


def _called(function: Callable, arguments: tuple) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return function(*arguments)


def _raised(function: Callable, arguments: tuple) -> Any:
    """What a mistaken reference gives; its errors are its result."""
    try:
        return _called(function, _copies(arguments))
    except Exception as error:  # noqa: BLE001  whatever a wrong formula runs into
        return error


def verify(exercise: Exercise, function: Callable) -> int:
    """Compare an attempt with the reference on every case.

    Args:
        exercise: what was asked.
        function: the attempt.

    Returns:
        number of cases.

    Raises:
        Unfilled: the stub is still there.
        Mistake: what is wrong, in words where the mistake is a usual one.
    """
    cases = exercise.cases()
    for arguments in cases:
        mine = _copies(arguments)
        try:
            got = _called(function, mine)
        except NotImplementedError as error:
            raise Unfilled from error
        except Exception as error:  # a student's function may raise anything
            given = ", ".join(_shape(a) if hasattr(a, "shape") else repr(a) for a in arguments)
            raise Mistake(
                f"it stops with {type(error).__name__}: {error} (called with: {given})"
            ) from error
        if got is None or got is Ellipsis:
            raise Unfilled
        expected = _called(exercise.right, _copies(arguments))
        changed = any(
            isinstance(a, Tensor) and not torch.equal(a, b)
            for a, b in zip(mine, arguments, strict=True)
        )
        if changed:
            raise Mistake("it changes its input in place: work on a copy, x.clone()")
        if same(got, expected, exercise.tolerance):
            continue
        for what, mistaken in exercise.mistakes.items():
            if same(got, _raised(mistaken, arguments), exercise.tolerance):
                raise Mistake(what)
        raise Mistake(_difference(got, expected))
    return len(cases)
