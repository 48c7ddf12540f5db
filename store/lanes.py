"""What the slots did with their time: busy, idle and waiting for what, paused, or down. From the ledger's own totals.

The model's lane is not among them. The parts add up to the slots' time, up to the last thing that was booked.
"""

from collections.abc import Mapping

from msgspec import Struct, field

from store.records import Ledger

SECONDS, IDLE, PAUSED, DOWN = "seconds", "idle", "paused", "down"


class Devices(Struct, frozen=True):
    """The seconds of all slots since the study began."""

    busy: float = 0.0  # with runs, their overhead among it
    idle: Mapping[str, float] = field(default_factory=dict)  # by what it waited for, the longest first
    paused: float = 0.0
    down: float = 0.0  # no engine lived

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.busy + sum(self.idle.values()) + self.paused + self.down

    @property
    def idle_share(self) -> float | None:
        """Of the time in which an engine lived and nobody had paused it; None before there is any."""
        idle = sum(self.idle.values())
        return idle / (self.busy + idle) if self.busy + idle > 0 else None


def devices(ledger: Ledger) -> Devices:
    """The slots' time, as it is booked."""
    seconds = {outcome: amounts.get(SECONDS, 0.0) for outcome, amounts in ledger.by_outcome.items()}
    idle = {outcome: amount for outcome, amount in seconds.items() if outcome.startswith(IDLE) and amount > 0}
    paused, down = seconds.get(PAUSED, 0.0), seconds.get(DOWN, 0.0)
    busy = sum(amount for outcome, amount in seconds.items() if outcome not in (*idle, PAUSED, DOWN))
    longest = sorted(idle.items(), key=lambda one: -one[1])
    named = {outcome.removeprefix(f"{IDLE}: "): amount for outcome, amount in longest}
    return Devices(busy, named, paused, down)
