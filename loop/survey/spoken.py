"""The metrics that a script speaks of: names with numbers, in what it prints and in the files that it writes.

Of each it is said how to get it as `from` of an objective would: a line `name: value` needs nothing, another line a
pattern, a file its name and a key. What it is worth (`direction`) is said where the name leaves no doubt, and else not.

What was printed and written is the code's own: files are opened by a process apart, `python -m loop.survey.spoken`.
"""

import json
import os
import re
import resource
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal

from msgspec import Struct
from msgspec.structs import asdict

from loop.run import formats
from loop.run.formats import LOG_CHARACTERS, Point, Unreadable
from loop.run.metrics import MEMORY_BYTES, SECONDS, WANDB
from loop.run.stages import COLOUR, NUMBER, NUMBER_ENDS
from loop.study import TABLES
from store.trail import opened

Direction = Literal["minimize", "maximize"]
MOST_POINTS = 2_000  # of a metric: the last
MOST_NAMES = 64  # that are told apart in a text, or in a file
MOST_FILES = 60  # that are looked into, the newest
DEEPEST = 6  # folders below the run's
ENDS = 12  # lines at the end of a log: what is printed once is there, and what is echoed of the options is not
HEAD_BYTES, TAIL_BYTES = 2**20, 8 * 2**20  # of a log


def _these(words: str) -> frozenset[str]:
    return frozenset(words.split())


MINIMIZED = _these(
    "loss losses error err errors ppl perplexity bpb bpc nll mse rmse mae mape rmsle wer cer ter fid brier ece "
    "xent logloss crossentropy regret latency"
)
MAXIMIZED = _these(
    "acc accuracy f1 auc auroc auprc roc bleu rouge rougel meteor chrf r2 map map50 ap iou miou dice precision recall "
    "top1 top5 psnr ssim mcc kappa ndcg mrr reward return"
)
MINIMIZED_PAIRS, MAXIMIZED_PAIRS = ("bits per", "cross entropy", "log loss"), ("exact match", "win rate")
# Words of what is counted or set, and not come to.
NO_METRIC = _these(
    "step steps iter iters iteration iterations epoch epochs batch batches it lr learning seed time seconds sec secs "
    "ms elapsed eta runtime speed second samples tokens params parameters memory mem gb mb gpu norm size dim scale wd "
    "decay momentum total num n max number version port pid rank world workers threads warmup flos"
)
SPLITS = ("train", "training", "val", "valid", "validation", "eval", "evaluation", "test", "testing", "dev")
HELD_OUT = SPLITS[2:]
CHOOSING = (
    "val",
    "valid",
    "validation",
    "eval",
    "evaluation",
    "dev",
    "cv",
    "oof",
)  # held out for that, where a test is for the end
RESULTS = {*HELD_OUT, "best", "final", "score", "metric"}  # words of what a run comes to, whatever that is
NUMBERS = re.compile(rf"(?<![\w./@]){NUMBER}{NUMBER_ENDS}", re.ASCII)
# Between one thing that is said and the next.
APART = re.compile(r"[,;|{}()\[\]<>\t]|\s-+\s|\s{2,}|[:=]|\b(?:INFO|DEBUG|WARNING)\b")
# Between a name and its number: a colon, a quote before or after it, and what a printed tensor begins with.
LINK = re.compile(r"""['"]?\s*(?:=>?|:|->|→)?\s*(?:(?:tensor|[\w.]*float\d*)\(|[\["'(])?$""")
LABEL = re.compile(r"[A-Za-z_][\w./@-]*(?: [\w./@-]+){0,2}$")
PLAIN = re.compile(r"[A-Za-z_][\w-]*")
SPLIT = re.compile(rf"(?<![\w-])({'|'.join(SPLITS)})(?![\w-])", re.IGNORECASE)
FRAME = re.compile(r"""\s*File "[^"]*", line \d+""")  # of a traceback
WARNING = re.compile(
    r".+:\d+: [\w.]*Warning: "
)  # as Python prints one: the line of the source that it is of comes next
OF_A_PATH = re.compile(r"\.py\b|//|/.*\.(?:txt|log|json|jsonl|csv|tsv|ya?ml|toml|pth?|ckpt|npy|npz|bin|safetensors)$")
VALUE = r"([-+]?[0-9.]*[0-9](?:e[-+]?[0-9]+)?|nan|-?inf)"
BLANK = r"\ "  # in an escaped text
COUNTED = re.compile(
    r"(version|checkpoint|ckpt|run|exp|epoch|step|iter)([-_]?)\d+"
)  # of a folder: another one the next time


