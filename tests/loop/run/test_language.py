"""The scorer of language models: what is honest costs what it costs, and a cheat is caught or gains nothing."""

import json
import math
import random
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.engine import research
from loop.run import language
from loop.run.language import LEAST, MOST, PREFIX_BYTES, STRIDE_BYTES, Tampered, Wrong, questions, score, starts
from loop.stop import Stop
from loop.study import ConfigError
from store import views
from store.database import Database
from store.place import Place
from store.records import Outcome, Run, Source
from tests.conftest import TRAIN, Write
from tests.loop.test_engine import ONE

ROOT = Path(__file__).parents[3]
TEXT = ("the cat sat on the mat and the dog sat on the log. " * 1000).encode()[:30_000]
EVEN = [-math.log(256)] * 256


def answered(folder: Path, *lines: object, text: bytes = TEXT) -> dict[str, float]:
    (folder / "answers").write_text(
        "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    )
    return score(text, str(folder / "answers"))


def answers(logprobs: list[float] = EVEN) -> list[dict[str, object]]:
    return [{"id": number, "logprobs": logprobs} for number in range(len(starts(len(TEXT))))]


@given(st.integers((LEAST - 1) * STRIDE_BYTES + PREFIX_BYTES + 1, 3 * MOST * STRIDE_BYTES))
def test_no_question_shows_a_byte_that_counts_nor_what_comes_soon_after_it(size: int) -> None:
    begins = starts(size)
    assert LEAST <= len(begins) <= MOST
    assert begins[0] == 0
    assert begins[-1] + PREFIX_BYTES < size
    for one, after in pairwise(begins):
        assert after - (one + PREFIX_BYTES + 1) >= PREFIX_BYTES - 1


def test_a_text_that_is_too_short_is_said() -> None:
    with pytest.raises(Wrong, match="the text has 300 bytes, and a score takes 25345 at least"):
        starts(300)
    assert len(starts(25345)) == LEAST


def test_who_knows_nothing_pays_eight_bits_and_who_knows_the_letters_less(tmp_path: Path) -> None:
    assert answered(tmp_path, *answers())["val_bpb"] == pytest.approx(8)
    counts = [TEXT.count(bytes([byte])) for byte in range(256)]
    letters = [math.log(count / len(TEXT)) if count else -math.inf for count in counts]
    found = answered(tmp_path, *reversed(answers(letters)))
    assert 3 < found["val_bpb"] < 4.5
    assert found["nats_per_byte"] == pytest.approx(found["val_bpb"] * math.log(2))


@pytest.mark.parametrize("logprobs", [[0.0] * 256, [value + 0.1 for value in EVEN], [1e308] * 256, [3.0, *EVEN[1:]]])
def test_what_sums_to_more_than_one_is_tampering(tmp_path: Path, logprobs: list[float]) -> None:
    with pytest.raises(Tampered, match="over the 256 bytes that may come next the probabilities sum to"):
        answered(tmp_path, *answers()[:3], {"id": 3, "logprobs": logprobs})


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "question 0 has no answer, of 59 that have none"),
        (answers()[:-1], "question 58 has no answer, of 1 that have none"),
        ([*answers(), answers()[4]], "answer 60: id 4 is answered twice"),
        ([*answers(), {"id": 59, "logprobs": EVEN}], "answer 60: id 59 is no question"),
        ([{"id": 0, "logprobs": EVEN[1:]}], "answer 1 has 255 log-probabilities, and there are 256 bytes"),
        ([{"id": 0, "logprobs": [math.nan, *EVEN[1:]]}], "answer 1: a log-probability is no number"),
        ([{"id": 0, "logprobs": [math.inf, *EVEN[1:]]}], "answer 1: a log-probability is no number"),
        (["Loading weights"], "answer 1 is no {"),
        ([3], "answer 1 is no {"),
        (["[" * 100_000], "answer 1 is no {"),
    ],
)
def test_what_is_no_answer_is_said(tmp_path: Path, lines: list[object], said: str) -> None:
    with pytest.raises(Wrong) as caught:
        answered(tmp_path, *lines)
    assert said in str(caught.value)
    assert not isinstance(caught.value, Tampered)


