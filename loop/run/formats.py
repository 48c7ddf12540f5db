"""What training scripts leave of their metrics, as points: a step, where one is said, and a value.

    lines of a log, by a regular expression      CSV, as Lightning's logger writes it, too
    JSON, as trainer_state.json of Hugging Face  JSONL
    event files of TensorBoard                   the offline runs of W&B

Each reader takes an open file, and gives points as it goes. The code under test has written these files: what is read
of one is bounded, a line, a record and a document are, and what is broken is skipped, or ends the file.
"""

import csv
import json
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import Any, BinaryIO

Point = tuple[float | None, float]
MOST_BYTES = 256 * 2**20  # of a file
DOCUMENT_BYTES = 64 * 2**20  # of one that is read as a whole, which takes some ten times that in memory
LINE_BYTES = 64 * 2**10  # of a row of a table
LOG_CHARACTERS = 1_000  # of a line in which a pattern is looked for
RECORD_BYTES = 2**20
STEPS = ("global_step", "_step", "step", "iteration", "iter", "epoch")  # what a step is called, the finest first
NAMED = 8  # columns, keys or tags that are named where the one that was asked for is missing
KNOWN = 64  # of them that are kept in mind
SPOKEN = [re.compile(rf"(?<![\w.-]){name}\W{{1,3}}(\d{{1,15}})(?![\w.])", re.IGNORECASE) for name in STEPS]  # of a line
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Unreadable(Exception):
    """A file has no such metric. The message says what it has instead; `others` are all that it is known to have."""

    def __init__(self, message: str, others: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.others = tuple(others)


class TooLong(Unreadable):
    """A file is not read to its end, so what counts of it is not known."""


def number(value: object) -> float | None:
    """A number, also where it is said in quotes; None where it is none."""
    if isinstance(value, bool):
        return None
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except ValueError:
        return None
    except OverflowError:
        return inf


def _counted(read: int, more: int) -> int:
    """How much of a file is read by now. Raises TooLong."""
    if read + more > MOST_BYTES:
        raise TooLong(f"has more than {MOST_BYTES // 2**20} MiB")
    return read + more


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file; those of more than LINE_BYTES are left out."""
    read = 0
    while line := file.readline(LINE_BYTES):
        read = _counted(read, len(line))
        whole = line.endswith(b"\n") or len(line) < LINE_BYTES
        if whole:
            yield line
        while not whole and (rest := file.readline(LINE_BYTES)):
            read = _counted(read, len(rest))
            whole = rest.endswith(b"\n")


def _said(file: BinaryIO) -> Iterator[str]:
    """The lines of a log, each cut, without colours. What a carriage return begins anew is a line, too."""
    begun, read = b"", 0
    while block := file.read(LINE_BYTES):
        read = _counted(read, len(block))
        *whole, begun = re.split(rb"[\r\n]", begun + block)
        yield from (
            COLOUR.sub("", one[: 4 * LOG_CHARACTERS].decode(errors="replace"))[:LOG_CHARACTERS] for one in whole
        )
        begun = begun[: 4 * LOG_CHARACTERS]
    yield COLOUR.sub("", begun.decode(errors="replace"))[:LOG_CHARACTERS]


def _has(what: str, name: str, others: Sequence[str]) -> Unreadable:
    shown = ", ".join(f"`{one[:60]}`" for one in others[:NAMED]) + (" …" if len(others) > NAMED else "")
    return Unreadable(f"has no {what} `{name}`" + (f"; it has {shown}" if others else ""), others)


# --- text ------------------------------------------------------------------------------------------------------------


def in_lines(file: BinaryIO, pattern: re.Pattern[str]) -> Iterator[Point]:
    """What a pattern finds in each line: its group `value`, or the only one, at `step`, or what the line calls so."""
    value = "value" if "value" in pattern.groupindex else 1
    for text in _said(file):
        said: str | None = None
        for match in pattern.finditer(text):
            if (found := number(match[value])) is None:
                continue
            if "step" in pattern.groupindex:
                yield number(match["step"]), found
                continue
            if said is None:  # once a line
                said = next((at[1] for one in SPOKEN if (at := one.search(text))), "")
            yield number(said), found


def in_csv(file: BinaryIO, name: str, step: str | None, separator: str = ",") -> Iterator[Point]:
    """A column. An empty cell, as Lightning leaves for what it does not log at a step, is no point."""
    texts = (raw.decode("utf-8-sig", "replace").replace("\0", "") for raw in _lines(file))
    rows = csv.reader(texts, delimiter=separator)
    try:
        header = [one.strip() for one in next(rows, [])]
        if name not in header:
            raise _has("column", name, header)
        at, beside = header.index(name), _step_of(header, step)
        for row in rows:
            if at < len(row) and (found := number(row[at].strip())) is not None:
                yield (number(row[header.index(beside)]) if beside in header[: len(row)] else None), found
    except csv.Error as error:
        raise Unreadable(f"is no CSV: {error}") from None


def _step_of(names: Sequence[str] | Mapping[str, Any], step: str | None) -> str:
    """What the steps are called among these names."""
    return step if step is not None else next((one for one in STEPS if one in names), "")


# --- JSON ------------------------------------------------------------------------------------------------------------


def in_json(file: BinaryIO, name: str, step: str | None) -> Iterator[Point]:
    """A key of a document: a number, or a list of them. Or of each row: of a list, or of a trainer's `log_history`."""
    text = file.read(DOCUMENT_BYTES + 1)
    if len(text) > DOCUMENT_BYTES:
        raise Unreadable(f"has more than {DOCUMENT_BYTES // 2**20} MiB: write one row a line, as JSONL")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("is no JSON") from None
    found = _key(said, name)
    if isinstance(said, dict) and found is None and isinstance(said.get("log_history"), list):
        said = said["log_history"]
    if isinstance(said, list):
        yield from _rows(said, name, step)
    elif isinstance(found, list):
        yield from ((None, value) for value in map(number, found) if value is not None)
    elif (value := number(found)) is not None:
        yield (number(said.get(_step_of(said, step))) if isinstance(said, dict) else None), value
    else:
        raise _has("number", name, _numbers(said, lists=True))


def in_jsonl(file: BinaryIO, name: str, step: str | None) -> Iterator[Point]:
    """A key of each line. A line that is no JSON is none: it may be torn."""

    def rows() -> Iterator[Any]:
        for raw in _lines(file):
            with suppress(ValueError, RecursionError):
                yield json.loads(raw)

    yield from _rows(rows(), name, step)


def _rows(rows: Iterator[Any] | list[Any], name: str, step: str | None) -> Iterator[Point]:
    """A key of each row that has it."""
    others: dict[str, None] = {}
    any_of_it = False
    for row in rows:
        if (value := number(_key(row, name))) is not None:
            any_of_it = True
            yield number(row.get(_step_of(row, step))), value
        elif not any_of_it and len(others) <= KNOWN:
            others |= dict.fromkeys(_numbers(row))
    if not any_of_it:
        raise _has("number", name, list(others))


def _key(said: Any, name: str) -> Any:
    """What stands under a key, or under `outer.inner`."""
    if not isinstance(said, dict):
        return None
    if name in said:
        return said[name]
    head, _, rest = name.partition(".")
    return _key(said.get(head), rest) if rest else None


def _numbers(said: Any, *, lists: bool = False, deep: int = 3) -> list[str]:
    """The keys under which numbers stand, or with `lists` lists of them: `outer.inner` where one is in another."""
    found: list[str] = []
    for name, value in said.items() if isinstance(said, dict) else ():
        if number(value) is not None or (lists and isinstance(value, list) and value and number(value[0]) is not None):
            found.append(name)
        elif deep > 1:
            found += [f"{name}.{inner}" for inner in _numbers(value, lists=lists, deep=deep - 1)]
    return found


# --- records ---------------------------------------------------------------------------------------------------------


def in_tensorboard(file: BinaryIO, name: str) -> Iterator[Point]:
    """A scalar of an event file: TFRecord, each an Event (tensorflow/core/util/event.proto)."""
    tags: dict[str, None] = {}
    any_of_it = False
    while len(head := file.read(12)) == 12:
        length = int.from_bytes(head[:8], "little")
        if length > RECORD_BYTES:  # an image, a histogram; or no event file
            if length > MOST_BYTES:
                break
            file.seek(length + 4, 1)
            continue
        event = file.read(length + 4)[:length]
        with suppress(ValueError, struct.error):
            parts = list(_fields(event))
            step = next((float(_signed(at)) for key, at in parts if key == 2 and isinstance(at, int)), 0.0)
            for summary in (one for key, one in parts if key == 5 and isinstance(one, bytes)):
                for value in (one for key, one in _fields(summary) if key == 1 and isinstance(one, bytes)):
                    said = dict(_fields(value))
                    tag = _text(said.get(1))
                    if tag == name and (found := _scalar(said)) is not None:
                        any_of_it = True
                        yield step, found
                    elif len(tags) <= KNOWN:
                        tags[tag] = None
    if not any_of_it:
        raise _has("scalar", name, list(tags))


def _scalar(value: Mapping[int, int | bytes]) -> float | None:
    """Of a Summary.Value: a simple value, or a tensor of one number (tensorflow/core/framework/tensor.proto)."""
    simple, tensor = value.get(2), value.get(8)
    if isinstance(simple, bytes):
        return float(struct.unpack("<f", simple)[0])
    if not isinstance(tensor, bytes):
        return None
    said = dict(_fields(tensor))
    form = {1: "f", 2: "d", 3: "i", 9: "q"}.get(kind) if isinstance(kind := said.get(1), int) else None
    held = next((one for key in (4, 5, 6) if isinstance(one := said.get(key), bytes)), b"")
    return float(struct.unpack(f"<{form}", held)[0]) if form and len(held) == struct.calcsize(form) else None


def in_wandb(file: BinaryIO, name: str) -> Iterator[Point]:
    """A key of an offline run's history, or else of its summary: a log of LevelDB's form, each a Record of W&B's."""
    summary: float | None = None
    names: dict[str, None] = {}
    any_of_it = False
    if file.read(4) != b":W&B":
        raise Unreadable("is no file of W&B's")
    file.seek(7)
    for record in _logged(file, 7):
        with suppress(ValueError, struct.error):
            said = dict(_fields(record))
            for kind, items in ((2, 1), (3, 1)):  # history and summary, and the items of either
                if not isinstance(part := said.get(kind), bytes):
                    continue
                values = dict(_item(one) for key, one in _fields(part) if key == items and isinstance(one, bytes))
                if name not in values:
                    names |= dict.fromkeys(one for one in values if len(names) <= KNOWN and not one.startswith("_"))
                elif (value := number(values[name])) is not None and kind == 2:
                    any_of_it = True
                    yield number(values.get("_step")), value
                else:
                    summary = value
    if not any_of_it and summary is None:
        raise _has("number", name, list(names))
    if not any_of_it and summary is not None:
        yield None, summary


def _item(data: bytes) -> tuple[str, Any]:
    """A HistoryItem or a SummaryItem: its key, and its value in JSON."""
    key, nested, value = "", list[str](), None
    for field, said in _fields(data):
        if field == 1:
            key = _text(said)
        elif field == 2:
            nested.append(_text(said))
        elif field == 5 and isinstance(said, int):
            value = _signed(said)
        elif field == 6 and isinstance(said, bytes):
            (value,) = struct.unpack("<d", said)
        elif field == 16:
            with suppress(RecursionError):
                value = json.loads(_text(said))
    return key or ".".join(nested), value


def _logged(file: BinaryIO, at: int) -> Iterator[bytes]:
    """The records of a log in blocks of 32 KiB (LevelDB's log_format.md), each of one piece or of several."""
    block, whole, read = 32768, b"", 0
    while True:
        if (left := block - at % block) < 7:
            file.seek(left, 1)
            at += left
            continue
        head = file.read(7)
        length, kind = int.from_bytes(head[4:6], "little"), head[6:7]
        data = file.read(length)
        if len(head) < 7 or len(data) < length or kind not in (b"\1", b"\2", b"\3", b"\4"):
            return
        at, read = at + 7 + length, _counted(read, 7 + length)
        whole = data if kind in (b"\1", b"\2") else whole + data
        if len(whole) > RECORD_BYTES:
            whole = b""
        if kind in (b"\1", b"\4"):
            yield whole


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message. Raises ValueError where it is none."""
    at = 0

    def varint() -> int:
        nonlocal at
        found = shift = 0
        while True:
            if at >= len(data) or shift > 63:
                raise ValueError("a torn number")
            found |= (data[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if not data[at - 1] & 0x80:
                return found

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
            continue
        size = {1: 8, 5: 4}.get(tag & 7) or (varint() if tag & 7 == 2 else len(data) + 1)
        if at + size > len(data):
            raise ValueError("a torn field")
        yield tag >> 3, data[at : at + size]
        at += size


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _text(data: object) -> str:
    return data.decode(errors="replace") if isinstance(data, bytes) else ""
