"""How a seed reaches the code: a flag, a name, a configuration, or a literal in the call that sets it."""

import ast
from collections.abc import Mapping, Sequence

from msgspec import Struct

from loop.propose import places, seeded
from loop.propose.literals import called
from loop.propose.scalar import Unreadable
from loop.propose.seeded import VARIABLE
from loop.survey.bounds import SEED, snake
from loop.survey.options import Flag
from loop.survey.settings import Setting
from loop.survey.sources import Seen

FIRST = ("seed", "random_seed", "manual_seed", "rng_seed")  # beside which another one, as data_seed, is a part's


class Seed(Struct, frozen=True):
    """How the seed is handed over: `said` is `[run] seed`; None where nothing has to be said, or can be."""

    said: str | None
    evidence: str
    hard_coded: tuple[Seen, ...] = ()  # calls with a literal
    note: str = ""
    read: bool = False  # whether the code reads the variable that is always set

    @property
    def how(self) -> str | None:
        """By what it reaches the code; None where nothing was found."""
        return f"${VARIABLE}" if self.read else self.said


def found(
    settings: Sequence[Setting],
    flags: Sequence[Flag],
    trees: Mapping[str, ast.Module],
    files: Mapping[str, bytes],
    *,
    hydra: bool,
) -> Seed:
    """The seed, or why there is none. `files` are those that have a place for it, with what stands in them."""
    for flag in sorted(flags, key=lambda flag: flag.key.lower() not in FIRST):  # also one without a default
        if SEED.search(snake(flag.key)) and not flag.switch and not isinstance(flag.value, str):
            return Seed(f"{flag.name} {{seed}}", str(flag.seen) if flag.seen.line else flag.seen.path)
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and node.value == VARIABLE:
                return Seed(None, f"{Seen(path, node.lineno)}: the code reads ${VARIABLE}", read=True)
    named = [
        one
        for one in settings
        if SEED.search(snake(one.name)) and type(one.value) in (int, type(None)) and one.kind != "flag"
    ]
    calls = _calls(trees)
    order = ("configuration", "constant", "field", "keyword", "call")  # of a call: a part's, as `random_state=0` is
    if any(not _hindered(f"{seen.path}:{name}()", files) for name, seen in calls):
        named = [one for one in named if one.kind != "call"]
    for one in sorted(named, key=lambda one: (order.index(one.kind), one.name.lower() not in FIRST)):
        if one.value is None and not hydra:
            continue
        if one.kind == "configuration" and hydra:
            return Seed(f"{one.key.partition(':')[2]}={{seed}}", f"{one.seen}, by Hydra")
        if not _hindered(one.key, files):
            return Seed(one.key, str(one.seen))
    where = tuple(at for _, at in calls)
    hindered = ""
    for name, seen in calls:
        place = f"{seen.path}:{name}()"
        if why := _hindered(place, files):
            hindered = hindered or why
            continue
        others = dict.fromkeys(f"{other} at {at}" for other, at in calls if other != name)
        note = f"what {', '.join([*others][:3])} draws stays as it is" if others else ""
        return Seed(place, f"{seen}: hard-coded there; it is set in a run's checkout alone", where, note)
    if calls:
        what = "with different numbers" if "different values" in hindered else "where no run can set it"
        return Seed(None, f"hard-coded at {', '.join(map(str, where[:4]))} {what}; let one name hold it", where)
    return Seed(
        None, f"no seed found: ${VARIABLE} is always set, and a script that does not read it is noise each time"
    )


def _hindered(place: str, files: Mapping[str, bytes]) -> str:
    """Why a run could not set a seed at a place `file:NAME`; nothing where it could."""
    path, _, name = place.partition(":")
    try:
        stands = places.only(path, files.get(path, b""), name)
        if type(stands) is not int:
            return f"it is {stands!r}"
        places.set_values(path, files[path], {name: stands + 1})
    except (Unreadable, ValueError) as error:
        return str(error)
    return ""


def _calls(trees: Mapping[str, ast.Module]) -> list[tuple[str, Seen]]:
    """The calls that set a seed to a literal, or to a sum with one."""
    found = list[tuple[int, str, Seen]]()
    for path, tree in trees.items():
        for node in ast.walk(tree):
            name = called(node)
            place = seeded.rank(name)
            if place is not None and isinstance(node, ast.Call) and seeded.number(node) is not None:
                found.append((place, name, Seen(path, node.lineno)))
    found.sort(key=lambda one: (one[0], list(trees).index(one[2].path), one[2].line))
    return [(name, seen) for _, name, seen in found]
