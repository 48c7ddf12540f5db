"""The scorers `classification` and `regression`: what a run predicted, against the labels.

    python -I -S scoring.py KIND LABELS OUTPUT_FOLDER

It runs behind the wall, with the study's interpreter (3.8 or later) and the standard library alone, on data: nothing is
unpickled or imported. Labels are a table with a column `label`, and `id` where rows have names; predictions are
`predictions.csv`, `.jsonl` or `.npy` in the run's output. Each label has one prediction, and the other way round: what
is missing, twice, too much or no number ends it, and the row is said. What a label is, is not.
"""

from __future__ import annotations

import ast
import csv
import json
import os
import re
import struct
import sys
from math import fsum, isfinite, log, sqrt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Row = tuple[str, Any, dict[str, Any]]  # where it stands, its id or None, its values by name

METRICS = {
    "classification": ("accuracy", "error", "macro_f1", "log_loss", "ece"),
    "regression": ("rmse", "mae", "r2"),
}
TABLES = (".csv", ".jsonl", ".npy")
PREDICTIONS = tuple(f"predictions{suffix}" for suffix in TABLES)
NUMBERS = {"f2": "e", "f4": "f", "f8": "d", "b1": "?"}
NUMBERS.update(
    {f"{sign}{1 << n}": code for sign, codes in (("i", "bhiq"), ("u", "BHIQ")) for n, code in enumerate(codes)}
)
HEADER_BYTES = 2**16
MOST_OFF = 0.01  # that the probabilities of a row may be away from 1: in half the precision they are
LEAST = 1e-15  # that a probability counts for: one of 0 would cost without end
BINS = 15
NAMED = 60  # characters of what a file says, in a message


class Wrong(Exception):
    """The predictions are not what they are to be. The message says which row of which file, and what to do."""


def main() -> None:
    """Print a line `name: value` for each metric."""
    kind, labels, output = sys.argv[1:4]
    try:
        for name, value in score(kind, labels, output).items():
            sys.stdout.write(f"{name}: {value!r}\n")
    except Wrong as why:
        raise SystemExit(str(why)) from None
    except (OSError, UnicodeDecodeError, csv.Error, RecursionError) as error:
        raise SystemExit(f"what was predicted cannot be read: {error}") from None


def score(kind: str, labels: str, output: str) -> dict[str, float]:
    """All metrics of this kind. Raises Wrong, and what reading raises."""
    found = [name for name in PREDICTIONS if os.path.lexists(os.path.join(output, name))]
    if len(found) != 1:
        what = f"both {found[0]} and {found[1]}" if found else "no predictions.csv, .jsonl or .npy"
        raise Wrong(f"predict has left {what} in {{output}}; let it write one of them")
    truth = Truth(rows(labels))
    predicted = matched(rows(os.path.join(output, found[0])), truth, found[0])
    return classified(truth, predicted) if kind == "classification" else regressed(truth, predicted)


# --- rows ------------------------------------------------------------------------------------------------------------


def rows(path: str) -> Iterator[Row]:
    """The rows of a table, whatever it is written in."""
    name = os.path.basename(path)
    reads = {".csv": _csv, ".jsonl": _jsonl, ".npy": _npy}.get(os.path.splitext(name)[1])
    if reads is None:
        raise Wrong(f"{name} is no .csv, .jsonl or .npy")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe that nobody writes would take forever
    with open(descriptor, "rb") as file:
        yield from reads(file, name)


def _csv(file: Any, name: str) -> Iterator[Row]:
    lines = csv.reader(line.decode("utf-8-sig" if not n else "utf-8") for n, line in enumerate(file))
    head = [column.strip() for column in next(lines, [])]
    if len(set(head)) != len(head):
        raise Wrong(f"{name}, line 1: a column stands there twice")
    for cells in lines:
        if cells:
            where = f"{name}, line {lines.line_num}"
            if len(cells) != len(head):
                raise Wrong(f"{where} has {len(cells)} cells, and {len(head)} columns have a name")
            values = dict(zip(head, cells))  # noqa: B905  # of 3.10
            yield where, values.pop("id", None), values


