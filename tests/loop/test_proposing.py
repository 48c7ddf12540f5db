"""A model proposes: over real HTTP, by the official client, into a real study, which goes on whatever it does."""

import asyncio
import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from loop import effects
from loop.branches import Branches
from loop.engine import Limits, research
from loop.propose import knobs as turning
from loop.propose.portfolio import due
from loop.propose.prepare import Preparation, knobs_of
from loop.propose.protocol import NotServed
from loop.stop import Stop
from loop.study import ConfigError, read
from store import calls, events, views
from store.database import Database
from store.place import RECORD, Place
from store.records import CallOutcome, Ended, Refusal, State
from tests.conftest import Write, cockpit, git
from tests.loop.test_branches import fingerprint
from tests.loop.test_search import rows, until
from tests.scripted import Act, Answer, Script, changes, packs, serving, something_new

pytestmark = pytest.mark.usefixtures("leaves_nothing")
TRAIN = """\
import math, os
RATE = 0.1  # cockpit: 0.001..1.0 log
DEPTH = 3  # cockpit: 1..8
print(f"loss: {abs(math.log10(RATE)) + 1 / DEPTH + 0.001 * (int(os.environ['COCKPIT_SEED']) % 97)}")
"""


def of_model(host: str, share: float = 0.5, more: str = "") -> str:
    return f'[model]\nname = "scripted:1b-coder"\nhost = "{host}"\nshare = {share}\nnum_ctx = 2048\n{more}'


async def asked(place: Place) -> list[sqlite3.Row]:
    async with await Database.open(place.folder) as database:
        return await database.rows("SELECT * FROM calls ORDER BY id")


async def booked(place: Place) -> dict[str, float]:
    """The tokens by outcome; they add up, and are those of the calls. So do the model's seconds."""
    async with await Database.open(place.folder) as database:
        spent, study = await views.ledger(database), await views.study(database)
        rows = await database.rows("SELECT * FROM spans WHERE lane = 'model' ORDER BY id")
    for resource, total in spent.total.items():
        assert sum(amounts.get(resource, 0.0) for amounts in spent.by_outcome.values()) == pytest.approx(total)
    counted = sum((call["prompt_tokens"] or 0) + (call["answer_tokens"] or 0) for call in await asked(place))
    assert spent.total.get("tokens", 0.0) == counted
    assert study is not None
    at = study.began_at
    for span in rows:
        assert span["began_at"] == at, "a gap or an overlap"
        at = span["ended_at"]
    assert spent.total.get("model_seconds", 0.0) == pytest.approx(at - study.began_at)
    return {outcome: amounts["tokens"] for outcome, amounts in spent.by_outcome.items() if amounts.get("tokens")}


async def told(place: Place, kind: str) -> list[str]:
    async with await Database.open(place.folder) as database:
        return [event.text for event in await events.events_after(database, 0) if event.kind == kind]


async def test_a_model_proposes_its_share_and_each_token_is_booked(write: Write) -> None:
    with serving(something_new()) as (host, brain):
        place = write(TRAIN, more=of_model(host, share=1), deterministic=True)
        before = fingerprint(place.root)
        assert await research(place, Limits(experiments=6), Stop()) is Ended.EXPERIMENTS
        assert fingerprint(place.root) == before

    for one in (await rows(place))[1:]:
        assert (one.proposer, one.operator, one.parent) == ("model", "knobs", 0)
        assert one.hypothesis.startswith("RATE 0.1 → ")
        assert one.hypothesis.endswith('("because")')
        assert one.hypothesis in git(place.root, "log", "-1", "--format=%B", one.commit)
        assert "Proposer: model" in git(place.root, "log", "-1", "--format=%(trailers)", one.branch)
        assert f"RATE = {one.knobs['train.py:RATE']!r}  #" in git(place.root, "show", f"{one.commit}:train.py")
        async with await Database.open(place.folder) as database:
            own = await calls.of(database, one.number)
        assert [(call.purpose, call.outcome) for call in own] == [("reason", CallOutcome.OK), ("pack", CallOutcome.OK)]
        assert all(call.prompt_tokens and call.answer_tokens and call.load_seconds == 0.25 for call in own)
        assert (own[0].host, own[0].model, own[0].num_ctx) == (host, "scripted:1b-coder", 2048)
        assert {"goal", "knobs", "best", "tried"} <= {section["name"] for section in own[0].prompt["sections"]}
    assert {request["options"]["num_ctx"] for request in brain.requests} == {2048}
    assert [packs(request) for request in brain.requests] == [False, True] * 5
    assert "no proposal" not in await booked(place)


