"""What a fidelity sets: `[fidelity]` of `cockpit.toml`, found in the code of the baseline.

A quick run and a full one are of the same tree. What they differ in is set where a run is started, in its checkout, on
its command line or in its environment, and is in no commit.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from re import fullmatch

from loop.propose import places
from loop.propose.domain import Value
from loop.propose.scalar import Unreadable
from loop.run.stages import SECONDS, Sets, scripts
from loop.study import FLAG, PLACE, ConfigError, Revision
from store.records import FULL, QUICK
from store.where import where


def found(config: Path, revision: Revision, files: Sequence[str], sources: Mapping[str, bytes]) -> dict[str, Sets]:
    """What each fidelity sets, by its name; nothing where there is but one. `sources` are of files with places.

    Raises ConfigError, with a line for each thing to mend.
    """
    asked = revision.settings.fidelity
    if asked is None:
        return {}
    every, errors = dict[str, Sets](), list[str]()
    for fidelity, given in ((QUICK, asked.quick), (FULL, asked.full)):
        constants = list[tuple[str, str, Value]]()
        for name, value in given.items():
            if name == SECONDS or fullmatch(FLAG, name):
                continue
            try:
                place = _place(name, revision, files, sources)
                _check_kind(places.only(place[0], sources[place[0]], place[1]), value)
                constants.append((*place, value))
            except (ValueError, Unreadable) as why:
                at = where(config, revision.text, ("fidelity", fidelity, name))
                errors.append(f"{at}: `[fidelity] {fidelity}`: {why}")
        seconds = given.get(SECONDS)
        every[fidelity] = Sets(flags(given), tuple(constants), None if seconds is None else float(seconds))
    if errors:
        raise ConfigError("\n".join(errors))
    return every


def flags(given: Mapping[str, Value]) -> tuple[str, ...]:
    """The words of those that are flags of the train command."""
    return tuple(
        f"{name}={value}" if value is not True else name for name, value in given.items() if fullmatch(FLAG, name)
    )


def _place(name: str, revision: Revision, files: Sequence[str], sources: Mapping[str, bytes]) -> tuple[str, str]:
    """The file and the name in it that a key means. Raises ValueError."""
    if fullmatch(PLACE, name):
        path, _, constant = name.partition(":")
        if path not in sources:
            raise ValueError(f"there is no committed file {path}; commit it, or mend the name")
        return path, constant
    named = [path for path in scripts(revision.settings.run.train, files, revision.settings.run.cwd) if path in sources]
    if not named:
        raise ValueError(f'`[run] train` names no file in which `{name}` could stand; put "file.py:{name}"')
    held = {(path, one.name) for path in named for one in places.scalars(path, sources[path]) if not one.fixed}
    exact = {place for place in held if place[1] == name}
    known = sorted(exact or {place for place in held if place[1].lower() == name.lower()})
    if not known:
        raise ValueError(
            f"`{name}` is given a number or another literal nowhere in {', '.join(named)}, at the top or in a class; "
            f'put "--{name}" if it is a flag, or the file that has it, "file.py:{name}"'
        )
    if len(known) > 1:
        either = " or ".join(f'"{path}:{one}"' for path, one in known)
        raise ValueError(f"`{name}` may be more than one; put {either}")
    return known[0]


def _check_kind(now: Value, value: Value) -> None:
    """Raises ValueError where a value is of another kind than what stands there."""
    kinds = [float if isinstance(one, int | float) and not isinstance(one, bool) else type(one) for one in (now, value)]
    if now is not None and kinds[0] is not kinds[1]:
        raise ValueError(f"{value!r} cannot stand where the code has {now!r}; put a value of that kind")


def check(config: Path, revision: Revision, sets: Mapping[str, Sets], knobs: Collection[str]) -> None:
    """Raises ConfigError where what a fidelity sets is a knob of the search space, or holds the seed."""
    for fidelity, one in sets.items():
        for path, name, _ in one.constants:
            place, what = f"{path}:{name}", ""
            if place in knobs:
                what = "is a knob of the search space, which a fidelity cannot set too; take out one of the two"
            elif place == revision.settings.run.seed:
                what = "holds the seed, `[run] seed`; take it out"
            if what:
                at = where(config, revision.text, ("fidelity", fidelity))
                raise ConfigError(f"{at}: `[fidelity] {fidelity}`: {place} {what}")