def test_what_the_precision_allows_is_no_gain(tmp_path: Path) -> None:
    """A sum of 1.0009 passes for one, and would be worth a thousandth of a bit in each window."""
    honest = answered(tmp_path, *answers())["val_bpb"]
    more = [value + math.log(1.0009) for value in EVEN]
    assert answered(tmp_path, *answers(more))["val_bpb"] == pytest.approx(honest, abs=1e-9)


@given(st.integers(0, len(TEXT) - 1), st.integers(1, 255))
def test_what_comes_later_in_a_text_moves_no_question_and_no_value_before_it(at: int, by: int) -> None:
    other = bytearray(TEXT)
    other[at] = (other[at] + by) % 256
    begins = starts(len(TEXT))
    before = [json.loads(line) for line in questions(TEXT).splitlines()]
    after = [json.loads(line) for line in questions(bytes(other)).splitlines()]
    for start, one, two in zip(begins, before, after, strict=True):
        inside = start <= at < start + PREFIX_BYTES
        assert (one != two) == inside
        assert TEXT[start + PREFIX_BYTES] == other[start + PREFIX_BYTES] or at == start + PREFIX_BYTES


def test_a_model_of_tokens_answers_in_bytes_as_docs_trial_says() -> None:
    code = re.search(r"```python\n(def next_byte.*?)```", (ROOT / "docs/trial.md").read_text(), re.DOTALL)
    assert code
    names: dict[str, Any] = {"math": math}
    exec(code[1], names)  # noqa: S102
    vocabulary = [*(bytes([byte]) for byte in range(256)), b"the", b"then", b"re", b""]
    chance = random.Random(1)

    def chances(tokens: list[int]) -> list[float]:
        chance.seed(repr(tokens))
        some = [chance.random() ** 4 for _ in vocabulary]
        return [one / sum(some) for one in some]

    def encode(text: bytes) -> list[int]:
        found: list[int] = []
        while text:
            token = max((one for one in range(len(vocabulary) - 1) if text.startswith(vocabulary[one])),
                        key=lambda one: len(vocabulary[one]))  # fmt: skip
            found.append(token)
            text = text[len(vocabulary[token]) :]
        return found

    for prefix in (b"and the", b"o", b"there"):
        logprobs = names["next_byte"](prefix, vocabulary, encode, chances)
        assert 0.9 < sum(map(math.exp, logprobs)) <= 1 + 1e-9
        own, found = language.answer(json.dumps({"id": 3, "logprobs": logprobs}).encode(), 1)
        assert (own, len(found)) == (3, 256)


# --- in a study: a model that counts letters, and four cheats --------------------------------------------------------

RUN = 'predict = "python predict.py"\nscorer = "causal_lm"'
MORE = 'val_bpb = { direction = "minimize" }\n[data]\nlabels = "{study}/test.txt"'
HONEST = """
import collections, json, math, sys
text = open("train.txt", "rb").read()
after = collections.defaultdict(collections.Counter)
for one, two in zip(text, text[1:]):
    after[one][two] += 1
for line in sys.stdin:
    question = json.loads(line)
    seen = after[question["prefix"][-1]]
    whole = sum(seen.values()) + 256 * 0.01
    chances = [math.log((seen[byte] + 0.01) / whole) for byte in range(256)]
    print(json.dumps({"id": question["id"], "logprobs": chances}))
print("predict_us_per_item: 3", file=sys.stderr)
"""


async def ran(write: Write, predict: str) -> tuple[Place, Run]:
    place = write(TRAIN, run=RUN, more=MORE, files={"predict.py": predict, "train.txt": TEXT.decode()[7:5000]})
    place.folder.mkdir(parents=True, exist_ok=True)
    (place.folder / "test.txt").write_bytes(TEXT)
    await research(place, ONE, Stop())
    async with await Database.open(place.folder) as database:
        return place, (await views.runs(database, 0))[-1]


async def test_an_honest_model_is_scored_on_a_text_that_it_has_not_seen(write: Write) -> None:
    place, run = await ran(write, HONEST)
    assert [stage.name for stage in run.stages] == ["train", "predict", "score"]
    (found,) = (one for one in run.measurements if one.objective == "val_bpb")
    assert found.source is Source.SCORED
    assert 0.5 < found.value < 2
    assert not (place.folder / run.folder / "scorer").exists()


