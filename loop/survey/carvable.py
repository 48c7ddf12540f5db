"""Which file of data could be divided, so that a part of it is scored: what the script reads, and what it predicts."""

import ast
import csv
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import BadZipFile, ZipFile

from msgspec import Struct

from loop.propose.literals import called
from loop.run.carving import Wrong as NoArray
from loop.run.carving import array_of, separator_of
from loop.study.runs import UNDIVIDED
from loop.survey.sources import Seen
from loop.survey.values import Known, folded, keywords

TABLES, TEXTS = (".csv", ".tsv", ".data", ".dat"), (".txt", ".md")
LABELS = re.compile(
    r"(labels?|targets?|class(es)?|species|outcome|y|survived|quality|category|sentiment)", re.IGNORECASE
)
NAMED_Y = re.compile(r"(y|ys|labels?|targets?|classes|truth)(_\w+)?", re.IGNORECASE)
BUILT_IN = re.compile(r"^(load|fetch)_\w+$|^(CIFAR10|CIFAR100|F?MNIST|FashionMNIST|ImageNet|load_dataset)$")
WRITES = re.compile(r"(^|\.)(to_csv|save\w*|dump|mkdir|makedirs|writer|DictWriter)$")
MOST_ROWS = 2000  # that are looked at
MOST_CLASSES = 20  # of whole numbers: of more, it is a quantity
CLASSES = re.compile(r"acc|error|f1|auc|log_?loss|nll|cross|precision|recall|top\d")
QUANTITIES = re.compile(r"mse|mae|r2|mape|quantile|huber")


class Reading(Struct, frozen=True):
    """A call by which a script reads a file, and where it stands."""

    file: str  # from the repository's root on; a folder ends in "/"
    path: str  # of the script
    call: ast.Call
    said: ast.expr  # the file's name, in the call
    inside: ast.FunctionDef | ast.ClassDef | None  # what it stands in

    @property
    def seen(self) -> Seen:
        """The line."""
        return Seen(self.path, self.call.lineno)


class Carvable(Struct, frozen=True):
    """A file that can be divided: the line of `[data] carve`, and what compares predictions with its labels."""

    reading: Reading
    label: str | int | None
    scorer: str
    labels: tuple[str, ...]  # some of them, as they stand there
    evidence: str

    @property
    def line(self) -> str:
        """As TOML."""
        label = f'"{self.label}"' if isinstance(self.label, str) else self.label
        return f'{{ file = "{self.reading.file}"' + (f", label = {label}" if label is not None else "") + " }"


class NotCarvable(Struct, frozen=True):
    """Why nothing can be divided."""

    why: str


def found(
    root: Path, trees: Mapping[str, ast.Module], names: Known, metric: str, cwd: str = "."
) -> Carvable | NotCarvable:
    """What could be divided of what these files read, the first that can; else why not. Looks at the data.

    They are run in the folder `cwd` of the repository.
    """
    why = list[str]()
    every = list(readings(root, trees, names, cwd))
    for reading in every:
        one = _carvable(root, reading, [one.file for one in every], trees, names, metric)
        if isinstance(one, Carvable):
            return one
        why.append(one.why)
    if why:
        return NotCarvable("; ".join(dict.fromkeys(why)))
    own = {name for tree in trees.values() for name in _defined(tree)}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            name = called(node).rpartition(".")[2]
            if isinstance(node, ast.Call) and BUILT_IN.match(name) and name not in own:
                return NotCarvable(f"{path}:{node.lineno}: `{name}` has its data from a library, not from a file here")
    return NotCarvable("nothing that the script reads is a file of data here that could be found")


def readings(root: Path, trees: Mapping[str, ast.Module], names: Known, cwd: str) -> Iterator[Reading]:
    """The files of data that are read, in the order of the code.

    What an argument names is looked up where the function is called.
    """
    seen = set[str]()
    for path, tree in trees.items():
        for inside, call in _calls(tree):
            if WRITES.search(called(call)) or _opens_to_write(call):
                continue
            for said in [*call.args[:1], *(one.value for one in call.keywords if one.arg in ("root", "file", "path"))]:
                for text in _texts(said, inside, trees, names):
                    file = _file(root, text, cwd)
                    if file and file not in seen:
                        seen.add(file)
                        yield Reading(file, path, call, said, inside)


def _calls(tree: ast.Module) -> Iterator[tuple[ast.FunctionDef | ast.ClassDef | None, ast.Call]]:
    for node in tree.body:
        own = node if isinstance(node, ast.FunctionDef | ast.ClassDef) else None
        for one in ast.walk(node):
            if isinstance(one, ast.Call):
                yield own, one


def _opens_to_write(call: ast.Call) -> bool:
    mode = folded(call.args[1] if len(call.args) > 1 else keywords(call).get("mode"), {})
    return called(call).rpartition(".")[2] == "open" and isinstance(mode, str) and bool(set("wax") & set(mode))


