"""The record's file: open it, bring it to this version, and change it one transaction at a time."""

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import aiosqlite

from store.place import RECORD, Place, engine_pid, is_full

Answer = TypeVar("Answer")
SCHEMA = Path(__file__).with_name("schema.sql")
LOOKS, LOOK_SECONDS = 100, 0.02  # at a record that its engine is just making


class RecordTooNew(Exception):
    """The record was written by a later cockpit than this one."""


class RecordTooOld(Exception):
    """The record is an earlier cockpit's, whose engine is still at work on it."""


def versions() -> dict[int, str]:
    """The parts of `schema.sql`, by version."""
    parts = re.split(r"^-- version (\d+)$", SCHEMA.read_text("utf-8"), flags=re.MULTILINE)
    return {int(number): text for number, text in zip(parts[1::2], parts[2::2], strict=True)}


class Database:
    """One connection to a study's record. Queries may run side by side; transactions follow one another."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, folder: Path, *, create: bool = False, migrate: bool = True) -> Self:
        """The record of the study in this folder, brought to this version of the schema.

        Raises RecordTooNew, RecordTooOld where it would have to be migrated and `migrate` is false, sqlite3.Error where
        it cannot be read or written, and FileNotFoundError where there is none and `create` is false.
        """
        file = folder / RECORD
        if create:
            folder.mkdir(parents=True, exist_ok=True)
        elif not file.exists():
            raise FileNotFoundError(f"there is no record yet, {file}: a study has one once it has begun")
        connection = await aiosqlite.connect(file, isolation_level=None, timeout=10)
        try:
            connection.row_factory = sqlite3.Row
            await connection.execute("PRAGMA journal_mode = WAL")
            await connection.execute("PRAGMA synchronous = FULL")
            await connection.execute("PRAGMA foreign_keys = ON")
            self = cls(connection)
            await self._migrate(file, allowed=migrate)
        except BaseException as error:
            await connection.close()
            if isinstance(error, sqlite3.OperationalError) and is_full(folder):
                raise sqlite3.OperationalError(f"{error}: no room is left on the disk of {folder}") from error
            raise
        return self

    async def _migrate(self, file: Path, *, allowed: bool) -> None:
        known = versions()
        for _ in range(LOOKS):
            if allowed or await self._version():
                break
            await asyncio.sleep(LOOK_SECONDS)  # its engine is just making it
        if await self._version() == max(known):
            return
        if not allowed and (have := await self._version()) < max(known):
            lacks = [one for version in range(have + 1, max(known) + 1) for one in statements(known[version])]
            if all(re.match(r"(\s*--.*\n)*\s*CREATE INDEX", one) for one in lacks):
                return  # it is only slower without
            raise RecordTooOld(f"{file} is in use by an engine of an earlier cockpit: look again when that has ended")
        async with self.transaction() as change:
            have = await self._version()
            if have > max(known):
                raise RecordTooNew(
                    f"{file} is of version {have}, and this cockpit knows versions up to {max(known)}: "
                    "pip install --upgrade research-cockpit"
                )
            for version in range(have + 1, max(known) + 1):
                for statement in statements(known[version]):
                    await change.execute(statement)
                await change.execute(f"PRAGMA user_version = {version}")

    async def _version(self) -> int:
        return int((await self.rows("PRAGMA user_version"))[0][0])

    async def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """All rows of a query."""
        return await _rows(self._connection, sql, values)

    async def trace(self, heard: Callable[[str], None] | None) -> None:
        """Have each statement told from now on, or none: how many an event takes is what a benchmark counts."""
        handler: Any = heard  # None ends it
        await self._connection.set_trace_callback(handler)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Change"]:
        """All that is done through the Change is kept together, or not at all."""
        async with self._turn:
            try:
                await self._connection.execute("BEGIN IMMEDIATE")
                yield Change(self._connection)
                await self._connection.execute("COMMIT")
            except BaseException:
                # Also where a cancelled BEGIN is still on its way: the connection takes its orders in turn.
                with suppress(sqlite3.OperationalError):
                    await asyncio.shield(self._roll_back())
                raise

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """What is asked within is answered from one state of the record."""
        async with self._turn:
            await self._connection.execute("BEGIN")
            try:
                yield
            finally:
                with suppress(sqlite3.OperationalError):
                    await asyncio.shield(self._roll_back())

    async def _roll_back(self) -> None:
        await self._connection.execute("ROLLBACK")

    async def close(self) -> None:
        """Close the connection; its thread ends."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def ask(place: Place, question: Callable[[Database], Awaitable[Answer]], unasked: Answer) -> Answer:
    """The answer to one question, from a connection of its own; `unasked` where the study has no record yet."""
    try:
        database = await Database.open(place.folder, migrate=engine_pid(place.folder) is None)
    except FileNotFoundError:
        return unasked
    async with database:
        return await question(database)


class Change:
    """What a transaction can do."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def execute(self, sql: str, *values: Any) -> int:
        """Run one statement. The id of the row it inserted."""
        async with self._connection.execute(sql, values) as cursor:
            return cursor.lastrowid or 0

    async def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """All rows of a query, as they stand within the transaction."""
        return await _rows(self._connection, sql, values)

    async def insert(self, table: str, **values: Any) -> int:
        """Insert one row; a dict becomes JSON. Its id. The table's and columns' names are this program's own."""
        marks = ", ".join("?" * len(values))
        kept = [json.dumps(dict(value)) if isinstance(value, Mapping) else value for value in values.values()]
        return await self.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", *kept)


async def _rows(connection: aiosqlite.Connection, sql: str, values: tuple[Any, ...]) -> list[sqlite3.Row]:
    # In one go. A statement that is half read keeps its connection at an old state of the record, and once somebody has
    # written SQLite begins no transaction from there: it is locked, however long one waits (SQLITE_BUSY_SNAPSHOT).
    return list(await connection.execute_fetchall(sql, values))


def statements(script: str) -> Iterable[str]:
    """The statements of an SQL script. One may hold semicolons, as a trigger does."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
