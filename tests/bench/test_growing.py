"""One experiment more takes as much in a large study as in a small one: counted in statements, and not timed.

So does its proposal, until it is let in.
"""

from pathlib import Path

import pytest

from tests.bench.growing import proposing, statements

SAME = 6  # statements: a point more or less on the frontier


async def test_an_experiment_more_takes_as_many_statements_in_a_large_study_as_in_a_small_one(tmp_path: Path) -> None:
    taken, proposals = {}, {}
    async with proposing(tmp_path) as study:
        await study.proposed()  # who begins reads all there are
        for size in (5, 25):
            while study.number < size:
                await study.one_more()
            taken[size] = min([await statements(study, study.one_more) for _ in range(2)])
            proposals[size] = await statements(study, study.proposed)
    assert taken[25] == pytest.approx(taken[5], abs=SAME)
    assert proposals[25] == proposals[5]