async def test_it_reasons_first_and_packs_what_it_said(write: Write) -> None:
    with serving(something_new()) as (host, brain):
        place = write(TRAIN, more=of_model(host, share=1), deterministic=True)
        await research(place, Limits(experiments=2), Stop())
    reasons, pack = brain.requests[:2]
    assert [message["role"] for message in reasons["messages"]] == ["system", "user"]
    user = reasons["messages"][1]["content"]
    for text in ("Lower the loss", "RATE: a number in 0.001..1.0 log; now 0.1", "loss: lower is better"):
        assert text in user
    assert user.endswith(turning.REASON)
    assert pack["messages"][:2] == reasons["messages"]
    assert pack["messages"][2] == {"role": "assistant", "content": "A smaller value costs less."}
    assert pack["format"]["properties"]["changes"]["type"] == "array"


async def test_what_is_out_of_bounds_is_told_so_once_and_mended(write: Write) -> None:
    answers = iter([changes(DEPTH=99), changes(DEPTH=5)])
    with serving(lambda request: Answer(next(answers) if packs(request) else "More depth.")) as (host, brain):
        place = write(TRAIN, more=of_model(host, share=1), deterministic=True)
        await research(place, Limits(experiments=2), Stop())
    mend = brain.requests[2]["messages"]
    assert mend[-2] == {"role": "assistant", "content": changes(DEPTH=99)}
    assert "DEPTH = 99 is not a whole number in 1..8" in mend[-1]["content"]
    async with await Database.open(place.folder) as database:
        first, second = await database.rows("SELECT * FROM proposals ORDER BY id")
    assert (first["refusal"], second["experiment"]) == (Refusal.OUT_OF_THE_SPACE, 1)
    assert "DEPTH = 99" in first["reason"]
    assert [(call["purpose"], call["proposal"]) for call in await asked(place)] == [
        ("reason", first["id"]),
        ("pack", first["id"]),
        ("repair", second["id"]),
    ]
    assert (await booked(place)).keys() == {"refused: out of the space", "frontier"}
    assert (await rows(place))[1].knobs["train.py:DEPTH"] == 5


@pytest.mark.parametrize("answer", [changes(RATE=0.1), "I cannot."])
async def test_what_cannot_be_mended_is_recorded_and_the_optimiser_takes_the_turn(write: Write, answer: str) -> None:
    with serving(lambda request: Answer(answer if packs(request) else "Hm.")) as (host, brain):
        place = write(TRAIN, more=of_model(host, share=1), deterministic=True)
        assert await research(place, Limits(experiments=3), Stop()) is Ended.EXPERIMENTS
    assert [one.proposer for one in (await rows(place))[1:]] == ["optimiser"] * 2
    async with await Database.open(place.folder) as database:
        spent = await views.ledger(database)
    assert spent.admitted == {"optimiser": 2}
    assert sum(spent.refused["model"].values()) == 4
    assert len(brain.requests) == 6
    assert all(outcome.startswith("refused: ") for outcome in await booked(place))


