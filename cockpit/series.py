"""The metrics that a training log prints, as series: `loss 0.3`, `loss: 0.3`, `loss=0.3`, `"loss": 0.3`, at a step.

The step is what the line says of its epoch, step or iteration; where it says none, the number of the line. A series of
any length is kept as a sample of at most two thousand points: every one at first, then every other, and so on.
"""

import math
import re
from collections.abc import Iterable
from itertools import islice

from msgspec import Struct, field

from cockpit.text import SEQUENCE

Point = tuple[float, float]
MOST_POINTS = 2_000  # of a metric
MOST_METRICS = 64  # of a log
LARGEST = 1e150  # a value beyond it is none that can be drawn
MOST_LINES, MORE_LINES = 4_000, 1_000  # that are looked at, at first and each time after it: of more, blocks of a few,
BLOCK = 16  # as far apart as they must be, and the last one
PAIRS = 16  # that are taken of a line
LONGEST = 1_000  # characters of a line that are looked at
# Possessive throughout: a log of digits must not cost a search that grows with its square.
NUMBER = r"[-+]?(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][-+]?\d++)?+"
PAIR = re.compile(
    rf"(?<![\w./-])([A-Za-z_][\w./-]*+)[\"']?(?:\s{{0,3}}[:=]\s{{0,3}}|\s{{1,3}})({NUMBER})(?![\w/])(?![.,:-]\d)",
    re.ASCII,
)
STEP = re.compile(
    rf"(?<![\w./-])(global_step|epoch|step|iteration|iter)[\"']?\s{{0,3}}[:=]?\s{{0,3}}\[?\s{{0,3}}({NUMBER})"
    r"(?:\s?/\s?(\d++))?",
    re.IGNORECASE | re.ASCII,
)
OF = re.compile(r"(?<![\d/.-])(\d{1,12}+)\s?/\s?(\d{1,12}+)(?![\d/.-])")
NO_METRICS = frozenset(("global_step", "epoch", "step", "iteration", "iter", "nan", "inf", "infinity"))


class Curve(Struct):
    """A metric: a sample of its points, each so many after the last one, and the newest."""

    points: list[Point] = field(default_factory=list)
    newest: Point | None = None
    every: int = 1
    count: int = 0

    def add(self, x: float, y: float) -> None:
        """The next one. A step that begins anew, as in each epoch, goes on from the last."""
        if self.newest is not None and x < self.newest[0]:
            x = self.newest[0] + 1
        self.newest = x, y
        if self.count % self.every == 0:
            self.points.append(self.newest)
        self.count += 1
        if len(self.points) >= MOST_POINTS:
            del self.points[1::2]
            self.every *= 2

    @property
    def drawn(self) -> list[Point]:
        """The sample, and the newest point in any case."""
        more = [] if self.newest is None or self.points[-1:] == [self.newest] else [self.newest]
        return [*self.points, *more]


class Series(Struct):
    """The metrics of the lines until now."""

    curves: dict[str, Curve] = field(default_factory=dict)
    word: str = "line"  # what the steps are
    end: float = 0.0  # the largest step, or how many there are to be, where the log says so
    lines: int = 0

    def after(self, lines: Iterable[str]) -> "Series":
        """The same and these lines."""
        curves = {name: Curve(list(one.points), one.newest, one.every, one.count) for name, one in self.curves.items()}
        more, every = Series(curves, self.word, self.end, self.lines), list(lines)
        apart = max(1, math.ceil(len(every) / (MORE_LINES if self.lines else MOST_LINES)))
        for index, text in enumerate(every):
            if index // BLOCK % apart == 0 or index >= len(every) - BLOCK:
                more.take(text)
            else:
                more.lines += 1
        return more

    def take(self, text: str) -> None:
        """The next line."""
        self.lines += 1
        text = text[:LONGEST]
        if "\x1b" in text:
            text = SEQUENCE.sub("", text)
        found = [(match[1], float(match[2])) for match in islice(PAIR.finditer(text), PAIRS)]
        pairs = [(name, value) for name, value in found if name.lower() not in NO_METRICS and abs(value) <= LARGEST]
        if not pairs:
            return
        x = self._step(text)
        for name, value in pairs:
            if name in self.curves or len(self.curves) < MOST_METRICS:
                self.curves.setdefault(name, Curve()).add(x, value)

    def _step(self, text: str) -> float:
        """Where a line with metrics stands: at `step 120`; in an epoch, at the share of it that it says."""
        said = {match[1].lower(): match for match in islice(STEP.finditer(text), PAIRS)}
        epoch = said.pop("epoch", None)
        share = None
        if epoch is not None and (part := OF.search(text, epoch.end() if epoch[3] else epoch.end(2))):
            share = int(part[1]) / int(part[2]) if 0 < int(part[2]) >= int(part[1]) else None
        chosen = next(iter(said.values()), None) if epoch is None or share is None else epoch
        if (chosen := chosen or epoch) is None or abs(step := float(chosen[2])) > 1e15:
            self.end = max(self.end, self.lines) if self.word == "line" else self.end
            return float(self.lines)
        word = chosen[1].lower()
        if word != self.word:
            self.word, self.end = word, 0.0
        self.end = max(self.end, step, float(chosen[3] or 0) if len(chosen[3] or "") < 16 else 0.0)
        return step + (share or 0.0) if chosen is epoch else step
