"""The command palette: what every key does, found by its words; from the one table of keys."""

from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from cockpit.keys import KEYS, Key
from cockpit.widgets.panel import Panel


class Actions(Provider):
    """The keys of the screen, and those of the panel that has them."""

    @property
    def _keys(self) -> list[tuple[Key, str]]:
        focused = self.focused
        own = [(key, f"{focused.title}: {key.says}") for key in focused.keys] if isinstance(focused, Panel) else []
        return [(key, says) for key, says in [*own, *((key, key.says) for key in KEYS)] if key.says]

    async def _do(self, key: Key) -> None:
        await self.app.run_action(key.action, default_namespace=self._namespace(key))

    def _namespace(self, key: Key) -> "Panel | None":
        focused = self.focused
        return focused if isinstance(focused, Panel) and key in focused.keys else None

    async def discover(self) -> Hits:
        """All of them, before anything is written."""
        for key, says in self._keys:
            yield DiscoveryHit(f"{key.shown:8} {says}", partial(self._do, key))

    async def search(self, query: str) -> Hits:
        """Those in which what is written is found."""
        matcher = self.matcher(query)
        for key, says in self._keys:
            if (score := matcher.match(says)) > 0:
                yield Hit(score, f"{key.shown:8} {says}", partial(self._do, key), text=says)
