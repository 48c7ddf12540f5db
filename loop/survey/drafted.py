"""Drafts of what makes a study *scored*: `predict.py` of what the script itself loads and saves, and its lines.

Where a file can be divided (`carvable`), cockpit's own scorer compares, and `predict.py` alone is drafted; it runs as
it stands as far as that can be known. Else it is drafted with `score.py`. What is not known is a TODO line, and a draft
that has one stops.
"""

import ast
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from msgspec import Struct

from loop.run import language, scoring
from loop.run.reached import roots
from loop.survey import carvable, saved, sliced
from loop.survey.carvable import Carvable, NotCarvable
from loop.survey.found import Survey
from loop.survey.saved import Saved
from loop.survey.sliced import Sliced
from loop.survey.written import Aim, Line

PREDICT, SCORE = "predict.py", "score.py"
RIGHT = re.compile(r"(^|_)(acc|accuracy)(_|$)")
CHOSEN = {
    "classification": ("accuracy", "maximize"),
    "regression": ("rmse", "minimize"),
    "causal_lm": ("val_bpb", "minimize"),
}
BETTER = {"accuracy": "maximize", "macro_f1": "maximize", "r2": "maximize"}
STOPS = f'sys.exit("{PREDICT} is a draft of `cockpit init --scored`: do its TODO lines, then take this one out")'


class Drafts(Struct, frozen=True):
    """The files, the lines of `cockpit.toml`, and what is to be said."""

    files: Mapping[str, str]  # in the folder that the commands are run in, by their paths from the top on
    lines: tuple[Line, ...]
    says: tuple[str, ...]
    complete: bool  # whether they run as they stand


def drafts(survey: Survey, aim: Aim) -> Drafts:
    """All that is drafted. Looks at the data: call it where that may take a moment."""
    trees = {path: survey.sources.trees[path] for path in survey.reached}
    one = carvable.found(survey.root, trees, survey.names, aim.metric.name, survey.train.cwd)
    model = saved.found(trees, survey.names)

    def beside(name: str) -> str:
        return os.path.normpath(PurePosixPath(survey.train.cwd, name))

    says = (
        []
        if model
        else [f"the script saves no model: let it end with `{saved.line_to_add(trees)}`, or what it needs to predict"]
    )
    if isinstance(one, NotCarvable):
        lacks = "so until you keep a test set from training yourself, what is measured stays *evaluated*"
        says.append(f"no split can be carved: {one.why}; {lacks}")
        files = {beside(PREDICT): _by_hand(trees, model), beside(SCORE): _score(aim)}
        held = ((PREDICT, "--out {output}"), (SCORE, "--out {output} --labels {study}/labels"))
        lines = [
            Line("run", name.removesuffix(".py"), f'"python {name} {words}"', "a draft", held=True)
            for name, words in held
        ]
        return Drafts(files, tuple(lines), tuple(says), complete=False)
    text, complete = _predict(survey, trees, one, model)
    inputs = "" if one.scorer == "causal_lm" else " --inputs {inputs}"
    name, direction = _objective(one.scorer, aim)
    lines = [
        Line(
            "run",
            "predict",
            f'"python {PREDICT} --out {{output}}{inputs}"',
            "" if complete else "a draft with TODO lines",
        ),
        Line("run", "scorer", f'"{one.scorer}"', "cockpit's own, on what is carved"),
        Line("data", "carve", one.line, one.evidence),
        Line("objectives", name, f'{{ direction = "{direction}" }}', f"scored on what is carved of {one.reading.file}"),
    ]
    if name == aim.metric.name:
        says.append(f"`{name}` is the scorer's from now on, whatever the script prints of that name")
    return Drafts({beside(PREDICT): text}, tuple(lines), tuple(says), complete)


def _objective(scorer: str, aim: Aim) -> tuple[str, str]:
    """What is steered by: the script's own metric where the scorer has it, else the scorer's plainest."""
    known = language.METRICS if scorer == "causal_lm" else scoring.METRICS[scorer]
    words = aim.metric.name.lower().split("_")
    for name in sorted(known, key=len, reverse=True):
        if name == aim.metric.name or (set(name.split("_")) <= set(words) and name not in ("log_loss", "ece")):
            return name, BETTER.get(name, "minimize")
    return CHOSEN[scorer]


# --- predict.py ------------------------------------------------------------------------------------------------------


