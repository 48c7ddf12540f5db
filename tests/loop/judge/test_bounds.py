"""The constraints: what is infeasible is never on the frontier, and what is said of it is true."""

import asyncio
import re
from collections.abc import Mapping
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.judge.bounds import breach, limits
from loop.judge.runs import SCREEN
from loop.judge.standing import Standing
from loop.study import Settings, units
from store.records import Value

import_module("moocore")  # here: the first time takes longer than an example may
OBJECTIVES = {"loss": {"direction": "minimize"}, "train_seconds": {"direction": "minimize"}}


def bounded(constraints: Mapping[str, Mapping[str, object]]) -> Settings:
    """A study with these constraints."""
    run = {"train": "python train.py"}
    return Settings.model_validate({"run": run, "objectives": OBJECTIVES, "constraints": constraints})


def said(name: str, mean: float, **bounds: object) -> str:
    return breach(bounded({name: bounds}).constraints, {name: mean}, 1)


@pytest.mark.parametrize(
    ("name", "mean", "bounds", "sentence"),
    [
        ("peak_memory_bytes", 17.2e9, {"max": "16 GB"}, "peak_memory_bytes 17.2 GB, at most 16 GB; 1 seed"),
        ("peak_memory_bytes", 5e8, {"min": "512 MiB"}, "peak_memory_bytes 477 MiB, at least 512 MiB; 1 seed"),
        ("sent_bytes", 16_000_000_001.0, {"max": 16e9}, "sent_bytes 16.000000001 GB, at most 16 GB; 1 seed"),
        ("train_seconds", 100.0, {"max": "90 s"}, "train_seconds 100 s, at most 90 s; 1 seed"),
        ("train_seconds", 9000.0, {"max": "2 h"}, "train_seconds 2.5 h, at most 2 h; 1 seed"),
        ("accuracy", 0.61234, {"min": 0.7, "max": 0.9}, "accuracy 0.612, at least 0.7; 1 seed"),
        ("accuracy", 0.91, {"min": 0.7, "max": 0.9}, "accuracy 0.91, at most 0.9; 1 seed"),
        ("parameters", 12_345.0, {"max": 10_000}, "parameters 12300, at most 10000; 1 seed"),
        ("parameters", 10_000.0, {"max": 10_000}, ""),
        ("parameters", 1.0, {"min": 1, "max": 1}, ""),
    ],
)
def test_what_breaks_a_bound_is_said_in_the_units_of_the_bound(
    name: str, mean: float, bounds: dict[str, object], sentence: str
) -> None:
    assert said(name, mean, **bounds) == sentence


def test_every_bound_that_is_broken_is_said() -> None:
    asked = bounded({"loss": {"max": 1}, "weights": {"max": 100}, "peak_memory_bytes": {"max": "1 GB"}})
    means = {"loss": 2.0, "weights": 100.0, "peak_memory_bytes": 2e9}
    assert breach(asked.constraints, means, 3) == "loss 2, at most 1; peak_memory_bytes 2 GB, at most 1 GB; 3 seeds"


name = st.sampled_from(["loss", "peak_memory_bytes", "train_seconds"])
number = st.floats(-1e15, 1e15).filter(lambda value: not value or abs(value) > 1e-9)


def size(name: str, text: str) -> float:
    """A quantity as a sentence has it."""
    found = re.fullmatch(r"(\S+) ?(\w*)", text)
    assert found is not None
    return float(found[1]) * units(name).get(found[2], 1)


@given(name, number, number)
def test_what_is_said_to_lie_beyond_a_bound_does_and_is_said_whenever_it_does(
    name: str, mean: float, bound: float
) -> None:
    for key, word, broken in (("max", "most", mean > bound), ("min", "least", mean < bound)):
        sentence = said(name, mean, **{key: bound})
        assert bool(sentence) == broken
        if broken:
            value, limit = sentence.removeprefix(f"{name} ").removesuffix("; 1 seed").split(f", at {word} ")
            assert size(name, value) == pytest.approx(mean, rel=0.006)
            assert size(name, limit) == pytest.approx(bound)


@given(name, number)
def test_a_bound_is_said_as_it_may_be_written(name: str, bound: float) -> None:
    constraint = bounded({name: {"max": bound}}).constraints[name]
    written = limits(name, constraint).removeprefix("at most ")
    assert size(name, written) == pytest.approx(bound)
    if units(name) and re.match("[0-9.]+ ", written):
        assert bounded({name: {"max": written}}).constraints[name].max == pytest.approx(bound)


value = st.floats(0.5, 40)
rows = st.lists(st.lists(st.tuples(value, value, value), min_size=1, max_size=3), min_size=1, max_size=8)


@given(rows, value, value)
def test_no_infeasible_experiment_is_on_the_frontier_and_the_others_are_where_they_would_be_without_it(
    experiments: list[list[tuple[float, float, float]]], most: float, least: float
) -> None:
    stand = Standing(bounded({"weights": {"max": most}, "loss": {"min": least}}), "")
    for number, seeds in enumerate(experiments):
        for seed, values in enumerate(seeds):
            for name, measured in zip(("loss", "train_seconds", "weights"), values, strict=True):
                stand.runs.add(Value(1, number, seed, SCREEN, name, measured))
    means = {number: stand.runs.mean(number) for number in range(len(experiments))}
    feasible = {number for number, own in means.items() if own["weights"] <= most and own["loss"] >= least}
    drawn, _ = asyncio.run(stand.drawn())
    assert drawn is not None
    assert {point.experiment for point in drawn.points} <= feasible
    assert drawn.measured == len(feasible)
    assert bool(drawn.points) == bool(feasible)
