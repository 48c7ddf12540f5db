"""The constraints: which of them an experiment breaks, and how that is said.

They hold of the mean over its runs, as every number that is shown is one. A bound is said in the unit in which it is
the shortest, in which it may be written in `cockpit.toml` too; what breaks it in the same unit, and with as many digits
as it takes to see that.
"""

from collections.abc import Mapping
from operator import gt, lt

from loop.judge.sentence import on_seeds
from loop.study import Constraint, units

DIGITS = range(3, 18)  # of what breaks a bound
EXACT = 12  # digits of a bound: as many as a person has written
SIDES = (("max", "most", gt), ("min", "least", lt))  # the key, its word, and how a value lies beyond it


def breach(constraints: Mapping[str, Constraint], means: Mapping[str, float], seeds: int) -> str:
    """What breaks a bound: `peak_memory_bytes 17.2 GB, at most 16 GB; 1 seed`. Nothing where all of them hold."""
    clauses = broken(constraints, means)
    return "; ".join([*clauses, on_seeds(seeds)]) if clauses else ""


def broken(constraints: Mapping[str, Constraint], values: Mapping[str, float]) -> list[str]:
    """The bounds that these values break, each in a few words."""
    clauses = (_clause(name, one, values[name]) for name, one in constraints.items() if name in values)
    return [clause for clause in clauses if clause]


def limits(name: str, constraint: Constraint) -> str:
    """What must hold of a quantity: `at most 16 GB, at least 1 GB`."""
    bounds = [(word, getattr(constraint, key)) for key, word, _ in SIDES]
    return ", ".join(f"at {word} {_written(name, bound)}" for word, bound in bounds if bound is not None)


def _clause(name: str, constraint: Constraint, mean: float) -> str:
    """How the mean of a quantity breaks a bound; nothing where it holds."""
    for key, word, beyond in SIDES:
        bound: float | None = getattr(constraint, key)
        if bound is not None and beyond(mean, bound):
            unit, size = _unit(name, bound)
            texts = [f"{float(f'{mean / size:.{digits}g}'):.{max(digits, EXACT)}g}" for digits in DIGITS]
            shown = next((text for text in texts if beyond(float(text), bound / size)), texts[-1])
            return f"{name} {shown}{unit}, at {word} {_written(name, bound)}"
    return ""


def _written(name: str, bound: float) -> str:
    """A bound as it may be written in the file, without its quotes."""
    unit, size = _unit(name, bound)
    return f"{bound / size:.{EXACT}g}{unit}"


def _unit(name: str, bound: float) -> tuple[str, int]:
    """The unit in which a bound is the shortest to say, and its size; none where the quantity's name says none."""
    found = {f" {unit}": size for unit, size in units(name).items()} or {"": 1}
    return min(found.items(), key=lambda one: len(f"{bound / one[1]:.{EXACT}g}{one[0]}"))
