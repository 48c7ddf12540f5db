"""Whatever is said to be plausible can be declared, and holds the value that there is."""

from hypothesis import given
from hypothesis import strategies as st

from loop.propose.domain import Choices, fitting, listed_domain
from loop.study import Listed
from loop.survey.bounds import never, plausible

NAMES = st.one_of(
    st.sampled_from(
        [
            "lr",
            "learning_rate",
            "weight_decay",
            "dropout",
            "momentum",
            "beta2",
            "batch_size",
            "hidden",
            "n_head",
            "depth",
        ]
    ),
    st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12),
)
VALUES = st.one_of(
    st.booleans(), st.integers(-(10**9), 10**15), st.floats(), st.floats(1e-12, 10), st.sampled_from([0.0, 1.0, 0.999])
)


@given(NAMES, VALUES, st.booleans())
def test_what_is_plausible_holds_the_value_and_can_be_declared(name: str, value: float, divided: bool) -> None:
    likely = plausible(name, value, divided={name} if divided else ())
    if likely is not None:
        domain = listed_domain(Listed.model_validate(likely.bounds), value)
        assert fitting(domain, value) == value


def test_rates_span_decades_and_counts_a_factor_of_four() -> None:
    values = {"lr": 3e-4, "batch_size": 64, "hidden": 48, "dropout": 0.1, "layers": 3, "momentum": 0.9, "w": 2.0}
    values |= {"decay": 1e-4, "SUBSAMPLE": 0.8}
    bounds = {name: (found := plausible(name, value)) and found.bounds for name, value in values.items()}
    assert bounds == {
        "lr": {"low": 3e-5, "high": 3e-3, "scale": "log"},
        "batch_size": {"choices": (16, 32, 64, 128, 256)},
        "hidden": {"low": 12, "high": 192, "scale": "log"},
        "dropout": {"low": 0.0, "high": 0.5},
        "layers": {"low": 1, "high": 12},
        "momentum": {"low": 0.6, "high": 0.99},
        "w": {"low": 0.5, "high": 8.0, "scale": "log"},
        "SUBSAMPLE": {"low": 0.2, "high": 1.0},
        "decay": {"low": 1e-5, "high": 1e-3, "scale": "log"},
    }


def test_what_is_divided_by_another_stays_divisible() -> None:
    found = plausible("n_embd", 384, divided={"n_embd"})
    assert found is not None
    domain = listed_domain(Listed.model_validate(found.bounds), 384)
    assert isinstance(domain, Choices)
    assert domain.values == (96, 192, 384, 768, 1536)


def test_where_things_are_and_how_they_are_evaluated_is_never_moved() -> None:
    left = [
        "seed",
        "data_dir",
        "device",
        "log_interval",
        "eval_iters",
        "num_workers",
        "max_steps",
        "epochs",
        "save_every",
    ]
    assert all(map(never, [*left, "numWorkers", "n_epochs", "valBatchSize", "wandb_project", "lr_decay_iters"]))
    moved = [
        "lr",
        "batch_size",
        "per_device_train_batch_size",
        "warmup_steps",
        "accumulation_steps",
        "n_layer",
        "hiddenSize",
    ]
    assert not any(map(never, moved))


def test_how_long_training_goes_and_on_what_it_runs_is_no_knob_and_clipping_is_one() -> None:
    assert all(map(never, ("niter", "n_iters", "ngpu", "inference", "real_label", "val_freq")))
    assert not never("gradient_clip_val")