class Metric(Struct, frozen=True):
    """A metric, and how an objective gets it. Without `pattern` and `file` it is a line `name: value`."""

    name: str  # as an objective may be called
    pattern: str | None = None  # `from = { pattern = … }`
    file: str | None = None  # `from = { file = …, name = key }`
    key: str | None = None
    values: tuple[float, ...] = ()  # in order, the last of them
    steps: tuple[float | None, ...] = ()
    direction: Direction | None = None

    @property
    def last(self) -> float:
        """What it has come to."""
        return self.values[-1]

    @property
    def where(self) -> str:
        """Where it stands, in a few words."""
        if self.file is not None:
            return f"{self.file}, {self.key}" if self.key != self.name else self.file
        return "a line that a pattern finds" if self.pattern is not None else f"a line `{self.name}: …`"


def direction(name: str) -> Direction | None:
    """Whether less or more of it is better; None where its name leaves a doubt."""
    words = _words(name)
    said = " ".join(words)
    down = bool(MINIMIZED & set(words)) or any(pair in said for pair in MINIMIZED_PAIRS)
    up = bool(MAXIMIZED & set(words)) or any(pair in said for pair in MAXIMIZED_PAIRS)
    if down == up:
        return None
    return "minimize" if down else "maximize"


def _words(name: str) -> list[str]:
    """`valLoss/top-1` → val, loss, top1."""
    text = re.sub(r"(?<=[a-z]{2})(?=[A-Z])", " ", name).lower()
    return re.sub(r"[^a-z0-9]+", " ", re.sub(r"top[-_ ]?(\d)", r"top\1", text)).split()


def _counts(name: str) -> bool:
    """Whether it is something that a run is given or goes through, and no metric."""
    words = _words(name)
    return not words or (bool(NO_METRIC & set(words)) and (words[-1] in NO_METRIC or direction(name) is None))


def _in_order(found: Iterable[Metric]) -> list[Metric]:
    """Those first that say how good a model is: with a direction, of data that was held out, and with a curve."""

    def rank(one: Metric) -> tuple[bool, bool, int, int]:
        words = set(_words(one.name))
        split = 2
        if words & {*SPLITS, *CHOOSING}:
            split = 0 if words & set(CHOOSING) else 1 if words & set(HELD_OUT) else 3
        return one.direction is None, "best" in words, split, -min(len(one.values), 3)

    return sorted(found, key=rank)


# --- what is printed -------------------------------------------------------------------------------------------------


class _Label(Struct, frozen=True):
    """A number's name, as a line has it."""

    text: str  # as it stands there
    link: str  # between it and the number
    split: str  # of the data, that the line has said before it

    @property
    def plain(self) -> bool:
        """Whether it is a line `name: value`, which needs no pattern."""
        return self.link.strip() == ":" and bool(PLAIN.fullmatch(self.text)) and not self.split

    @property
    def name(self) -> str:
        """A name for an objective."""
        if self.plain:
            return self.text
        return _name(f"{self.split} {self.text}")


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "_", text.strip().lower()).strip("_")


def in_text(text: str) -> list[Metric]:
    """The metrics that a log speaks of, those that say how good a model is first."""
    said: dict[str, Counter[_Label]] = {}
    values: dict[_Label, list[float]] = {}
    lines = [COLOUR.sub("", line)[:LOG_CHARACTERS] for line in re.split(r"[\r\n]+", text)]
    lines = list(_without_warnings(line for line in lines if not FRAME.match(line)))
    for line in lines:
        for label, value in _labelled(line):
            if label.name in said or len(said) < MOST_NAMES:
                said.setdefault(label.name, Counter())[label] += 1
                values.setdefault(label, []).append(value)
    late = {label for line in lines[-ENDS:] for label, _ in _labelled(line)}
    data = "\n".join(lines).encode()
    found = []
    for name, labels in said.items():
        label = labels.most_common(1)[0][0]
        known = direction(name)
        result = label in late and (label.plain or RESULTS & set(_words(name)))
        if known is None and len(set(values[label])) < 2 and not result:
            continue  # an option that was echoed
        pattern, points = _pattern(label, values[label], data)
        if points:
            last = points[-MOST_POINTS:]
            found.append(Metric(name, pattern, None, None, *_columns(last), known))
    return _in_order(found)


