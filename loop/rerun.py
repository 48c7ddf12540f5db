"""`cockpit rerun` without an engine at work: one lives for that run and those asked for meanwhile, in the foreground.

It has the study's lock. What it measures is kept and booked like any run's. It is evidence of nothing: nobody who looks
at what they have chosen once more may choose by it.
"""

from loop.branches import Branches
from loop.engine import Limits, the_engine
from loop.evidence import NotDone
from loop.stop import Stop
from loop.study import read
from store import views
from store.place import Place
from store.records import Ended, Outcome, Run
from store.trail import ENGINE, Trail


async def rerun(place: Place, number: int, seed: int | None, stop: Stop) -> Run | None:
    """Run an experiment again, to its end; None where it was ended before. Raises as `research` does, and NotDone."""
    revision = read(place.config)
    branches = await Branches.of(place, Trail(place.folder, ENGINE))
    head = await branches.commit("HEAD")
    async with the_engine(place, revision, branches, stop) as engine:
        ended = Ended.MACHINE_FAILED
        try:
            last = await views.last_engine(engine.database)
            most = (last.facts.get("limits") or {}).get("experiments") if last else None
            await engine.open(head, Limits(most))  # whoever goes on after it goes by what was asked for
            made = await engine.alone(number, seed)
            ended = stop.why if stop.why and stop.why is not Ended.RERUN else Ended.RERUN
            if made is None and not stop.urgency:
                raise NotDone(f"a budget of cockpit.toml has no room for a run: {ended}")
        finally:
            await engine.close(ended)
        found = None
        if made is not None:
            runs = await views.runs(engine.database, number)
            found = next(run for run in reversed(runs) if run.id == made)
        if found is not None and found.outcome is Outcome.INTERRUPTED and not stop.urgency:
            raise NotDone("the run was withdrawn by `cockpit end`")
        return None if found is None or found.outcome is Outcome.INTERRUPTED else found
