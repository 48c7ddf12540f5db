"""What is asked: the tables `[study]`, `[space]`, `[objectives]` and `[constraints]` of `cockpit.toml`."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from loop.study.table import Table
from loop.study.values import KNOB, PLACES, Amount, Bound, Chance, Counting, Found, Pattern, Seconds, Worth, Written
from store.place import safe_name


class StopWhen(Table):
    """[study] stop_when: ends a study where a confirmed gain has become unlikely (docs/judging.md)."""

    chance: Chance | None = None
    """A confirmed gain that is less likely than this ends the study; without it nothing does.

    chance = "5 %"
    """
    within: Seconds = 2 * 3600.0
    """How far ahead that looks: at as many experiments more as there were in the last while of this length."""


class Question(Table):
    """[study]: what is asked."""

    name: str | None = None
    """The study's name, a part of the names of its branches: letters, digits, - _ and . only. Without it, the folder's.

    name = "mine"
    """
    goal: str = ""
    """What it is about, in a sentence or two: a model that proposes is told.

    goal = "Lower val_loss without making prediction slower"
    """
    seed: int = Field(default=0, ge=0)
    """Runs and proposals are drawn from it. A study keeps the one it began with."""
    preset: Literal["fast", "balanced", "strict"] = "balanced"
    """How strict the judge is (docs/judging.md)."""
    worth: dict[str, Worth] = {}
    """Exchange rates: for two or more objectives that steer, effects that are worth as much as each other.

    worth = { val_loss = "1 %", predict_us_per_item = "10 %" }
    """
    stop_when: StopWhen = StopWhen()
    """When to end although there is budget left.

    stop_when = { chance = "5 %", within = "2 h" }
    """

    @field_validator("name")
    @classmethod
    def _safe(cls, name: str | None) -> str | None:
        if name is not None and not safe_name(name):
            raise ValueError("a study's name holds letters, digits, - _ and . only: it becomes a part of branch names")
        return name


class Listed(Table):
    """[space.knobs]: a knob by its place: two bounds, or a few choices. The value that it has now is one of them."""

    low: int | float | None = None
    """The least value. Where it, the greatest and the knob's own are whole numbers, all are.

    low = 1e-5
    """
    high: int | float | None = None
    """The greatest value.

    high = 1e-2
    """
    scale: Literal["linear", "log"] = "linear"
    """How values are drawn: evenly, or evenly by their logarithm.

    scale = "log"
    """
    choices: tuple[bool | int | float | str, ...] | None = Field(default=None, strict=False)
    """The values that it may have, in the place of bounds.

    choices = ["adamw", "sgd"]
    """

    @model_validator(mode="after")
    def _whole(self) -> "Listed":
        bounds = [bound for bound in (self.low, self.high) if bound is not None]
        if len(bounds) != (2 if self.choices is None else 0):
            raise ValueError("a knob has `low` and `high`, or `choices`")
        return self


class Space(Table):
    """[space]: what a proposal may touch."""

    edit: tuple[Pattern, ...] = Field(default=(), strict=False)
    """The files that a proposal may change; `*` stands for any part of a path. All the rest is protected.

    edit = ["train.py", "model/*.py"]
    """
    knobs: dict[Annotated[str, PLACES], Listed] = {}
    """The knobs that are not annotated in the code, each by its place (docs/trial.md has what a place may be).

    "train.py:LEARNING_RATE" = { low = 1e-5, high = 1e-2, scale = "log" }
    """

    @field_validator("knobs")
    @classmethod
    def _places(cls, knobs: dict[str, Listed]) -> dict[str, Listed]:
        for name in knobs:
            if not re.fullmatch(KNOB, name):
                raise ValueError(f'"{name}" is no place of a knob: {PLACES.form}')
        return knobs


class From(Table):
    """[objectives] from: where its values stand, by `pattern` or by `file`, and which of them counts."""

    pattern: Found | None = None
    """What is looked for in each line that a stage prints, in its first 1,000 characters. A group `(?P<step>…)` is the
    step, else what the line calls so (`step 250:`). What a later stage prints counts.

    pattern = "val loss ([0-9.]+)"
    """
    file: Written | None = None
    """What the code under test writes: from its working directory on, or in `{output}/`; `*` stands for a part of a
    name. Of several the one that was written last counts, of event files all in its folder.

    file = "{output}/checkpoint-*/trainer_state.json"
    """
    name: str | None = Field(default=None, min_length=1)
    """The column, the key (`outer.inner` is one in another) or the tag in the file. Without it, the objective's name.

    name = "eval.loss"
    """
    step: str | None = Field(default=None, min_length=1)
    """The column or key of the steps. Without it global_step, _step, step, iteration, iter or epoch, the first that is
    there.

    step = "tokens"
    """
    take: Counting = "last"
    """Which of several values counts; a mean is of fewer where there are fewer. What "min" and "max" find is said to be
    *selected* (docs/trial.md).

    take = "mean of last 5"
    """

    @model_validator(mode="after")
    def _one(self) -> "From":
        if (self.pattern is None) == (self.file is None):
            raise ValueError("it has `pattern` or `file`: what is printed, or what is written")
        if self.pattern is not None and (self.name or self.step):
            raise ValueError("`name` and `step` are of a `file`; in a pattern, a step is a group `(?P<step>[0-9]+)`")
        return self

    @property
    def selects(self) -> bool:
        """Whether the best value counts, which is better than what a run comes to."""
        return self.take in ("min", "max")


class Objective(Table):
    """[objectives]: a quantity with a direction and the smallest effect that matters."""

    direction: Literal["minimize", "maximize"]
    """Which way is better.

    direction = "minimize"
    """
    smallest: Amount | None = None
    """The smallest effect that counts as a difference, in a verdict and on the frontier. Without it 5 % of a time,
    1 % of bytes, parameters and their like, 10 changed lines, of anything else 0.2 % or half a standard deviation.

    smallest = "0.2 %"
    """
    give_up: Amount | None = None
    """The loss that would still be considered where another objective gains. Without it, of a quality, 2 %.

    give_up = "2 %"
    """
    scale: Literal["linear", "log"] | None = None
    """How it is compared: "log" by ratio, "linear" by share. Without it a cost by ratio, a quality by share.

    scale = "log"
    """
    label: str | None = None
    """Its name in a sentence.

    label = "validation loss"
    """
    unit: str | None = None
    """Its unit, for the screen.

    unit = "us"
    """
    deterministic: bool = False
    """Whether one run says it all.

    deterministic = true
    """
    steers: bool = True
    """Whether it decides anything; else it is recorded and shown. One at least has to.

    steers = true
    """
    source: From | None = Field(default=None, alias="from")
    """Where its values stand. Without it, in a line `name: value` that a stage prints.

    from = { pattern = "val loss ([0-9.]+)", take = "last" }
    """


class Constraint(Table):
    """[constraints]: a bound that must hold of a quantity's mean, or two. What breaks one is *infeasible*."""

    max: Bound | None = None
    """The most that it may be.

    max = "16 GB"
    """
    min: Bound | None = None
    """The least that it may be.

    min = 0.9
    """

    @model_validator(mode="after")
    def _bounded(self) -> "Constraint":
        if self.max is None and self.min is None:
            raise ValueError("a constraint has `max`, `min`, or both")
        if self.max is not None and self.min is not None and self.min > self.max:
            raise ValueError("`min` is more than `max`, so that nothing could hold")
        return self
