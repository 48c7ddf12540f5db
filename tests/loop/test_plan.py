"""What a study can answer: where that is known from, what bounds it, and what an engine says of it."""

import json
from pathlib import Path

import pytest
from msgspec import to_builtins
from msgspec.structs import replace

from cockpit.checked import page
from loop.check import check
from loop.engine import Limits, research
from loop.plan import NOTHING, Known, brief, by_fidelity, by_probe, foresee, of_study
from loop.stop import Stop
from loop.study import ConfigError, Settings, parse
from store import planned, probed, views
from store.database import Database, ask
from store.probed import Noise, Probed, Ran, Seed, Spoken
from store.records import FULL, QUICK, Outcome, Run, Value
from tests.conftest import Write, git

RAN = Ran(1, "ok", "", 100.0, 120.0, 90.0, 10**9, None, 0.5, {"loss": 2.0}, {"loss": 3})
NOISE = Noise(2.0, 0.02, 3, 0.01, 0.005, 0.03, 0.033, "seeds")
PROBED = Probed(
    0.0, ("python", "train.py"), "c", "t", "/bin/python", "3.11", "bwrap", "", False, (), (), "cpu", 2, 600.0,
    (RAN, RAN), (Spoken("loss", None, None, None, "minimize", (2.0,), (None,)),),
    Seed("--seed {seed}", "", "", True, True),
    {"loss": NOISE}, False, 100, "", (),
)  # fmt: skip


def settings(more: str = "") -> Settings:
    run = '[run]\ntrain = "python train.py --out {output}"\n'
    return parse(f'{run}[objectives]\nloss = {{ direction = "minimize" }}\n{more}', Path("cockpit.toml")).settings


KNOWN = by_probe(settings(), PROBED)


def test_a_probe_of_the_same_command_tells_time_memory_and_noise() -> None:
    assert (KNOWN.run_seconds, KNOWN.peak_bytes, KNOWN.sigmas, KNOWN.df) == (120.0, 10**9, {"loss": 0.01}, 3.0)
    assert by_probe(settings(), replace(PROBED, command=("python", "other.py"))) == NOTHING
    assert by_probe(settings(), replace(PROBED, command=("/opt/env/bin/python3", "train.py"))).where
    assert by_probe(settings(), replace(PROBED, command=("python",))) == NOTHING, "a shorter one is another"
    knob = settings('[space.knobs]\n"--lr" = { low = 0.01, high = 1.0 }\n')
    assert by_probe(knob, replace(PROBED, command=("python", "train.py", "--lr", "0.2", "--log={output}"))).where
    assert by_probe(knob, replace(PROBED, command=("python", "train.py", "--rate", "0.2"))) == NOTHING
    assert by_probe(settings(), replace(PROBED, runs=())) == NOTHING
    assert by_probe(settings(), None) == NOTHING


def test_a_night_has_room_for_its_runs_and_each_preset_says_what_they_answer() -> None:
    found = foresee(settings(), KNOWN, 8.0)
    assert (found.runs, found.bounded_by, found.preset) == (240, "8 h", "balanced")
    fast, balanced, strict = found.foreseen
    assert fast.experiments > balanced.experiments > strict.experiments > 40
    assert found.own == balanced
    gain = balanced.gains["loss"]
    assert gain and balanced.sigmas and gain == pytest.approx(0.01 * balanced.sigmas, rel=0.05)
    assert 0.015 < gain < 0.03
    assert "room for" in brief(found) and "loss 2" in brief(found) and not found.warning


@pytest.mark.parametrize(
    ("more", "hours", "runs", "bounded_by"),
    [
        ("[budget]\nruns = 30\n", 8.0, 30, "[budget] runs"),
        ('[budget]\ntime = "1 h"\n', 8.0, 30, "[budget] time"),
        ('[budget]\ntime = "9 h"\n', 8.0, 240, "8 h"),
        ("", 0.5, 15, "30 min"),
    ],
)
def test_a_budget_bounds_what_can_be_answered(more: str, hours: float, runs: int, bounded_by: str) -> None:
    found = foresee(settings(more), KNOWN, hours)
    assert (found.runs, found.bounded_by) == (runs, bounded_by)


