"""The record's file."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from store.database import Database, RecordTooNew, RecordTooOld, statements, versions
from store.place import RECORD


async def test_a_new_record_is_of_the_newest_version(tmp_path: Path) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        assert (await database.rows("PRAGMA user_version"))[0][0] == max(versions())


async def test_opening_an_existing_record_changes_nothing(tmp_path: Path) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        before = [tuple(row) for row in await database.rows("SELECT * FROM sqlite_schema")]
    async with await Database.open(tmp_path) as database:
        assert [tuple(row) for row in await database.rows("SELECT * FROM sqlite_schema")] == before


async def test_a_record_newer_than_the_program_is_refused_by_name(tmp_path: Path) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        await database.rows(f"PRAGMA user_version = {max(versions()) + 1}")
    with pytest.raises(RecordTooNew, match=rf"{RECORD} is of version {max(versions()) + 1}.*pip install --upgrade"):
        await Database.open(tmp_path)


async def test_a_record_that_is_none_is_not_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await Database.open(tmp_path)
    assert not list(tmp_path.iterdir())


async def test_a_record_that_cannot_be_opened_for_want_of_room_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(Database, "_migrate", fail)
    with pytest.raises(sqlite3.OperationalError, match=r"^disk I/O error$"):
        await Database.open(tmp_path, create=True)
    monkeypatch.setattr("store.place.NO_ROOM_BYTES", 1 << 60)
    with pytest.raises(sqlite3.OperationalError, match="no room is left on the disk of "):
        await Database.open(tmp_path)


async def test_who_looks_while_the_record_is_being_made_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / RECORD).touch()
    looking = asyncio.create_task(Database.open(tmp_path, migrate=False))
    await asyncio.sleep(0.1)
    assert not looking.done()
    async with await Database.open(tmp_path):
        pass
    async with await looking as database:
        assert (await database.rows("PRAGMA user_version"))[0][0] == max(versions())


async def test_a_record_of_an_engine_that_is_older_is_not_touched(tmp_path: Path) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        await database.rows("PRAGMA user_version = 1")
    with pytest.raises(RecordTooOld):
        await Database.open(tmp_path, migrate=False)


async def test_a_record_that_lacks_an_index_alone_is_looked_at_as_it_is(tmp_path: Path) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        await database.rows("DROP INDEX experiments_in_hand")
        await database.rows("PRAGMA user_version = 11")
    async with await Database.open(tmp_path, migrate=False) as database:
        assert not await database.rows("SELECT 1 FROM sqlite_schema WHERE name = 'experiments_in_hand'")
    async with await Database.open(tmp_path) as database:
        assert await database.rows("SELECT 1 FROM sqlite_schema WHERE name = 'experiments_in_hand'")


async def test_a_migration_that_fails_halfway_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {1: "CREATE TABLE half (a INTEGER) STRICT;\nCREATE TABLE half (a INTEGER) STRICT;\n"}
    monkeypatch.setattr("store.database.versions", lambda: broken)
    with pytest.raises(sqlite3.OperationalError):
        await Database.open(tmp_path, create=True)
    monkeypatch.undo()
    async with await Database.open(tmp_path) as database:
        assert not await database.rows("SELECT 1 FROM sqlite_schema WHERE name = 'half'")
        assert (await database.rows("PRAGMA user_version"))[0][0] == max(versions())


async def test_a_transaction_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        with pytest.raises(RuntimeError):
            async with database.transaction() as change:
                await change.insert("benches", hash="a", facts={}, at=0.0)
                raise RuntimeError
        assert not await database.rows("SELECT 1 FROM benches")


async def test_a_task_cancelled_anywhere_in_a_transaction_leaves_the_record_usable(tmp_path: Path) -> None:
    async with await Database.open(tmp_path, create=True) as database:

        async def insert(name: str) -> None:
            async with database.transaction() as change:
                await change.insert("benches", hash=name, facts={}, at=0.0)
                await asyncio.sleep(0.001)

        for turn in range(60):
            task = asyncio.create_task(insert(f"cancelled {turn}"))
            await asyncio.sleep(turn * 0.00005)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await insert(f"kept {turn}")
        rows = await database.rows("SELECT hash FROM benches WHERE hash LIKE 'kept %'")
        assert len(rows) == 60


async def test_a_value_that_is_not_finite_cannot_be_recorded(tmp_path: Path) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        await database.rows("PRAGMA foreign_keys = OFF")
        for value in (float("inf"), float("nan")):
            with pytest.raises(sqlite3.IntegrityError):
                async with database.transaction() as change:
                    await change.insert("measurements", run=1, objective="loss", value=value, source="scored")


def test_a_statement_may_hold_semicolons_of_its_own() -> None:
    trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n SELECT 1;\n SELECT 2;\nEND;\n"
    assert list(statements(f"SELECT 0;\n{trigger}")) == ["SELECT 0;\n", trigger]


async def test_a_query_that_is_under_way_locks_no_transaction_out(tmp_path: Path) -> None:
    """A statement that is half read keeps its connection at an old state of the record.

    From there SQLite begins no transaction once somebody else has written, whatever the patience.
    """
    async with await Database.open(tmp_path, create=True) as one, await Database.open(tmp_path) as other:

        async def write(database: Database) -> None:
            for _ in range(150):
                async with database.transaction() as change:
                    await change.insert("events", at=0.0, kind="x", text="", data={})

        async def ask() -> None:
            while not writing.done():
                await one.rows("SELECT * FROM events")

        writing = asyncio.gather(write(one), write(other))
        await asyncio.gather(writing, ask(), ask())
        assert len(await one.rows("SELECT * FROM events")) == 300
