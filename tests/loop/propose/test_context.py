"""The prompt: it fits, what was cut of it is said, and what a server has read of it already it need not read again."""

from hypothesis import given
from hypothesis import strategies as st

from loop.propose.context import EXTREMES, LINE_CHARACTERS, MOST_TOKENS, SYSTEM, TOKENS_A_CHARACTER, Result, build
from loop.study import Commands as Run
from loop.study import Constraint, Effect, Objective, Question, Settings

SETTINGS = Settings(
    study=Question(goal="Lower the loss"),
    run=Run(train="python train.py"),
    objectives={
        "loss": Objective(direction="minimize", smallest=Effect(size=0.01, relative=True)),
        "speed": Objective(direction="maximize"),
        "noted": Objective(direction="minimize", steers=False),
    },
)
LINES = [f"KNOB_{number}: a number in 0.0..1.0; now 0.5" for number in range(10)]
KNOBS = ("knobs", "The knobs:", LINES)
QUESTION = "What next?"
results = st.lists(
    st.builds(Result, st.text(max_size=400), st.just("worse"), st.text(), st.none() | st.floats(-1, 1), st.booleans()),
    max_size=60,
)


def sections(kept: tuple[dict[str, object], ...]) -> dict[str, dict[str, object]]:
    return {str(one["name"]): one for one in kept}


@given(results, st.lists(st.text(max_size=240), max_size=5), st.integers(100, 4_000), st.none() | st.floats(0.1, 1.0))
def test_a_prompt_fits_or_nothing_more_can_be_cut_and_what_was_is_said(
    known: list[Result], notes: list[str], room: int, density: float | None
) -> None:
    made = build(SETTINGS, KNOBS, notes, known, QUESTION, room, density)
    kept = sections(made.sections)
    tokens = sum(int(str(one["tokens"])) for one in kept.values())
    fits = tokens <= min(room, MOST_TOKENS) + len(kept)  # each is rounded
    cut = {name for name, one in kept.items() if "cut" in one}
    if not fits:
        assert all(kept[name]["lines"] == 0 for name in ("tried", "worst", "best", "notes"))
        assert kept["knobs"]["lines"] == 1
    assert cut == {name for name, one in kept.items() if int(str(one["lines"])) < int(str(one["of"]))}
    if "best" in cut:
        assert kept["tried"]["lines"] == kept["worst"]["lines"] == 0
    for line in made.user.splitlines():
        assert len(line) <= LINE_CHARACTERS + 2
        assert line.isprintable()
    assert made.user.endswith(QUESTION)
    assert made.system == SYSTEM


def test_the_best_three_and_the_worst_three_stand_apart_and_no_result_is_lost() -> None:
    known = [Result(f"change {number}", "worse", "worse by far", float(number)) for number in range(12)]
    known += [Result("crashed", "failed", "failed, crash", None), Result("goes on", "running", "", None, over=False)]
    user = build(SETTINGS, KNOBS, [], known, QUESTION, 4_000, None).user
    best, worst = user.split("The best results so far:")[1].split("The worst results so far:")
    worst, rest = worst.split("Tried besides, do not repeat:")
    assert [line[2:] for line in best.strip().splitlines()] == [
        f"change {number}: worse by far" for number in (11, 10, 9)
    ]
    assert [line[2:] for line in worst.strip().splitlines()] == [
        "crashed: failed, crash",
        "change 0: worse by far",
        "change 1: worse by far",
    ]
    assert len(worst.strip().splitlines()) == EXTREMES
    assert all(f"- change {number}: worse\n" in rest for number in range(2, 9))
    assert "- goes on: running" in rest


def test_of_what_was_tried_the_oldest_goes_first() -> None:
    known = [Result(f"change {number} " + "x" * 100, "worse", "", 0.0) for number in range(40)]
    made = build(SETTINGS, KNOBS, [], known, QUESTION, 1_500, TOKENS_A_CHARACTER)
    assert "change 39 " in made.user
    assert "change 3 " not in made.user
    assert sections(made.sections)["tried"]["cut"] == "to fit 1500 tokens"


def test_a_result_more_leaves_the_beginning_as_it_was() -> None:
    known = [Result(f"change {number}", "worse", "worse by far", float(number)) for number in range(5)]
    prompts = [build(SETTINGS, KNOBS, [], known[:count], QUESTION, 4_000, None).user for count in range(6)]
    head = prompts[0].removesuffix(QUESTION)
    assert LINES[-1] in head
    assert all(prompt.startswith(head) for prompt in prompts)


def test_the_objectives_that_steer_are_told_with_what_matters() -> None:
    user = build(SETTINGS, KNOBS, [], [], QUESTION, 4_000, None).user
    assert "- loss: lower is better, a change of 1.00% matters" in user
    assert "- speed: higher is better\n" in user
    assert "noted" not in user


def test_the_bounds_are_told() -> None:
    bounded = SETTINGS.model_copy(update={"constraints": {"peak_memory_bytes": Constraint(max=16e9)}})
    assert "- peak_memory_bytes: at most 16 GB\n" in build(bounded, KNOBS, [], [], QUESTION, 4_000, None).user
