"""A user's mistake, told in one paragraph."""

from collections.abc import Iterable
from difflib import get_close_matches


class StudyError(Exception):
    """What was expected, what came, what to do; the command line prints it without a stack
    trace."""


def unknown(what: str, name: str, known: Iterable[str], where: str = "") -> StudyError:
    """An error for a name that is not there, with the nearest name that is.

    >>> print(unknown("parameter", "image", ["images", "seed"], "notebook a"))
    unknown parameter 'image' for notebook a; did you mean 'images'? Known: images, seed.
    """
    known = list(known)
    close = get_close_matches(str(name), known, n=1)
    suggestion = f"; did you mean {close[0]!r}?" if close else "."
    return StudyError(
        f"unknown {what} {str(name)!r}{f' for {where}' if where else ''}{suggestion} Known:"
        f" {', '.join(known) or 'none'}."
    )


def one_line(text: object, limit: int = 600) -> str:
    """A message on one line, cut at ``limit`` characters."""
    line = " ".join(str(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
