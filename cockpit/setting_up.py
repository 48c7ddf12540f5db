"""`cockpit init`: from a repository that knows nothing of cockpit to a `cockpit.toml` that says what was found."""

import difflib
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cockpit.before import COMMAND, WithCommand
from cockpit.look import Directory, Json, Usage, wait
from store.place import CONFIG, Place, repository

if TYPE_CHECKING:
    from loop.survey.bounds import Bounds
    from loop.survey.drafted import Drafts
    from loop.survey.found import Survey
    from loop.survey.sources import Seen
    from loop.survey.written import Aim

app = typer.Typer()


@app.command(cls=WithCommand)
def init(
    context: typer.Context,
    directory: Directory = Path(),
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: write it, or apply what it adds.")] = False,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="The objective, as the script calls it.")
    ] = None,
    minimize: Annotated[bool, typer.Option("--minimize", help="Less of the metric is better.")] = False,
    maximize: Annotated[bool, typer.Option("--maximize", help="More of the metric is better.")] = False,
    scored: Annotated[
        bool, typer.Option("--scored", help="Carve a split that is scored, and draft predict.py.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Find what trains in your repository; write a cockpit.toml.

    It says what may be moved and what is measured.

    Each guess has its evidence beside it, as file:line. Nothing is run but the interpreter, which is asked what it has;
    nothing else is written. Where there is a cockpit.toml already, it shows what it would add. `cockpit config
    cockpit.toml` says what may stand there besides.
    """
    from cockpit import output
    from loop.survey import written
    from loop.survey.spoken import Metric
    from loop.survey.written import Aim

    if minimize and maximize:
        raise Usage("--minimize and --maximize exclude each other")
    words = context.meta[COMMAND]
    asks = not (yes or as_json or output.no_screen())
    place = repository(directory, "init")
    inside = "".join(f"{part}/" for part in directory.resolve().relative_to(place.root).parts)
    survey = _of_the_study(place, _surveyed(place, words, inside, asks=asks), inside, given=bool(words))
    kept = _kept(place)
    # What is shown is what would be written: whether a knob holds is not a question of the objective.
    survey, _ = written.checked(survey, kept or Aim(Metric("loss"), "minimize", ""), place.config)
    if not as_json:
        output.table("\n".join(_shown(survey, output.columns())))
    aim = kept or _aim(survey, metric, "minimize" if minimize else "maximize" if maximize else None, asks=asks)
    drafts = _drafts(place, survey, aim) if scored else None
    before, after = _texts(place, survey, aim, drafts, given=bool(words))
    drafts = drafts and _with_others(place, drafts, after)
    changes = before != after
    if as_json:
        output.document(_keys(place, survey, aim, drafts, after, written=yes and changes))
    elif before is not None and changes:
        output.patch(_difference(before, after))
    elif before is not None:
        output.line(f"{place.config} says all of this already")
    for text in drafts.says if drafts and not as_json else ():
        output.line(text)
    files = dict(drafts.files) if drafts else {}
    if not changes and not files:
        return
    if not yes and not as_json:
        if not asks:
            output.line(f"nothing is written, for nobody can be asked here: the same with --yes writes {place.config}")
            return
        names = ", ".join([*([CONFIG] if changes else []), *files])
        if not typer.confirm("Apply this?" if before is not None and changes else f"Write {names}?", default=True):
            return
    if yes or asks:
        place.config.write_text(after, "utf-8")
        for path, text in files.items():
            with (place.root / path).open("x", encoding="utf-8") as file:
                file.write(text)
    if as_json:
        return
    if drafts and files:
        names = " and ".join(files)
        done = (
            f"{names} is written, as far as it can be known: read it"
            if drafts.complete
            else f"{names}: drafts, which stop until their TODO lines are done"
        )
        output.line(f"{done}, then commit: what runs is what is committed")
    if _offers_seed(survey):
        output.line(
            f"the seed is hard-coded at {survey.seed.hard_coded[0]}: once e0000 has run, the study offers a change "
            "that reads it from $COCKPIT_SEED, on a branch of its own"
        )
    elif left := _leaves_seed(survey):
        output.line(
            f"the seed is hard-coded at {survey.seed.hard_coded[0]}, and the study offers no change of it: {left} is "
            "not in `edit`"
        )
    here = output.command(place.root)
    output.line(f"{place.config} is {'mended' if before is not None else 'written'}: read it, then `{here}` runs it")


def _offers_seed(survey: "Survey") -> bool:
    """Whether the study will offer to read a hard-coded seed from the environment."""
    path, _, call = (survey.seed.said or "").partition(":")
    return call.endswith("()") and path in survey.editable


def _leaves_seed(survey: "Survey") -> str:
    """The protected file that holds the seed, where that alone is why no change of it is offered."""
    path, _, call = (survey.seed.said or "").partition(":")
    return path if call.endswith("()") and path not in survey.editable else ""


def _drafts(place: Place, survey: "Survey", aim: "Aim") -> "Drafts":
    """What is drafted, but for files that are there: those stay."""
    from msgspec.structs import replace

    from cockpit import output
    from loop.survey.drafted import drafts

    found = drafts(survey, aim)
    if there := [path for path in found.files if (place.root / path).exists()]:
        output.error(f"{' and '.join(there)}: there already, and left as it is")
    return replace(found, files={path: text for path, text in found.files.items() if path not in there})


def _with_others(place: Place, drafts: "Drafts", text: str) -> "Drafts":
    """The same, which says what steers besides what is scored."""
    from msgspec.structs import replace

    from loop.study import parse

    scored = {line.key for line in drafts.lines if line.table == "objectives"}
    steering = parse(text, place.config).settings.steering
    others = [name for name in steering if name not in scored]
    if not scored & {*steering} or not others:
        return drafts
    names = " and ".join(others)
    said = f"{names} steers besides {' and '.join(scored)}, and is not scored: `steers = false` has it shown alone"
    return replace(drafts, says=(*drafts.says, said))


def _surveyed(place: Place, words: Sequence[str], inside: str, *, asks: bool) -> "Survey":
    from loop.study import read
    from loop.survey import found
    from loop.survey.command import Several
    from loop.survey.written import command_of

    try:
        return wait(found.look(place, words, inside))
    except Several as several:
        if place.config.exists():  # which says it
            survey = wait(found.look(place, *command_of(read(place.config).settings)))
            if (survey.train.script or "").startswith(inside):
                return survey
        if not asks:
            raise
        chosen = _one_of("Which script trains?", several.scripts)
        return wait(found.look(place, ["python", chosen], inside))


def _of_the_study(place: Place, survey: "Survey", inside: str, *, given: bool) -> "Survey":
    """The same, where a cockpit.toml that is there has the same script. Raises ConfigError where it has another one.

    Where no command was given and its script is in this folder, it is that which is meant.
    """
    import shlex

    from loop.study import ConfigError, read
    from loop.survey import found
    from loop.survey.written import command_of, script_of

    if not place.config.exists():
        return survey
    settings = read(place.config).settings
    script = script_of(settings, survey.sources)
    if script is None or survey.train.script in (None, script):
        return survey
    if not given and script.startswith(inside):
        return wait(found.look(place, *command_of(settings)))
    aside = shlex.join(["mv", str(place.config), str(place.config.with_suffix(".first.toml"))])
    raise ConfigError(
        f"{CONFIG} is the study of {script}, and {survey.train.script} is another one: move the file aside "
        f"(`{aside}`), then the same again, and give the new file a `[study] name` of its own. The study of a "
        f"repository is the one whose file is called {CONFIG} just then; the record of the other stays under its name"
    )


def _kept(place: Place) -> "Aim | None":
    """The objective of a cockpit.toml that is there, which stays; None where there is none. Raises ConfigError."""
    from loop.study import read
    from loop.survey.spoken import Metric
    from loop.survey.written import Aim

    if not place.config.exists():
        return None
    settings = read(place.config).settings
    name = settings.steering[0]
    return Aim(Metric(name), settings.objectives[name].direction, f"{CONFIG} says so")


def _aim(survey: "Survey", name: str | None, direction: str | None, *, asks: bool) -> "Aim":
    """The objective: the one that is named, or the first whose direction is clear; asked for, where somebody can be."""
    from loop.study import ConfigError
    from loop.survey.spoken import Metric
    from loop.survey.spoken import direction as known
    from loop.survey.written import Aim

    found = list(survey.metrics)
    chosen = None
    if name is not None:
        wanted = _plain(name)
        chosen = next((one for one in found if _plain(one.metric.name) == wanted), None)
        metric = chosen.metric if chosen else Metric(re.sub(r"\W+", "_", name).strip("_"), direction=known(name))
        evidence = chosen.evidence if chosen else "given; nothing that was read prints it"
    else:
        clear = [one for one in found if one.metric.direction]
        offered = clear or found
        if asks and len(offered) > 1:
            labels = [f"{one.metric.name}, {one.evidence}" for one in offered[:8]]
            chosen = offered[labels.index(_one_of("Which metric is the objective?", labels))]
        else:
            chosen = offered[0] if clear or (asks and found) else None
        if chosen is None:
            names = ", ".join(one.metric.name for one in found[:6])
            script = survey.train.script or survey.train.text
            raise ConfigError(
                f"{script} prints {names}, and which way is better is not clear: say it, as "
                f"`--metric {found[0].metric.name} --maximize`"
                if found
                else f"nothing that {script} prints or writes looks like a metric: `cockpit probe -- "
                f"{survey.train.text}` runs it and looks, or say it, as `--metric val_loss --minimize`"
            )
        metric, evidence = chosen.metric, chosen.evidence
    way = direction or metric.direction
    if way is None and asks:
        way = _one_of(f"Which way is {metric.name} better?", ["minimize", "maximize"])
    if way is None:
        raise ConfigError(f"which way {metric.name} is better is not clear: say --minimize or --maximize")
    return Aim(metric, "maximize" if way == "maximize" else "minimize", evidence)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _one_of(question: str, answers: list[str]) -> str:
    """One of several, by its number; the first by `enter`."""
    from cockpit import output

    output.line(question)
    for number, answer in enumerate(answers, 1):
        output.line(f"  {number}  {answer}")
    number = int(typer.prompt("Its number", default=1, type=int))
    while not 1 <= number <= len(answers):
        number = int(typer.prompt(f"A number from 1 to {len(answers)}", default=1, type=int))
    return answers[number - 1]


def _texts(
    place: Place, survey: "Survey", aim: "Aim", drafts: "Drafts | None", *, given: bool
) -> tuple[str | None, str]:
    """The file as it is, None where there is none, and as it would be."""
    from loop.run.bench import lent
    from loop.study import parse
    from loop.survey import written

    every = written.scored(written.lines(survey, aim), drafts.lines if drafts else ())
    if not place.config.exists():
        return None, parse(written.text(every, survey), place.config).text
    before = place.config.read_text("utf-8")
    gone = [path for path in parse(before, place.config).settings.data.read if not lent(place, path).exists()]
    return before, written.mended(before, every, place.config, train=given, gone=gone)


def _shown(survey: "Survey", columns: int | None) -> list[str]:
    """What was found, a line each, with what speaks for it: where that does not fit, on lines of its own below."""
    python, clear = survey.python, [one for one in survey.metrics if one.metric.direction]
    has = f"Python {python.interpreter.version}" if python.interpreter else "cannot be started"
    lacks = f"; lacks {', '.join(python.missing)}" if python.missing else "; has all that is imported"
    rows = [("train", survey.train.text, survey.train.evidence)]
    rows += [("cwd", survey.train.cwd, survey.train.cwd_evidence)] if survey.train.cwd != "." else []
    at = python.path
    shown_at = at.relative_to(survey.root) if at.is_relative_to(survey.root) else at
    rows.append(("python", f"{shown_at}", f"{has}, {python.evidence}{lacks}"))
    rows += [("", "", python.note)] if python.note else []
    rows += [
        ("metric", f"{m.name}, {m.direction or 'which way?'}", one.evidence)
        for one in (clear or survey.metrics)[:4]
        for m in [one.metric]
    ]
    rows += [] if survey.metrics else [("metric", "none", "nothing that was read prints one")]
    rows.append(("seed", survey.seed.said or "none", survey.seed.evidence))
    for one in (guess for guess in survey.knobs if not guess.held):
        rows.append(("knob", f"{one.key} {one.value}", f"{_range(one.bounds)}; {_at(one.seen)}"))
    left = [one for one in survey.knobs if one.held]
    if len(left) == len(survey.knobs):
        rows.append(("knob", "none", "say one in the code, as `RATE = 0.1  # cockpit: 0.01..1.0 log`"))
    rows += [("left out", one.key, f"{one.held}; {_at(one.seen)}") for one in left[:4]]
    rows += [("", f"and {len(left) - 4} more", f"as comments in {CONFIG}")] if len(left) > 4 else []
    rows += [("editable", path, "") for path in survey.editable]
    protected = [path for path in survey.reached if path not in survey.editable]
    shown = [*protected[:4], "…"] if len(protected) > 4 else protected
    rows.append(("protected", ", ".join([*shown, "all the rest"]), ""))
    rows += [("lent", one.path, one.evidence) for one in survey.lent]
    rows += [
        ("length", f"{one.key} {one.value}", f"{_at(one.seen)}; [fidelity], as a comment") for one in survey.lengths[:1]
    ]
    rows += [("evaluation", path, "`eval`, as a comment") for path in survey.evaluations]
    rows += [("resumes", f"{seen}", "each run begins anew, in a fresh checkout") for seen in survey.resumes[:1]]
    width = min(32, max(len(what) for _, what, _ in rows))
    rows += [("note", "", note) for note in survey.notes]
    lines = list[str]()
    for name, what, why in rows:
        line = f"{name:<11}{what:<{width}}  {why}".rstrip() if what else f"{name:<11}{why}".rstrip()
        if columns is None or len(line) <= columns:
            lines += [line] if line else []
            continue
        indent = " " * 11
        told = textwrap.wrap(why, max(20, columns), initial_indent=indent, subsequent_indent=indent)
        lines += [f"{name:<11}{what}", *told] if what else [f"{name:<11}{told[0].lstrip()}", *told[1:]]
    return lines


def _at(seen: "Seen") -> str:
    return str(seen) if seen.line else seen.path


def _range(bounds: "Bounds") -> str:
    if "choices" in bounds:
        choices = bounds["choices"]
        return " | ".join(map(str, choices)) if isinstance(choices, tuple) else ""
    return f"{bounds['low']}..{bounds['high']}" + (" log" if bounds.get("scale") == "log" else "")


def _keys(
    place: Place, survey: "Survey", aim: "Aim", drafts: "Drafts | None", text: str, *, written: bool
) -> dict[str, Any]:
    """What was found, for scripts."""
    return {
        "file": str(place.config),
        "written": written,
        "train": survey.train.text,
        "script": survey.train.script,
        "cwd": survey.train.cwd,
        "python": str(survey.python.path),
        "missing": list(survey.python.missing),
        "objective": {"name": aim.metric.name, "direction": aim.direction, "evidence": aim.evidence},
        "metrics": [
            {
                "name": m.name,
                "pattern": m.pattern,
                "file": m.file,
                "key": m.key,
                "direction": m.direction,
                "evidence": one.evidence,
            }
            for one in survey.metrics
            for m in [one.metric]
        ],
        "seed": {
            "said": survey.seed.said,
            "evidence": survey.seed.evidence,
            "change_offered": _offers_seed(survey),
        },
        "knobs": [
            {"key": one.key, "value": one.value, **one.bounds, "evidence": _at(one.seen), "left_out": one.held or None}
            for one in survey.knobs
        ],
        "edit": list(survey.editable),
        "read": [{"path": one.path, "evidence": one.evidence} for one in survey.lent],
        "evaluations": list(survey.evaluations),
        "notes": list(survey.notes),
        "scored": drafts and {"files": dict(drafts.files), "complete": drafts.complete, "says": list(drafts.says)},
        "text": text,
    }


def _difference(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), f"a/{CONFIG}", f"b/{CONFIG}", lineterm="")
    return "\n".join(lines)
