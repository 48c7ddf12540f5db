"""Knobs that are flags of the train command, and `cockpit.args`, the tracked file that holds them.

    train: --dropout=0.2 --lr=0.003

A line a stage: its words are appended to the stage's command, behind all others, when the tree is run. So the tree says
it all, and a merge, a diff or a branch that is taken home carries it. The file is made when the first flag is set.
What it does not say stands in the command itself, or is the default that the script gives the flag.
"""

import ast
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

from msgspec import Struct

from loop.propose import literals
from loop.propose.domain import Value, same
from loop.propose.scalar import Unreadable

TAKERS = ("train", "predict", "eval")  # stages that run the code under test
LINE = re.compile(r"([ \t]*)(\w+)[ \t]*:(.*)", re.DOTALL)
WORD = re.compile(r"""(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^ \t\r'"\\])+""", re.DOTALL)  # as a shell has it
BY_FUNCTION = (b"typer", b"fire", b"tyro", b"jsonargparse")  # libraries that make flags of a function's arguments
TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no")


class Form(StrEnum):
    """How a flag is written: with its value; or it is there or not; or it is there, or `--no-…` is."""

    VALUE = "--flag=value"
    SWITCH = "--flag"
    PAIR = "--flag or --no-flag"


class Flag(Struct, frozen=True):
    """What the baseline says of a flag: its form, its text in `cockpit.args` if it is there, the file with its default.

    That file is named where the default is what counts.
    """

    form: Form = Form.VALUE
    stated: str | bool | None = None
    script: str = ""


class Word(Struct, frozen=True):
    """A word of a line, as a program is given it, and the characters of the file that it takes."""

    text: str
    start: int
    end: int


class Line(Struct, frozen=True):
    """The words of a stage. `start` and `end` are the characters that the line takes, `words_end` where they end."""

    words: tuple[Word, ...]
    start: int
    words_end: int
    end: int


# --- the file --------------------------------------------------------------------------------------------------------


def lines(source: bytes) -> dict[str, Line]:
    """What a file says, by stage. Raises Unreadable."""
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable(1, "is not UTF-8") from None
    found: dict[str, Line] = {}
    at = len(source.decode()) - len(text)
    for number, line in enumerate(text.split("\n"), 1):
        start, at = at, at + len(line) + 1
        said = line[: _comment(line)].rstrip(" \t\r")
        if not said or said.startswith("#"):
            continue
        match = LINE.fullmatch(said)
        if match is None or match[2] not in TAKERS:
            raise Unreadable(number, f"a line is `train: --flag=value …`; a stage is one of {', '.join(TAKERS)}")
        if match[2] in found:
            raise Unreadable(number, f"`{match[2]}` has a line already: write its words there")
        words = [
            (one[0], start + match.start(3) + one.start(), start + match.start(3) + one.end())
            for one in WORD.finditer(match[3])
        ]
        try:
            if shlex.split(match[3]) != [shlex.split(word)[0] for word, _, _ in words] or "\0" in said:
                raise ValueError("it holds what no word can hold")
            plain = tuple(Word(shlex.split(word)[0], begins, ends) for word, begins, ends in words)
        except (ValueError, IndexError) as error:
            raise Unreadable(number, f"cannot be split into words: {error}") from None
        found[match[2]] = Line(plain, start, start + len(said), at)
    return found


def _comment(line: str) -> int:
    """Where a line's comment begins: a word with a `#` in front, behind a space. In quotes there is none."""
    begins = (one.start() for one in WORD.finditer(line) if one[0].startswith("#"))
    return next((at for at in begins if line[at - 1 : at] in ("", " ")), len(line))


def words(source: bytes) -> dict[str, list[str]]:
    """The words to append to the command of each stage. Raises Unreadable."""
    return {stage: [word.text for word in line.words] for stage, line in lines(source).items()}


def _spelled(name: str) -> str:
    """A flag as parsers take it: `--learning-rate` and `--learning_rate` are one to most."""
    return name.replace("_", "-")


def _no(name: str) -> str:
    return "--no-" + name.removeprefix("--")


