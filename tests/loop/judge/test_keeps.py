"""What is confirmed by luck, and what a rule that keeps what looks better would have merged."""

from pathlib import Path

from loop.judge.keeps import OtherRule
from loop.judge.preset import PRESETS
from loop.judge.runs import Runs
from loop.study import parse
from store.place import CONFIG
from store.records import Keeps, Value

TEXT = '[run]\ntrain = "true"\n[objectives]\nweights = { direction = "minimize", deterministic = true }\n'
LOSS = 'loss = { direction = "minimize" }\n'
BALANCED = PRESETS["balanced"]


def study(text: str, losses: list[list[float]]) -> Runs:
    """The losses of each experiment, seed by seed; all have the same weights."""
    runs = Runs(parse(text, Path(CONFIG)).settings)
    for number, own in enumerate(losses):
        for seed, loss in enumerate(own):
            runs.add(Value(seed, number, seed, "screen" if number else "baseline", "loss", loss))
            runs.add(Value(seed, number, seed, "screen" if number else "baseline", "weights", 100.0))
    return runs


def counted(runs: Runs, confirmed: int) -> Keeps:
    return OtherRule(runs).keeps(runs.axes(), BALANCED, confirmed)


def test_what_would_have_been_kept_is_better_than_the_best_so_far_on_its_first_run() -> None:
    losses = [
        [1.00, 1.02, 0.98],  # the baseline: its first run is what the other rule goes by
        [0.99],  # kept, and never run again
        [0.995],  # better than the baseline, and not than the best
        [0.95, 1.05, 1.03],  # kept, and no better on its other seeds
        [0.90, 0.91],  # kept, and it holds
        [1.10],
        [0.89, 1.00],  # kept, and no better than the baseline's mean
    ]
    found = counted(study(TEXT + LOSS, losses), 1)
    assert (found.screened, found.confirmed) == (6, 1)
    assert (found.objective, found.maximize) == ("loss", False)
    assert (found.kept, found.refuted, found.once) == (4, 2, 1)
    assert found.expected_false == 6 * BALANCED.null_rate > 0


def test_higher_is_better_where_the_file_says_so() -> None:
    found = counted(study(TEXT + LOSS.replace("minimize", "maximize"), [[0.5, 0.52], [0.4], [0.6, 0.4]]), 0)
    assert (found.maximize, found.kept, found.refuted) == (True, 1, 1)


def test_without_noise_the_other_rule_is_not_spoken_of() -> None:
    found = counted(study(TEXT, [[1.0], [0.5], [0.4]]), 2)
    assert (found.objective, found.kept, found.screened, found.confirmed) == ("", 0, 2, 2)
    assert not found.expected_false, "there is no luck"


def test_what_is_kept_has_to_be_better_than_what_it_replaces() -> None:
    found = counted(study(TEXT + LOSS, [[1.0, 1.02], [0.90, 0.91], [0.89, 0.93], [0.88, 0.90]]), 1)
    assert (found.kept, found.refuted) == (3, 1), "the second is better than the baseline, and not than the first"
