"""What came of what was spent, all of it: the funnel and its losses, the yields, the devices, the user's review."""

from msgspec import Struct

from store import funnel, lanes, review, views, yields
from store.database import Database
from store.funnel import Funnel
from store.lanes import Devices
from store.records import Ledger
from store.review import Review
from store.yields import Yield, Yields


class Account(Struct, frozen=True):
    """The ledger of a study, and what came of it."""

    ledger: Ledger
    funnel: Funnel
    yields: Yields
    devices: Devices
    review: Review


NOTHING = Account(
    Ledger({}, {}, {}, {}),
    Funnel(tuple(funnel.Step(name, 0) for name in funnel.STEPS)),
    Yields(Yield("", 0, 0, 0.0, 0.0, 0.0, 0.0)),
    Devices(),
    Review(0, 0.0, 0, 0, 0),
)


async def read(database: Database) -> Account:
    """As the record has it now."""
    ledger = await views.ledger(database)
    return Account(
        ledger, await funnel.read(database, ledger), await yields.read(database), lanes.devices(ledger),
        await review.read(database),
    )  # fmt: skip
