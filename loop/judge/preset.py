"""How strict the judge is: the thresholds of the rule, three sets of them, and what each lets through.

A set is chosen by `[study] preset`; `[seeds] race` and `confirm` change how many seeds it goes to. `null_rate` is the
largest share of changes that do nothing which was confirmed in any kind of the simulated studies of `docs/judging.md`:
what to expect of luck among the experiments that were screened.
"""

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from loop.study import ConfigError, Revision, Settings
from store.records import FULL
from store.where import where

FEW_DF = 40.0  # of all runs of the study together: with fewer a confirmation takes half the error, and a seed more


class Preset(Struct, frozen=True):
    """The thresholds of the rule, probabilities all, and how many seeds each part of it goes to."""

    name: str
    screen: float  # after one seed: less is enough
    race: float  # after each seed more: less is enough
    race_seeds: int  # at most, the first among them
    promising: float  # from two seeds on
    drop: float  # while it is confirmed: less is enough
    confirm: float  # of all data together
    fresh: tuple[int, int]  # seeds on which it is confirmed: at least, at most
    null_rate: float
    rates: str = ""  # the user's, by which trade-offs earn seeds
    at: str = ""  # the fidelity at which it is confirmed, where that is another one than it is chosen at

    def known_from(self, df: float) -> "Preset":
        """The thresholds where the noise is known from so many degrees of freedom: with few, luck has two ways in."""
        if df >= FEW_DF:
            return self
        least, most = self.fresh
        return replace(self, confirm=1 - (1 - self.confirm) / 2, fresh=(least + 1, max(least + 1, most)))

    @property
    def apart(self) -> "Preset":
        """The thresholds where what is chosen at one fidelity is confirmed by the runs of another, and no others.

        What is chosen may be worth something at the first one alone, so half the error is allowed from the beginning.
        And as many fresh seeds as race and confirmation have together, for those of the race say nothing there.
        """
        least, most = self.fresh
        confirm, fresh = 1 - (1 - self.confirm) / 2, (least, self.race_seeds + most)
        return replace(self, confirm=confirm, fresh=fresh, at=f" at {FULL}")

    @property
    def rule(self) -> str:
        """Names the rule in the record: what was judged by another one is judged again."""
        rates = f", worth {self.rates}" if self.rates else ""
        seeds = f"race {self.race_seeds}, confirm {self.fresh[0]} to {self.fresh[1]}{self.at}"
        return f"{self.name}: {seeds}, few below {FEW_DF:g}{rates}"


PRESETS = {
    one.name: one
    for one in (
        Preset("fast", 0.70, 0.50, 3, 0.90, 0.80, 0.99, (2, 3), 0.0049),
        Preset("balanced", 0.60, 0.40, 4, 0.95, 0.80, 0.998, (3, 5), 0.003),
        Preset("strict", 0.60, 0.40, 6, 0.95, 0.90, 0.9995, (4, 8), 0.0015),
    )
}


def preset(settings: Settings) -> Preset:
    """The preset of a study, with the file's own numbers of seeds, and its rates."""
    chosen, seeds = PRESETS[settings.study.preset], settings.seeds
    if settings.fidelity:
        chosen = replace(chosen, race_seeds=seeds.race or chosen.race_seeds).apart
    least, most = chosen.fresh
    rates = (f"{name} {one.size:g}{' of it' * one.relative}" for name, one in settings.study.worth.items())
    return replace(
        chosen,
        race_seeds=seeds.race or chosen.race_seeds,
        fresh=(least, max(least, seeds.confirm or most)),
        rates=", ".join(rates),
    )


def check(file: Path, revision: Revision) -> None:
    """Raises ConfigError where fewer fresh seeds are asked for than the preset confirms on."""
    chosen, asked = PRESETS[revision.settings.study.preset], revision.settings.seeds.confirm
    if asked is not None and asked < chosen.fresh[0]:
        raise ConfigError(
            f"{where(file, revision.text, ('seeds', 'confirm'))}: `[seeds] confirm` is {asked}, and the preset "
            f"{chosen.name} confirms on {chosen.fresh[0]} fresh seeds at least; put as many or more"
            + ("" if chosen.name == "fast" else ', or `[study] preset = "fast"`')
        )
