"""Panel 1: the experiments, one a line, those that want a person first."""

from collections.abc import Sequence
from typing import Any

from textual.events import Click

from cockpit.keys import LOOK, Key, bindings
from cockpit.listing import sorts
from cockpit.plans import Planned
from cockpit.rows import Rows, baseline_runs, drawing, shown_in, sort_at
from cockpit.usual import Usual
from cockpit.view import Drawing, View, Want
from cockpit.widgets.panel import Cell, Panel

KEYS = (
    Key("filter", "slash", "app.search", LOOK, "filter: words of a name, a state, a verdict", "filter"),
    Key("invert", "exclamation_mark", "invert", LOOK, "invert the filter"),
    Key("sort", "s", "sort", LOOK, "sort: attention, then column by column", "sort"),
    Key("sort_backwards", "S", "backwards", LOOK, "the other way round"),
    Key("tree", "t", "tree", LOOK, "a tree of parents, or flat"),
)


class Experiments(Panel):
    """The list."""

    number = 1
    title = "Experiments"
    cell = Cell.LIST
    rank = 1
    ticks = True
    keys = KEYS
    BINDINGS = bindings(KEYS)

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._rows = Rows()

    def draw(self, view: View, width: int, height: int) -> Drawing:
        """The experiments that match; below them, while nothing is judged, what happens now."""
        return drawing(view, width, height, self._rows)

    def wants(self, view: View) -> Sequence[Want[Any]]:
        """What it can answer, and how long a run takes, while nothing is judged."""
        if any(one.verdict for one in view.study.experiments):
            return ()
        return [Planned(), *(Usual(run.bench, run.fidelity) for run in baseline_runs(view.study)[:1])]

    def step(self, by: int, selected: int) -> int | None:
        """The next one down or up; the first, where what is selected is not listed."""
        if self.view is None or not (numbers := shown_in(self.view).numbers):
            return None
        at = shown_in(self.view).place(selected)
        return numbers[0 if at is None else min(max(at + by, 0), len(numbers) - 1)]

    def on_click(self, event: Click) -> None:
        """What stands above a column sorts by it, and clicked once more the other way round; `id` by attention."""
        if self.view is None or event.y != len(self.head) - 1:
            return
        if name := sort_at(self.view, self.size.width, event.x):
            now = self.view.choices
            self.choose(sort=name, backwards=name == now.sort and not now.backwards)

    # --- its keys -----------------------------------------------------------------------------------------------------

    def action_sort(self) -> None:
        """By the next column; after the last one by attention again."""
        if self.view is not None:
            every, now = list(sorts(self.view.study)), self.view.choices.sort
            self.choose(sort=every[(every.index(now) + 1) % len(every) if now in every else 0], backwards=False)

    def action_backwards(self) -> None:
        """In the other order."""
        if self.view is not None:
            self.choose(backwards=not self.view.choices.backwards)

    def action_tree(self) -> None:
        """As a tree, or flat."""
        if self.view is not None:
            self.choose(tree=not self.view.choices.tree)

    def action_invert(self) -> None:
        """What the filter hides, and not what it shows."""
        if self.view is not None and self.view.choices.search:
            self.choose(inverted=not self.view.choices.inverted)
