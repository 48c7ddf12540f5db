"""What is said of one run, in lines: what it is, its stages, what it uses now, and what it has come to."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

from cockpit import figures
from cockpit.feed import Snapshot
from cockpit.keys import Keymap
from cockpit.line import Line, Piece, apart, fit, line, width_of, wrap
from cockpit.watch import Seen
from store.records import Outcome, Run, Stage, name_of

BAR = 14  # cells


def alive(study: Snapshot, run: Run) -> bool:
    """Whether it is under way."""
    return run.outcome is None and study.pid is not None


STYLES = {None: "sky", Outcome.OK: "good", Outcome.STOPPED_EARLY: "text", Outcome.INTERRUPTED: "infra"}


def seed_of(study: Snapshot, run: Run, runs: Sequence[Run]) -> str:
    """On which seed, and of the baseline which of how many: `baseline, seed 13534, 2 of 3`."""
    alike = (one for one in runs if (one.purpose, one.fidelity) == (run.purpose, run.fidelity))
    seeds = list(dict.fromkeys(one.seed for one in alike))
    number = seeds.index(run.seed) + 1 if run.seed in seeds else 1
    of = f", {number} of {study.facts['seeds']}" if run.purpose == "baseline" and "seeds" in study.facts else ""
    at = f" at {run.fidelity}" if study.facts.get("fidelity") else ""
    return f"{run.purpose}{at}, seed {run.seed}{of}"


def head(study: Snapshot, run: Run, runs: Sequence[Run], width: int) -> Line:
    """What it is. Where there is no room, what is said last is left out."""
    one = study.experiment(run.experiment)
    style = STYLES.get(run.outcome, "bad")
    glyph = {None: "►", Outcome.OK: "✓", Outcome.STOPPED_EARLY: "▾"}.get(run.outcome, "!")
    glyph, style = ("!", "infra") if run.outcome is None and study.pid is None else (glyph, style)
    pieces: list[Piece] = [(f" {glyph} ", style), (name_of(run.experiment), "bold")]
    ids = [other.id for other in runs]
    place = [(f"run {ids.index(run.id) + 1} of {len(ids)} ", "dim")] if run.id in ids and len(ids) > 1 else []
    more = [f"   {seed_of(study, run, runs)}"]
    more += [f"   attempt {run.attempt}"] if run.attempt > 1 else []
    more += [f"   {run.slot}", f"   wall {run.wall}"]
    room = width - width_of([*pieces, more[0], *place]) - 4
    slug = one.slug if one and one.slug != run.purpose else ""
    if slug:
        pieces.append((f" {fit(slug, min(len(slug), max(8, room))).rstrip()}", "bold"))
    for text in more:
        if width_of([*pieces, text, *place]) + 2 < width:
            pieces.append((text, "dim"))
    return apart(pieces, place, width)


def slots(study: Snapshot, now: float, width: int) -> list[Line]:
    """A line for each slot, where there are several."""
    if len(study.running) < 2:
        return []
    rows = []
    for run in study.running:
        one = study.experiment(run.experiment)
        what = f"{name_of(run.experiment)} {one.slug if one else ''}"
        time = figures.ticking(now - run.started_at)
        rows.append(line((f" {fit(run.slot, 8)}", "dim"), (fit(f"{what}   {run.purpose}   {time}", width - 9), "text")))
    return rows


def ended(run: Run) -> list[Piece]:
    """The stages that have ended, each with its seconds."""
    pieces: list[Piece] = [" "]
    for stage in run.stages:
        mark, style = ("✓", "good") if stage.outcome is Outcome.OK else ("!", "bad")
        pieces += [(f"{stage.name} ", "dim"), (mark, style), (f" {took(stage.wall_seconds)}  ", "dim")]
    return pieces


def going(run: Run, usually: Mapping[str, float], found: Seen, now: float, width: int) -> list[Line]:
    """The stages of a run under way: what is done, how long the one that runs has taken, took others, and may take."""
    pieces: list[Piece] = list(ended(run))
    done = {stage.name for stage in run.stages}.union(found.ended)
    left = [name for name in found.stages if name not in done]
    if not found.stage or found.stage in done:
        since = max((stage.started_at + stage.wall_seconds for stage in run.stages), default=run.started_at)
        well = all(stage.outcome is Outcome.OK for stage in run.stages)
        said = "starting" if not done else f"{left[0]} is next" if left and well else "its results are read"
        time = f"  {figures.ticking(max(0.0, now - since))}" if run.stages or not done else ""
        return [line(*pieces, (f"{said}{time}", "dim"))]
    spent = max(0.0, now - found.since)
    usual = usually.get(found.stage)
    limit = found.limit_seconds.get(found.stage)
    pieces.append((f"{found.stage} ", "bold sky"))
    parts: list[Piece] = [(figures.ticking(spent), "bold")]
    parts += [(f", usually {figures.ticking(usual)}", "dim")] if usual else []
    parts += [(f"  limit {figures.lasted(limit)}", "dim")] if limit else []
    room = width - width_of([*pieces, *parts]) - 1
    if usual and (columns := min(BAR, room - 1)) >= 5:
        full = min(columns, round(columns * spent / usual))
        parts = [("█" * full, "sky"), ("░" * (columns - full), "rule"), " ", *parts]
    for name in (name for name in left if name != found.stage):
        if width_of([*pieces, *parts, f"  {name}"]) < width:
            parts.append((f"  {name}", "faint"))
    return [line(*pieces, *parts)]


def use(study: Snapshot, run: Run, found: Seen, width: int) -> Line:
    """What the stage under way uses now."""
    now = found.use
    if now is None:
        return line((" memory and cores: not measured yet", "dim"))
    bound = study.facts.get("constraints", {}).get("peak_memory_bytes")
    parts: list[list[Piece]] = [_amount("memory", now.held_bytes, size)]
    if now.peak_bytes is not None and (now.held_bytes is None or size(now.peak_bytes) != size(now.held_bytes)):
        parts[0].append((f", peak {size(now.peak_bytes)}", "dim"))
    parts[0] += [(f", {bound['text']}", "dim")] if bound else []
    parts.append(_amount("cpu", now.cores, lambda cores: f"{cores:.1f}"))
    if now.cores is not None and now.of_cores is not None:
        parts[1].append((f" of {now.of_cores:.0f} cores", "dim"))
    if run.devices:
        parts.append(_amount("GPU memory", now.device_bytes, size))
        parts.append(_amount("energy", now.joules, lambda joules: f"{figures.amount(joules)} J"))
    pieces: list[Piece] = [" "]
    for index, part in enumerate(parts):
        if index == 0 or width_of([*pieces, *part]) < width:
            pieces += [*part, "   "]
    return line(*pieces)


def _amount(name: str, value: float | None, shown: Callable[[float], str]) -> list[Piece]:
    return [(f"{name} ", "dim"), ("not measured", "dim") if value is None else (shown(value), "bold")]


def took(seconds: float) -> str:
    """A time that something has taken: `0.4 s`, `34 s`, `1 min 34 s`."""
    return f"{seconds:.1f} s" if seconds < 10 else figures.ticking(seconds)


def size(count: float) -> str:
    """Bytes: `412 MB`, `2.1 GB`."""
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= factor * 0.9995:
            return f"{count / factor:.{1 if count < factor * 9.95 else 0}f} {unit}"
    return f"{count:.0f} B"


def over(study: Snapshot, run: Run, width: int, keys: Keymap, *, brief: bool) -> list[Line]:
    """What a run that has ended has come to: each stage, and what was measured; `brief`, in two lines."""
    rows = [line(*ended(run))] if brief else [_stage(stage, run.devices > 0, width) for stage in run.stages]
    if run.outcome is None:
        return [*rows, line((f" broken off: its engine is gone, and {keys['run']} goes on", "infra"))]
    after = took((run.ended_at or run.started_at) - run.started_at)
    if run.outcome is not Outcome.OK:
        style = STYLES.get(run.outcome, "bad")
        told = bool(run.detail) and run.detail.startswith(run.outcome or "")  # what was stopped early says so itself
        said = run.detail if told else f"{run.outcome}: {run.detail}" if run.detail else str(run.outcome)
        return [*rows, *(line((f" {text}", style)) for text in wrap(f"{said}, after {after}", width - 2, 2))]
    known = {one.name: one for one in study.quantities}
    pieces: list[Piece] = [(f" ok after {after}", "good")]
    lines, parts = list[Line](), list[list[Piece]]()
    for one in run.measurements:
        quantity = known.get(one.objective)
        label = quantity.label if quantity else figures.named(one.objective)[0]
        unit = quantity.unit if quantity else figures.named(one.objective)[1]
        value = figures.value(one.value, quality=quantity.quality if quantity else False)
        parts.append([(f"   {label} ", "dim"), (f"{value}{' ' + unit if unit else ''}", "text")])
    while parts:
        last = brief or len(lines) == 2
        more: list[Piece] = [(f"   and {len(parts) - 1} more", "dim")]
        if last and width_of([*pieces, *chain(*parts)]) > width and width_of([*pieces, *parts[0], *more]) > width:
            pieces.append((f"   and {len(parts)} more", "dim"))
            break
        if not last and len(pieces) > 1 and width_of([*pieces, *parts[0]]) > width:
            lines.append(line(*pieces))
            pieces = [("  ", "dim")]
            continue
        pieces += parts.pop(0)
    return [*rows, *lines, line(*pieces)]


def _stage(stage: Stage, devices: bool, width: int) -> Line:
    good = stage.outcome is Outcome.OK
    pieces: list[Piece] = [
        (f" {fit(stage.name, 8)}", "text"),
        ("✓ " if good else "! ", "good" if good else "bad"),
        (f"{fit(took(stage.wall_seconds), 11)}", "bold"),
    ]
    cpu = "cpu not measured" if stage.cpu_seconds is None else f"cpu {took(stage.cpu_seconds)}"
    memory = "memory not measured" if stage.peak_bytes is None else f"memory {size(stage.peak_bytes)}"
    parts = [fit(cpu, 16), fit(memory, 15) if stage.peak_bytes is not None else memory]
    parts = parts if width >= 64 else [cpu, memory]
    if devices:
        held, joules = stage.peak_device_bytes, stage.energy_joules
        parts.append("GPU memory not measured" if held is None else f"GPU memory {size(held)}")
        parts.append("energy not measured" if joules is None else f"{figures.amount(joules)} J")
    parts += [] if good else [stage.outcome.value]
    for part in parts:
        if width_of([*pieces, part, "  "]) <= width:
            pieces.append((f"{part}  ", "dim"))
    return line(*pieces)