def test_what_cannot_be_answered_is_said_with_what_to_change() -> None:
    found = foresee(settings(), KNOWN, 0.2)
    assert "no winner can be confirmed: 12 min has room for 6 runs, and one winner takes 13 at least" in found.warning
    assert any("quarter of the time" in text for text in found.advice)
    assert brief(found) == found.warning
    noisy = foresee(settings(), replace(KNOWN, sigmas={"loss": 0.2}), 8.0)
    assert noisy.warning.startswith("only gains of more than ") and "too noisy" in noisy.warning
    assert foresee(settings("[budget]\nexperiments = 1\n"), KNOWN, 8.0).warning.startswith("no experiment is asked for")
    fewer = foresee(settings('also = { direction = "minimize" }\n'), KNOWN, 8.0)
    assert any("one objective that steers in place of 2" in text for text in fewer.advice)
    assert fewer.own and fewer.own.gains["also"] is None, "its noise is not known"


def test_of_what_has_no_noise_one_run_says_it_all() -> None:
    text = settings()
    objective = text.objectives["loss"].model_copy(update={"deterministic": True})
    found = foresee(text.model_copy(update={"objectives": {"loss": objective}}), KNOWN, 8.0)
    assert found.own and (found.own.experiments, found.own.gains, found.warning) == (239, {}, "")


def test_where_nothing_is_known_nothing_is_foreseen() -> None:
    found = foresee(settings(), NOTHING, 8.0)
    assert (found.runs, found.foreseen, found.known_from, found.warning) == (None, (), "", "")
    assert foresee(settings(), Known("1 run", 60.0), 8.0).foreseen[1].gains == {"loss": None}


def run(number: int, fidelity: str, purpose: str, seconds: float) -> Run:
    return Run(
        number, 0, "r", "t", "b", number, purpose, fidelity, 1, "slot0", "none", "pss", "plain", 0.0, seconds,
        Outcome.OK,
    )  # fmt: skip


def test_each_fidelity_is_foreseen_by_its_own_runs() -> None:
    two = settings("[fidelity]\nquick = { max_steps = 10 }\n")
    own = [run(n, QUICK, "baseline", 12.0) for n in (1, 2, 3)] + [run(n, FULL, "challenge", 120.0) for n in (4, 5)]
    own.append(run(6, FULL, "rerun", 9000.0))
    values = [Value(one.id, 0, one.seed, one.purpose, "loss", 2.0 + one.seed / 100, one.fidelity) for one in own[:5]]
    known, full = by_fidelity(two, own, values, NOTHING)
    found = foresee(two, known, 8.0, full=full)
    assert (found.run_seconds, found.runs, found.known_from) == (12.0, 2400, "3 runs of the baseline at quick")
    assert [(one.preset, one.fidelity) for one in found.foreseen] == [
        (preset, at) for at in (QUICK, FULL) for preset in ("fast", "balanced", "strict")
    ]
    quick, whole = (next(one for one in found.foreseen if one.fidelity == at) for at in (QUICK, FULL))
    assert quick.experiments > 5 * whole.experiments > 0
    assert "at quick in 8 h" in brief(found)


def test_a_probe_is_of_full_runs_where_those_are_given_nothing() -> None:
    two = settings("[fidelity]\nquick = { max_steps = 10 }\n")
    known, full = by_fidelity(two, (), (), by_probe(two, PROBED))
    assert (known.where, full.where) == ("", "a probe of 2 runs at full")
    found = foresee(two, known, 0.2, full=full)
    assert {one.fidelity for one in found.foreseen} == {FULL} and not found.warning, "the search takes less"
    assert by_probe(settings("[fidelity]\nquick = { max_steps = 10 }\nfull = { max_steps = 99 }\n"), PROBED) == NOTHING


async def test_an_engine_says_once_after_the_first_run_and_once_with_the_noise_what_it_can_answer(write: Write) -> None:
    place = write(run='seed = "--seed {seed}"')
    await research(place, Limits(4), Stop())
    await research(place, Limits(4), Stop())

    async def said(database: Database) -> list[tuple[int, planned.Plan]]:
        rows = await database.rows("SELECT data FROM events WHERE kind = 'planned' ORDER BY seq")
        return [(json.loads(row["data"])["runs"], planned.of(json.loads(row["data"])["plan"])) for row in rows]

    none: list[tuple[int, planned.Plan]] = []
    first, last = await ask(place, said, none)
    assert (first[0], last[0]) == (1, 3)
    assert first[1].own and first[1].own.gains == {"loss": None} and first[1].own.sigmas
    assert last[1].own and last[1].own.gains["loss"] and last[1].warning, "the loss differs by its whole value"
    assert last[1].known_from == "3 runs of the baseline"
    found = await of_study(place, parse(place.config.read_text(), place.config), 1.0)
    assert found.own and found.own.gains["loss"] and found.hours == 1.0