@pytest.mark.parametrize(
    ("cheat", "outcome", "said"),
    [
        ("[0.0] * 256", Outcome.TAMPERING, "the probabilities sum to 256, which is more than 1: they are none"),
        ("[c + 0.5 for c in chances]", Outcome.TAMPERING, "the probabilities sum to 1.64872, which is more than 1"),
        ("[math.log(float('inf'))] * 256", Outcome.CRASH, "a log-probability is no number"),
    ],
)
async def test_a_model_whose_answers_are_no_probabilities_has_failed(
    write: Write, cheat: str, outcome: Outcome, said: str
) -> None:
    _, run = await ran(write, HONEST.replace('"logprobs": chances', f'"logprobs": {cheat}'))
    assert run.outcome is outcome
    assert run.detail.startswith("score: ")
    assert said in run.detail


@pytest.mark.parametrize(
    "where",
    ["STUDY/test.txt", "STUDY/runs/000001/scorer/labels.txt", "STUDY/runs/000001/scorer/questions.jsonl"],
)
async def test_a_model_that_looks_for_the_text_does_not_find_it(write: Write, bwrap: str, where: str) -> None:
    peeks = HONEST.replace("for line in sys.stdin", f"open({where!r})\nfor line in sys.stdin")
    _, run = await ran(write, peeks.replace("STUDY", "' + __import__('os').environ['COCKPIT_OUTPUT'] + '/../../.."))
    assert run.outcome is Outcome.CRASH
    assert "FileNotFoundError" in run.detail


def test_a_model_that_looks_the_answers_up_in_other_questions_finds_none(tmp_path: Path) -> None:
    """It knows all questions before it answers one, and bets on what follows a prefix's end elsewhere, if anything."""
    text = random.Random(0).randbytes(60_000)
    asked = [json.loads(line) for line in questions(text).splitlines()]
    all_of_it = b"|".join(bytes(one["prefix"]) for one in asked)
    lines = []
    for one in asked:
        end = bytes(one["prefix"][-8:])
        follow = [all_of_it[found.end()] for found in re.finditer(re.escape(end), all_of_it[:-1])]
        lines.append({"id": one["id"], "logprobs": EVEN})
        assert follow in ([ord("|")], []), "a question shows what another one asks for"
    assert answered(tmp_path, *lines, text=text)["val_bpb"] == pytest.approx(8)


async def test_a_model_that_reads_all_questions_before_it_answers_one_is_served_as_well(write: Write) -> None:
    batched = HONEST.replace("for line in sys.stdin:", "for line in sys.stdin.readlines():")
    assert (await ran(write, batched))[1].outcome is Outcome.OK


async def test_a_model_that_ends_early_has_failed_and_its_last_words_are_said(write: Write) -> None:
    _, run = await ran(write, "raise SystemExit('no checkpoint')")
    assert (run.outcome, run.detail) == (Outcome.CRASH, "predict: exit status 1: no checkpoint")


async def test_a_text_that_is_too_short_is_an_error_at_the_start(write: Write) -> None:
    place = write(run=RUN, more=MORE.replace("{study}/", ""), files={"test.txt": "short", "predict.py": ""})
    with pytest.raises(ConfigError, match=r"cockpit.toml:\d+: `\[data\] labels`: .*test.txt: the text has 5 bytes"):
        await research(place, ONE, Stop())


def test_what_it_asks_is_what_it_scores(tmp_path: Path) -> None:
    asked = [json.loads(line) for line in questions(TEXT).splitlines()]
    right = []
    for one in asked:
        at = TEXT.index(bytes(one["prefix"])) + PREFIX_BYTES
        right.append({"id": one["id"], "logprobs": [0.0 if byte == TEXT[at] else -math.inf for byte in range(256)]})
    (tmp_path / "answers").write_text("\n".join(map(json.dumps, right)))
    assert score(TEXT, str(tmp_path / "answers"))["val_bpb"] == 0
    assert language.TAMPERED not in (0, 1)