class Draft:
    """A script in the making: its imports, what it takes of the script, its lines, and what is to be done."""

    def __init__(self, trees: Mapping[str, ast.Module], cwd: str) -> None:
        self.trees, self.cwd = trees, cwd
        self.imports = {"import argparse", "from pathlib import Path"}
        self.taken: set[str] = set()
        self.lines: list[str] = []
        self.complete = True

    def todo(self, text: str) -> None:
        """Leave something to be done, so that it does not run as it stands."""
        self.lines.append(f"# TODO: {text}")
        self.complete = False

    def take(self, names: set[str] | frozenset[str]) -> None:
        """Have what these names are in the script."""
        self.taken |= names

    def head(self) -> list[str]:
        """The imports, and what is taken of the script: where importing it would train, by its definitions alone."""
        mine, lines = set(self.taken), list[str]()
        for path, tree in self.trees.items():
            own = {
                name: one for one in tree.body if isinstance(one, ast.Import | ast.ImportFrom) for name in _names(one)
            }
            for name in sorted(mine & own.keys()):
                self.imports.add(_import_of(own[name], name))
                mine -= {name}
            defined = mine & {*sliced.top(tree)}
            if not defined:
                continue
            mine -= defined
            if _does_nothing(tree):
                lines.append(f"from {_module(path, self.cwd)} import {', '.join(sorted(defined))}")
            else:
                self.imports.add("import ast")
                for name in sliced.lost(tree, defined):
                    lines.append(f"# TODO: `{name}`, which {path} has of what it does, is not known here")
                    self.complete = False
                here = os.path.relpath(path, self.cwd)
                lines += [*DEFINED, f"globals().update(defined({here!r}))  # {', '.join(sorted(defined))}"]
        if not self.complete:
            self.imports.add("import sys")
        ours = {one for one in self.imports if one.split()[1].partition(".")[0] not in sys.stdlib_module_names}
        groups = [sorted(some, key=lambda one: (one.startswith("from"), one)) for some in (self.imports - ours, ours)]
        return [line for group in (*groups, lines) if group for line in ("", *group)][1:]


DEFINED = (
    "",
    "def defined(path):",
    '    """What a script imports, defines and says as a constant, without what it does."""',
    "    tree = ast.parse(Path(path).read_text())",
    "    kept = ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef",
    f"    plain = {', '.join(f'ast.{one.__name__}' for one in sliced.PLAIN)}",
    "    def says(one):",
    "        value = isinstance(one, ast.Assign) and all(isinstance(part, plain) for part in ast.walk(one.value))",
    "        return isinstance(one, kept) or (value and all(isinstance(name, ast.Name) for name in one.targets))",
    "    tree.body = [one for one in tree.body if says(one)]",
    '    names = {"__name__": __name__}',
    '    exec(compile(tree, path, "exec"), names)',
    "    return names",
    "",
    "",
)


def _predict(survey: Survey, trees: Mapping[str, ast.Module], one: Carvable, model: Saved | None) -> tuple[str, bool]:
    """The script, and whether it runs as it stands."""
    draft = Draft(trees, survey.train.cwd)
    moved = frozenset(guess.key.lstrip("-").replace("-", "_") for guess in survey.knobs if guess.key.startswith("--"))
    if one.scorer == "causal_lm":
        _serve(draft, model, survey, moved)
        doc = "Answers what may come next, a question a line. Sees no more of the text than its questions."
    else:
        doc = (
            f"Predicts what `[data] carve` keeps of {one.reading.file}, a row for each, in their order. Sees no label."
        )
        made = sliced.inputs(one.reading, trees, survey.names, moved)
        _inputs(draft, made, one)
        _load(draft, model, survey, moved)
        _write(draft, model, one, trees)
    body = draft.lines
    options = ["parser = argparse.ArgumentParser()", 'parser.add_argument("--out", type=Path, required=True)']
    options += [] if one.scorer == "causal_lm" else ['parser.add_argument("--inputs", required=True)']
    options.append("options = parser.parse_args()")
    head = draft.head()  # which may find what is to be done
    stop = [] if draft.complete else [STOPS, ""]
    return "\n".join([f'"""{doc}"""', "", *head, "", *stop, *options, "", *body, ""]), draft.complete


def _inputs(draft: Draft, made: Sliced | None, one: Carvable) -> None:
    if made is None:
        draft.todo(f"the inputs of `options.inputs`, which is as {one.reading.file} is, read at {one.reading.seen}")
        draft.lines.append("inputs = ...")
        return
    for doubt in made.doubts:
        draft.todo(doubt)
    draft.take(made.needs)
    if made.expression.startswith("torch."):
        draft.imports.add("import torch")
    draft.lines.append(f"# as {one.reading.seen} and what follows it make them")
    draft.lines += [line for text in made.statements for line in text.split("\n")]
    draft.lines.append(f"inputs = {made.expression}")


