"""The whole of `cockpit.toml`: its tables, and what of them does not fit the rest."""

from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any

from pydantic import Field, field_validator, model_validator

from loop.study.asked import Constraint, Objective, Question, Space
from loop.study.runs import Commands, Data, Fidelity, Seeds
from loop.study.spent import Budget, Model, Notify, Prices
from loop.study.table import Table
from loop.study.values import ARGS, Effect, in_own_unit
from store.records import FULL, QUICK

CHANGED_LINES, PRICE = "changed_lines", "price_per_million_items"  # what cockpit works out itself: loop/run/costs.py


class Settings(Table):
    """The whole of `cockpit.toml`."""

    study: Question = Question()
    space: Space = Space()
    run: Commands
    data: Data = Data()
    objectives: dict[str, Objective] = Field(min_length=1)
    """What is to be better, each by its name: one that a stage prints, or that cockpit knows (docs/trial.md).

    val_loss = { direction = "minimize", smallest = "0.2 %", give_up = "2 %" }
    """
    constraints: dict[str, Constraint] = {}
    """What must hold: of an objective, of what cockpit measures itself, or of any name that a stage prints.

    peak_memory_bytes = { max = "16 GB" }
    """
    seeds: Seeds = Seeds()
    fidelity: Fidelity | None = None
    budget: Budget = Budget()
    prices: Prices = Prices()
    model: Model = Model()
    notify: Notify = Notify()

    @model_validator(mode="before")
    @classmethod
    def _known_by_name(cls, tables: Any) -> Any:
        """What follows from the name of an objective: lines are counted, not sampled, and a price is in a currency."""
        objectives, prices = tables.get("objectives"), tables.get("prices")
        if not isinstance(objectives, dict):
            return tables
        currency = prices.get("currency") if isinstance(prices, dict) else None
        known = {CHANGED_LINES: {"deterministic": True, "unit": "lines"}, PRICE: {"unit": currency}}
        told = {
            name: {**known.get(name, {}), **table} if isinstance(table, dict) else table
            for name, table in objectives.items()
        }
        return {**tables, "objectives": told}

    @field_validator("objectives")
    @classmethod
    def _steered(cls, objectives: dict[str, Objective]) -> dict[str, Objective]:
        if not any(objective.steers for objective in objectives.values()):
            raise ValueError("no objective steers the study: leave `steers = false` out of one")
        return objectives

    @field_validator("constraints", mode="before")
    @classmethod
    def _in_own_units(cls, tables: object) -> object:
        if not isinstance(tables, dict):
            return tables
        return {
            name: {key: in_own_unit(name, bound) for key, bound in table.items()} if isinstance(table, dict) else table
            for name, table in tables.items()
        }

    @property
    def steering(self) -> list[str]:
        """The objectives that steer, in the file's order."""
        return [name for name, objective in self.objectives.items() if objective.steers]

    @property
    def searched_at(self) -> str:
        """The fidelity of the runs by which experiments are chosen; what is confirmed is so by full ones."""
        return QUICK if self.fidelity else FULL

    @property
    def needed(self) -> list[str]:
        """What a good run has a value of: each objective that steers, and each quantity that is bounded."""
        return list(dict.fromkeys([*self.steering, *self.constraints]))

    @property
    def quantities(self) -> list[str]:
        """All that is looked for in a run: the objectives, and what is bounded besides."""
        return list(dict.fromkeys([*self.objectives, *self.constraints]))

    def touchable(self, path: str) -> bool:
        """Whether a proposal may change this file: all of it, or the knobs that are listed of it."""
        if path == ARGS:
            return any(name.startswith("--") for name in self.space.knobs)
        return self.editable(path) or any(name.startswith(f"{path}:") for name in self.space.knobs)

    def editable(self, path: str) -> bool:
        """Whether a proposal may change this file of the repository."""
        return path != ARGS and any(fnmatch(path, pattern) for pattern in self.space.edit)


