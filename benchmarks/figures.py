"""What a benchmark gives: a figure, and what was wanted of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter

from attrs import frozen


@frozen
class Figure:
    """One line of the table."""

    what: str
    value: float
    unit: str
    #: The value shall be under this; None: it is only told.
    wanted: float | None = None
    note: str = ""

    @property
    def reached(self) -> bool:
        return self.wanted is None or self.value < self.wanted


def us_per_call(
    calls: Callable[[int], object], count: int, clock: Callable[[], float] = perf_counter
) -> float:
    """µs for one of `count` calls that `calls(count)` makes."""
    begun = clock()
    calls(count)
    return (clock() - begun) / count * 1e6


def interleaved(
    rounds: int,
    count: int,
    *subjects: Callable[[int], object],
    clock: Callable[[], float] = perf_counter,
) -> tuple[list[float], ...]:
    """µs per call of each subject, round by round, so that noise hits all of them alike."""
    measured: tuple[list[float], ...] = tuple([] for _ in subjects)
    for subject in subjects:
        subject(count)  # warm
    for _ in range(rounds):
        for subject, found in zip(subjects, measured, strict=True):
            found.append(us_per_call(subject, count, clock))
    return measured


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """How many times the median of `other` goes into that of `one`."""
    return median(one) / median(other)
