"""The line on which is written what the list is searched for."""

from textual.events import Key
from textual.widgets import Input


class Search(Input):
    """It is given its keys one by one, so that each finds what the one before has done."""

    DEFAULT_CSS = """
    Search { height: 1; border: none; padding: 0; background: $surface; color: $foreground; }
    Search:ansi > .input--cursor { color: ansi_default; background: ansi_default; text-style: reverse; }
    """
    KEYS = (("enter", "keep"), ("esc", "drop"))

    def __init__(self) -> None:
        super().__init__(placeholder="words of a name, a state, a verdict, a hypothesis", compact=True)
        self.display = False
        self.began_at: int | None = None  # what was selected then

    def write(self, event: Key) -> bool:
        """Take a key, if it is one that writes. Whether it was."""
        if event.key == "backspace":
            self.action_delete_left()
        elif event.is_printable and event.character:
            self.replace(event.character, *self.selection)
        else:
            return False
        return True