def misfits(settings: Settings) -> Iterator[tuple[tuple[str, ...], str]]:
    """The keys that do not fit the rest of the file, each with why, and what to do."""
    steering, worth = settings.steering, settings.study.worth
    for name in (settings.run.seed or "", *(word.partition("=")[0] for word in (settings.run.seed or "").split())):
        if name in settings.space.knobs:
            yield ("space", "knobs", name), "holds the seed, `[run] seed`; take it out of one of the two"
            break
    for fidelity, given in (
        [(QUICK, settings.fidelity.quick), (FULL, settings.fidelity.full)] if settings.fidelity else []
    ):
        for name in given:
            if name in settings.space.knobs:
                yield ("fidelity", fidelity, name), "is a knob of `[space.knobs]` too; take it out of one of the two"
            if name == settings.run.seed or name in (settings.run.seed or "").replace("=", " ").split():
                yield ("fidelity", fidelity, name), "is the seed's, `[run] seed`; take it out"
    if worth and len(steering) < 2:
        yield ("study", "worth"), f"weighs objectives against each other, and {steering[0]} alone steers; take it out"
    for name in worth if len(steering) > 1 else ():
        if name not in settings.objectives:
            yield ("study", "worth", name), f"is no objective of this study; put one of {', '.join(steering)}"
        elif name not in steering:
            yield (
                ("study", "worth", name),
                "does not steer, so nothing is decided by it; take it out, or its `steers = false`",
            )
    if len(worth) == 1 and len(steering) > 1 and not worth.keys() - set(steering):
        others = ", ".join(name for name in steering if name not in worth)
        yield ("study", "worth"), f"says nothing with one objective alone; put what is worth as much: {others}"
    sizes: dict[tuple[str, ...], Effect | None] = {("study", "worth", CHANGED_LINES): worth.get(CHANGED_LINES)}
    if lines := settings.objectives.get(CHANGED_LINES):
        if lines.scale == "log":
            yield (
                ("objectives", CHANGED_LINES, "scale"),
                'cannot be "log": the baseline changes none, of which there is no logarithm; take it out',
            )
        sizes |= {("objectives", CHANGED_LINES, name): getattr(lines, name) for name in ("smallest", "give_up")}
    for path, effect in sizes.items():
        if effect and effect.relative:
            yield path, "is a number of lines, as 20: the baseline changes none, of which there is no share"
    if settings.budget.money is not None and settings.prices.device_hour is None:
        yield (
            ("budget", "money"),
            "needs what an hour of a device costs: put `[prices] device_hour = 2.50`, or take it out",
        )
    if settings.run.scorer and settings.data.labels is None:
        yield ("run", "scorer"), 'needs what to compare with: put `[data] labels = "{study}/labels.csv"`'
    carve = settings.data.carve
    if carve and settings.run.predict is None:
        yield (
            ("data", "carve"),
            "needs `[run] predict` and a scorer, or nothing of it is scored; put them, or take it out",
        )
    if carve and settings.run.scorer and carve.is_text != (settings.run.scorer == "causal_lm"):
        what = "a text, which `causal_lm` scores" if carve.is_text else "no text, which `causal_lm` alone scores"
        yield ("data", "carve"), f"is {what}; put another `[run] scorer`, or the `label` that is predicted"
    if "{inputs}" in (settings.run.predict or "") and (carve is None or carve.is_text):
        yield ("run", "predict"), "holds {inputs}, which `[data] carve` makes of rows; put that, or take it out"
    if settings.data.labels is not None and not settings.run.scorer and not carve:
        yield ("data", "labels"), "are those of a `[run] scorer`; of a `score` put `sealed` in its place"
    if PRICE in settings.quantities and settings.prices.device_hour is None:
        place = "objectives" if PRICE in settings.objectives else "constraints"
        yield (place, PRICE), "needs what an hour of a device costs: put `[prices] device_hour = 2.50`, or take it out"
