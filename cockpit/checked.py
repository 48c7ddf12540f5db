"""What `cockpit check` says: what will run, where, how long, and what is missing."""

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from cockpit import plans
from cockpit.pages import count
from store.planned import of

NAME = 11  # columns of what a row is about
COLUMNS = 80
LISTED = 6  # knobs
ARROWS = {"minimize": "▾", "maximize": "▴"}


def page(said: Mapping[str, Any]) -> str:
    """The page. What a start would refuse comes last, for it is to be seen."""
    lines = [said["study"], ""]
    before = ""
    for name, text in _rows(said):
        for part in wrap(text, COLUMNS - NAME, break_long_words=False, break_on_hyphens=False) or [""]:
            lines.append(f"{name if name != before else '':{NAME}}{part}")
            before = name
    if said["plan"]:
        lines += ["", *(f"{name:{NAME}}{text}".rstrip() for name, text in plans.rows(of(said["plan"]), COLUMNS))]
    lines += ["", *(f"warning: {text}" for text in said["warnings"])]
    lines += [f"error: {text}" for text in said["errors"]]
    number = len(said["errors"])
    lines.append(
        "nothing is missing: a start would run this" if not number else f"{count(number, 'error')}: nothing would run"
    )
    return "\n".join(lines)


def _rows(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from said["commands"].items()
    if said["cwd"] != ".":
        yield "cwd", f"{said['cwd']}, in the checkout"
    if said["commands"]:
        yield "seed", f"{said['seed']}, on {said['baseline_seeds']} seeds at first" if said["seed"] else "$COCKPIT_SEED"
        yield "limit", f"{said['timeout_seconds']:g} s a stage"
    for name, sets in said["fidelity"].items():
        yield "fidelity", f"{name}: {', '.join(f'{key} = {value}' for key, value in sets.items()) or 'nothing is set'}"
    if said["commit"]:
        yield "code", f"{said['commit'][:7]}, {'where the study began' if said['begun'] else 'HEAD'}"
    if said["python"]:
        yield "python", f"{said['python']} ({said['python_version']}), launched by {said['launch']}"
    if said["device"]:
        yield "machine", f"{said['device']}, {count(said['cores'], 'core')}; memory by {said['meter']}"
    if said["wall"]:
        lack = f"none: {said['no_wall']}"
        yield (
            "wall",
            lack if said["no_wall"] else f"{said['wall']}; no network, no home, nothing else of this machine to write",
        )
    yield from _listed("lent", said["read"])
    yield from _listed("sealed", said["sealed"])
    if said["carved"]:
        yield "carved", said["carved"]
    yield from _listed("objectives", [f"{ARROWS[way]} {name}" for name, way in said["objectives"].items()])
    yield from _listed("editable", said["editable"])
    knobs = [f"{name} ({domain})" for name, domain in said["knobs"].items()]
    more = [f"and {len(knobs) - LISTED} more"] if len(knobs) > LISTED else []
    yield from _listed("knobs", [*knobs[:LISTED], *more])
    if said["model"]:
        yield "model", f"{said['model']}; {said['model_why']}"
    if said["commands"]:
        limits = ", ".join(f"{name} {most:g}" + " s" * (name == "time") for name, most in said["budget"].items())
        yield "budget", limits or "no limit is set"


def _listed(name: str, texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    if texts:
        yield name, ", ".join(texts)
