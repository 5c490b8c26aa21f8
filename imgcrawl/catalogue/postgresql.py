"""The catalogue of many machines: a PostgreSQL database."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from time import monotonic
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen

from imgcrawl.catalogue.contract import SCHEMA_VERSION, CatalogueError
from imgcrawl.catalogue.database import FIRST_FILE
from imgcrawl.catalogue.sql import SqlCatalogue
from imgcrawl.exceptions import InputError
from imgcrawl.lines import shown_address

_EXPECTED = (
    "expected postgresql://host:port/database, before the host user:password@ where they are needed, in which other"
    " characters than letters, digits, - . _ ~ are percent-encoded"
)
_HOST = r"(?:[^\s@/?#:,\[\]]*|\[[^\s\]]*\])(?::[0-9]*)?"
_ADDRESS = re.compile(rf"postgres(?:ql)?://(?:[^\s@/?#]*@)?{_HOST}(?:,{_HOST})*(?:/[^\s@?#]*)?(?:\?[^\s#]*)?")
_LOCK = 0x696D6763  # one number for all machines; PostgreSQL's own locks on rows would have to be taken in one order
_BEGIN = f"BEGIN; SELECT pg_advisory_xact_lock({_LOCK})"
_CONNECTION = {"connect_timeout": "10", "keepalives_idle": "30", "tcp_user_timeout": "30000"}

_SCHEMA = (
    "CREATE SCHEMA IF NOT EXISTS imgcrawl",
    "CREATE TABLE IF NOT EXISTS imgcrawl.version (version INTEGER)",
    'CREATE TABLE IF NOT EXISTS images (key BYTEA PRIMARY KEY, wanted TEXT, path TEXT COLLATE "C", checksum TEXT,'
    " bytes BIGINT, format TEXT, width INTEGER, height INTEGER, frames INTEGER, final_url TEXT, etag TEXT,"
    " last_modified TEXT, fetched_at TEXT, checked_at DOUBLE PRECISION, warnings TEXT NOT NULL DEFAULT '',"
    " mtime_ns BIGINT NOT NULL DEFAULT 0, inode BIGINT NOT NULL DEFAULT 0, verified TEXT NOT NULL DEFAULT '')",
    'CREATE TABLE IF NOT EXISTS outcomes (key BYTEA PRIMARY KEY, url TEXT, spider TEXT COLLATE "C", gallery BYTEA,'
    ' page TEXT, status TEXT, reason TEXT COLLATE "C", requested_path TEXT, opt_outs TEXT, tried INTEGER,'
    " first_seen DOUBLE PRECISION, last_seen DOUBLE PRECISION)",
    "CREATE TABLE IF NOT EXISTS galleries (number BIGSERIAL PRIMARY KEY, key BYTEA UNIQUE, spider TEXT, url TEXT,"
    " title TEXT, fields TEXT, media TEXT, images BYTEA, first_seen DOUBLE PRECISION, last_seen DOUBLE PRECISION,"
    " complete_at DOUBLE PRECISION, error TEXT)",
    "CREATE TABLE IF NOT EXISTS claims (checksum TEXT PRIMARY KEY, path TEXT)",
    "CREATE TABLE IF NOT EXISTS walks (key BYTEA PRIMARY KEY, whole INTEGER)",
    "CREATE TABLE IF NOT EXISTS looks (number BIGSERIAL PRIMARY KEY, checksum TEXT UNIQUE, look BYTEA, pixels BIGINT)",
    "CREATE INDEX IF NOT EXISTS by_file ON images (checksum, path)",
    "CREATE INDEX IF NOT EXISTS lost ON galleries (error, number) WHERE error <> ''",
    "CREATE INDEX IF NOT EXISTS by_spider ON galleries (spider, number)",
    "CREATE INDEX IF NOT EXISTS not_had ON outcomes (status, spider, reason, key)"
    " WHERE status IN ('failed', 'refused')",
)

# What a catalogue of an older version lacks: version → what brings it to the next.
_UPGRADES = {3: "ALTER TABLE images ADD COLUMN verified TEXT NOT NULL DEFAULT ''"}


class _StalledError(psycopg.OperationalError):
    """A server is there, and does not answer."""


class _Connection(psycopg.Connection[Any]):
    """A connection that waits *patience* seconds for each answer: keepalives tell of a machine that is gone, not of a
    server that does not go on."""

    patience: float | None = None

    def wait(self, gen: PQGen[RV], *args: Any, **kwargs: Any) -> RV:
        try:
            return super().wait(_in_time(gen, self.patience) if self.patience else gen, *args, **kwargs)
        except _StalledError:
            self.close()  # its answer may come at any time, and be taken for that to another question
            raise


def _in_time(gen: PQGen[RV], seconds: float) -> PQGen[RV]:
    """What *gen* returns, which is told several times a second that there is nothing yet. Raises `_StalledError` after
    so many *seconds*."""
    deadline = monotonic() + seconds
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and monotonic() > deadline:
                raise _StalledError(f"no answer within {seconds:g} seconds")
            wanted = gen.send(ready)
    except StopIteration as end:
        value: RV = end.value
        return value


class PostgresCatalogue(SqlCatalogue):
    """The catalogue in the database at *url*, in a schema `imgcrawl` that is made if there is none. Its server may take
    *timeout* seconds for an answer; None: any time.

    A connection that is lost is made again once, if nothing is lost with it. Raises `InputError` if the database cannot
    be used, `CatalogueError` if it cannot be used any more. No text of an error has the password in it.
    """

    def __init__(self, url: str, *, timeout: float | None = None) -> None:
        super().__init__()
        if not _ADDRESS.fullmatch(url):  # what is wrong with it could be told only with the password
            raise InputError(f"CATALOGUE_URL is no address of a PostgreSQL database: {_EXPECTED}")
        self._url = url
        self._timeout = timeout
        self._in_transaction = False
        self._lost = ""  # why nothing is asked any more
        try:
            self._db = self._connect()
            try:
                self._create()
            except BaseException:
                self._db.close()
                raise
        except (psycopg.ProgrammingError, UnicodeError) as error:
            if isinstance(error, psycopg.ProgrammingError) and error.sqlstate:
                raise InputError(f"CATALOGUE_URL={shown_address(url)}: {_told(error)}; {_EXPECTED}") from error
            raise InputError(f"CATALOGUE_URL cannot be read: {_EXPECTED}") from None
        except (psycopg.Error, CatalogueError) as error:
            raise InputError(f"CATALOGUE_URL={shown_address(url)}: {_told(error)}; {_EXPECTED}") from error

    def _connect(self) -> _Connection:
        given = dict(_CONNECTION, options="-c search_path=imgcrawl", application_name="imgcrawl")
        made = _Connection.connect(self._url, autocommit=True, **given)  # type: ignore[arg-type] # its own parameters come first
        made.patience = self._timeout
        return made

    def _create(self) -> None:
        with self.transaction():
            for statement in _SCHEMA:
                self._db.execute(statement.encode())
            found = self._db.execute("SELECT version FROM version").fetchone()
            version = found[0] if found else SCHEMA_VERSION
            if found is None:
                self._db.execute("INSERT INTO version VALUES (%s)", (SCHEMA_VERSION,))
            while version in _UPGRADES:
                self._db.execute(_UPGRADES[version].encode())
                version += 1
                self._db.execute("UPDATE version SET version = %s", (version,))
            if version != SCHEMA_VERSION:
                raise InputError(
                    f"CATALOGUE_URL={shown_address(self._url)}: catalogue of version {version}, expected version"
                    f" {SCHEMA_VERSION}; it was written by another release of imgcrawl"
                )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._lock:
            if self._in_transaction:  # this thread's, as it has the lock
                yield
                return
            try:
                self._rows(_BEGIN)  # in one: each question costs a round trip
            except BaseException:
                if not self._db.closed:  # it has begun, and not the lock
                    self._db.rollback()
                raise
            self._in_transaction = True
            try:
                yield
                self._rows("COMMIT")
            except BaseException:
                if not self._db.closed:
                    self._db.rollback()
                raise
            finally:
                self._in_transaction = False

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock:
            cursor = self._run(sql, values)
            return cursor.fetchall() if cursor.description else []

    def _run(self, sql: str, values: Sequence[Any]) -> psycopg.Cursor[Any]:
        if self._lost:
            raise CatalogueError(self._lost)
        try:
            return self._db.execute(_in_its_words(sql), values)
        except psycopg.Error as error:
            if self._in_transaction or not self._db.closed or isinstance(error, _StalledError):
                raise self._error(error) from error
        try:
            self._db = self._connect()
            return self._db.execute(_in_its_words(sql), values)
        except psycopg.Error as error:
            self._lost = _lost(error)
            raise CatalogueError(self._lost) from error

    def _error(self, error: psycopg.Error) -> CatalogueError:
        """*error*, told. Where the server has stalled, nothing is asked any more: each would wait as long."""
        if isinstance(error, _StalledError):
            self._lost = _lost(error)
        return CatalogueError(_lost(error))

    def _write(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        try:
            with self._db.cursor() as cursor:
                cursor.executemany(_in_its_words(sql), rows)
        except psycopg.Error as error:
            raise self._error(error) from error

    def _rows_of_keys(self, select: str, keys: Sequence[bytes]) -> Iterable[Any]:
        return self._rows(f"{select} WHERE key = ANY(?)", (list(keys),)) if keys else []

    def first_files(self, checksums: Iterable[str]) -> dict[str, str]:
        first = f"(SELECT path {FIRST_FILE.replace('checksum = ?', 'images.checksum = asked.checksum')})"
        asked = f"SELECT asked.checksum, {first} FROM unnest(?::text[]) AS asked (checksum)"  # noqa: S608 -- our own names
        rows = self._rows(asked, ("", list(checksums)))
        return {checksum: path for checksum, path in rows if path}

    def _size(self) -> int:
        tables = "relnamespace = 'imgcrawl'::regnamespace AND relkind = 'r'"
        sql = f"SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class WHERE {tables}"  # noqa: S608 -- our own names
        return int(self._rows(sql)[0][0])

    def close(self) -> None:
        with self._lock:
            self._db.close()


@lru_cache(100)
def _in_its_words(sql: str) -> bytes:
    return sql.replace("?", "%s").encode()


def _told(error: Exception) -> str:
    """The first line of what PostgreSQL says; a host of several addresses has one for each."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _lost(error: Exception) -> str:
    return f"the catalogue at CATALOGUE_URL cannot be used any more: {_told(error)}"