def _jsonl(file: Any, name: str) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        if line.strip():
            where = f"{name}, line {number}"
            try:
                values = json.loads(line)
            except ValueError:
                raise Wrong(f"{where} is no JSON") from None
            if not isinstance(values, dict):
                raise Wrong(f"{where} is no object, as {{...}}")
            yield where, values.pop("id", None), values


def _npy(file: Any, name: str) -> Iterator[Row]:
    begins = file.read(8)
    if begins[:6] != b"\x93NUMPY" or len(begins) < 8:
        raise Wrong(f"{name} is no file of numpy.save")
    size, code = (2, "<H") if begins[6] == 1 else (4, "<I")
    said = file.read(size)
    length = struct.unpack(code, said)[0] if len(said) == size else HEADER_BYTES + 1
    try:
        header = ast.literal_eval(file.read(length if length <= HEADER_BYTES else 0).decode("latin-1"))
        kind, shape, turned = str(header["descr"]), tuple(header["shape"]), header["fortran_order"]
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError):
        raise Wrong(f"{name} has no header that can be read") from None
    if kind[1:] not in NUMBERS:
        raise Wrong(f"{name} holds {kind[:NAMED]!r}, which is no number; write a .csv")
    if len(shape) not in (1, 2) or (turned and len(shape) == 2) or not all(type(n) is int and n >= 0 for n in shape):
        raise Wrong(f"{name} has shape {str(shape)[:NAMED]}; it is (rows,) or (rows, classes), row after row")
    columns = shape[1] if len(shape) == 2 else 1
    if columns > 2**20:
        raise Wrong(f"{name} has too many columns")
    row = struct.Struct(f"{'>' if kind[0] == '>' else '<'}{columns}{NUMBERS[kind[1:]]}")
    for number in range(shape[0]):
        where, cells = f"{name}, row {number}", file.read(row.size)
        if len(cells) != row.size:
            raise Wrong(f"{where}: the file ends before it")
        found = row.unpack(cells)
        yield where, None, ({"": found[0]} if len(shape) == 1 or columns == 1 else {"probabilities": list(found)})


class Truth:
    """The labels in their order, by their ids; by their numbers from 0 on where they have none."""

    def __init__(self, found: Iterable[Row]) -> None:
        self.labels: dict[str, Any] = {}
        self.named = False
        for number, (where, key, values) in enumerate(found):
            self.named = key is not None
            own = called(key) if self.named else str(number)
            if own in self.labels:
                raise Wrong(f"{where}: id {own[:NAMED]!r} stands there twice")
            if "label" not in values and "" not in values:
                raise Wrong(f"{where} has no `label`: call the column of the labels so")
            self.labels[own] = values.get("label", values.get(""))
        if not self.labels:
            raise Wrong("there is no row in the labels")


def matched(found: Iterable[Row], truth: Truth, name: str) -> dict[str, Row]:
    """The prediction of each label."""
    keys, predicted = list(truth.labels), {}
    for number, row in enumerate(found):
        where, key, _ = row
        if key is None and truth.named and not name.endswith(".npy"):
            raise Wrong(f"{where} has no `id`, and the labels have")
        if key is None and number >= len(keys):
            raise Wrong(f"{where} is one too many: there are {len(keys)} labels")
        own = keys[number] if key is None else called(key)
        if own in predicted:
            raise Wrong(f"{where}: id {own[:NAMED]!r} stands there twice")
        if own not in truth.labels:
            raise Wrong(f"{where}: id {own[:NAMED]!r} is that of no label")
        predicted[own] = row
    lacking = [key for key in keys if key not in predicted]
    if lacking:
        more = f", nor of {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise Wrong(f"{name} has no prediction of id {lacking[0][:NAMED]!r}{more}")
    return predicted


def called(value: Any) -> str:
    """How a class or an id is called, whether it is written as text or as a number: 3, "3" and 3.0 are one."""
    text = str(value).strip()
    return text.partition(".")[0] if re.fullmatch(r"-?[0-9]+\.0*", text) else text


def number(value: Any, where: str, what: str) -> float:
    """A finite number, also where it is written as text. Raises Wrong."""
    try:
        found = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        found = None
    if found is None or not isfinite(found):
        raise Wrong(f"{where}: {what} is {str(value)[:NAMED]!r}, and no finite number")
    return found


