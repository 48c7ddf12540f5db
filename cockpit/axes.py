"""Which two quantities of a study are looked at against one another: on the frontier, and in a narrow list."""

from cockpit.feed import Objective, Snapshot
from cockpit.view import Choices

NUMBER = Objective("", "experiment", "", maximize=False, quality=True)  # what is drawn across where nothing else can be

Pair = tuple[Objective, Objective]  # across and up


def axes(study: Snapshot, choices: Choices = Choices()) -> Pair | None:  # noqa: B008, it is frozen
    """What is drawn across and up: what was chosen, else the first cost and the first quality that steer."""
    if choices.axes is not None:
        known = {one.name: one for one in study.quantities}
        across, up = choices.axes
        if across in known and up in known:
            return known[across], known[up]
    every = study.objectives
    steering = [one for one in every if one.steers]
    if not steering:
        return None
    up_one = next((one for one in steering if one.quality), steering[0])
    others = [one for one in every if one is not up_one]
    return next((one for one in others if one.steers and not one.quality), next(iter(others), NUMBER)), up_one


def turned(study: Snapshot, choices: Choices, which: int) -> tuple[str, str] | None:
    """The axes with the next quantity across (0) or up (1), of those that were measured; of two, they change places."""
    pair = axes(study, choices)
    names = [one.name for one in study.quantities]
    missing = set(names)
    for one in study.experiments:
        if not missing:
            break
        missing -= {measured.objective for measured in one.measurements}
    there = [name for name in names if name not in missing]
    if pair is None or len(there) < 2:
        return choices.axes
    now = [one.name for one in pair]
    others = [name for name in there if name != now[1 - which]]
    if others == [now[which]]:
        return now[1], now[0]
    at = others.index(now[which]) if now[which] in others else -1
    now[which] = others[(at + 1) % len(others)]
    return now[0], now[1]
