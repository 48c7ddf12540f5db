"""What counts on where objectives were added to a study, or taken out: another bench, for which little is run again.

All else of the bench is as it was, so a run that has a value of everything that is asked for now would say the same
again: it counts on the new bench, and its experiment is judged anew. What it has is in the record, or in the logs that
it has left. Where runs lack a value, the baseline and trunk are run again as on any other bench, and of the rest the
frontier and the offers alone; what else there was stays as it was judged.
"""

from collections.abc import Mapping
from typing import Any

from loop.run.bench import Bench
from loop.run.execution import Execution
from store import benches, views
from store.database import Database
from store.records import Measurement, State, name_of, some

OBJECTIVES = (
    "objectives",
    "from",
    "selected",
    "constraints",
)  # the facts of a bench that follow from what is asked for
ADDED = ("device_hour", "devices", "device_memory_by")  # those that one has only where it is asked for what needs them
OPEN = (State.MEASURED, State.JUDGED)


async def count_on(database: Database, execution: Execution, bench: Bench) -> None:
    """Once for each change of bench: what of the one before counts on this one, and what is run again for it."""
    before = await benches.before(database, bench.hash)
    if before is None or not alike(before.facts, bench.facts):
        return
    known, moved = await views.good_runs(database, before.hash), dict[int, list[Measurement]]()
    for run in known:
        if (more := await execution.said.says(run)) is not None:
            moved[run.id] = more
    count = {run.experiment for run in known if run.id in moved}
    left = {run.experiment for run in known} - count
    wanted = [] if not left else [
        number
        for number in sorted(await benches.looked_at(database, before.hash))
        if number and number in left and (one := await views.experiment(database, number)) and one.state in OPEN
    ]  # fmt: skip
    text = f"bench {bench.hash[:7]} has other objectives than {before.hash[:7]}, and is else the same: "
    text += (
        f"{len(moved)} of {len(known)} runs have a value of all of them and count on, those of {len(count)} experiments"
    )
    if left:
        again = (
            f"of the frontier and the offers {some([name_of(one) for one in wanted])}" if wanted else "of others none"
        )
        text += f"; the baseline and trunk are run again where they lack one, {again}, and the rest stays as it was"
    await benches.counted_on(database, bench.hash, before.hash, moved, wanted, text)


def alike(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether two benches differ in what is asked for, and in nothing that is asked for by both."""
    for name in {*then, *now} - {*OBJECTIVES}:
        if then.get(name) != now.get(name) and not (name in ADDED and (name not in then or name not in now)):
            return False
    return all(
        now.get(name, {}).get(key, value) == value
        for name in ("objectives", "from")
        for key, value in then.get(name, {}).items()
        if key in now["objectives"]
    ) and all(key not in then["objectives"] or key in then.get("from", {}) for key in now.get("from", {}))
