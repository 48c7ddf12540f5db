"""While you were away: what is said first, and what is said to be mended first."""

import asyncio
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from cockpit import bars, feed, pages
from cockpit.away import away, away_keys, fix, most_lost, page
from cockpit.feed import Snapshot
from cockpit.sheets import Away, Help
from store.away import SEEN, Happened
from store.place import Place
from store.records import Ended, Evidence
from tests.cockpit.studies import NOW, every_kind, offered, unbegun
from tests.cockpit.test_app import Open, asked, picture, press, settled, study, until  # noqa: F401
from tests.conftest import Write, cockpit

NIGHT = Happened(
    since=NOW - 5.75 * 3600, ran=32, measured=26, failed=6, confirmed=3, proposed=63,
    refusals={"invalid": 13, "duplicate": 9}, failures={"crash": 4, "out of memory": 2}, runs=60, interrupted=2,
    calls=120, calls_failed={"timeout": 3}, newest_failed={"crash": 27, "out of memory": 21},
    why_refused={"invalid": "the text that is searched is not in model.py"}, cut={"invalid": 11}, prompts=62,
    cut_prompts=21, hypervolume=1.06,
    spent={
        "frontier": {"seconds": 9000.0, "tokens": 40_000.0}, "refused: invalid": {"tokens": 50_000.0},
        "failed: crash": {"seconds": 900.0, "tokens": 10_000.0}, "down": {"seconds": 100.0},
    },
)  # fmt: skip


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def said(since: Happened, width: int = 74) -> str:
    rows = tuple(offered(None, 2.0))
    night = replace(every_kind(), experiments=rows)
    return "\n".join(line.text.rstrip() for line in away(night, since, NOW, width))


def typed_at_a_terminal(*words: str) -> str:
    """What a command prints on a terminal."""
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-m", "cockpit", *words], stdout=theirs, stdin=theirs, check=True)
    os.close(theirs)
    text = os.read(ours, 100_000).decode()
    os.close(ours)
    return text


def test_offers_come_first_then_what_was_lost_then_what_to_mend_and_why() -> None:
    text = said(NIGHT)
    at = [text.index(words) for words in ("◊ e0002", "32 ran, 26 measured, 3 confirmed", "was 1.06", "lost")]
    assert at == sorted(at) and text.startswith("since ") and "5 h 45" in text.splitlines()[0]
    assert "60 % of the tokens: failed 10, refused 50" in text
    words = " ".join(text.split())
    assert "invalid, 13 of 22 refusals: the text that is searched is not in model.py" in words
    assert "21 of 62 prompts were cut, and 11 of these 13 came" in words


@pytest.mark.parametrize("width", [52, 74, 104])
def test_it_fits(width: int) -> None:
    assert all(len(row) <= width for row in said(NIGHT, width).splitlines())


def test_the_fix_is_for_what_failed_most_often() -> None:
    crashed = replace(NIGHT, refusals={}, failures={"crash": 4})
    assert most_lost(crashed) == ("failed: crash", 4, "32 that ran")
    assert fix(crashed, "failed: crash") == "what its log says (`cockpit logs e0027`)"
    whole = replace(NIGHT, cut={"invalid": 2})
    assert "num_ctx" not in fix(whole, "refused: invalid"), "what few of them had in common is not the reason"
    assert most_lost(replace(crashed, failures={}, calls_failed={}, interrupted=0)) is None


def test_an_engine_that_died_is_said() -> None:
    gone = replace(every_kind(), pid=None, died="it was killed, and left no word")
    text = "\n".join(line.text for line in away(gone, NIGHT, NOW, 74))
    assert "gone since 22:13: it was killed, and left no word; r goes on" in text
    assert "since 22:13: it was killed, and left no word. r goes on" in bars.strip(gone, None, 1, 120)[0].text


def test_what_has_broken_is_said_of_an_engine_that_has_ended() -> None:
    last = every_kind().engine
    assert last is not None
    broke = replace(last, ended_at=NOW, ended_by=Ended.MACHINE_FAILED, because="no room is left")
    ended = replace(every_kind(), pid=None, engine=broke)
    text = "\n".join(line.text for line in away(ended, NIGHT, NOW, 74))
    assert f"ended {pages.clock(NOW)[:5]}: machine failed; r goes on: no room is left" in text
    broken = replace(every_kind().events[-1], text="ended: no room is left", data={"because": "no room is left"})
    (shown,) = bars.strip(replace(ended, events=(broken,)), None, 1, 120)
    assert shown.pieces[-1][1] == "infra" and "no room is left" in shown.text