def _without_warnings(lines: Iterable[str]) -> Iterator[str]:
    warned = False
    for line in lines:
        warned, of_it = bool(WARNING.match(line)), warned and line.startswith("  ")
        if not (warned or of_it):
            yield line


def _labelled(line: str) -> Iterator[tuple[_Label, float]]:
    """The numbers of a line that have a name, and are no steps."""
    end = 0
    for match in NUMBERS.finditer(line):
        between, end = line[end : match.start()], match.end()
        link = LINK.search(between)
        core = between[: link.start()] if link else between
        if not core.strip():
            continue
        said = APART.split(core)[-1]
        label = LABEL.search(said)
        if label is None or _counts(label[0]) or set(_words(label[0])) <= set(SPLITS):
            continue
        if OF_A_PATH.search(label[0]) or said[: label.start()].endswith(("/", "\\")):
            continue
        before = SPLIT.findall(line[: match.start() - len(between)] + core[: len(core) - len(said)])
        split = "" if not before or set(_words(label[0])) & set(SPLITS) else before[-1]
        yield _Label(label[0], re.sub(r"\s+", " ", link[0] if link else ""), split), float(match[0])


def _pattern(label: _Label, wanted: Sequence[float], log: bytes) -> tuple[str | None, list[Point]]:
    """The pattern that finds these values, and what it finds; None where a line `name: value` needs none.

    A name may be the end of a longer one, as `loss` is of `val loss`. So what finds all of them and no others is taken,
    or else what comes nearest.
    """
    link = re.sub("['\"]", ".", re.escape(label.link).replace(BLANK, r"\s*"))
    own = rf"\b{re.escape(label.text).replace(BLANK, ' ')}{link}{VALUE}"
    tries: list[tuple[str | None, str]] = []
    if label.plain:
        tries.append((None, rf"(?<![\w./-]){re.escape(label.text)}\s*:\s*({NUMBER}){NUMBER_ENDS}"))
    if label.split:
        tries.append((own := rf"\b{label.split}\b.*?{own}", own))
    else:
        tries += [(own, own), (alone := rf"(?<![A-Za-z] ){own}", alone), (first := rf"^\W*{own}", first)]
    found = [(shown, list(formats.in_lines(BytesIO(log), re.compile(pattern)))) for shown, pattern in tries]
    exact = [one for one in found if [value for _, value in one[1]] == list(wanted)]
    return (exact or [one for one in found if one[1] and one[1][-1][1] == wanted[-1]] or found)[0]


def _columns(points: Sequence[Point]) -> tuple[tuple[float, ...], tuple[float | None, ...]]:
    return tuple(value for _, value in points), tuple(step for step, _ in points)


# --- what is written -------------------------------------------------------------------------------------------------


def in_files(folder: Path, since: float, cwd: str = ".") -> list[Metric]:
    """The metrics in the files that a run has written since it began, in its checkout and in its output.

    `folder` is the run folder, `cwd` where in the checkout it was run. Of files that differ in a number or a date
    alone the newest counts.
    """
    found: dict[str, Metric] = {}
    for path, named in _written(folder, since, cwd):
        for key, points in _in_file(path):
            name = _name(key)
            if points and name not in found and PLAIN.fullmatch(name):
                found[name] = Metric(name, None, named, key, *_columns(points), direction(key))
    return _in_order(found.values())


