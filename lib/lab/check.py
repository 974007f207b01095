"""Checks of attempts: what a student calls."""

from collections.abc import Callable

from lib.lab import attention, attribution, representation
from lib.lab.exercise import Exercise, Mistake, Unfilled, verify


def exercises() -> dict[str, Exercise]:
    """Every exercise of the lab, by the name of its function."""
    modules = (attention, representation, attribution)
    return {e.right.__name__: e for module in modules for e in module.EXERCISES}


def check(function: Callable) -> Callable:
    """Print whether an attempt is right, and what is wrong if it is not.

    Args:
        function: named as the exercise asks.

    Returns:
        the attempt if it is right, else the reference, so that the cells below run either way.

    Raises:
        KeyError: no exercise asks for a function of this name.
    """
    known, name = exercises(), getattr(function, "__name__", str(function))
    if name not in known:
        raise KeyError(f"no exercise asks for {name!r}; the functions are {', '.join(known)}")
    try:
        inputs = verify(known[name], function)
        print(f"✓ {name} is right on {inputs} input{'s' * (inputs > 1)}.")
        return function
    except Unfilled:
        print(f"… {name} is not filled in yet; the cells below use the reference.")
    except Mistake as mistake:
        print(f"✗ {name}: {mistake}. The cells below use the reference.")
    return known[name].right
