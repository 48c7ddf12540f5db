"""The rule and its sentence: what follows from which runs."""

from pathlib import Path

import pytest

from loop.judge.axis import Axis, axis
from loop.judge.noise import Pool
from loop.judge.preset import PRESETS, Preset, check, preset
from loop.judge.rule import Gains, Moved, Pools, Verdict, infeasible, judge
from loop.judge.sentence import explanation, percent, sentence
from loop.study import ConfigError, Effect, Objective, parse
from store.place import CONFIG
from store.records import Evidence, Word

KNOWN = Pools(Pool(0.01**2, 60.0, 4.0), Pool(0.0, 0.0, 0.0))
LOSS = axis("loss", Objective(direction="minimize", smallest=Effect(size=0.01, relative=True)), 1.0)
SECONDS = axis("predict_seconds", Objective(direction="minimize", label="predict"), 1.0)
MEMORY = axis("peak_memory_bytes", Objective(direction="minimize"), 1.0)
WEIGHTS = axis("weights", Objective(direction="minimize", deterministic=True), 1000.0)
INCUMBENT = {"loss": [1.0, 1.01, 0.99], "predict_seconds": [1.0, 1.01, 0.99], "weights": [1000.0] * 3}
BALANCED = PRESETS["balanced"]
RACE_SEEDS = BALANCED.race_seeds
Rows = dict[str, list[float]]


def gains(axes: list[Axis], rows: Rows) -> Gains:
    return {one.name: {seed: one.gain(value) for seed, value in enumerate(rows[one.name])} for one in axes}


def verdict(
    axes: list[Axis], candidate: Rows, *others: Rows, fresh: int = 0, by: Preset = BALANCED, incumbent: Rows = INCUMBENT
) -> Verdict:
    """The last `fresh` of the candidate's seeds are those for which it was not chosen."""
    every = [gains(axes, row) for row in (candidate, incumbent, *others)]
    seeds = range(len(next(iter(candidate.values()))))
    chosen = len(seeds) - fresh
    return judge(axes, every[0], every[1], every[2:], {one.name: KNOWN for one in axes}, by, seeds[chosen:])


def said(axes: list[Axis], candidate: Rows) -> str:
    return sentence(verdict(axes, candidate), "e0000")


def test_one_seed_that_looks_no_better_is_enough() -> None:
    found = verdict([LOSS], {"loss": [1.005]})
    assert (found.word, found.evidence, found.asks) == (Word.INCONCLUSIVE, Evidence.SCREENED, False)


def test_one_seed_that_looks_better_earns_another_and_two_that_are_make_it_promising() -> None:
    first = verdict([LOSS], {"loss": [0.94]})
    assert (first.evidence, first.asks) == (Evidence.SCREENED, True)
    second = verdict([LOSS], {"loss": [0.94, 0.95]})
    assert (second.word, second.evidence, second.asks) == (Word.BETTER, Evidence.PROMISING, True)


def test_a_race_ends_after_four_seeds_or_when_it_is_lost() -> None:
    assert verdict([LOSS], {"loss": [0.995, 0.995]}).asks
    assert not verdict([LOSS], {"loss": [0.98, 1.06]}).asks
    assert not verdict([LOSS], {"loss": [0.996] * RACE_SEEDS}).asks


def test_a_deterministic_gain_alone_is_never_asked_about_twice_beyond_what_would_be_given_up() -> None:
    axes = [LOSS, WEIGHTS]
    cheap = verdict(axes, {"loss": [1.3], "weights": [500.0]})
    assert (cheap.word, cheap.asks) == (Word.TRADE_OFF, False)
    near = verdict(axes, {"loss": [1.015], "weights": [500.0]})  # within 2 %
    assert near.asks
    again = verdict(axes, {"loss": [1.015, 1.012], "weights": [500.0, 500.0]})
    assert (again.evidence, again.asks) == (Evidence.SCREENED, True), "it may still cost more than that"
    closer = verdict(axes, {"loss": [1.003, 0.999], "weights": [500.0, 500.0]})
    assert closer.evidence is Evidence.PROMISING