def _written(folder: Path, since: float, cwd: str) -> Iterator[tuple[Path, str]]:
    """The files to look into, the newest first, each with what an objective would call it; each such name once."""
    every: list[tuple[float, Path, str]] = []
    for base, prefix in ((folder / "tree" / cwd, ""), (folder / "output", "{output}/")):
        top = os.path.realpath(base)
        for where, folders, files in os.walk(top):
            inside = Path(where).relative_to(top)
            if len(inside.parts) >= DEEPEST:
                folders.clear()
            folders[:] = [one for one in folders if not one.startswith(".") and not Path(where, one).is_symlink()]
            for file in files:
                path = Path(where, file)
                if not (path.suffix in TABLES or "tfevents" in file or path.suffix == ".wandb") or path.is_symlink():
                    continue
                if (at := path.stat().st_mtime) >= since:
                    every.append((at, path, prefix + _called(inside, file)))
    seen = set[str]()
    for _, path, named in sorted(every, reverse=True)[:MOST_FILES]:
        if named not in seen:
            seen.add(named)
            yield path, named


def _called(inside: Path, file: str) -> str:
    """What a file is called the next time too: `*` where there is a date, a count or the name of a machine."""
    if file.endswith(".wandb"):
        at = inside.parts.index(WANDB) if WANDB in inside.parts else 0
        return "/".join((*inside.parts[:at], WANDB))
    parts = [_lasting(part) for part in inside.parts]
    return "/".join([*parts, "events.out.tfevents.*" if "tfevents" in file else _lasting(file)])


def _lasting(part: str) -> str:
    _, dot, suffix = part.rpartition(".")
    if sum(map(str.isdigit, part)) >= 6:
        return f"*.{suffix}" if dot and f".{suffix}" in TABLES else "*"
    return COUNTED.sub(r"\1\2*", part)


def _in_file(path: Path) -> Iterator[tuple[str, list[Point]]]:
    """The metrics of a file, each with its points; none of a file that cannot be read."""
    reads = _reader(path)

    def points(name: str) -> list[Point]:
        with os.fdopen(opened(path), "rb") as file:
            return list(deque(reads(file, name), maxlen=MOST_POINTS))

    try:
        points("\0")
    except Unreadable as lack:
        for name in lack.others[:MOST_NAMES]:
            if direction(name) and not _counts(name):
                try:
                    yield name, points(name)
                except (OSError, Unreadable):
                    continue
    except OSError:
        return


def _reader(path: Path) -> Callable[[BinaryIO, str], Iterator[Point]]:
    """Who reads a file of this name."""
    if "tfevents" in path.name:
        return formats.in_tensorboard
    if path.suffix == ".wandb":
        return formats.in_wandb
    if path.suffix == ".json":
        return partial(formats.in_json, step=None)
    if path.suffix == ".jsonl":
        return partial(formats.in_jsonl, step=None)
    return partial(formats.in_csv, step=None, separator="\t" if path.suffix == ".tsv" else ",")


# --- both, by a process apart ----------------------------------------------------------------------------------------


def survey(folder: Path, log: str, since: float, cwd: str) -> list[Metric]:
    """The metrics of a run: what its log speaks of, and then what only its files have. Raises OSError."""
    spoken = in_text(_ends(folder / log))
    known = {one.name.lower() for one in spoken}
    return _in_order([*spoken, *(one for one in in_files(folder, since, cwd) if one.name.lower() not in known)])


def _ends(log: Path) -> str:
    """A log, or the beginning and the end of a long one."""
    with os.fdopen(opened(log), "rb") as file:
        data = file.read(HEAD_BYTES)
        size = os.fstat(file.fileno()).st_size
        if size > HEAD_BYTES + TAIL_BYTES:
            file.seek(size - TAIL_BYTES)
            data += b"\n"
        return (data + file.read(TAIL_BYTES)).decode(errors="replace")


def question(folder: Path, log: str, since: float, cwd: str = ".") -> list[str]:
    """The words that start who answers what `survey` does, on one line (`answer`)."""
    return [sys.executable, "-P", "-E", "-m", "loop.survey.spoken", json.dumps([str(folder), log, since, cwd])]


def answer(said: Sequence[Mapping[str, Any]]) -> list[Metric]:
    """What was answered. Raises KeyError and TypeError where it is no answer."""
    return [Metric(**{**one, "values": tuple(one["values"]), "steps": tuple(one["steps"])}) for one in said]


def main() -> None:
    """Answer."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (int(SECONDS), int(SECONDS)))
    folder, log, since, cwd = json.loads(sys.argv[1])
    sys.stdout.write(json.dumps([asdict(one) for one in survey(Path(folder), log, since, cwd)]) + "\n")


if __name__ == "__main__":
    main()
