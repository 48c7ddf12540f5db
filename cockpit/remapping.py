"""Which keys a name can be given in a user's configuration, and why others cannot be."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from textual.keys import Keys

from cockpit.configuration import keys_of
from cockpit.keys import KEYS, NAMED, OF_PROCESSES, SHOWN, Keymap, shown
from cockpit.panels import PANELS
from store.where import meant

EVERY = {key.name: key for keys in (OF_PROCESSES, *(panel.keys for panel in PANELS), KEYS) for key in keys if key.name}
PLACES = [  # in each of which a key does one thing
    *({*NAMED, *(key.name for key in panel.keys)} for panel in PANELS),
    {key.name for key in OF_PROCESSES if key.name},
]
FIXED = {"tab": "next", "shift+tab": "next", "ctrl+c": "quit"}  # on every screen and sheet
OWNED = {"enter": "open", "escape": "back"}  # what no other name may have: on a sheet they say yes and no
TAKEN = {
    "ctrl+a": "screen takes it",
    "ctrl+b": "tmux takes it",
    "ctrl+g": "zellij takes it",
    "ctrl+o": "byobu and zellij take it",
    "ctrl+q": "a terminal takes it, to go on",
    "ctrl+s": "a terminal takes it, to hold",
}
EXAMPLES = 'one as "x", "f2", "^x", "alt+x"'
SAME = {"ctrl+i": "tab", "ctrl+m": "enter", "return": "enter", "ctrl+h": "backspace"}  # to a terminal


def misfits(table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The names that cannot have what they are given, each with why, and what to do."""
    sound = dict[str, tuple[str, ...]]()
    for name, value in table.items():
        if name not in EVERY:
            yield name, f"is nothing that has a key; {meant(name, EVERY)}: `cockpit config` lists them"
        elif not (keys := keys_of(value)):
            yield name, 'is a key in quotes, as "m", or several: ["m", "f2"]'
        elif whys := [why for key in keys if (why := _unfit(key, name))]:
            yield from ((name, why) for why in whys)
        else:
            sound[name] = keys
    yield from _clashes(sound, {*EVERY} - {*table} | {*sound})


def _unfit(key: str, name: str) -> str:
    """Why a name cannot have a key; nothing where it can."""
    said, last = f'cannot be "{shown(key)}"', key.rpartition("+")[2]
    if key in FIXED:
        return f"{said}, which is {FIXED[key]} on every screen; put another"
    if OWNED.get(key, name) != name:
        return f"{said}: on a sheet that says {'yes' if key == 'enter' else 'no'}, so only {OWNED[key]} has it"
    if key in TAKEN:
        return f"{said}: {TAKEN[key]}; put another"
    if key in SAME:
        return f'{said}: a terminal sends "{SAME[key]}" for it; put another'
    if key.startswith("shift+") and len(last) == 1:
        return f'{said}; put "{last.upper()}"'
    single = {*SHOWN, *(one.value for one in Keys if not one.value.startswith("<"))}
    if key in single or (len(key) == 1 and key.isalnum()):
        return ""
    if key == f"alt+{last}" and (last in single or (len(last) == 1 and last.isalnum())):
        return ""
    near = [f'"{shown(one)}"' for one in get_close_matches(key.lower(), single, n=1)]
    return f"{said}, which is no key; put {' '.join(near) or EXAMPLES}"


def _clashes(given: Mapping[str, tuple[str, ...]], known: set[str]) -> Iterator[tuple[str, str]]:
    """The names that are given a key which another one, of those whose keys are known, has where both are at work."""
    keymap = Keymap(given)
    for at, (name, keys) in enumerate(given.items()):
        later = {*list(given)[at:]}  # which are told themselves, of this one
        beside = sorted({other for place in PLACES if name in place for other in place & known} - later)
        for key in keys:
            if those := [f"`{other}`" for other in beside if key in keymap.of(EVERY[other])]:
                yield name, f'cannot be "{shown(key)}", which is {" and ".join(those)}; put another'