async def test_what_was_tried_before_is_refused_and_told(write: Write) -> None:
    answers = iter([changes(DEPTH=5), changes(DEPTH=5), changes(DEPTH=6)])
    with serving(lambda request: Answer(next(answers) if packs(request) else "More depth.")) as (host, brain):
        place = write(TRAIN, more=of_model(host, share=1), deterministic=True)
        await research(place, Limits(experiments=3), Stop())
    assert "it makes the code of e0001" in brain.requests[-1]["messages"][-1]["content"]
    assert [one.knobs["train.py:DEPTH"] for one in (await rows(place))[1:]] == [5, 6]
    assert "DEPTH 3 → 5" in brain.requests[2]["messages"][1]["content"]


async def test_a_note_is_told_to_the_model_from_then_on(write: Write) -> None:
    with serving(something_new()) as (host, brain):
        place = write(TRAIN, more=of_model(host, share=1), deterministic=True)
        assert cockpit("note", "Do not touch DEPTH", str(place.root)).returncode == 2
        await research(place, Limits(experiments=2), Stop())
        done = cockpit("note", "Do not\ntouch DEPTH", str(place.root))
        assert (done.returncode, done.stdout) == (0, "noted: Do not touch DEPTH\n")
        assert cockpit("note", " \x1b\x07", str(place.root)).returncode == 6
        await research(place, Limits(experiments=3), Stop())
    first, *_, last = [request["messages"][1]["content"] for request in brain.requests]
    assert "DEPTH: a whole number" in first
    assert "Do not touch DEPTH" not in first
    assert "What the person who runs the study says:\n- Do not touch DEPTH\n" in last
    assert await told(place, "note") == ["noted: Do not touch DEPTH"]


WITH_A_FUNCTION = """\
import math, os
RATE = 0.1  # cockpit: 0.001..1.0 log


def loss(rate, seed):
    \"""How far off.\"""
    # by decades
    far = abs(math.log10(rate))  # either way
    return far + 1 + 0.001 * (seed % 97)


print(f"loss: {loss(RATE, int(os.environ['COCKPIT_SEED']))}")
"""
REWRITTEN = """Here it is:
```python
def loss(rate, seed):
    far = abs(math.log10(rate))
    return far + {} + 0.001 * (seed % 97)
```
"""


def writes(request: dict[str, Any]) -> bool:
    """Whether the answer is to be a function, for the first time or mended."""
    return "the whole function" in request["messages"][-1]["content"]


async def test_a_model_writes_one_function_anew_and_the_diff_is_what_is_new_in_it(write: Write) -> None:
    new, answers = something_new(), iter([REWRITTEN.format("np.e"), REWRITTEN.format("0.5")])
    with serving(lambda request: Answer(next(answers)) if writes(request) else new(request)) as (host, brain):
        place = write(WITH_A_FUNCTION, more=of_model(host, share=1), deterministic=True)
        await research(place, Limits(experiments=3), Stop())
        one, two = (await rows(place))[1:]
        assert (one.operator, two.proposer, two.operator) == ("knobs", "model", "rewrite")
        assert two.hypothesis == 'loss in train.py rewritten ("A smaller value costs less.")'
        assert two.branch.endswith("/e0002-rewrite-loss")
        assert two.knobs == {"train.py:RATE": 0.1}
        diff = git(place.root, "show", "--format=", "-U1", two.commit).split("\n")
        assert diff[-5:-1] == [
            "     far = abs(math.log10(rate))  # either way",
            "-    return far + 1 + 0.001 * (seed % 97)",
            "+    return far + 0.5 + 0.001 * (seed % 97)",
            " ",
        ]
        told, _, mend = (request["messages"][-1]["content"] for request in brain.requests[2:5])
        assert "def loss(rate, seed):" in told
        assert "- import math, os\n- RATE = 0.1" in told
        assert "`np` is used and nowhere defined in train.py" in mend
        made = (await asked(place))[2:]
        assert [(call["operator"], call["purpose"]) for call in made] == [
            ("rewrite", "reason"),
            ("rewrite", "write"),
            ("rewrite", "repair"),
        ]
        # It is merged, and knobs are turned in its code from then on; the same function again is told what came of it.
        assert cockpit("merge", "--unconfirmed", "e0002", str(place.root)).returncode == 0
        answers = iter([REWRITTEN.format("0.5"), REWRITTEN.format("0.25")])
        await research(place, Limits(experiments=5), Stop())
    three, four = (await rows(place))[3:]
    assert (three.operator, three.parent, four.operator, four.parent) == ("knobs", 2, "rewrite", 2)
    assert "far + 0.5" in git(place.root, "show", f"{three.commit}:train.py")
    again = [request["messages"][-1]["content"] for request in brain.requests if writes(request)]
    assert "it changes nothing: loss is as it was" in again[-1]
    asked_again = next(
        request for request in reversed(brain.requests) if "def loss" in request["messages"][-1]["content"]
    )
    assert "rewritten (" in asked_again["messages"][-1]["content"]