def _texts(said: ast.expr, inside: ast.AST | None, trees: Mapping[str, ast.Module], names: Known) -> Iterator[str]:
    """What a name of a file comes to; where it is an argument, at each call of what it is one of."""
    if isinstance(text := folded(said, names), str):
        yield text
    elif (place := argument(said, inside)) is not None and isinstance(inside, ast.FunctionDef | ast.ClassDef):
        for tree in trees.values():
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and called(node).rpartition(".")[2] == inside.name:
                    given = node.args[place] if place < len(node.args) else None
                    if isinstance(text := folded(given, names), str):
                        yield text


def argument(said: ast.expr, inside: ast.AST | None) -> int | None:
    """Which argument of the function, or of the class, that it stands in this is."""
    if not isinstance(said, ast.Name):
        return None
    if isinstance(inside, ast.ClassDef):
        start = next((one for one in inside.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)
        listed = [one.arg for one in start.args.args[1:]] if start else []
    else:
        listed = [one.arg for one in inside.args.args] if isinstance(inside, ast.FunctionDef) else []
    return listed.index(said.id) if said.id in listed else None


def _file(root: Path, text: str, cwd: str) -> str | None:
    """The file of the repository that a text means in its folder `cwd`, where it is one of data."""
    if not text or "\0" in text or len(text) > 300 or text.startswith(("/", "~")):
        return None
    inside = os.path.normpath(PurePosixPath(cwd, text))
    if inside.startswith(".."):
        return None
    suffix = PurePosixPath(inside).suffix
    known = (*TABLES, ".jsonl", ".npy", ".npz", *TEXTS, *UNDIVIDED)
    if (root / inside).is_file() and suffix in known and suffix != ".json" and inside != "requirements.txt":
        return inside
    if inside != "." and (root / inside).is_dir():
        classes = [one for one in (root / inside).iterdir() if one.is_dir() and not one.name.startswith(".")][:50]
        pictures = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".wav", ".flac")
        if len(classes) > 1 and all(any(file.suffix.lower() in pictures for file in one.iterdir()) for one in classes):
            return f"{inside}/"
    return None


def _defined(tree: ast.Module) -> set[str]:
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


# --- what is predicted -----------------------------------------------------------------------------------------------


def _carvable(
    root: Path, reading: Reading, every: Sequence[str], trees: Mapping[str, ast.Module], names: Known, metric: str
) -> Carvable | NotCarvable:
    suffix, at = Path(reading.file).suffix, f"{reading.file} ({reading.seen})"
    if reading.file.endswith("/"):
        classes = sorted(one.name for one in (root / reading.file).iterdir() if one.is_dir())
        return Carvable(reading, None, "classification", tuple(classes), f"{reading.seen}: class folders")
    if suffix in UNDIVIDED:
        tokens = " of tokens, which has no text any more" if suffix == ".bin" else ""
        return NotCarvable(f"{at} is a {suffix}{tokens}, and cannot be divided")
    if suffix in TEXTS:
        if (root / reading.file).stat().st_size < 300_000:
            return NotCarvable(f"{at} is a text, of which too little would be scored: 300 kB is the least")
        return Carvable(reading, None, "causal_lm", (), f"{reading.seen}: a text, of which the end is scored")
    try:
        label = _label(root, reading, every, trees, names)
        labels = _some(root / reading.file, label, root) if label is not None else []
    except (OSError, ValueError, IndexError, csv.Error, BadZipFile, NoArray) as why:
        return NotCarvable(f"{at} cannot be read: {why}")
    if label is None:
        line = f'`[data] carve = {{ file = "{reading.file}", label = … }}`'
        return NotCarvable(f"{at}: which of it is predicted is not clear; {line} says it")
    scorer = _scorer(labels, metric)
    return Carvable(reading, label, scorer, tuple(labels), f"{reading.seen}: read there, and {label!r} is predicted")


def _label(
    root: Path, reading: Reading, every: Sequence[str], trees: Mapping[str, ast.Module], names: Known
) -> str | int | None:
    """What is predicted: a column, by name or number; the key of an archive; the file of an array's labels."""
    file, suffix = root / reading.file, Path(reading.file).suffix
    if suffix == ".npy":
        others = [one for one in every if one.endswith(".npy")]
        rows = _rows_of(file)
        alike = [one for one in others if one != reading.file and _rows_of(root / one) == rows]
        named = [
            one for one in alike if NAMED_Y.match(PurePosixPath(one).stem.rpartition("_")[0] or PurePosixPath(one).stem)
        ]
        return next(iter([*named, *(alike if len(alike) == 1 else [])]), None)
    if suffix == ".npz":
        with ZipFile(file) as archive:
            head = [name.removesuffix(".npy") for name in archive.namelist()]
    elif suffix == ".jsonl":
        import json

        with file.open(encoding="utf-8") as lines:
            row = json.loads(next((line for line in lines if line.strip()), "{}"))
        head = list(row) if isinstance(row, dict) else []
    else:
        first, *_ = [*_table(file, 2), []]
        head = [cell.strip().lstrip("\ufeff") for cell in first]
        if any(_number(cell) for cell in head):  # a line of data
            head = []
        if (number := _column(trees, names)) is not None:
            return head[number] if head and -len(head) <= number < len(head) else number
    return next(iter(_named(trees, names, head)), None)


