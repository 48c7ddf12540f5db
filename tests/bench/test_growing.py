"""One experiment more takes as much in a large study as in a small one: counted in statements, and not timed."""

from pathlib import Path

import pytest

from tests.bench.growing import growing, statements

SAME = 6  # statements: a point more or less on the frontier


async def test_an_experiment_more_takes_as_many_statements_in_a_large_study_as_in_a_small_one(tmp_path: Path) -> None:
    taken = {}
    async with growing(tmp_path) as study:
        for size in (5, 25):
            while study.number < size:
                await study.one_more()
            taken[size] = min([await statements(study) for _ in range(2)])
    assert taken[25] == pytest.approx(taken[5], abs=SAME)