def test_what_is_better_on_all_runs_and_on_fresh_seeds_alone_is_confirmed_and_not_sooner() -> None:
    rows: Rows = {"loss": [0.94, 0.95, 0.945, 0.95, 0.94]}
    assert verdict([LOSS], {"loss": rows["loss"][:4]}, fresh=2).evidence is Evidence.PROMISING
    assert verdict([LOSS], {"loss": rows["loss"][:4]}, fresh=2).asks
    found = verdict([LOSS], rows, fresh=3)
    assert (found.word, found.evidence, found.asks) == (Word.BETTER, Evidence.CONFIRMED, False)


def test_luck_on_the_seeds_of_choosing_is_not_confirmed_by_fresh_ones_that_show_nothing() -> None:
    lucky: Rows = {"loss": [0.90, 0.90, 0.998, 1.0, 0.999]}
    assert verdict([LOSS], {"loss": lucky["loss"][:2]}).evidence is Evidence.PROMISING
    assert verdict([LOSS], lucky, fresh=3).evidence is not Evidence.CONFIRMED
    dull = verdict([LOSS], {"loss": [0.97, 0.975, 1.02, 1.01, 1.015]}, fresh=3)
    assert (dull.evidence, dull.asks) == (Evidence.SCREENED, False), "it is given up"
    tried = verdict([LOSS], {"loss": [0.975, 0.975, 0.99, 0.985, 0.99, 0.985, 0.99]}, fresh=5)
    assert not tried.asks, "five fresh seeds are all there are"


def test_a_certain_gain_is_confirmed_by_its_price() -> None:
    known: Rows = {"loss": [1.0, 1.01, 0.99] * 4, "weights": [1000.0] * 12}

    def cheap(*losses: float) -> Verdict:
        row: Rows = {"loss": list(losses), "weights": [500.0] * 6}
        return verdict([LOSS, WEIGHTS], row, fresh=4, incumbent=known)

    within = cheap(1.002, 1.004, 1.003, 1.001, 1.003, 1.002)
    assert (within.word, within.evidence) == (Word.BETTER, Evidence.CONFIRMED)
    near = cheap(1.018, 1.014, 1.017, 1.015, 1.016, 1.016)
    assert near.evidence is not Evidence.CONFIRMED, "it may cost more than would be given up"
    beyond = cheap(1.003, 1.004, 1.05, 1.05, 1.05, 1.05)
    assert (beyond.evidence, beyond.asks) == (Evidence.SCREENED, False)


def test_while_the_noise_is_known_from_few_runs_a_confirmation_takes_more() -> None:
    row, few = {"loss": [0.97] * 7}, Pools(Pool(0.01**2, 39.0, 4.0), Pool(0.0, 0.0, 0.0))
    assert verdict([LOSS], row, fresh=3).evidence is Evidence.CONFIRMED
    early = judge([LOSS], gains([LOSS], row), gains([LOSS], INCUMBENT), [], {"loss": few}, BALANCED, range(4, 7))
    assert (early.evidence, early.asks) == (Evidence.PROMISING, True)
    assert "more than .999 on all seeds" in explanation(early)


def test_a_gain_that_the_fresh_seeds_do_not_show_is_not_claimed_for_another_ones_sake() -> None:
    known: Rows = {"loss": [1.0, 1.01, 0.99] * 4, "weights": [1000.0] * 12}
    lucky: Rows = {"loss": [0.92] * 4 + [0.998, 0.999, 0.997], "weights": [500.0] * 7}
    found = verdict([LOSS, WEIGHTS], lucky, fresh=3, incumbent=known)
    assert found.evidence is Evidence.CONFIRMED, "by its price"
    assert {figure.axis.name: figure.moved for figure in found.figures}["loss"] is Moved.SAFE
    assert "loss not shown better" in sentence(found, "e0000")


def test_what_has_no_noise_is_confirmed_by_one_run() -> None:
    found = verdict([WEIGHTS], {"weights": [500.0]})
    assert (found.word, found.evidence, found.asks) == (Word.BETTER, Evidence.CONFIRMED, False)
    assert verdict([WEIGHTS], {"weights": [1500.0]}).evidence is Evidence.SCREENED
    lines = axis(
        "lines", Objective(direction="minimize", deterministic=True, give_up=Effect(size=0.1, relative=True)), 100.0
    )
    incumbent: Rows = {"weights": [1000.0], "lines": [100.0]}
    rows: list[Rows] = [{"weights": [500.0], "lines": [count]} for count in (105.0, 120.0)]
    near, far = (verdict([WEIGHTS, lines], row, incumbent=incumbent) for row in rows)
    assert near.evidence is Evidence.CONFIRMED
    assert far.evidence is Evidence.SCREENED, "more than would be given up"


