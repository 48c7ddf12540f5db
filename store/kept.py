"""JSON of the record that is parsed when somebody looks at it: of ten thousand verdicts a screen shows forty."""

import json
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

LONG = 400  # characters, from which on a text is kept packed: figures have thirteen hundred, and take a third so
USUAL = (  # what much of a text is made of
    b'{"change": -0.0, "margin": 0.0, "gain": 0.0, "low": -0.0, "high": 0.0, "standard_error": 0.0, "df": 6.0, '
    b'"better": 0.0, "not_worse": 0.0, "moved": "open", "smallest": 0.0, "n": 1, "n_incumbent": 4, "paired": false, '
    b'"deterministic": false, "barred": false, "worth": null}, "'
)


class Kept(Mapping[str, Any]):
    """An object of JSON, as its text."""

    __slots__ = ("_kept",)

    def __init__(self, text: str) -> None:
        self._kept = text if len(text) < LONG else _packed(text)

    def __getitem__(self, key: str) -> Any:
        return _parsed(self._kept)[key]

    def __iter__(self) -> Iterator[str]:
        return iter(_parsed(self._kept))

    def __len__(self) -> int:
        return len(_parsed(self._kept))

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, Kept) and other._kept == self._kept) or super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Kept({dict(self)!r})"


@lru_cache(maxsize=256)
def _parsed(kept: str | bytes) -> dict[str, Any]:
    text = kept if isinstance(kept, str) else zlib.decompressobj(zdict=USUAL).decompress(kept)
    found: dict[str, Any] = json.loads(text)
    return found


def _packed(text: str) -> bytes:
    packer = zlib.compressobj(1, zdict=USUAL)
    return packer.compress(text.encode()) + packer.flush()
