"""The search space: which knobs there are, and how the value of one is read and set.

A knob stands where its value does, as an annotated constant of an editable Python file,

    RATE = 3e-4  # cockpit: 1e-5..1e-2 log        DEPTH = 4  # cockpit: 1..12        MODE = "a"  # cockpit: a | b

or `[space.knobs]` lists it by its place: `file:NAME` (places.py), or `--flag` of the train command (arguments.py). It
is an integer if its value and both bounds are, else a float. Setting it changes the value and not a byte more, so that
a proposal is a diff of one line a knob.
"""

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from loop.propose import arguments, literals, places
from loop.propose.arguments import Flag, Form
from loop.propose.domain import Choices, Domain, Value, annotated_domain, fitting, listed_domain, same
from loop.propose.literals import ANNOTATION
from loop.propose.scalar import Unreadable
from loop.study import ARGS, ConfigError, Listed, Settings


class Knob(Struct, frozen=True):
    """A named, typed, bounded value. `default` is the one it has in the baseline."""

    path: str
    name: str  # `RATE`, `Config.rate` in a class, `torch.optim.SGD(lr)`, `optim.lr` in a YAML file, `--lr`
    domain: Domain
    default: Value
    annotated: bool = True  # in the code; else listed in `[space.knobs]`
    flag: Flag | None = None  # of the train command; its path is `cockpit.args`

    @property
    def key(self) -> str:
        """Its name in `[space.knobs]` and in the record."""
        return self.name if self.flag else f"{self.path}:{self.name}"

    @property
    def short(self) -> str:
        """Its name; of what a call is given, without the module of the call: `SGD(lr)`."""
        call, bracket, argument = self.name.partition("(")
        return f"{call.rpartition('.')[2]}{bracket}{argument}" if self.name.endswith(literals.CALL) else self.name


# --- which knobs there are -------------------------------------------------------------------------------------------


def declared(
    settings: Settings, at: Callable[[str], str], sources: Mapping[str, bytes], scripts: Sequence[str] = ()
) -> tuple[Knob, ...]:
    """The knobs of a study: those annotated in the editable Python files of `sources`, and those that are listed.

    `at` says where a listed one stands in `cockpit.toml`; `scripts` are those of `sources` that make the train stage,
    its own first. Raises ConfigError, which names file, line and mend.
    """
    knobs: dict[str, Knob] = {}
    errors = []
    for path, source in sorted(sources.items()):
        if not path.endswith(".py") or not settings.editable(path):
            continue
        if ANNOTATION.search(source.decode("utf-8", "replace")):
            try:
                for knob in annotated(path, source):
                    knobs[knob.key] = knob
            except Unreadable as error:
                errors.append(f"{path}:{error.line}: {error}")
    for key, listed in settings.space.knobs.items():
        path, _, name = (ARGS, "", key) if key.startswith("--") else key.partition(":")
        where = f'{at(key)}: `[space.knobs] "{key}"`'
        try:
            if key in knobs:
                raise ValueError("is annotated in the code already; take out one of the two")
            if path == ARGS:
                knob = _flag(key, listed, settings.run.train, sources, scripts)
            elif path not in sources:
                raise ValueError(f"there is no committed file {path}; commit it, or mend the name")
            else:
                value = places.only(path, sources[path], name)
                knob = Knob(path, name, domain := listed_domain(listed, value), fitting(domain, value), annotated=False)
            # That it can be set is known before anything runs.
            set_values(path, sources.get(path, b""), {knob: _other(knob)})
            knobs[key] = knob
        except Unreadable as error:
            errors.append(f"{where}: {path}:{error.line}: {error}")
        except ValueError as error:
            errors.append(f"{where}: {error}")
    for path in dict.fromkeys(knob.path for knob in knobs.values() if not errors):
        own = {knob: _other(knob) for knob in knobs.values() if knob.path == path}
        try:
            set_values(path, sources.get(path, b""), own)
        except Unreadable as error:
            errors.append(f"{path}:{error.line}: {error}")
    if errors:
        raise ConfigError("\n".join(errors))
    return tuple(knobs.values())


