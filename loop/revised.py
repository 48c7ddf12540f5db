"""What follows where `cockpit.toml` is another one than it was: which keys have changed, and what that means.

A pure function of two revisions. Whether the bench is another one is found out elsewhere (`run/bench.py`), for a
protected file or the interpreter can make one too; here it is said what follows from the keys.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from loop.study import Revision

LONGEST = 60  # characters of a value that are said
BENCH = "another bench: the incumbent is measured again first, and earlier verdicts stand on the old one"
RULE = "what is open is judged again by it; what was decided stays"
SIZES = "the frontier is drawn again by it, and so is what is judged from now on"
ADDED = "runs that say it already count on; else trunk, the frontier and the offers alone are run again for it"
FOLLOWS = (  # by how the key begins, the first that does
    ("study.goal", "the model is told it from now on"),
    ("study.preset", RULE),
    ("study.worth", RULE),
    ("study.stop_when", "the study ends by it from now on"),
    ("study.", "it holds from now on"),
    ("space.", "proposals keep to it; a file that is protected now, or no more, makes another bench"),
    ("run.train", BENCH),
    ("run.predict", BENCH),
    ("run.score", BENCH),
    ("run.eval", BENCH),
    ("run.cwd", BENCH),
    ("run.artifact", BENCH),
    ("fidelity.", BENCH),
    ("run.seed", BENCH),
    ("run.python", "another bench, where its packages are others"),
    ("run.", "it holds for runs that begin from now on"),
    ("data.", BENCH),
    ("prices.", "money is counted at it, what was spent too; another bench, where a price is an objective"),
    ("model.", "it holds for the next call; proposals that there are stay"),
)
OF_OBJECTIVES = (  # by how it ends
    (".direction", BENCH),
    (".steers", ADDED),
    (".label", "it is shown so"),
    (".unit", "it is shown so"),
)


class Changed(Struct, frozen=True):
    """A key whose value is another one, each value as the file has it; None where it does not stand there."""

    key: str
    old: str | None
    new: str | None

    @property
    def text(self) -> str:
        """The key, and how it has changed: `budget.runs 10 → 20`."""
        if self.old is None:
            return f"{self.key} = {self.new}"
        return f"{self.key} taken out" if self.new is None else f"{self.key} {self.old} → {self.new}"


class Revised(Struct, frozen=True):
    """What has changed, with what follows; the keys from which the same follows are together."""

    changes: tuple[Changed, ...]
    follows: Mapping[str, tuple[str, ...]]  # of each sentence the keys

    @property
    def text(self) -> str:
        """All of it in one line."""
        by_key = {one.key: one for one in self.changes}
        parts = [f"{', '.join(by_key[key].text for key in keys)}: {why}" for why, keys in self.follows.items()]
        return "; ".join(parts) or "nothing but its wording has changed"


def revised(old: Revision, new: Revision) -> Revised:
    """What has changed from one text to another, and what follows."""
    one, other = (tomllib.loads(text.text) for text in (old, new))
    meant, means = (text.settings.model_dump(by_alias=True) for text in (old, new))
    changes, follows = list[Changed](), dict[str, tuple[str, ...]]()
    for path, before, now in _different(one, other):
        was, is_ = _at(meant, path), _at(means, path)
        if was == is_ and was is not None:  # it says what holds by default
            continue
        change = Changed(".".join(path), _said(before), _said(now))
        why = _follows(change, was, is_)
        changes.append(change)
        follows[why] = (*follows.get(why, ()), change.key)
    return Revised(tuple(changes), follows)


def _different(
    one: Mapping[str, Any], other: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """The paths of two tables whose values differ; of a table that one of them lacks, the table."""
    for key in dict.fromkeys([*one, *other]):
        path, before, now = (*above, key), one.get(key), other.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            yield from _different(before, now, path)
        elif not above and (isinstance(before, dict) or isinstance(now, dict)):  # [budget] as a whole
            yield from _different(before or {}, now or {}, path)
        elif before != now:
            yield path, before, now


def _at(tables: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        tables = tables.get(key) if isinstance(tables, dict) else None
    return tables


def _said(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, dict):
        text = f"{{ {', '.join(f'{key} = {_said(one)}' for key, one in value.items())} }}"
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _follows(change: Changed, before: Any, now: Any) -> str:
    table, _, name = change.key.partition(".")
    if table == "budget":
        return _of_a_budget(before, now)
    if table == "seeds":
        return "the baseline and trunk get the runs that they lack" if name == "baseline" else RULE
    if table == "objectives":
        if change.new is None and "." not in name:
            return "it decides nothing any more, and what was measured counts on without it"
        if change.old is None and "." not in name:
            return ADDED
        if ".from" in name:
            return BENCH
        return next((why for end, why in OF_OBJECTIVES if name.endswith(end)), SIZES)
    if table == "constraints":
        return ADDED if change.old is None else "what was measured is judged again by it"
    return next((why for start, why in FOLLOWS if change.key.startswith(start)), "it holds from now on")


def _of_a_budget(before: Any, now: Any) -> str:
    if now is None:
        return "nothing bounds it any more, and the study goes on"
    if before is None:
        return "the study ends at it"
    return "it is raised, and the study goes on to it" if now > before else "it is lowered, and the study ends at it"
