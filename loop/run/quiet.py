"""Time is measured alone: while a timed stage runs, a model that shares the machine does not think."""

from collections.abc import Callable


class Quiet:
    """Whether a timed stage runs on any slot: one whose seconds an objective is made of."""

    def __init__(self) -> None:
        self.timed: frozenset[str] | None = None  # the names of such stages; None while they are not known: then all
        self.listeners: list[Callable[[bool], None]] = []  # each is told when it begins, and when it ends
        self._stages: dict[str, str] = {}

    @property
    def kept(self) -> bool:
        """Whether it is to be kept now."""
        return any(map(self.times, self._stages.values()))

    def times(self, stage: str) -> bool:
        """Whether a stage is timed."""
        return self.timed is None or stage in self.timed

    def runs(self, slot: str, stage: str | None) -> None:
        """A slot has come to a stage; None where it is free."""
        before = self.kept
        if stage is None:
            self._stages.pop(slot, None)
        else:
            self._stages[slot] = stage
        if self.kept is not before:
            for listener in self.listeners:
                listener(self.kept)
