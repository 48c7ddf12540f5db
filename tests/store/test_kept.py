"""JSON that is kept as its text, or packed, says what it said."""

import json

import pytest

from store.kept import LONG, Kept


@pytest.mark.parametrize("name", ["short", "é — long" * LONG])
def test_what_is_kept_is_what_it_was_however_long_it_is(name: str) -> None:
    said = {name: {"gain": 0.0316, "moved": "open", "paired": False, "worth": None}, "other": {}}
    one = Kept(json.dumps(said))
    assert dict(one) == said and len(one) == 2 and one[name] == said[name]
    assert one == Kept(json.dumps(said)) and one != Kept("{}")