def test_a_stricter_preset_asks_for_more() -> None:
    rows: Rows = {"loss": [0.975, 0.97, 0.975, 0.97, 0.975, 0.97]}
    evidence = [verdict([LOSS], rows, fresh=4, by=one).evidence for one in PRESETS.values()]
    assert evidence == [Evidence.CONFIRMED, Evidence.CONFIRMED, Evidence.PROMISING]
    twice: Rows = {"loss": [0.94, 0.95, 0.945, 0.95]}
    assert verdict([LOSS], twice, fresh=2, by=PRESETS["fast"]).evidence is Evidence.CONFIRMED
    assert verdict([LOSS], twice, fresh=2).evidence is Evidence.PROMISING
    assert verdict([LOSS], {"loss": [0.995]}).asks
    assert not verdict([LOSS], {"loss": [0.995]}, by=PRESETS["fast"]).asks


def test_the_files_own_numbers_of_seeds_are_gone_to() -> None:
    text = '[run]\ntrain = "true"\n[objectives]\nloss = { direction = "minimize" }\n'
    assert preset(parse(text, Path(CONFIG)).settings) == BALANCED
    with pytest.raises(
        ConfigError, match=r"cockpit.toml:6: `\[seeds\] confirm` is 2, and the preset balanced confirms on 3"
    ):
        check(Path(CONFIG), parse(text + "[seeds]\nconfirm = 2\n", Path(CONFIG)))
    check(Path(CONFIG), parse(text + '[seeds]\nconfirm = 2\n[study]\npreset = "fast"\n', Path(CONFIG)))
    own = preset(parse(text + "[seeds]\nrace = 2\nconfirm = 8\n", Path(CONFIG)).settings)
    assert (own.race_seeds, own.fresh) == (2, (3, 8))
    strict = preset(parse(text + '[study]\npreset = "strict"\n', Path(CONFIG)).settings)
    assert strict == PRESETS["strict"]


def test_a_trade_off_that_another_experiment_beats_in_everything_is_not_asked_about() -> None:
    axes = [LOSS, WEIGHTS]
    candidate: Rows = {"loss": [1.015], "weights": [800.0]}
    assert verdict(axes, candidate).asks
    assert not verdict(axes, candidate, {"loss": [0.95, 0.95], "weights": [500.0, 500.0]}).asks
    assert verdict(axes, candidate, {"loss": [0.95, 0.95], "weights": [900.0, 900.0]}).asks


def test_the_words() -> None:
    axes = [LOSS, WEIGHTS]
    words = {
        Word.BETTER: {"loss": [0.9, 0.9], "weights": [900.0] * 2},
        Word.TRADE_OFF: {"loss": [0.9, 0.9], "weights": [1100.0] * 2},
        Word.WORSE: {"loss": [1.1, 1.1], "weights": [1000.0] * 2},
        Word.INCONCLUSIVE: {"loss": [1.012], "weights": [1000.0]},
        Word.GAIN: {"loss": [1.012], "weights": [500.0]},
    }
    for word, candidate in words.items():
        assert verdict(axes, candidate).word is word, word


def test_what_is_infeasible_asks_for_no_seeds_however_good_it_looks_and_keeps_its_figures() -> None:
    for losses in ([0.94], [0.94, 0.95], [1.3]):
        found = verdict([LOSS], {"loss": losses})
        broken = infeasible(found)
        assert (broken.word, broken.evidence, broken.asks) == (Word.INFEASIBLE, Evidence.SCREENED, False)
        assert broken.figures == found.figures


def test_nothing_is_called_worse_while_a_gain_is_likely() -> None:
    found = verdict([LOSS, WEIGHTS], {"loss": [0.965, 0.965], "weights": [1400.0] * 2})
    assert found.evidence is Evidence.PROMISING
    assert found.word is not Word.WORSE


