"""Drafts of `predict.py` and `score.py`, made of what the script itself loads and saves. Until done, they stop."""

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from loop.run.reached import ROOTS
from loop.survey.found import Survey
from loop.survey.sources import Seen
from loop.survey.values import called
from loop.survey.written import Aim

PREDICT, SCORE = "predict.py", "score.py"
LOADS = re.compile(
    r"(^|_)(load|loader|loaders|get_data|read|dataset|datasets|make_dataset|prepare_data)(_|$)|Dataset$|DataModule$"
)
NOT_DATA = re.compile(r"checkpoint|ckpt|model|state|config|weights|args")
SAVES = ("save", "dump", "save_pretrained", "save_model", "save_checkpoint", "save_file", "savez")
RIGHT = re.compile(r"(^|_)(acc|accuracy)(_|$)")


def drafts(survey: Survey, aim: Aim) -> dict[str, str]:
    """The two files by their names."""
    return {PREDICT: _predict(survey), SCORE: _score(aim)}


def _predict(survey: Survey) -> str:
    loader = next(_loaders(survey), None)
    saved = next(_saves(survey), None)
    lines = [
        '"""Predictions by what training has left in its output folder, a line of JSON each. Sees no label."""',
        "",
        "import argparse",
        "import json",
        "import sys",
        "from pathlib import Path",
        "",
        f'sys.exit("{PREDICT} is a draft of `cockpit init --scored`: do its TODO lines, then take this one out")',
        "",
    ]
    if loader:
        name, seen = loader
        module = _module(seen.path)
        main = not _guarded(survey.sources.trees[seen.path])
        lines += [f"# TODO: {seen.path} trains when it is imported: move `{name}` to a file of its own"] if main else []
        lines += [f"from {module} import {name}  # {seen}: what the script reads its data with", ""]
    lines += [
        "parser = argparse.ArgumentParser()",
        'parser.add_argument("--out", type=Path, required=True)',
        "out = parser.parse_args().out",
        "",
        f"# TODO: let training leave its model in $COCKPIT_OUTPUT, and load it here; {_said(saved)}",
        "model = ...",
        f"# TODO: the inputs of the test split, without labels{f', by `{loader[0]}`' if loader else ''}: (id, input)",
        "inputs = ...",
        "",
        'with (out / "predictions.jsonl").open("w") as file:',
        "    for identifier, one in inputs:",
        '        file.write(json.dumps({"id": identifier, "prediction": model(one)}) + "\\n")',
        "",
    ]
    return "\n".join(lines)


def _said(saved: tuple[str, Seen] | None) -> str:
    return f"now `{saved[0]}` saves something at {saved[1]}" if saved else "nothing that was read saves one"


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


def _loaders(survey: Survey) -> Iterator[tuple[str, Seen]]:
    """The functions and classes at the top of the script's files that read data."""
    for path in survey.reached:
        for node in survey.sources.trees[path].body:
            named = node.name if isinstance(node, ast.FunctionDef | ast.ClassDef) else ""
            if LOADS.search(named) and not NOT_DATA.search(named.lower()):
                yield named, Seen(path, node.lineno)


def _saves(survey: Survey) -> Iterator[tuple[str, Seen]]:
    for path in survey.reached:
        for node in ast.walk(survey.sources.trees[path]):
            if isinstance(node, ast.Call) and (name := called(node)).rpartition(".")[2] in SAVES:
                yield name, Seen(path, node.lineno)


def _guarded(tree: ast.Module) -> bool:
    """Whether a file does nothing when it is imported, as far as its top shows."""
    return not any(isinstance(node, ast.For | ast.While | ast.Expr) and _acts(node) for node in tree.body)


def _acts(node: ast.stmt) -> bool:
    return not isinstance(node, ast.Expr) or isinstance(node.value, ast.Call)


def _module(path: str) -> str:
    root = max((one for one in ROOTS if path.startswith(one)), key=len)
    parts = PurePosixPath(path.removeprefix(root)).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