def _load(draft: Draft, model: Saved | None, survey: Survey, moved: frozenset[str]) -> None:
    """The lines that load the model."""
    if model is None:
        draft.todo(f"load the model; the script saves none: let it end with `{saved.line_to_add(draft.trees)}`")
        draft.lines.append("model = ...")
        return
    if not model.file or model.how not in ("torch", "pickle", "joblib", "numpy"):
        draft.todo(f"load the model, which `{model.how}` saves at {model.seen}")
        draft.lines.append("model = ...")
        return
    name = PurePosixPath(model.file).name
    beside = model.file.replace("{output}/", "")
    draft.lines.append(f"# saved at {model.seen}")
    if model.file.startswith("{output}/"):
        draft.lines.append(f"saved = options.out / {beside!r}")
    else:
        draft.lines.append(f"saved = next(one for one in (options.out / {name!r}, Path({beside!r})) if one.exists())")
    classes = {one.name for tree in draft.trees.values() for one in tree.body if isinstance(one, ast.ClassDef)}
    key = f"[{model.key!r}]" if model.key else ""
    if model.how == "numpy":
        draft.imports.add("import numpy as np")
        draft.lines.append("model = np.load(saved)")
    elif model.how == "torch":
        draft.imports.add("import torch")
        if model.state and model.made is None:
            draft.todo(f"make the model whose weights are saved at {model.seen}")
            draft.lines.append("model = ...")
        elif model.state and model.made is not None:
            fold = sliced.Folded(ast.Name(id="", ctx=ast.Load()), survey.names, moved)
            text = ast.unparse(fold.of(model.made))
            draft.take(sliced.free(text, draft.trees))
            lost = [*fold.doubts, *(f"`{name}` is not known here" for name in sliced.unknown(text, draft.trees))]
            for doubt in lost:
                draft.todo(f"{doubt}: save it with the weights, or the model as a whole")
            draft.lines.append(f"model = {text}")
        weights = "True" if model.state else "False"
        loaded = f'torch.load(saved, map_location="cpu", weights_only={weights}){key}'
        if not model.state:
            draft.take(classes)
        draft.lines += [f"model.load_state_dict({loaded})" if model.state else f"model = {loaded}", "model.eval()"]
    else:
        draft.imports.add(f"import {model.how}")
        draft.take(classes)  # which it may be one of
        if model.how == "joblib":
            draft.lines.append(f"model = joblib.load(saved){key}")
        else:
            draft.lines += ['with saved.open("rb") as file:', f"    model = pickle.load(file){key}"]


def _write(draft: Draft, model: Saved | None, one: Carvable, trees: Mapping[str, ast.Module]) -> None:
    """The lines that predict and write."""
    draft.imports |= {"import csv", "import numpy as np"}
    out = 'with (options.out / "predictions.csv").open("w", newline="") as file:'
    classes = one.scorer == "classification"
    names = _in_order(one)
    encoded = re.search(
        r"LabelEncoder|factorize|\.map\(|\.cat\.codes|stoi", "\n".join(map(ast.unparse, trees.values()))
    )
    if model and model.how == "torch":
        values = (
            "inputs"
            if "torch.stack" in "\n".join(draft.lines)
            else "torch.as_tensor(np.asarray(inputs), dtype=torch.float32)"
        )
        if "Embedding" in "\n".join(map(ast.unparse, trees.values())):
            values = values.replace("torch.float32", "torch.long")
        draft.lines += ["", "with torch.no_grad():", f"    found = model({values})"]
        if not classes:
            draft.lines += [
                out,
                '    csv.writer(file).writerows([["prediction"], *([float(one)] for one in found.reshape(-1))])',
            ]
            return
        if names != [str(number) for number in range(len(names))]:
            sorts = re.search(r"sorted\(|np\.unique|return_inverse", "\n".join(map(ast.unparse, trees.values())))
            if not sorts or not names:
                draft.todo("the classes in the order of what the model gives")
        draft.lines += [
            f"classes = {names!r}",
            "if found.ndim == 1 or found.shape[1] == 1:  # one number a row: of the second class",
            "    found = found.reshape(-1, 1).sigmoid()",
            "    chances = torch.cat([1 - found, found], 1)",
            "else:",
            "    chances = found.softmax(1)",
            out,
            "    csv.writer(file).writerows([classes, *chances.double().tolist()])",
        ]
        return
    if model and model.how == "numpy":
        draft.todo("predict: `model` is the array that was saved")
        draft.lines.append("found = ...")
    elif classes and encoded and not _numbers(names):
        draft.todo(f"the script gives classes other names ({encoded[0]}): give them back the names that the file has")
    if classes:
        draft.lines += [
            "",
            out,
            '    if hasattr(model, "predict_proba"):',
            "        csv.writer(file).writerows([model.classes_, *np.asarray(model.predict_proba(inputs)).tolist()])",
            "    else:",
            "        found = np.asarray(model.predict(inputs)).tolist()",
            '        csv.writer(file).writerows([["prediction"], *([one] for one in found)])',
        ]
    else:
        every = "np.asarray(model.predict(inputs)).reshape(-1).tolist()"
        draft.lines += ["", out, f'    csv.writer(file).writerows([["prediction"], *([one] for one in {every})])']