@pytest.mark.parametrize(("cost", "part"), [(SECONDS, 1.0), (MEMORY, 0.1)])
def test_a_dead_change_is_equal_whatever_its_seconds_and_its_memory_say(cost: Axis, part: float) -> None:
    def said(losses: list[float], costs: list[float]) -> tuple[Word, bool]:
        found = verdict(
            [LOSS, cost],
            {"loss": losses, cost.name: costs},
            incumbent={"loss": [1.0, 1.01, 0.99], cost.name: [1.0, 1.01, 0.99]},
        )
        return found.word, found.asks

    assert said([1.0], [1 + 0.02 * part]) == (Word.EQUAL, False)
    assert said([1.0], [0.96])[0] is not Word.EQUAL
    assert said([1.0, 1.01], [1 - 0.01 * part, 1.01 - 0.02 * part]) == (Word.EQUAL, False)
    assert said([1.0, 1.01], [0.5, 0.5])[0] is Word.BETTER


def test_what_is_known_of_no_noise_is_what_its_mean_is() -> None:
    nothing = Pools(Pool(0.0, 0.0, 0.0), Pool(0.0, 0.0, 0.0))
    found = judge([LOSS], {"loss": {0: 0.2}}, {"loss": {0: 0.0}}, [], {"loss": nothing}, BALANCED)
    assert found.figures[0].moved is Moved.UP


def test_a_dead_change_of_quality_that_saves_a_cost_is_not_judged_by_the_luck_of_its_seed() -> None:
    found = verdict([LOSS, WEIGHTS], {"loss": [1.01], "weights": [500.0]})
    assert found.word is not Word.EQUAL
    lucky = judge(
        [LOSS, WEIGHTS], {"loss": {0: -0.05}, "weights": {0: 0.5}}, {"loss": {0: -0.05, 1: 0.0, 2: 0.02},
        "weights": {0: 0.0, 1: 0.0, 2: 0.0}}, [], {"loss": KNOWN, "weights": KNOWN}, BALANCED,
    )  # fmt: skip
    assert (lucky.word, lucky.asks) == (Word.BETTER, True)
    assert lucky.figures[0].moved is Moved.EQUAL
    assert "loss equal to the last digit; 1 seed" in sentence(lucky, "e0000")


# --- the sentence ----------------------------------------------------------------------------------------------------


def test_the_sentence_says_what_moved_how_surely_and_on_how_many_seeds() -> None:
    axes = [LOSS, SECONDS, WEIGHTS]
    row: Rows = {"loss": [1.012], "predict_seconds": [0.62], "weights": [1100.0]}
    assert said(axes, row) == (
        "predict 38 % faster (P > .999), weights 10 % higher, loss not shown worse (1.2 %, P = .83); 1 seed"
    )
    assert said([LOSS], {"loss": [0.9, 0.9]}) == "loss 10 % better (P > .999); 2 seeds"
    confirmed = verdict([LOSS], {"loss": [0.9] * 7}, fresh=3)
    assert sentence(confirmed, "e0000") == "loss 10 % better (P > .999); 4+3 seeds"
    assert said([LOSS], {"loss": [0.996] * 4}) == "loss no worse (P = .97), and not shown better; 4 seeds"
    assert said([LOSS], {"loss": [1.0, 1.01]}) == "the same as e0000 to the last digit, 2 seeds"
    assert said([WEIGHTS], {"weights": [1000.0]}) == "the same as e0000 to the last digit, 1 seed"


def test_from_nothing_the_sentence_says_how_much_and_of_a_price_that_it_is_lower() -> None:
    lines = axis("changed_lines", Objective(direction="minimize", deterministic=True), 0.0)
    price = axis("price_per_million_items", Objective(direction="minimize", label="price", deterministic=True), 2.0)
    incumbent: Rows = {"changed_lines": [0.0], "price_per_million_items": [2.0]}
    row: Rows = {"changed_lines": [40.0], "price_per_million_items": [1.0]}
    found = verdict([lines, price], row, incumbent=incumbent)
    assert sentence(found, "e0000") == "price 50 % lower, changed_lines 40 higher; 1 seed"
    merged: Rows = {"changed_lines": [20.0], "price_per_million_items": [2.0]}
    assert "changed_lines 100 % higher" in sentence(verdict([lines, price], row, incumbent=merged), "e0001")
    bounded = axis(
        "changed_lines",
        Objective(direction="minimize", deterministic=True, give_up=Effect(size=30, relative=False)),
        0.0,
    )
    found = verdict([bounded, price], row, incumbent=incumbent)
    assert "More of changed_lines is lost than would be given up for anything, which is 30." in explanation(found)