async def test_where_there_are_no_knobs_the_model_writes_functions_alone(write: Write) -> None:
    answers = (REWRITTEN.format(number / 8) for number in range(9))
    train = WITH_A_FUNCTION.replace("  # cockpit: 0.001..1.0 log", "")
    with serving(lambda request: Answer(next(answers) if writes(request) else "Less.")) as (host, _):
        place = write(train, more=of_model(host))
        assert await research(place, Limits(experiments=3), Stop()) is Ended.EXPERIMENTS
    assert [(one.proposer, one.operator) for one in (await rows(place))[1:]] == [("model", "rewrite")] * 2


FAILURES: list[tuple[Act, CallOutcome]] = [
    (NotServed(503, "server busy"), CallOutcome.BUSY),
    (Answer("Lower", done=False), CallOutcome.CUT_OFF),
    (Answer("Lower the rate.", prompt_tokens=12), CallOutcome.TRUNCATED),
    (b"<html>\n", CallOutcome.MALFORMED),
    (Answer("Lower the rate.", seconds=9.0), CallOutcome.TIMEOUT),
]


@pytest.mark.parametrize(("act", "outcome"), FAILURES)
async def test_each_failure_is_an_event_with_a_name_and_the_optimiser_goes_on(
    write: Write, act: Act, outcome: CallOutcome
) -> None:
    with serving(lambda _: act) as (host, _):
        limit = 'timeout = "1 s"' if outcome is CallOutcome.TIMEOUT else ""
        place = write(TRAIN, more=of_model(host, share=1, more=limit), deterministic=True)
        assert await research(place, Limits(experiments=3), Stop()) is Ended.EXPERIMENTS
    assert [one.proposer for one in (await rows(place))[1:]] == ["optimiser"] * 2
    assert {call["outcome"] for call in await asked(place)} == {outcome}
    failed = await told(place, "call failed")
    assert len(failed) == 2
    assert all(text.startswith(f"model: reason: {outcome}, ") for text in failed)
    # What is counted although it is of no use is booked all the same.
    assert (await booked(place)).keys() == ({"call failed: truncated"} if outcome is CallOutcome.TRUNCATED else set())


