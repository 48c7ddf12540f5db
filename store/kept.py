"""JSON of the record that is parsed when somebody looks at it: of ten thousand verdicts a screen shows forty."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any


class Kept(Mapping[str, Any]):
    """An object of JSON, as its text."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __getitem__(self, key: str) -> Any:
        return _parsed(self.text)[key]

    def __iter__(self) -> Iterator[str]:
        return iter(_parsed(self.text))

    def __len__(self) -> int:
        return len(_parsed(self.text))

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, Kept) and other.text == self.text) or super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Kept({self.text!r})"


@lru_cache(maxsize=256)
def _parsed(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found
