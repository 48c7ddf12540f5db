"""The same study with Textual's own widgets, as one would write it first: a table, and a log for the diff.

What `make bench-screen` compares the screen with. `enter` shows the diff of the row under the cursor.
"""

import sys
from asyncio import sleep
from pathlib import Path

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.widgets import DataTable, Footer, RichLog, Static

from loop.branches import patch
from store import events, views
from store.database import Database
from store.place import Place, find
from store.records import Experiment

COLUMNS = ("id", "state", "what", "verdict", "evidence", "sentence")
POLL_SECONDS = 0.5


def cells(one: Experiment) -> list[Text]:
    """A row of the table. As Text, for a str is markup there."""
    said = one.verdict
    judged = [said.word, said.evidence, said.sentence] if said else ["", "", ""]
    return [Text(cell) for cell in (one.id, one.state, one.slug, *judged)]


class Stock(App[None]):
    """A table of the experiments, how many there are, and a diff."""

    CSS = "DataTable { height: 2fr; } RichLog { height: 1fr; }"

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.animation_level = "none"
        self.place = place
        self.experiments: dict[int, Experiment] = {}

    def compose(self) -> ComposeResult:
        """From above."""
        yield Static("reading")
        yield DataTable(cursor_type="row")
        yield RichLog()
        yield Footer()

    def on_mount(self) -> None:
        """Follow the study."""
        table = self.query_one(DataTable)
        for column in COLUMNS:
            table.add_column(column, key=column)
        table.focus()
        self.follow()

    @work
    async def follow(self) -> None:
        """Fill the table, and then its rows that have changed."""
        table = self.query_one(DataTable)
        async with await Database.open(self.place.folder, migrate=False) as database:
            seen: int | None = None
            while True:
                last = await events.last_event(database)
                if seen != last:
                    for one in await views.experiments(database, seen):
                        self.show(table, one)
                    self.query_one(Static).update(f"{len(self.experiments)} experiments")
                    seen = last
                await sleep(POLL_SECONDS)

    def show(self, table: DataTable[Text], one: Experiment) -> None:
        """Its row, as it is now."""
        row = cells(one)
        if one.number in self.experiments:
            for column, cell in zip(COLUMNS, row, strict=True):
                table.update_cell(one.id, column, cell)
        else:
            table.add_row(*row, key=one.id)
        self.experiments[one.number] = one

    @work(exclusive=True)
    async def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Its diff."""
        one = self.experiments[event.cursor_row]
        log = self.query_one(RichLog)
        log.clear()
        if one.parent is not None:
            text = await patch(self.place, self.experiments[one.parent].commit, one.commit)
            for line in text.splitlines():
                log.write(Text(line, style={"+": "green", "-": "red"}.get(line[:1], "")), scroll_end=False)


if __name__ == "__main__":
    Stock(find(Path(sys.argv[1]))).run()