# --- metrics ---------------------------------------------------------------------------------------------------------


def classified(truth: Truth, predicted: Mapping[str, Row]) -> dict[str, float]:
    """Accuracy, error and macro F1; from probabilities also log loss, in nats, and the calibration error."""
    pairs: list[tuple[str, str]] = []
    losses: list[float] = []
    sure: list[tuple[float, bool]] = []
    for key, label in truth.labels.items():
        where, _, values = predicted[key]
        right, chances = called(label), probabilities(where, values)
        if chances is None:
            if "prediction" not in values and "" not in values:
                raise Wrong(f"{where} has neither a `prediction` nor a probability of each class")
            pairs.append((right, called(values.get("prediction", values.get("")))))
        else:
            if right not in chances:
                raise Wrong(f"{where} has no probability of the class that is right; give one of each class")
            first = max(chances, key=chances.__getitem__)
            pairs.append((right, first))
            losses.append(-log(max(chances[right], LEAST)))
            sure.append((chances[first], first == right))
        if losses and len(losses) != len(pairs):
            raise Wrong(f"{where} has a class alone, and rows before it have probabilities; or the other way round")
    hits = sum(right == one for right, one in pairs)
    found = {"accuracy": hits / len(pairs), "error": 1 - hits / len(pairs), "macro_f1": macro_f1(pairs)}
    return {**found, "log_loss": fsum(losses) / len(losses), "ece": calibration(sure)} if losses else found


def probabilities(where: str, values: Mapping[str, Any]) -> dict[str, float] | None:
    """What a row gives each class, together 1; None where it names a class alone."""
    said = values.get("probabilities")
    if isinstance(said, list):
        said = dict(enumerate(said))
    elif said is None:
        said = {name: value for name, value in values.items() if name not in ("", "prediction")}
    if not isinstance(said, dict):
        raise Wrong(f"{where}: `probabilities` is neither a list nor an object")
    if not said or ("prediction" in values and "probabilities" not in values):
        return None
    chances = {called(name): number(value, where, f"class {str(name)[:NAMED]!r}") for name, value in said.items()}
    whole = fsum(chances.values())
    if len(chances) != len(said) or min(chances.values()) < 0 or abs(whole - 1) > MOST_OFF:
        raise Wrong(f"{where}: the probabilities sum to {whole:.6g}, or one is below 0: write them, and not logits")
    return {name: value / whole for name, value in chances.items()}


def macro_f1(pairs: list[tuple[str, str]]) -> float:
    """The mean F1 of all classes that are right or predicted somewhere."""
    hits: dict[str, int] = {}
    named: dict[str, int] = {}
    for right, one in pairs:
        hits[right] = hits.get(right, 0) + (right == one)
        named[right] = named.get(right, 0) + 1
        named[one] = named.get(one, 0) + 1
    return fsum(2 * hits.get(name, 0) / count for name, count in named.items()) / len(named)


def calibration(sure: list[tuple[float, bool]]) -> float:
    """The expected calibration error, in equal bins of what the class that is put first is given."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for chance, hit in sure:
        bins[min(int(chance * BINS), BINS - 1)].append((chance, hit))
    return fsum(abs(fsum(c for c, _ in part) - sum(h for _, h in part)) for part in bins) / len(sure)


def regressed(truth: Truth, predicted: Mapping[str, Row]) -> dict[str, float]:
    """RMSE and MAE, and R2 where the labels differ."""
    labels, off = [], []
    for key, label in truth.labels.items():
        where, _, values = predicted[key]
        if "prediction" not in values and "" not in values:
            raise Wrong(f"{where} has no `prediction`")
        labels.append(number(label, f"the labels, id {key[:NAMED]!r}", "the label"))
        off.append(number(values.get("prediction", values.get("")), where, "the prediction") - labels[-1])
    count = len(labels)
    squares, mean = fsum(one * one for one in off), fsum(labels) / count
    spread = fsum((one - mean) ** 2 for one in labels)
    found = {"rmse": sqrt(squares / count), "mae": fsum(map(abs, off)) / count}
    return {**found, "r2": 1 - squares / spread} if spread else found


if __name__ == "__main__":
    main()