def test_a_change_is_a_share_of_the_incumbents_own_value() -> None:
    accuracy = axis("accuracy", Objective(direction="maximize"), 0.8)
    gain = accuracy.gain(0.5)
    assert accuracy.change(accuracy.gain(0.6) - gain, gain) == pytest.approx(0.2)
    gain = SECONDS.gain(4.0)
    assert SECONDS.change(SECONDS.gain(1.0) - gain, gain) == pytest.approx(-0.75)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.38, "38"),
        (0.004, "0.4"),
        (0.012, "1.2"),
        (8.44, "844"),
        (0.0, "0"),
        (1e-16, "0"),
        (0.00031, "0.03"),
        (0.0996, "10"),
        (1e300, "1.0e+302"),
    ],
)
def test_a_share_is_said_with_the_digits_that_count(share: float, text: str) -> None:
    assert percent(share) == text


HALF: Rows = {"loss": [1.002] * 6, "weights": [500.0] * 6}


@pytest.mark.parametrize(
    ("row", "fresh", "text"),
    [
        (
            {"loss": [1.005]},
            0,
            "P = .34 that it is better on some noisy objective, after 1 seed. A second seed takes more than .60; "
            "one is enough.",
        ),
        ({"loss": [0.94]}, 0, "A second seed takes more than .60; it is run again."),
        ({"loss": [0.995, 0.995]}, 0, "after 2 seeds. Above .40 the race goes on, to 4 seeds at most."),
        (
            {"loss": [0.985, 1.03]},
            0,
            "The race ends after 4 seeds, or with .40 or less; promising takes more than .95.",
        ),
        ({"loss": [0.94, 0.95]}, 0, "Above .95 it is promising, and is run on 3 to 5 fresh seeds."),
        (
            {"loss": [0.94, 0.95, 0.95]},
            1,
            "To be confirmed it takes more than .998 on all seeds, and more than .95 on the fresh ones alone; "
            "it is run again.",
        ),
        (
            {"loss": [0.97, 0.975, 1.02, 1.01, 1.015]},
            3,
            "3 of them fresh. At .80 or less the confirmation is given up.",
        ),
        (
            {"loss": [0.94] * 5},
            3,
            "P > .999 that it is better on some noisy objective, after 5 seeds, 3 of them fresh. "
            "With more than .998 on all seeds, and more than .95 on the fresh ones alone, it is confirmed.",
        ),
        (
            {"loss": [1.3], "weights": [500.0]},
            0,
            "More of loss is lost than would be given up for anything, which is 2.0 % with P > .80. "
            "So it earns no further seeds, and is offered to nobody.",
        ),
        (HALF, 4, "that no loss is beyond what would be given up, after 6 seeds, 4 of them fresh."),
        (
            {"weights": [500.0]},
            0,
            "No objective has any noise, so one run says it all. It is up, and nothing is lost beyond what would "
            "be given up.",
        ),
        ({"weights": [1500.0]}, 0, "No objective has any noise, so one run says it all. Nothing is up."),
        (
            {"loss": [1.0, 1.01]},
            0,
            "On the same seeds it gives what the incumbent gives, to the last digit. It is not run again.",
        ),
    ],
)
def test_the_rule_explains_itself_in_two_sentences(row: Rows, fresh: int, text: str) -> None:
    found = explanation(verdict([one for one in (LOSS, WEIGHTS) if one.name in row], row, fresh=fresh))
    assert text in found
    assert found.count(". ") == 1 and found.endswith(".")


def test_what_is_beaten_says_so() -> None:
    row: Rows = {"loss": [1.015], "weights": [800.0]}
    found = verdict([LOSS, WEIGHTS], row, {"loss": [0.95, 0.95], "weights": [500.0, 500.0]})
    assert explanation(found).startswith("Something on the frontier is as good in everything with P > .90. ")
