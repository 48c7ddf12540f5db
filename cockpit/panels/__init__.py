"""The panels, a file each. What they show is pure: a view becomes lines. A new one is a file, and its name here."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cockpit.widgets.panel import Panel

NAMES = ("Experiments", "Frontier", "Diff", "Run", "Ledger", "Context")  # their classes, in the order of their numbers
PANELS: "tuple[type[Panel], ...]"  # these classes


def __getattr__(name: str) -> object:
    """Whoever only counts the panels need not wait for them (PEP 562): the table of keys, which they import."""
    if name != "PANELS":
        raise AttributeError(name)
    made = tuple(getattr(import_module(f"{__name__}.{one.lower()}"), one) for one in NAMES)
    globals()[name] = made
    return made
