"""The command palette: what every key does, found by its words; from the one table of keys."""

from functools import partial

from rich.text import Text
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider

from cockpit.deciding import Deciding
from cockpit.keys import BY_WORDS, KEYS, TABLE, Key
from cockpit.line import line
from cockpit.widgets.panel import Panel

SURE = 100.0  # more than a matcher says of anything


class Actions(Provider):
    """The keys of the screen, and those of the panel that has them."""

    @property
    def _keys(self) -> list[tuple[Key, str, str]]:
        """Each key, as it is said, and what it does."""
        focused, keymap = self.focused, self.app.keymap if isinstance(self.app, Deciding) else TABLE
        own = keymap.rows(focused.keys) if isinstance(focused, Panel) else []
        title = f"{focused.title}: " if isinstance(focused, Panel) else ""
        said = [(key, shown, f"{title}{keymap.says(key)}") for shown, key in own]
        every = [key for key in (*KEYS, *BY_WORDS) if key.name != "palette"]  # it is open
        return [*said, *((key, shown, keymap.says(key)) for shown, key in keymap.rows(every))]

    async def _do(self, key: Key) -> None:
        await self.app.run_action(key.action, default_namespace=self._namespace(key))

    def _namespace(self, key: Key) -> "Panel | None":
        focused = self.focused
        return focused if isinstance(focused, Panel) and key in focused.keys else None

    async def discover(self) -> Hits:
        """All of them, before anything is written."""
        for key, shown, says in self._keys:
            yield DiscoveryHit(_said(shown, says), partial(self._do, key), text=says)

    async def search(self, query: str) -> Hits:
        """Those in which what is written is found."""
        matcher, wanted = self.matcher(query), query.strip().lower()
        for key, shown, says in self._keys:
            called = wanted in (key.name.replace("_", " "), key.footer, says.partition(":")[0])
            if (score := SURE if called else matcher.match(says)) > 0:
                yield Hit(score, _said(shown, says), partial(self._do, key), text=says)


def _said(shown: str, says: str) -> Text:
    """A key and what it does. No string: Textual would look for markup in one, and find it in `[ ]`."""
    return Text(line(f"{shown:8} {says}").text)


class Palette(CommandPalette):
    """Where that is written, in the colours of the screen."""

    DEFAULT_CSS = """
    Palette, Palette:ansi { background: $background; color: $foreground; }
    Palette:ansi #--input, Palette:light #--input { border-top: hkey $border; }
    Palette:ansi CommandList, Palette:light CommandList { border-bottom: hkey $border; }
    Palette CommandList:ansi > .option-list--option-highlighted { color: ansi_black; background: ansi_white; }
    Palette CommandList:nocolor > .option-list--option-highlighted { text-style: bold underline; }
    Palette SearchIcon { color: $foreground; }
    Palette Input:ansi > .input--cursor { color: ansi_default; background: ansi_default; text-style: reverse; }
    """

    def __init__(self) -> None:
        super().__init__([Actions], id="--command-palette")