def _serve(draft: Draft, model: Saved | None, survey: Survey, moved: frozenset[str]) -> None:
    """The lines of a language model that is asked over a pipe."""
    draft.imports |= {"import json", "import sys"}
    _load(draft, model, survey, moved)
    draft.todo("the logits of the 256 bytes that may come next; of a model of tokens, docs/trial.md says how")
    draft.lines += [
        "for line in sys.stdin:",
        "    question = json.loads(line)",
        '    logits = model(torch.tensor([question["prefix"]]))[0, -1]',
        '    print(json.dumps({"id": question["id"], "logprobs": logits.log_softmax(0).tolist()}))',
    ]


def _in_order(one: Carvable) -> list[str]:
    """The classes, in their order."""
    named = {scoring.called(label) for label in one.labels if label}
    return sorted(named, key=lambda name: (float(name), name)) if _numbers(named) else sorted(named)


def _numbers(names: Sequence[str] | set[str]) -> bool:
    return all(re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", name) for name in names)


def _names(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    yield from ((one.asname or one.name).partition(".")[0] for one in node.names)


def _import_of(node: ast.Import | ast.ImportFrom, name: str) -> str:
    """The part of an import that has this name."""
    one = next(one for one in node.names if (one.asname or one.name).partition(".")[0] == name)
    alone = ast.alias(name=one.name, asname=one.asname)
    return ast.unparse(
        ast.Import([alone]) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, [alone], node.level)
    )


def _does_nothing(tree: ast.Module) -> bool:
    """Whether importing it has no effect that its top shows."""
    for node in tree.body:
        plain = isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
        doc = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        said = isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and sliced.constant(node.value)
        main = isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)
        if not (plain or doc or said or main):
            return False
    return True


def _module(path: str, cwd: str) -> str:
    root = max((one for one in roots(cwd) if path.startswith(one)), key=len)
    parts = PurePosixPath(path.removeprefix(root)).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# --- where nothing is carved -----------------------------------------------------------------------------------------


def _by_hand(trees: Mapping[str, ast.Module], model: Saved | None) -> str:
    """Where no inputs are known."""
    said = f"`{model.how}` saves something at {model.seen}" if model else f"none is saved: `{saved.line_to_add(trees)}`"
    return f'''"""Predictions by what training has left in its output folder, a line of JSON each. Sees no label."""

import argparse
import json
import sys
from pathlib import Path

{STOPS}

parser = argparse.ArgumentParser()
parser.add_argument("--out", type=Path, required=True)
options = parser.parse_args()

# TODO: let training leave its model in $COCKPIT_OUTPUT, and load it here; {said}
model = ...
# TODO: the inputs of the test split, without labels: (id, input)
inputs = ...

with (options.out / "predictions.jsonl").open("w") as file:
    for identifier, one in inputs:
        file.write(json.dumps({{"id": identifier, "prediction": model(one)}}) + "\\n")
'''


def _score(aim: Aim) -> str:
    name = re.sub(r"\W+", "_", aim.metric.name)
    if RIGHT.search(name.lower()):
        value, todo = "sum(predicted[one] == label for one, label in labels.items()) / len(labels)", ""
    else:
        value, todo = "...", f"# TODO: {name} of `predicted` and `labels`, by id; {aim.direction} it\n"
    return f'''"""Holds predictions against labels that no run sees. Imports nothing that a proposal may change."""

import argparse
import json
import sys
from pathlib import Path

sys.exit("{SCORE} is a draft of `cockpit init --scored`: do its TODO lines, then take this one out")

parser = argparse.ArgumentParser()
parser.add_argument("--out", type=Path, required=True)
parser.add_argument("--labels", type=Path, required=True)
args = parser.parse_args()

# TODO: put the labels of the test split, {{"id": label}}, into the study's folder, and out of what training reads
labels = json.loads((args.labels / "labels.json").read_text())
rows = [json.loads(line) for line in (args.out / "predictions.jsonl").read_text().splitlines()]
predicted = {{row["id"]: row["prediction"] for row in rows}}
if len(rows) != len(predicted) or predicted.keys() != labels.keys():
    sys.exit("the predictions are not one for each label")
{todo}value = {value}
print(f"{name}: {{value}}")
'''