def _named(trees: Mapping[str, ast.Module], names: Known, head: Sequence[str]) -> Iterator[str]:
    """Which of these names the code takes for what is predicted, the surest first."""
    known = set(head)
    for tree in trees.values():  # y = table["name"], y.append(row["name"]), X, y = …, table["name"]
        for name, value in _assigned(tree):
            if NAMED_Y.fullmatch(name):
                for node in ast.walk(value):
                    if isinstance(node, ast.Subscript) and (text := folded(node.slice, names)) in known:
                        yield str(text)
                    gets = isinstance(node, ast.Call) and called(node).rpartition(".")[2] in ("pop", "get")
                    taken = node.args[:1] if gets and isinstance(node, ast.Call) else []
                    yield from (str(text) for one in taken if (text := folded(one, names)) in known)
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and called(node).rpartition(".")[2] in ("drop", "pop"):
                given = [*node.args[:1], *(one.value for one in node.keywords if one.arg in ("columns", "labels"))]
                for one in given:
                    listed = one.elts if isinstance(one, ast.List | ast.Tuple) else [one]
                    if len(listed) == 1 and (text := folded(listed[0], names)) in known:
                        yield str(text)
    said = {node.value for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    yield from (name for name in head if LABELS.fullmatch(name) and name in said)


def _assigned(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Names and what is put into them, also part by part, and by `append`."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.Assign(targets=[ast.Tuple(elts=one)], value=ast.Tuple(elts=other)) if len(one) == len(other):
                yield from ((a.id, b) for a, b in zip(one, other, strict=True) if isinstance(a, ast.Name))
            case ast.Call(func=ast.Attribute(attr="append", value=ast.Name(id=name)), args=[value]):
                yield name, value
            case ast.Return(value=ast.Tuple(elts=[_, value])):
                yield "y", value


def _column(trees: Mapping[str, ast.Module], names: Known) -> int | None:
    """The number of the column that is taken for the label: `y = table[:, -1]`, `int(row[-1])`."""
    for tree in trees.values():
        for name, value in _assigned(tree):
            for node in ast.walk(value) if NAMED_Y.fullmatch(name) else ():
                if isinstance(node, ast.Subscript):
                    place: Any = node.slice.elts[-1] if isinstance(node.slice, ast.Tuple) else node.slice
                    if isinstance(node.slice, ast.Tuple) and not isinstance(node.slice.elts[0], ast.Slice):
                        continue
                    number = _whole(place, names)
                    if number is not None:
                        return number
    return None


def _whole(node: ast.expr, names: Known) -> int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _whole(node.operand, names)
        return None if inner is None else -inner
    value = folded(node, names)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _some(file: Path, label: str | int, root: Path) -> list[str]:
    """Some of the labels, as they stand there."""
    if file.suffix in (".npy", ".npz"):
        return []
    if file.suffix == ".jsonl":
        import json

        with file.open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line, _ in zip(lines, range(MOST_ROWS), strict=False) if line.strip()]
        return [str(row.get(label)) for row in rows if isinstance(row, dict)]
    table = [row for row in _table(file, MOST_ROWS) if row]
    column = [cell.strip().lstrip("\ufeff") for cell in table[0]].index(label) if isinstance(label, str) else label
    return [row[column].strip() for row in table[isinstance(label, str) :] if -len(row) <= column < len(row)]


def _scorer(labels: Sequence[str], metric: str) -> str:
    """What compares predictions with these labels."""
    if labels and not all(_number(one) for one in labels if one):
        return "classification"
    if CLASSES.search(metric) or QUANTITIES.search(metric):
        return "classification" if CLASSES.search(metric) and not QUANTITIES.search(metric) else "regression"
    whole = all(float(one).is_integer() for one in labels if one)
    return "classification" if whole and len(set(labels)) <= MOST_CLASSES else "regression"


def _table(file: Path, most: int) -> Iterator[list[str]]:
    separator = separator_of(file)
    with file.open(encoding="utf-8", errors="replace", newline="") as opened:
        lines = (line for line in opened if line.strip() and not line.startswith("#"))
        rows = csv.reader(lines, delimiter=separator) if separator else (line.split() for line in lines)
        yield from (row for row, _ in zip(rows, range(most), strict=False))


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _rows_of(file: Path) -> int:
    with file.open("rb") as opened:
        return array_of(opened, file.name).shape[0]
