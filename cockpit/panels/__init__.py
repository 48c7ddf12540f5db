"""The panels, a file each. What they show is pure: a view becomes lines. A new one is a file and an entry here."""

from cockpit.panels.context import Context
from cockpit.panels.diff import Diff
from cockpit.panels.experiments import Experiments
from cockpit.panels.frontier import Frontier
from cockpit.panels.ledger import Ledger
from cockpit.panels.run import Run
from cockpit.widgets.panel import Panel

PANELS: tuple[type[Panel], ...] = (Experiments, Frontier, Diff, Run, Ledger, Context)