@contextmanager
def process() -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A server in a process of its own, which can be killed."""
    words = [sys.executable, "-m", "tests.scripted"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}", server
        finally:
            server.kill()


async def test_a_study_whose_server_is_killed_midway_goes_on(write: Write) -> None:
    with process() as (host, server):
        place = write(TRAIN, more=of_model(host), deterministic=True)
        going = asyncio.create_task(research(place, Limits(experiments=12), Stop()))
        await until(place, 5, going)
        server.kill()
        assert await going is Ended.EXPERIMENTS
    proposers = [one.proposer for one in (await rows(place))[1:]]
    assert "model" in proposers[:5]
    assert proposers[-3:] == ["optimiser"] * 3
    assert {call["outcome"] for call in await asked(place)} <= {
        CallOutcome.OK,
        CallOutcome.UNREACHABLE,
        CallOutcome.DROPPED,
    }
    assert "unreachable" in (await told(place, "call failed"))[-1]
    await booked(place)


async def test_a_model_that_never_answers_holds_up_no_slot(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loop.propose.portfolio.PATIENCE_SECONDS", 0.2)
    never = threading.Event()

    def script(_: dict[str, Any]) -> Act:
        never.wait(60)
        return Answer("Hm.")

    with serving(script) as (host, _):
        place = write(TRAIN, more=of_model(host), deterministic=True)
        try:
            assert await research(place, Limits(experiments=8), Stop()) is Ended.EXPERIMENTS
        finally:
            never.set()
    assert [one.proposer for one in (await rows(place))[1:]] == ["optimiser"] * 7
    (call,) = await asked(place)
    assert (call["outcome"], call["detail"]) == (CallOutcome.INTERRUPTED, "the engine has ended")


async def test_an_engine_that_is_asked_to_end_does_not_wait_for_the_model(write: Write) -> None:
    never, stop = threading.Event(), Stop()

    def script(_: dict[str, Any]) -> Act:
        never.wait(60)
        return Answer("Hm.")

    with serving(script) as (host, brain):
        place = write(TRAIN, more=of_model(host, share=1), deterministic=True)
        going = asyncio.create_task(research(place, Limits(experiments=3), stop))
        try:
            while not brain.requests:
                await asyncio.sleep(0.02)
            stop.ask()
            assert await asyncio.wait_for(going, 20) is Ended.INTERRUPTED
        finally:
            never.set()
    assert [call["outcome"] for call in await asked(place)] == [CallOutcome.INTERRUPTED]
    await booked(place)


async def test_a_record_that_fails_ends_the_study_though_the_model_waits_for_quiet(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = 0

    async def carry_out(*words: Any) -> str:
        nonlocal begun
        begun += 1
        if begun == 2:
            raise sqlite3.OperationalError("database or disk is full")
        return await effects.carry_out(*words)

    monkeypatch.setattr("loop.run.execution.carry_out", carry_out)
    timed = 'train_seconds = { direction = "minimize" }\n'
    with serving(something_new()) as (host, _):
        place = write(TRAIN, more=timed + of_model(host, share=0.5))
        with pytest.raises(sqlite3.OperationalError, match="disk is full"):
            await asyncio.wait_for(research(place, Limits(experiments=4), Stop()), 30)


async def test_a_search_has_no_more_experiments_than_were_asked_for(write: Write) -> None:
    place = write(TRAIN, deterministic=True)
    await research(place, Limits(experiments=3), Stop())
    revision, branches = read(place.config), await Branches.of(place)
    async with await Database.open(place.folder) as database:
        tree = (await views.experiments(database))[0].tree
        knobs = await knobs_of(place, revision, branches, tree)
        bench = (await views.runs(database, 0))[0].bench
        preparation = Preparation(place, revision.settings, branches, database, knobs, 0, bench)
        assert await preparation.prepare(3) is None
        made = await preparation.prepare(4)
    assert made is not None
    assert made.number == 3


def slow(*seconds: float) -> Script:
    """Answers that take so long each, and from then on as long as the last."""
    script, rest = something_new(), list(seconds)

    def act(request: dict[str, Any]) -> Act:
        answer = script(request)
        assert isinstance(answer, Answer)
        return Answer(answer.text, seconds=rest.pop(0) if len(rest) > 1 else rest[0])

    return act


async def test_an_engine_killed_while_the_model_thinks_is_followed_by_one_that_says_so(write: Write) -> None:
    with serving(slow(0.4)) as (host, brain):
        place = write(TRAIN, more=of_model(host, share=1), deterministic=True)
        words = [sys.executable, "-m", "cockpit", "--batch", "--experiments", "3", str(place.root)]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, env={**os.environ}) as engine:
            while len(brain.requests) < 2:
                await asyncio.sleep(0.02)
            engine.send_signal(signal.SIGKILL)
        assert await research(place, Limits(experiments=3), Stop()) is Ended.EXPERIMENTS
    first, second, *others = await asked(place)
    assert (first["purpose"], first["outcome"], first["proposal"]) == ("reason", CallOutcome.OK, None)
    assert (second["purpose"], second["outcome"]) == ("pack", CallOutcome.INTERRUPTED)
    assert {call["outcome"] for call in others} == {CallOutcome.OK}
    assert (await booked(place))["no proposal"] == first["prompt_tokens"] + first["answer_tokens"]
    assert [one.state for one in await rows(place)].count(State.QUEUED) == 0


async def test_a_timed_stage_has_no_call_beside_it(write: Write) -> None:
    """Of prediction's microseconds an objective is made, so the model thinks while it trains, or between the runs."""
    wait = "import time; time.sleep(0.25)\n"
    files = {
        "predict.py": wait + 'print("predict_us: 3.0")\n',
        "score.py": "print('nothing')\n",
    }
    run = 'predict = "python predict.py"\nscore = "python score.py"'
    objective = 'predict_us = { direction = "minimize", deterministic = true }\n'
    with serving(slow(3.0, 0.1)) as (host, _):  # the first cannot be there before the first prediction
        place = write(TRAIN + wait, run=run, more=objective + of_model(host), files=files)
        await research(place, Limits(experiments=4), Stop())
    async with await Database.open(place.folder) as database:
        stages = await database.rows("SELECT * FROM stages WHERE name = 'predict'")
    made = await asked(place)
    assert {CallOutcome.OK, CallOutcome.BROKEN_OFF} <= {call["outcome"] for call in made}
    assert "model" in [one.proposer for one in await rows(place)]
    for call in made:
        began, ended = call["at"] + call["held_seconds"], call["ended_at"]
        for stage in stages:
            beside = began < stage["started_at"] and stage["started_at"] + stage["wall_seconds"] < ended
            assert call["outcome"] != CallOutcome.OK or not beside, "it thought on while a timed stage ran"