async def test_a_study_that_has_no_room_for_one_winner_says_so_before_it_starts(write: Write) -> None:
    place = write(more="[budget]\nruns = 5\n")
    probed.write(place, PROBED)
    await research(place, Limits(2), Stop())

    async def facts(database: Database) -> str:
        rows = await database.rows("SELECT data FROM events WHERE kind = 'engine started'")
        return str(json.loads(rows[0]["data"])["cannot"])

    assert "[budget] runs has room for 5 runs" in await ask(place, facts, "")


async def test_a_check_finds_every_error_that_a_start_would_give_and_runs_nothing(write: Write) -> None:
    place = write(train="open('ran', 'w')\nprint('loss: 1')\n")
    found = await check(place)
    assert (found.errors, found.wall, found.commands) == ([], found.wall, {"train": "python train.py"})
    assert found.python_version and found.plan and not place.folder.exists() and not (place.root / "ran").exists()
    text = place.config.read_text().replace('edit = ["train.py"]', 'edit = ["nowhere.py"]')
    place.config.write_text(
        text.replace('timeout = "20 s"', 'timeout = "20 s"\nseed = "train.py:SEED"')
        + 'device_seconds = { direction = "minimize" }\n[data]\nread = ["a/", "b/"]\n[seeds]\nconfirm = 1\n'
    )
    errors = "\n".join((await check(place)).errors)
    for part in ("nowhere.py", "/a;", "/b;", "[seeds] confirm", "device_seconds"):
        assert part in errors
    place.config.write_text("[run]\ntrian = 1\n")
    broken = await check(place)
    assert len(broken.errors) > 1 and all(str(place.config) in one for one in broken.errors)


@pytest.mark.parametrize(
    ("run", "errors", "warnings"),
    [
        ("python nowhere.py", ["nowhere.py is not committed: commit it, or mend the name"], []),
        ("python -W ignore own.py --x y.py", ["there is lab/own.py; `[run] cwd` is where"], ["y.py is not committed"]),
        ("sh -c 'cd lab && python own.py'", [], []),
        ("bash own.py", [], ["own.py is not committed: there is lab/own.py"]),
        ("python data/go.py", [], []),
        ("python linked/own.py", [], []),
    ],
)
async def test_what_a_check_calls_an_error_is_what_a_start_refuses_and_both_have_its_warnings(
    write: Write, run: str, errors: list[str], warnings: list[str]
) -> None:
    more = '[data]\nread = ["data/"]\n[seeds]\nbaseline = 2\n[model]\nname = "none"\n'
    place = write(more=more, files={"lab/own.py": "print('loss: 1')\n", ".gitignore": "data/\n"}, deterministic=True)
    (place.root / "data").mkdir()
    (place.root / "data/go.py").write_text("print('loss: 1')\n")
    (place.root / "linked").symlink_to("lab")
    git(place.root, "add", "linked")
    place.config.write_text(place.config.read_text().replace('"python train.py"', f'"{run}"'))
    git(place.root, "commit", "-qam", "another command")
    said = await check(place)
    assert len(said.errors) == len(errors) and all(map(str.__contains__, said.errors, errors)), said.errors
    here = [one for one in said.warnings if "not committed" in one]
    assert len(here) == len(warnings) and all(map(str.__contains__, here, warnings)), here
    refused = ""
    try:
        await research(place, Limits(experiments=1), Stop())
    except ConfigError as why:
        refused = str(why)
    assert refused.splitlines() == said.errors
    if not refused:
        async with await Database.open(place.folder) as database:
            engine = await views.last_engine(database)
        assert engine is not None
        assert [one for one in engine.facts["warnings"] if "not committed" in one] == here


async def test_a_check_looks_at_what_a_fidelity_sets_and_names_a_scorer_of_its_own(write: Write) -> None:
    train = "STEPS = 9\nRATE = 1  # cockpit: 1..4\nprint('loss:', RATE)\n"
    place = write(train, more="[fidelity]\nquick = { STEPS = 3 }\n")
    said = to_builtins(await check(place))
    assert said["errors"] == []
    assert "fidelity   quick: STEPS = 3\n           full: nothing is set" in page(said)
    place.config.write_text(place.config.read_text().replace("{ STEPS = 3 }", '{ "train.py:RATE" = 3 }'))
    (error,) = (await check(place)).errors
    assert "`[fidelity] quick`: train.py:RATE is a knob of the search space" in error
    text = place.config.read_text().partition("[fidelity]")[0] + '[data]\nlabels = "y.csv"\n'
    own = 'timeout = "20 s"\npredict = "python train.py"\nscorer = "regression"'
    place.config.write_text(text.replace('timeout = "20 s"', own))
    (place.root / "y.csv").write_text("1\n")
    assert (await check(place)).commands["score"] == "regression, a scorer of cockpit's own, on y.csv"
