"""What a probe has learned, on a page that fits a screen."""

import shlex
from collections.abc import Iterator, Sequence
from textwrap import wrap

from cockpit import figures
from cockpit.pages import count, size
from store.probed import Noise, Probed, Spoken

COLUMNS = 80
NAME = 9  # columns of what a row is about
METRICS = 6  # that are listed
T_OF = "the t of P = .95"


def page(found: Probed, onwards: str) -> str:
    """The page. `onwards` is the command with which one goes on."""
    rows = [*_failed(found)] if found.failure else []
    if found.good:
        rows += [*_taken(found), *_metrics(found), *_seed(found), *_noise(found)]
    elif found.metrics:
        rows += _metrics(found)
    rows += [("next", onwards if found.good else "mend that, and `cockpit probe` again")]
    lines = [_head(found), ""]
    before = ""
    for name, text in rows:
        for part in [text] if name in ("it said", "metrics", "next") else wrap(text, COLUMNS - NAME):
            lines.append(f"{'' if name == before else name:{NAME}}{part}")
            before = name
    return "\n".join(lines)


def share(part: float) -> str:
    """A share in per cent, two digits of it: `0.42 %`, `12 %`."""
    return f"{float(f'{100 * part:.2g}'):g} %"


def _head(found: Probed) -> str:
    network = "no wall" if found.wall == "none" else "the network" if found.network else "no network"
    where = "" if found.cwd == "." else f" in {found.cwd}"
    return (
        f"{shlex.join(found.command)}{where}   {count(len(found.runs), 'run')} of {found.commit[:7]}, {network}, "
        f"Python {found.python_version}"
    )


def _failed(found: Probed) -> Iterator[tuple[str, str]]:
    yield "failed", found.failure
    for line in found.said:
        yield "it said", f"| {line}"


def _taken(found: Probed) -> Iterator[tuple[str, str]]:
    seconds = sorted(one.wall_seconds for one in found.good)
    mean = sum(seconds) / len(seconds)
    cpu = [one.cpu_seconds for one in found.good if one.cpu_seconds is not None]
    cores = f", {sum(cpu) / sum(seconds):.1f} of {count(found.threads, 'core')} at work" if cpu and sum(seconds) else ""
    yield "time", f"{_time(mean)} a run ({_time(seconds[0])} to {_time(seconds[-1])}){cores}"
    peak = max((one.peak_bytes for one in found.good if one.peak_bytes is not None), default=None)
    device = max((one.peak_device_bytes for one in found.good if one.peak_device_bytes is not None), default=None)
    yield "memory", size(peak) + (f", and {size(device)} of {found.device}" if device is not None else "")
    busy = [one.device_busy_share for one in found.good if one.device_busy_share is not None]
    if busy:
        yield "device", f"at work {share(sum(busy) / len(busy))} of the time"
    if found.time_budget:
        said = (
            "its runs took equal seconds and unequal steps: it looks as if it had a time budget, so what else runs on "
        )
        yield "time", f"{said}this machine changes what it comes to"
    if found.lent:
        yield "data", f"lent, for it is not committed: {', '.join(found.lent)}"


def _time(seconds: float) -> str:
    return f"{seconds:.{2 if seconds < 10 else 1}f} s" if seconds < 60 else figures.lasted(seconds)


def _metrics(found: Probed) -> Iterator[tuple[str, str]]:
    if not found.metrics:
        yield "metrics", "none: it prints no name with a number, and writes no file"
        yield "metrics", "that cockpit reads. A line `name: value` at its end is enough"
        return
    shown = found.metrics[:METRICS]
    wide = max(len(one.name) for one in shown)
    for one in shown:
        way = {"minimize": "less is better", "maximize": "more is better"}.get(one.direction or "", "which way is open")
        yield "metrics", f"{one.name:{wide}}  {one.values[-1]:<9.6g}  {_curve(one):9}  {way}, {_where(one)}"
    if left := len(found.metrics) - len(shown):
        yield "metrics", f"and {left} more"


def _curve(one: Spoken) -> str:
    return "once" if len(one.values) == 1 else f"{len(one.values)} values"


def _where(one: Spoken) -> str:
    if one.file is not None:
        return f"in {one.file}"
    return "printed" if one.pattern is None else "printed, by a pattern"


def _seed(found: Probed) -> Iterator[tuple[str, str]]:
    seed = found.seed
    how = f"{seed.how} ({seed.evidence})" if seed.how else "no way to hand one over was found"
    if seed.hard_coded and not seed.how:
        how += f"; it is set to a number at {seed.hard_coded}"
    yield "seed", how
    if seed.deterministic is None:
        return
    same = "gives the same to within rounding" if seed.deterministic else "gives something else each time"
    effect = {True: ", another seed something else", False: ", and so does another: it takes no effect", None: ""}
    if seed.how:
        yield "seed", f"the same seed {same}{effect[seed.takes_effect]}"
    else:
        yield "seed", f"the same code {same}"


def _noise(found: Probed) -> Iterator[tuple[str, str]]:
    """The noise of the first metric, what a single run must beat, and how many experiments a night has."""
    known = next(((one.name, found.noise[one.name]) for one in found.metrics if one.name in found.noise), None)
    if known is not None:
        name, noise = known
        if noise.sd:
            yield from (("noise", text) for text in sentences(name, noise))
        else:
            same = f"{count(noise.df + 1, 'run')} agree on {name} to within rounding, so nothing is known of its noise."
            yield "noise", f"{same} {_no_noise(found)}"
    if found.tonight:
        yield "tonight", f"about {_round(found.tonight)} experiments in 8 hours"


def _no_noise(found: Probed) -> str:
    does = "use the seed that it is given" if found.seed.how else "take a seed (a flag, or $COCKPIT_SEED)"
    return f"Let it {does}, or say that it has none: `deterministic = true`."


def sentences(name: str, noise: Noise) -> Sequence[str]:
    """How much it differs, and what follows; with how that is worked out."""
    on = "on another seed" if noise.of == "seeds" else "run again"
    return (
        f"{name}: the same code {on} differs by {share(noise.relative)} (standard deviation of {noise.df + 1} runs; "
        f"95 % interval {share(noise.low)} to {share(noise.high)}).",
        f"Single-run gains under {share(noise.floor)} are noise here: {share(noise.relative)} x sqrt 2 x {T_OF} at "
        f"{noise.df} degrees of freedom.",
    )


def _round(number: int) -> str:
    """Two digits of it: it is a guess."""
    return f"{int(float(f'{number:.2g}')):,}"