def _stated(given: Sequence[str], name: str, form: Form) -> Iterator[tuple[int, int, str | bool]]:
    """Where words give a flag: the first word and the one behind the last, and its text, or whether it is on."""
    for index, word in enumerate(given):
        head, equals, text = word.partition("=")
        if form is Form.PAIR and _spelled(head) == _spelled(_no(name)) and not equals:
            yield index, index + 1, False
        elif _spelled(head) == _spelled(name):
            follows = given[index + 1 : index + 2]
            if equals:
                yield index, index + 1, text
            elif form is Form.VALUE and follows and not re.match(r"-(?![0-9.])", follows[0]):
                yield index, index + 2, follows[0]
            else:
                yield index, index + 1, True


def given_by(given: Sequence[str], name: str, form: Form) -> str | bool | None:
    """What words say of a flag, the last one; None where they say nothing."""
    return next((text for _, _, text in reversed([*_stated(given, name, form)])), None)


def value(source: bytes, name: str, form: Form) -> str | bool | None:
    """What the file says of a flag of train; None where it says nothing. Raises Unreadable."""
    return given_by(words(source).get("train", []), name, form)


def written(source: bytes, name: str, form: Form, wanted: Value | None) -> bytes:
    """The file with another value of a flag of train, and every other byte as it was. Raises Unreadable.

    With None there will be no word for it: the command or the code says what it is.
    """
    found, text = lines(source).get("train"), source.decode()
    own = [*_stated([word.text for word in found.words], name, form)] if found else []
    if len(own) > 1:
        raise Unreadable(text[: found.start].count("\n") + 1 if found else 1, f"gives {name} more than once")
    word = "" if wanted is None or (form is Form.SWITCH and not wanted) else _word(name, form, wanted)
    if found is None:
        head = text if not text or text.endswith("\n") else f"{text}\n"
        return f"{head}train: {word}\n".encode() if word else source
    if not own:
        return f"{text[: found.words_end]} {word}{text[found.words_end :]}".encode() if word else source
    first, behind = own[0][0], own[0][1]
    start, end = found.words[first].start, found.words[behind - 1].end
    if word:
        return (text[:start] + word + text[end:]).encode()
    if behind - first == len(found.words) and found.words_end >= len(text[: found.end].rstrip()):
        return (text[: found.start] + text[found.end :]).encode()  # a line without words, and without a comment
    return (text[:start].rstrip(" ") + text[end:]).encode()


def _word(name: str, form: Form, wanted: Value) -> str:
    if form is Form.PAIR:
        return name if wanted else _no(name)
    return name if form is Form.SWITCH else shlex.quote(f"{name}={as_text(wanted)}")


def as_text(wanted: Value) -> str:
    """A value as a word. `True`, for those who read words as Python: nanoGPT's configurator, Fire; others take both."""
    return wanted if isinstance(wanted, str) else repr(wanted)


def canonical(source: bytes) -> bytes:
    """What is the same for two files that give the same flags, in whatever order. Raises Unreadable."""
    return repr({stage: sorted(said) for stage, said in words(source).items() if said}).encode()


def as_value(said: str | bool, name: str, choices: Sequence[Value] | None, *, whole: bool) -> Value:
    """What is said of a flag, as a value: of the choices, or a number. Raises ValueError."""
    if choices is not None:
        for choice in choices:
            if same(choice, said) or (isinstance(said, str) and as_text(choice) == said):
                return choice
        if isinstance(said, str) and said.lower() in TRUE + FALSE and {True, False} == {*choices}:
            return said.lower() in TRUE
        numbers = [one for one in choices if isinstance(one, int | float) and not isinstance(one, bool)]
        return next((one for one in numbers if isinstance(said, str) and _is_number(said, one)), said)
    if isinstance(said, bool):
        raise ValueError(f"{name} has no value where it stands; write `{name}=VALUE` there")
    try:
        return int(said) if whole and re.fullmatch(r"[-+]?[0-9][0-9_]*", said) else float(said)
    except ValueError:
        raise ValueError(f"{name} is {said!r}, which is no number: give it `choices`") from None


def _is_number(said: str, number: float) -> bool:
    try:
        return float(said) == number
    except ValueError:
        return False


# --- what the code says of a flag ------------------------------------------------------------------------------------