def test_what_takes_more_experiments_is_said_where_those_of_the_budget_are_made() -> None:
    ending = replace(every_kind(), pid=None)
    assert ending.engine is not None
    for why, on in ((Ended.EXPERIMENTS, "`cockpit --experiments N` takes more"), (Ended.TIME, "r goes on")):
        ended = replace(ending, engine=replace(ending.engine, ended_at=NOW, ended_by=why))
        text = " ".join("\n".join(line.text for line in away(ended, NIGHT, NOW, 74)).split())
        assert f"{why.words}; {on}" in text


async def none_follows(*_: object) -> AsyncIterator[Snapshot]:
    """Nothing changes in a study that nobody works at."""
    await asyncio.Event().wait()
    yield every_kind()


@pytest.mark.parametrize("read_before", [False, True])
@pytest.mark.parametrize(("hours", "shown"), [(2.0, True), (0.5, False), (None, False)])
async def test_it_is_the_first_thing_shown_after_an_hour(
    study: Open,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    hours: float | None,
    shown: bool,
    read_before: bool,
) -> None:
    async def night(*_: object) -> Happened:
        return NIGHT

    monkeypatch.setattr("cockpit.app.happened", night)
    mark = Place(tmp_path, tmp_path, tmp_path, "digits").folder / SEEN
    if hours is not None:
        mark.parent.mkdir(parents=True)
        mark.touch()
        os.utime(mark, (NOW - hours * 3600,) * 2)
    rows = list(every_kind().experiments)
    verdict = rows[1].verdict
    assert verdict is not None
    rows[1] = replace(rows[1], verdict=replace(verdict, evidence=Evidence.CONFIRMED))
    app = study(replace(every_kind(), experiments=tuple(rows)))
    if read_before:
        app._first = replace(every_kind(), experiments=tuple(rows))
        monkeypatch.setattr(feed, "follow", none_follows)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.pause(0.2)
        assert isinstance(app.screen, Away) is shown
        if shown:
            assert "While you were away" in picture(app)
            await press(pilot, "enter")
            await until(pilot, lambda: app.panel.number == 3 and app.selected == 1)
    assert time.time() - mark.stat().st_mtime < 60, "and it is known that somebody looked"


async def test_it_waits_until_a_sheet_is_left_that_a_key_has_opened_before(
    study: Open,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone_on = asyncio.Event()

    async def night(*_: object) -> Happened:
        await gone_on.wait()
        return NIGHT

    monkeypatch.setattr("cockpit.app.happened", night)
    mark = Place(tmp_path, tmp_path, tmp_path, "digits").folder / SEEN
    mark.parent.mkdir(parents=True)
    mark.touch()
    os.utime(mark, (NOW - 8 * 3600,) * 2)
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.study is not None)
        await press(pilot, "question_mark")
        await until(pilot, lambda: isinstance(app.screen, Help))
        gone_on.set()
        await pilot.pause(0.2)
        assert isinstance(app.screen, Help)
        await press(pilot, "escape")
        await until(pilot, lambda: isinstance(app.screen, Away))


def test_status_opens_with_it_and_says_what_to_type() -> None:
    night = replace(
        every_kind(), pid=None, died="it was killed, and left no word", experiments=tuple(offered(None, 2.0))
    )
    text = "\n".join(page(night, NIGHT, NOW))
    assert text.startswith("while you were away\nsince ") and "`cockpit resume` goes on" in text
    assert "`cockpit diff e0002`, then `cockpit merge e0002`" in text and "32 ran" in text
    told = json.loads(json.dumps(away_keys(NIGHT)))
    assert told["failed_most"]["reason"] == "refused: invalid" and "num_ctx" in told["failed_most"]["fix"]
    assert told["ran"] == 32 and told["spent"]["frontier"]["tokens"] == 40_000


async def test_only_a_person_at_a_terminal_has_looked(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write()
    assert cockpit("--batch", "--experiments", "2", str(place.root)).returncode == 0
    folder = str(place.root)
    assert "while you were away" not in cockpit("status", folder).stdout, "it was just now"
    mark = place.folder / SEEN
    mark.touch()
    os.utime(mark, (time.time() - 3600,) * 2)
    for _ in range(2):
        assert "1 ran, 1 measured" in cockpit("status", folder).stdout
    assert json.loads(cockpit("status", "--json", folder).stdout)["away"]["measured"] == 1
    shown = typed_at_a_terminal("status", folder)
    assert "1 ran, 1 measured" in shown and "study tried" in shown
    assert json.loads(cockpit("status", "--json", folder).stdout)["away"] is None


def test_a_study_that_has_not_begun_can_be_looked_at() -> None:
    assert away(unbegun(), replace(NIGHT, refusals={}, failures={}), NOW, 60)