def _other(knob: Knob) -> Value:
    """Another value than the knob's."""
    if isinstance(knob.domain, Choices):
        return next(one for one in knob.domain.values if not same(one, knob.default))
    return knob.domain.rounded(knob.domain.low if knob.default != knob.domain.low else knob.domain.high)


def _flag(name: str, listed: Listed, train: str, sources: Mapping[str, bytes], scripts: Sequence[str]) -> Knob:
    """A flag of the train command: what it is at the baseline. Raises ValueError, and Unreadable of `cockpit.args`."""
    script, option = "", None
    for path in scripts:
        try:
            option = arguments.option(name, sources[path], runs=path == scripts[0])
        except Unreadable:  # a script that is no Python says nothing
            continue
        if option is not None:
            script = path
            break
    if option and option.why:
        raise ValueError(f"{name} in {script} {option.why}")
    form = option.form if option else Form.VALUE
    told = arguments.value(sources.get(ARGS, b""), name, form)
    in_command = arguments.given_by(shlex.split(train), name, form)
    if form is Form.SWITCH and in_command is not None:
        raise ValueError(
            f"{name} stands in `[run] train`, behind which it cannot be taken back: take it out there, and commit a "
            f"file {ARGS} with the line `train: {name}`"
        )
    said = told if told is not None else in_command
    value = option.default if option else None
    if said is not None:
        value = arguments.as_value(said, name, listed.choices, whole=not (option and option.floats))
        script = ""
    elif value is None:
        where = f"{script} gives it no plain default" if script else "no script that train names says what it is"
        raise ValueError(f"{where}: put it with its present value into `[run] train`, as `{name}=VALUE`")
    domain = listed_domain(listed, value)
    flag = Flag(form, stated=told, script=script)
    return Knob(ARGS, name, domain, fitting(domain, value), annotated=False, flag=flag)


def annotated(path: str, source: bytes) -> list[Knob]:
    """The knobs that a Python file declares. Raises Unreadable."""
    knobs = []
    found = literals.scalars(source)
    for one in found:
        if one.annotation is None:
            continue
        try:
            places.once(path, one.name, found)
            domain = annotated_domain(one.annotation, one.value)
            knobs.append(Knob(path, one.name, domain, fitting(domain, one.value)))
        except ValueError as error:
            raise Unreadable(one.line, str(error)) from None
    return knobs


def names(knobs: Sequence[Knob]) -> dict[str, Knob]:
    """The knobs by the names that people and models are told: short ones, where they are no other's too."""
    taken = Counter(name for knob in knobs for name in {knob.short, knob.name})
    return {next((name for name in (knob.short, knob.name) if taken[name] == 1), knob.key): knob for knob in knobs}


# --- reading and setting ---------------------------------------------------------------------------------------------


def values(path: str, source: bytes, knobs: Sequence[Knob]) -> dict[str, Value]:
    """The values that the knobs of a file have in it, by name. One that is not there is left out. Raises Unreadable."""
    if path != ARGS:
        return places.values(path, source, {knob.name for knob in knobs})
    return {knob.name: _told(knob, source) for knob in knobs}


def _told(knob: Knob, source: bytes) -> Value:
    """The value of a flag, where `cockpit.args` is this. A switch that it does not name is off."""
    assert knob.flag is not None
    said = arguments.value(source, knob.name, knob.flag.form)
    if said is None:
        return False if knob.flag.form is Form.SWITCH else knob.default
    domain = knob.domain
    choices, whole = (domain.values, True) if isinstance(domain, Choices) else (None, domain.integer)
    try:
        return arguments.as_value(said, knob.name, choices, whole=whole)
    except ValueError as error:
        raise Unreadable(1, str(error)) from None


def set_values(path: str, source: bytes, wanted: Mapping[Knob, Value]) -> bytes:
    """A file with other values of its knobs, and every other byte as it was. Raises Unreadable."""
    if path != ARGS:
        return places.set_values(path, source, {knob.name: value for knob, value in wanted.items()})
    for knob, value in wanted.items():
        assert knob.flag is not None
        said = knob.flag.stated if same(value, knob.default) else value  # as the baseline has it
        source = arguments.written(source, knob.name, knob.flag.form, said)
    return source
