"""What is known of an experiment, and what is not: as a decision asks for it, and as a commit says it."""

from store.records import FULL, SEED, Evidence, Experiment, State, Word, name_of

NOT_JUDGED, NOT_RUN = "not judged yet", "not run yet"


class NotDone(Exception):
    """A command cannot be carried out as things stand. The message says what has changed, or what to do."""


def check(one: Experiment) -> None:
    """Raises NotDone where an experiment may not be trunk, whoever says so: it has failed, or breaks a bound."""
    if one.state is State.FAILED:
        raise NotDone(f"{one.id} is {one.state}, and has no measurement to go by")
    if one.verdict is not None and one.verdict.word is Word.INFEASIBLE:
        raise NotDone(
            f"{one.id} is infeasible: {one.verdict.sentence}. To allow it, change the bound in cockpit.toml, and "
            "the next engine judges it again"
        )


def measurable(one: Experiment) -> None:
    """Raises NotDone where there is nothing to go by: no measurement, or what `check` says."""
    if not one.measurements:
        raise NotDone(f"{one.id} is {one.state}, and has no measurement to go by")
    check(one)


def unconfirmed(one: Experiment, incumbent: int) -> str:
    """What is not known of an experiment, for which it counts as less than confirmed; nothing where it is confirmed."""
    said = one.verdict
    if stale := judged_elsewhere(one, incumbent):
        return stale
    if said is None:
        return NOT_JUDGED
    if said.evidence is Evidence.CONFIRMED or (one.operator == SEED and one.known):
        return ""
    return f"{said.evidence}, and not confirmed: {said.word}, {said.sentence}"


def judged_elsewhere(one: Experiment, incumbent: int) -> str:
    """Of a verdict that stands neither against trunk nor against what the experiment was made from, that it does."""
    if one.verdict is None or one.verdict.incumbent == incumbent or one.made_from(one.verdict.incumbent):
        return ""
    return f"judged against {name_of(one.verdict.incumbent)}, and trunk is {name_of(incumbent)} now"


def verdict(one: Experiment, incumbent: int) -> str:
    """The verdict, as a commit has it, and against what it is where that is not trunk."""
    if one.verdict is None or (elsewhere := judged_elsewhere(one, incumbent)):
        return f"none; {elsewhere if one.verdict else NOT_JUDGED if one.measurements else NOT_RUN}"
    against = one.verdict.incumbent
    return one.verdict.line + (f", against {name_of(against)}" if against != incumbent else "")


def measured(one: Experiment, before: Experiment | None) -> str:
    """What was measured of an experiment, and of another one before it: a line an objective."""
    at = one.verdict.fidelity if one.verdict else FULL
    then = {m.objective: m for m in before.at(at)} if before else {}
    lines = [
        f"{m.objective}: {m.value:.6g} ({m.said}{one.said_at(m.fidelity)}, n = {m.n})"
        + (f", was {then[m.objective].value:.6g} (n = {then[m.objective].n})" if m.objective in then else "")
        for m in one.at(at)
    ]
    return "\n".join([*(lines or ["Not run yet."]), ""])
