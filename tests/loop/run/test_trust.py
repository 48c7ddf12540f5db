"""What is scored on data that training may have seen counts for less, and that is said."""

import json
from pathlib import Path

import pytest

from loop.engine import research
from loop.stop import Stop
from store import views
from store.database import Database
from store.place import Place
from store.records import Ended, Source
from tests.conftest import Write, cockpit
from tests.loop.test_engine import FILES, ONE, SCORED

LABELS = {**FILES, "labels/a": "the labels\n"}
SEALED = '[data]\nsealed = ["labels"]\n'


async def said(place: Place) -> tuple[Source, list[str]]:
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    async with await Database.open(place.folder) as database:
        (run,) = await views.runs(database, 0)
        life = await views.last_engine(database)
    assert life is not None
    (loss,) = run.measurements
    return loss.source, list(life.facts["doubts"])


async def test_what_is_sealed_and_nowhere_else_is_scored(write: Write) -> None:
    files = {**LABELS, "data/other": "the lab3ls\n", "labels/empty": "", "empty": ""}
    assert await said(write(run=SCORED, more=SEALED + 'read = ["data"]', files=files)) == (Source.SCORED, [])


@pytest.mark.parametrize(
    ("files", "more", "where"),
    [
        ({"data/all.txt": "the labels\n"}, SEALED, "data/all.txt, which is committed"),
        (
            {"data/all.txt": "the labels\n", ".gitignore": "data\n"},
            f'{SEALED}read = ["data"]',
            "data/all.txt, which is lent to runs",
        ),
    ],
)
async def test_what_is_sealed_and_also_handed_to_training_is_evaluated_and_the_file_is_named(
    write: Write, files: dict[str, str], more: str, where: str
) -> None:
    place = write(run=SCORED, more=more, files={**LABELS, **files})
    source, (doubt,) = await said(place)
    assert source is Source.EVALUATED
    assert doubt.startswith(f"training sees what is sealed: {place.root}/labels/a is also ")
    assert where in doubt
    assert doubt in cockpit("status", str(place.root)).stdout
    assert json.loads(cockpit("status", "--json", str(place.root)).stdout)["doubts"] == [doubt]


async def test_where_nothing_is_sealed_what_is_scored_is_evaluated_and_the_head_of_a_batch_says_so(
    write: Write,
) -> None:
    place = write(run=SCORED, files=LABELS)
    head = cockpit("--batch", "--experiments", "1", str(place.root)).stdout
    assert "nothing is sealed, so training may see what it is scored on" in head
    source, _ = await said(place)
    assert source is Source.EVALUATED


async def test_an_evaluation_that_only_reports_is_said(write: Write) -> None:
    place = write(run='eval = "python train.py"')
    source, (doubt,) = await said(place)
    assert source is Source.REPORTED
    assert doubt.startswith("`python train.py` names a file that proposals may edit")


def test_a_sealed_file_in_the_studys_folder_is_looked_for_too(tmp_path: Path) -> None:
    from loop.run.trust import exposed

    labels = tmp_path / "study" / "labels"
    labels.mkdir(parents=True)
    (labels / "a").write_text("x\n")
    blob = "100644 blob 587be6b4c3f93f93c489c0111bba5596147a26cb"  # git hash-object
    assert "is also seen, which is committed" in exposed([labels], [], {"seen": blob}, tmp_path / "repository")
    assert exposed([labels], [], {"a link": blob.replace("100644", "120000")}, tmp_path / "repository") == ""
