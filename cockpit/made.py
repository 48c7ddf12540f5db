"""What was made of each experiment: it is made anew of those alone that were read anew."""

from collections.abc import Callable, Sequence
from itertools import compress, count
from operator import is_not
from typing import Any, TypeVar, TypeVarTuple

from store.records import Experiment

KEPT = 12  # things that were made of all of them
One = TypeVar("One")
Ts = TypeVarTuple("Ts")


def renewed(rows: Sequence[Experiment], before: Sequence[Experiment]) -> list[int]:
    """The places of those that are not the same record as before, or were not there."""
    both = min(len(rows), len(before))
    return [*compress(count(), map(is_not, rows, before)), *range(both, len(rows))]


class Made:
    """By what makes it, and what that is given besides. One is handed on from each snapshot of a study to the next."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, ...], tuple[Sequence[Experiment], list[Any]]] = {}  # the newest last
        self._renewed: tuple[Sequence[Experiment], Sequence[Experiment], list[int]] = (), (), []  # as it was asked last

    def each(self, rows: Sequence[Experiment], make: Callable[[Experiment, *Ts], One], *given: *Ts) -> list[One]:
        """What `make`, a function of an experiment and of what is given, says of each, in the order of the rows."""
        before, known = self._kept.pop((make, given), ((), []))
        if before is not rows:
            made = known[: len(rows)]
            if self._renewed[0] is not rows or self._renewed[1] is not before:
                self._renewed = rows, before, renewed(rows, before)
            for place in self._renewed[2]:
                made[place : place + 1] = [make(rows[place], *given)]
            known = made
        self._kept[make, given] = rows, known
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        return known