async def test_where_training_is_timed_the_model_thinks_between_the_runs(write: Write) -> None:
    timed = 'train_seconds = { direction = "minimize" }\n'
    with serving(slow(0.3)) as (host, _):
        place = write(TRAIN + "import time; time.sleep(0.4)\n", more=timed + of_model(host))
        await research(place, Limits(experiments=5), Stop())
    assert [one.proposer for one in await rows(place)].count("model") == 2
    async with await Database.open(place.folder) as database:
        stages = await database.rows("SELECT * FROM stages")
    for call in await asked(place):
        began = call["at"] + call["held_seconds"]
        beside = [
            s for s in stages if began < s["started_at"] and s["started_at"] + s["wall_seconds"] < call["ended_at"]
        ]
        assert call["outcome"] != CallOutcome.OK or not beside


async def test_knobs_of_one_name_are_told_apart(write: Write) -> None:
    with serving(something_new()) as (host, brain):
        other = "RATE = 0.5  # cockpit: 0.1..1.0\n"
        place = write(TRAIN, more=of_model(host, share=1), files={"other.py": other}, deterministic=True)
        text = place.config.read_text().replace('edit = ["train.py"]', 'edit = ["*.py"]')
        place.config.write_text(text)
        await research(place, Limits(experiments=3), Stop())
    user = brain.requests[2]["messages"][1]["content"]
    assert "- other.py:RATE: a number in 0.1..1.0; now 0.5" in user
    assert "- train.py:RATE: a number" in user
    assert "- other.py:RATE 0.5 → " in user


# --- which -----------------------------------------------------------------------------------------------------------


async def test_auto_takes_an_installed_model_for_code_and_says_so(write: Write) -> None:
    with serving(something_new(), name="qwen2.5-coder:1.5b") as (host, _):
        place = write(TRAIN, more=f'[model]\nhost = "{host}"\n')
        done = cockpit("--batch", "--experiments", "2", str(place.root))
        status = json.loads(cockpit("status", "--json", str(place.root)).stdout)
    assert f"model qwen2.5-coder:1.5b, {host}   auto: installed at the server" in done.stdout
    assert (status["model"], status["model_host"]) == ("qwen2.5-coder:1.5b", host)


