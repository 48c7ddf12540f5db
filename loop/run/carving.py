"""A file of data divided in two: what training sees, and what is scored, of which `predict` gets no label.

Rows are divided by a hash of what they hold beside the label. So the same file is divided in the same way anywhere,
equal rows come to lie on one side, and a file to which rows are added leaves the others where they were. A text is
divided at its end. What is scored stands in the order of the hash, for a file may be sorted by what is to be predicted.

    dev/NAME      all rows of training, as the file has them: it is lent to runs in the place of the file
    inputs/NAME   the rows that are scored, in the same form, so that what reads the file reads them; in the place of
                  each label stands that of the first row of training
    labels.csv    their labels, row for row; of a text its end, `labels.txt`

The standard library alone: arrays are divided by their bytes.
"""

import ast
import csv
import hashlib
import io
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from math import isnan, prod
from pathlib import Path
from typing import Any, BinaryIO

from msgspec import Struct

from loop.run.scoring import HEADER_BYTES, NUMBERS
from loop.study import Carve

DEV, INPUTS, LABELS, TEXT = "dev", "inputs", "labels.csv", "labels.txt"
LEAST_ROWS = 20  # on either side: of fewer, a score says nothing
BLOCK_BYTES = 2**20
CELL_BYTES = 2**31 - 1  # of a table: a text may stand there
LINE_BYTES = 2**16  # within which a text is cut at the end of a line, where one ends there
NO_LABEL = ("", "nan")  # what stands there is no label: such a row is one of training


class Wrong(Exception):
    """The file cannot be divided as it is said. The message says why, and what to do."""


class Parts(Struct, frozen=True):
    """How many rows, or bytes of a text, are on each side, and the digests of what was written."""

    dev: int
    scored: int
    unit: str
    digests: dict[str, str]


