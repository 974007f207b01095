"""Timing that other programs on the machine disturb little."""

import time
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def least_seconds(
    tasks: Sequence[tuple[Name, Callable[[], object]]], rounds: int
) -> dict[Name, float]:
    """Processor seconds of each task, the least of several rounds.

    Tasks take turns, so that a change of the machine's speed meets all of them. Processor time
    leaves out what other programs take; on an idle machine it equals the time on the clock, since
    everything runs in one thread.

    Args:
        tasks: names and functions; a name may come more than once.
        rounds: how often all of them run, at least 1.

    Returns:
        name -> seconds.
    """
    seconds = {name: float("inf") for name, _ in tasks}
    for _ in range(rounds):
        for name, task in tasks:
            started = time.process_time()
            task()
            seconds[name] = min(seconds[name], time.process_time() - started)
    return seconds