def test_without_any_model_the_optimiser_runs_alone_and_that_is_said(write: Write) -> None:
    place = write(TRAIN, deterministic=True)
    done = cockpit("--batch", "--experiments", "2", str(place.root))
    assert done.returncode == 0
    said = "no model: the optimiser proposes alone; no Ollama answers at http://127.0.0.1:9; there is no embedded model"
    assert said in done.stdout
    assert f"`{sys.executable} -P -m loop.propose.weights` brings it" in done.stdout
    status = cockpit("status", str(place.root)).stdout
    assert "model none" in status
    assert "no model: no Ollama answers" in status


async def test_a_server_that_does_not_answer_yet_is_asked_again(write: Write) -> None:
    with process() as (host, server):
        server.kill()
        server.wait()
        place = write(TRAIN, more=of_model(host, share=1), deterministic=True)
        assert await research(place, Limits(experiments=2), Stop()) is Ended.EXPERIMENTS
    assert [call["outcome"] for call in await asked(place)] == [CallOutcome.UNREACHABLE]
    async with await Database.open(place.folder) as database:
        engine = await views.last_engine(database)
    assert engine is not None
    assert "it does not answer yet: unreachable" in engine.facts["model_why"]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            'name = "qwen:70b"\nhost = "{host}"',
            "qwen:70b is not installed at {host}: `ollama pull qwen:70b`; there are: ",
        ),
        ('name = "embedded"', "there is no embedded model at /nonexistent/cockpit/models/qwen2.5-coder-0.5b"),
        ('name = "models/none.gguf"', "there is no embedded model at {root}/models/none.gguf: mend the path"),
        ('name = "train.py.gguf"', "{root}/train.py.gguf is no GGUF file: mend the path"),
    ],
)
async def test_a_model_that_is_not_there_is_an_error_with_its_mend(write: Write, model: str, said: str) -> None:
    with serving(something_new()) as (host, _):
        place = write(TRAIN, more=f"[model]\n{model.format(host=host)}", files={"train.py.gguf": "no"})
        with pytest.raises(ConfigError) as error:
            await research(place, Limits(experiments=2), Stop())
    assert f"{place.config}:14: `[model] name`: {said.format(host=host, root=place.root)}" in str(error.value)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 1 / 3, 0.5, 0.9, 1.0])
def test_the_model_thinks_of_its_share_from_the_first_on_and_makes_up_for_what_it_was_late(share: float) -> None:
    thoughts = 0
    for number in range(1, 200):
        thoughts += due(number, thoughts, share)
        assert thoughts == math.ceil(number * share - 1e-9)
        assert thoughts == number or not due(number, thoughts, share)
    assert due(400, thoughts, share) == (share > 0)


def test_show_has_the_calls_to_which_an_experiment_is_owed(write: Write) -> None:
    with serving(something_new()) as (host, _):
        place = write(TRAIN, more=of_model(host, share=1), deterministic=True)
        assert cockpit("--batch", "--experiments", "2", str(place.root)).returncode == 0
    shown = json.loads(cockpit("show", "e0001", "--json", str(place.root)).stdout)
    assert [call["purpose"] for call in shown["calls"]] == ["reason", "pack"]
    for call in shown["calls"]:
        assert call["prompt_tokens"] > 0
        assert call["answer_tokens"] > 0
        assert call["wall_seconds"] > 0
    page = cockpit("show", "e0001", str(place.root)).stdout
    assert "model: pack: " in page
    spent = json.loads(cockpit("ledger", "--json", str(place.root)).stdout)
    proposed = spent["by_proposer"]
    assert proposed.keys() == {"model", "baseline"}
    assert (proposed["model"]["admitted"], proposed["model"]["refused"]) == (1, {})
    assert proposed["model"]["spend"]["tokens"] == spent["total"]["tokens"]
    tokens = sum(call["prompt_tokens"] + call["answer_tokens"] for call in shown["calls"])
    assert spent["total"]["tokens"] == tokens
    assert (place.folder / RECORD).exists()