def carve(carve: Carve, file: Path, labels: Path | None, into: Path) -> Parts:
    """Divide a file, or a folder of class folders, into the empty folder `into`. `labels` is the file of an array's.

    Reads and writes all of it: call it in a thread. Raises Wrong and OSError.
    """
    for part in (DEV, INPUTS):
        (into / part).mkdir(parents=True)
    name = Path(carve.file).name
    sides = Sides(carve.share)
    dev, inputs = into / DEV / name, into / INPUTS / name
    unit, most = "rows", csv.field_size_limit(CELL_BYTES)
    try:
        if carve.file.endswith("/"):
            unit, found = "files", _folders(file, dev, inputs, sides)
        elif carve.label is None:
            return _text(file, into, carve.share, name)
        elif labels is not None:
            found = _arrays(file, labels, dev, inputs, sides)
        elif file.suffix == ".npz":
            found = _archive(file, str(carve.label), dev, inputs, sides)
        elif file.suffix == ".jsonl":
            found = _objects(file, str(carve.label), dev, inputs, sides)
        else:
            found = _table(file, carve.label, dev, inputs, sides)
    except (UnicodeError, csv.Error, zipfile.BadZipFile, struct.error, RecursionError) as error:
        raise Wrong(f"{name} cannot be read: {error}") from None
    finally:
        csv.field_size_limit(most)
    if min(len(found), sides.dev) < LEAST_ROWS:
        raise Wrong(
            f"{name}: {len(found)} of {len(found) + sides.dev} {unit} would be scored, and on either side there are "
            f"{LEAST_ROWS} at least; take another `share`, or more data"
        )
    with (into / LABELS).open("w", encoding="utf-8", errors="surrogateescape", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([["label"], *([label] for label in found)])
    return Parts(sides.dev, len(found), unit, _digests(into))


class Sides:
    """On which side what is: it counts what training gets."""

    def __init__(self, share: float) -> None:
        self.below = int(share * 2**64)
        self.dev = 0

    def scored(self, row: bytes, label: object) -> int | None:
        """The hash of a row that is scored; None of one that training gets."""
        number = int.from_bytes(hashlib.blake2b(row, digest_size=8).digest(), "big")
        if number < self.below and str(label).strip().lower() not in NO_LABEL and label is not None:
            return number
        self.dev += 1
        return None


# --- tables ----------------------------------------------------------------------------------------------------------


def _table(file: Path, label: str | int, dev: Path, inputs: Path, sides: Sides) -> list[str]:
    """A table of text: `label` is the name of a column, or its number where no line has names."""
    separator = separator_of(file)
    scored: list[tuple[int, int, int, str]] = []  # where in the file: what is scored may be too much to be held
    at = 0
    head: list[str] = []
    column, first, width = None, None, 0
    if isinstance(label, int):
        column = label
    with _written(dev) as out:
        for raw, cells in _records(file, separator):
            begins, at = at, at + len(_bytes(raw))
            if column is None:
                names = [cell.strip().lstrip("\ufeff") for cell in cells]
                if names.count(str(label)) != 1:
                    raise Wrong(
                        f"{file.name} has no column {label!r}, or two: its first line has {', '.join(names[:20])}; a "
                        "file without a line of names takes a number, as `label = -1`"
                    )
                column, head, width = names.index(str(label)), cells, len(cells)
                out.write(raw)
                continue
            if not raw.strip() or (not head and raw.lstrip().startswith("#")):
                out.write(raw)
                continue
            width = width or len(cells)
            if len(cells) != width or not -width <= column < width:
                raise Wrong(f"{file.name} has a row of {len(cells)} cells, and others have {width}: {raw.strip()[:60]}")
            value, rest = cells[column].strip(), [cell.strip() for n, cell in enumerate(cells) if n != column % width]
            number = sides.scored("\x1f".join(rest).encode("utf-8", "surrogateescape"), value)
            if number is None:
                out.write(raw)
                first = cells[column] if first is None else first
            else:
                scored.append((number, begins, at - begins, value))
    scored.sort(key=lambda one: one[0])
    with _written(inputs) as out, file.open("rb") as opened:
        writer = csv.writer(out, delimiter=separator or " ", lineterminator="\n")
        if head:
            writer.writerow(head)
        for _, begins, length, _ in scored:
            ((_, cells),) = _cells(io.StringIO(_read(opened, begins, length), newline=""), separator)
            cells[column or 0] = first or ""
            writer.writerow(cells)
    return [value for *_, value in scored]


def separator_of(file: Path) -> str:
    """What stands between the cells of a table, by its first line; nothing where that is blank space."""
    if file.suffix == ".tsv":
        return "\t"
    with _opened(file) as lines:
        line = next((one for one in lines if one.strip() and not one.startswith("#")), "")
    best = max(",;\t|", key=line.count)
    return best if best in line else "" if line.split()[1:] else ","


def _records(file: Path, separator: str) -> Iterator[tuple[str, list[str]]]:
    """The rows of a table, each as it stands there, and its cells. One may go over several lines."""
    with _opened(file) as opened:
        yield from _cells(opened, separator)


def _cells(opened: Iterable[str], separator: str) -> Iterator[tuple[str, list[str]]]:
    lines: list[str] = []

    def read() -> Iterator[str]:
        for line in opened:
            lines.append(line)
            yield line

    if not separator:
        yield from ((line, line.split()) for line in opened)
        return
    for cells in csv.reader(read(), delimiter=separator):
        yield "".join(lines), cells
        lines.clear()


def _objects(file: Path, label: str, dev: Path, inputs: Path, sides: Sides) -> list[str]:
    """JSONL: an object a line."""
    scored: list[tuple[int, int, int, str]] = []  # as of a table
    at = 0
    first: Any = None
    with _opened(file) as lines, _written(dev) as out:
        for number, line in enumerate(lines, 1):
            begins, at = at, at + len(_bytes(line))
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                raise Wrong(f"{file.name}, line {number} is no JSON object")
            if label not in row:
                raise Wrong(f"{file.name}, line {number} has no {label!r}: it has {', '.join(row)[:200]}")
            value = row[label]
            if isinstance(value, dict | list):
                raise Wrong(f"{file.name}, line {number}: {label!r} is neither a number nor a text")
            rest = {key: one for key, one in row.items() if key != label}
            place = sides.scored(json.dumps(rest, sort_keys=True).encode(), value)
            if place is None:
                out.write(line)
                first = value if first is None else first
            else:
                scored.append((place, begins, at - begins, str(value)))
    scored.sort(key=lambda one: one[0])
    with _written(inputs) as out, file.open("rb") as opened:
        rows = (json.loads(_read(opened, begins, length)) for _, begins, length, _ in scored)
        out.writelines(json.dumps({**row, label: first}) + "\n" for row in rows)
    return [value for *_, value in scored]


# --- arrays ----------------------------------------------------------------------------------------------------------


class Array(Struct, frozen=True):
    """An array as `numpy.save` writes it: its rows lie one after the other."""

    name: str
    kind: str
    shape: tuple[int, ...]
    begins: int  # of its bytes, in the file

    @property
    def row_bytes(self) -> int:
        """Of one row."""
        return int(self.kind[2:]) * (4 if self.kind[1] == "U" else 1) * prod(self.shape[1:])

    def header(self, rows: int) -> bytes:
        """The head of one with so many rows."""
        said = repr({"descr": self.kind, "fortran_order": False, "shape": (rows, *self.shape[1:])}).encode("latin-1")
        said += b" " * (-(len(said) + 11) % 64) + b"\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(said)) + said

    def value(self, row: bytes) -> float | int:
        """The number in a row that is one."""
        order = ">" if self.kind[0] == ">" else "<"
        found: float | int = struct.unpack(f"{order}{NUMBERS[self.kind[1:]]}", row)[0]
        return found


def array_of(file: BinaryIO, name: str, *, whole: bool = False) -> Array:
    """What the head of an array says, which has rows, or may be a single value, which stays `whole`. Raises Wrong."""
    begins = file.read(8)
    if begins[:6] != b"\x93NUMPY" or len(begins) < 8:
        raise Wrong(f"{name} is no array of numpy.save")
    size, code = (2, "<H") if begins[6] == 1 else (4, "<I")
    (length,) = struct.unpack(code, file.read(size))
    if length > HEADER_BYTES:
        raise Wrong(f"{name} has no head that can be read")
    try:
        said = ast.literal_eval(file.read(length).decode("latin-1"))
        kind, shape, turned = said["descr"], tuple(said["shape"]), said["fortran_order"]
    except (ValueError, SyntaxError, KeyError, TypeError):
        raise Wrong(f"{name} has no head that can be read") from None
    if not isinstance(kind, str) or "O" in kind or not kind[2:].isdigit():
        raise Wrong(f"{name} holds {str(kind)[:40]!r}, of which rows cannot be told apart: save plain numbers")
    if (not shape and not whole) or (turned and len(shape) > 1):
        raise Wrong(f"{name} has shape {shape}, column after column or without rows: save np.ascontiguousarray of it")
    return Array(name, kind, shape, 8 + size + length)


def _arrays(file: Path, labels: Path, dev: Path, inputs: Path, sides: Sides) -> list[str]:
    """Two files of arrays, of which the other one holds the labels: training gets both of what is its own."""
    with file.open("rb") as one, labels.open("rb") as other:
        array, truth = array_of(one, file.name), array_of(other, labels.name)
        order, found = _divided([(array, one)], truth, other, sides)
        kept = [row for row in range(array.shape[0]) if row not in found]
        of_dev = (array, one, dev), (truth, other, dev.with_name(beside(labels.name)))
        for source, opened, path, rows in (*((*each, kept) for each in of_dev), (array, one, inputs, order)):
            with path.open("wb") as out:
                out.writelines(_rows(source, opened, rows))
    return [found[row] for row in order]


def _archive(file: Path, label: str, dev: Path, inputs: Path, sides: Sides) -> list[str]:
    """`numpy.savez`: all arrays with as many rows as the labels are divided, and the others are on both sides."""
    own = f"{label}.npy"
    with zipfile.ZipFile(file) as archive:
        read = {info.filename: io.BytesIO(archive.read(info)) for info in archive.infolist()}
    arrays = {name: array_of(opened, name, whole=name != own) for name, opened in read.items() if name.endswith(".npy")}
    if own not in arrays:
        names = ", ".join(name.removesuffix(".npy") for name in arrays)
        raise Wrong(f"{file.name} has no array {label!r}; it has {names}")
    truth = arrays[own]
    alike = {name: one for name, one in arrays.items() if one.shape[:1] == truth.shape[:1]}
    others = [(one, read[name]) for name, one in alike.items() if name != own]
    if not others:
        raise Wrong(f"{file.name} has no other array with {truth.shape[0]} rows, as {label!r} has")
    order, found = _divided(others, truth, read[own], sides)
    kept = [row for row in range(truth.shape[0]) if row not in found]
    for path, rows in ((dev, kept), (inputs, order)):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            for name, opened in read.items():
                if name not in alike:
                    out.writestr(name, opened.getvalue())
                elif name == own and path == inputs:
                    out.writestr(name, _of_one(truth, opened, len(order), kept[0] if kept else 0))
                else:
                    out.writestr(name, b"".join(_rows(alike[name], opened, rows)))
    return [found[row] for row in order]


def _divided(
    others: Sequence[tuple[Array, BinaryIO]], truth: Array, labels: BinaryIO, sides: Sides
) -> tuple[list[int], dict[int, str]]:
    """The rows that are scored, in their order, and the label of each."""
    for array, _ in others:
        if array.shape[0] != truth.shape[0]:
            raise Wrong(f"{array.name} has {array.shape[0]} rows, and {truth.name} {truth.shape[0]}")
    if prod(truth.shape[1:]) != 1 or truth.kind[1:] not in NUMBERS:
        raise Wrong(f"{truth.name} has shape {truth.shape} of {truth.kind!r}; labels are one number a row")
    order, found = list[tuple[int, int]](), dict[int, str]()
    for row in range(truth.shape[0]):
        value = truth.value(_row(truth, labels, row))
        rest = b"".join(_row(array, opened, row) for array, opened in others)
        place = sides.scored(rest, None if isinstance(value, float) and isnan(value) else value)
        if place is not None:
            order.append((place, row))
            found[row] = repr(int(value) if isinstance(value, bool) else value)
    return [row for _, row in sorted(order)], found


def _row(array: Array, opened: BinaryIO, row: int) -> bytes:
    opened.seek(array.begins + row * array.row_bytes)
    found = opened.read(array.row_bytes)
    if len(found) != array.row_bytes:
        raise Wrong(f"{array.name} ends before row {row}")
    return found


def _rows(array: Array, opened: BinaryIO, rows: Sequence[int]) -> Iterator[bytes]:
    yield array.header(len(rows))
    yield from (_row(array, opened, row) for row in rows)


def _of_one(array: Array, opened: BinaryIO, count: int, row: int) -> bytes:
    """An array in which all rows are this one."""
    return array.header(count) + _row(array, opened, row) * count


def beside(name: str) -> str:
    """What the part of a file of labels is called, which may be called as the array is."""
    return f"labels-{name}"


# --- folders and texts -----------------------------------------------------------------------------------------------


def _folders(folder: Path, dev: Path, inputs: Path, sides: Sides) -> list[str]:
    """A folder for each class: files are divided by their content. What is scored has numbers for names."""
    classes = sorted(one.name for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    if len(classes) < 2:
        raise Wrong(f"{folder} has {len(classes)} folders in it, and each class is one")
    scored: list[tuple[int, Path, str]] = []
    for name in classes:
        for file in sorted(path for path in (folder / name).rglob("*") if path.is_file()):
            with file.open("rb") as opened:
                content = hashlib.file_digest(opened, "sha256").digest()
            place = sides.scored(content, name)
            if place is not None:
                scored.append((place, file, name))
                continue
            to = dev / name / file.relative_to(folder / name)
            to.parent.mkdir(parents=True, exist_ok=True)
            _copied(file, to)
    scored.sort(key=lambda one: one[0])
    (inputs / classes[0]).mkdir(parents=True)
    for number, (_, file, _) in enumerate(scored):
        _copied(file, inputs / classes[0] / f"{number:06}{file.suffix}")
    return [name for _, _, name in scored]


def _text(file: Path, into: Path, share: float, name: str) -> Parts:
    """A text: what is scored is its end, from the end of a line on."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        opened.seek(cut := size - int(size * share))
        if (at := opened.read(LINE_BYTES).find(b"\n")) >= 0:
            cut += at + 1
        opened.seek(0)
        with (into / DEV / name).open("wb") as out:
            for length in [*[BLOCK_BYTES] * (cut // BLOCK_BYTES), cut % BLOCK_BYTES]:
                out.write(opened.read(length))
        with (into / TEXT).open("wb") as out:
            shutil.copyfileobj(opened, out)
    return Parts(cut, size - cut, "bytes", _digests(into))


def _digests(into: Path) -> dict[str, str]:
    """The content of each part; of a folder the names and contents of all that is in it."""
    found = {}
    for part in sorted(one for one in into.iterdir() if one.is_file() or any(one.iterdir())):
        whole = hashlib.sha256()
        for file in sorted(path for path in part.rglob("*") if path.is_file()) if part.is_dir() else [part]:
            with file.open("rb") as opened:
                content = hashlib.file_digest(opened, "sha256").digest()
            whole.update(f"{file.relative_to(into)}\0".encode("utf-8", "surrogateescape") + content)
        found[part.stem] = whole.hexdigest()
    return found


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _read(opened: BinaryIO, begins: int, length: int) -> str:
    opened.seek(begins)
    return opened.read(length).decode("utf-8", "surrogateescape")


def _copied(file: Path, to: Path) -> None:
    """A copy, which no change of the file reaches; on a file system that can, it takes no room."""
    try:
        with file.open("rb") as source, to.open("wb") as out:
            while os.copy_file_range(source.fileno(), out.fileno(), 2**30):
                pass
        if to.stat().st_size == file.stat().st_size:
            return
    except OSError:
        pass
    shutil.copyfile(file, to)


def _opened(file: Path) -> io.TextIOWrapper:
    return file.open(encoding="utf-8", errors="surrogateescape", newline="")


def _written(file: Path) -> io.TextIOWrapper:
    return file.open("w", encoding="utf-8", errors="surrogateescape", newline="")