class Option(Struct, frozen=True):
    """A flag as a script declares it. `default` is None where it is no literal, `why` says what makes it unusable."""

    form: Form
    default: Value = None
    floats: bool = False  # every text is read as a float
    why: str = ""


def option(name: str, source: bytes, *, runs: bool) -> Option | None:
    """What a file says of a flag: an option of a parser, or of the script that `runs`, a default of that name.

    Those are the globals of a script that sets them from its command line, the fields of a dataclass, and where the
    script has a library for it, the defaults of its functions. Raises Unreadable.
    """
    calls = [node for node in ast.walk(literals.parsed(source)) if isinstance(node, ast.Call)]
    found = [one for node in calls for one in _options(node, name)]
    parses = any(getattr(node.func, "attr", "") == "add_argument" for node in calls)  # it knows no others
    if runs and not found and not parses:
        functions = any(library in source for library in BY_FUNCTION)
        plain = _spelled(name.removeprefix("--"))
        for one in literals.scalars(source):
            owner, _, last = one.name.rpartition(".")
            is_field = owner[:1].isupper() and "." not in owner
            if one.name.endswith(literals.CALL) or _spelled(last) != plain or not (not owner or is_field or functions):
                continue
            is_pair = b"typer" in source and bool(owner) and isinstance(one.value, bool)
            found.append(Option(Form.PAIR if is_pair else Form.VALUE, one.value, isinstance(one.value, float)))
    if why := next((one.why for one in found if one.why), ""):
        return Option(found[0].form, why=why)
    if len(set(map(repr, found))) > 1:
        return Option(found[0].form, why="is given different defaults")
    return found[0] if found else None


def _options(node: ast.Call, name: str) -> Iterator[Option]:
    """The flag, where a call declares it: of argparse, click, typer, absl. A default may be set elsewhere, too."""
    function = literals.called(node).rpartition(".")[2] or getattr(node.func, "attr", "")
    texts = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    words = {word.arg: word.value for word in node.keywords if word.arg}
    plain = _spelled(name.removeprefix("--"))
    if function == "set_defaults" and plain in map(_spelled, words):
        yield Option(Form.VALUE, why="is given another default by `set_defaults`")
    elif function.startswith("DEFINE_") and texts and _spelled(texts[0]) == plain:
        given = node.args[1] if len(node.args) > 1 else words.get("default")
        yield Option(Form.VALUE, literals.literal(given), function == "DEFINE_float")
    elif function in ("add_argument", "option", "Option"):
        for text in texts:
            on, _, off = text.partition("/")
            if not text.startswith("--") or _spelled(on.strip()) != _spelled(name):
                continue
            given = words.get("default")
            if function == "Option" and given is None and node.args and node.args[0] not in [*_texts(node, "--")]:
                given = node.args[0]
            if function == "Option" and given is None and not off:
                continue  # typer's, behind `Annotated`: the argument of the function has the default
            yield _declared(name, literals.literal(given), words, off.strip())


def _texts(node: ast.Call, begins: str) -> Iterator[ast.expr]:
    for one in node.args:
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and one.value.startswith(begins):
            yield one


def _declared(name: str, default: Value, words: Mapping[str, ast.expr], off: str) -> Option:
    kind = _last(words.get("type"))
    if off or _last(words.get("action")) == "BooleanOptionalAction":
        if off and _spelled(off) != _spelled(_no(name)):
            return Option(Form.PAIR, why=f"is switched off by {off}, and not by {_no(name)}, which this version serves")
        return Option(Form.PAIR, default)
    if (
        literals.literal(words.get("action")) in ("store_true", "store_false")
        or literals.literal(words.get("is_flag")) is True
    ):
        return Option(Form.SWITCH, False)
    if kind == "bool":
        return Option(Form.VALUE, why="is read by `type=bool`, for which every text is true; use BooleanOptionalAction")
    floats = kind == "float" or (not kind and isinstance(default, float))
    return Option(Form.VALUE, float(default) if floats and type(default) is int else default, floats)


def _last(node: ast.expr | None) -> str:
    return literals.dotted(node).rpartition(".")[2] if node is not None else ""
