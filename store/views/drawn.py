"""The frontier as it was drawn, how it grew, and how far it can be trusted."""

from store.database import Database
from store.records import Agreement, Engine, Frontier, Keeps, Point, Progress, Reference, Returns
from store.views.begun import last_engine
from store.views.parts import BENCH, UP_WORDS


async def reference(database: Database, bench: str) -> list[Reference]:
    """The reference point of a bench; nothing before its baseline is measured."""
    rows = await database.rows(
        "SELECT objective, direction, base, value, runs FROM reference WHERE bench = ? ORDER BY rowid", bench
    )
    return [Reference(*row) for row in rows]


async def drawn_on(database: Database) -> str | None:
    """The bench on which the frontier was drawn last."""
    rows = await database.rows("SELECT bench FROM progress ORDER BY id DESC LIMIT 1")
    return str(rows[0]["bench"]) if rows else None


async def frontier(database: Database, engine: Engine | None = None) -> tuple[Frontier, list[Reference]]:
    """The frontier that stands now, on the bench of the last engine, and its reference point, of what steers."""
    points = [
        Point(row["experiment"], bool(row["balanced"]), row["probability"])
        for row in await database.rows("SELECT experiment, balanced, probability FROM frontier ORDER BY experiment")
    ]
    rows = await database.rows(
        "SELECT hypervolume, optimistic, experiments, bench FROM progress ORDER BY id DESC LIMIT 1"
    )
    if not rows:
        return Frontier(), []
    engine = engine or await last_engine(database)
    steering = engine.facts["steering"] if engine else []
    frozen = {one.objective: one for one in await reference(database, rows[0]["bench"])}
    drawn = Frontier(tuple(points), rows[0]["hypervolume"], rows[0]["optimistic"], rows[0]["experiments"])
    return drawn, [frozen[name] for name in steering if name in frozen]


async def progress(database: Database) -> list[Progress]:
    """How the frontier grew on the bench that the last engine set up, oldest first."""
    rows = await database.rows(
        f"""
        SELECT at, experiments, hypervolume, optimistic, seconds, tokens FROM progress
        WHERE bench = {BENCH} ORDER BY id
        """
    )
    return [Progress(*row) for row in rows]


async def keeps(database: Database) -> Keeps | None:
    """How far what is confirmed can be trusted, on the bench that the last engine set up; None before a verdict."""
    rows = await database.rows(
        f"""
        SELECT screened, confirmed, expected_false, objective, maximize, kept, refuted, once
        FROM keeps WHERE bench = {BENCH}
        """
    )
    return Keeps(**{**rows[0], "maximize": bool(rows[0]["maximize"])}) if rows else None


async def agreement(database: Database, bench: str | None = None) -> list[Agreement]:
    """How far quick and full runs agree on a bench, or on that of the last engine; nothing before it is known."""
    rows = await database.rows(
        f"SELECT objective, experiments, tau FROM agreement WHERE bench = coalesce(?, {BENCH}) ORDER BY rowid", bench
    )
    return [Agreement(*row) for row in rows]


async def first_verdicts(database: Database, bench: str) -> dict[int, tuple[float, float | None]]:
    """When each experiment was first judged on a bench, and when it was first confirmed there; None for never."""
    rows = await database.rows(
        f"""
        SELECT experiment, min(at), min(CASE WHEN evidence = 'confirmed' AND word IN {UP_WORDS} THEN at END)
        FROM verdicts WHERE bench = ? GROUP BY experiment
        """,
        bench,
    )
    return {row[0]: (row[1], row[2]) for row in rows}


async def hypervolume(database: Database, bench: str, at: float) -> float:
    """The hypervolume on a bench at a moment; the baseline's before there was any."""
    rows = await database.rows(
        "SELECT hypervolume FROM progress WHERE bench = ? AND at <= ? ORDER BY at DESC, id DESC LIMIT 1", bench, at
    )
    return float(rows[0]["hypervolume"]) if rows else 1.0


async def returns(database: Database) -> Returns | None:
    """What the last while has bought, on the bench that the last engine set up; None before a verdict."""
    rows = await database.rows(
        f"SELECT seconds, experiments, confirmed, before, chance FROM returns WHERE bench = {BENCH}"
    )
    return Returns(*rows[0]) if rows else None
