"""The catalogue of one machine: a SQLite file beside the images."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from imgcrawl.catalogue.contract import SCHEMA_VERSION, CatalogueError
from imgcrawl.catalogue.sql import SqlCatalogue
from imgcrawl.exceptions import InputError
from imgcrawl.ownfiles import check_database

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS images (key BLOB PRIMARY KEY, wanted TEXT, path TEXT, checksum TEXT, bytes INTEGER,"
    " format TEXT, width INTEGER, height INTEGER, frames INTEGER, final_url TEXT, etag TEXT, last_modified TEXT,"
    " fetched_at TEXT, checked_at REAL, warnings TEXT NOT NULL DEFAULT '', mtime_ns INTEGER NOT NULL DEFAULT 0,"
    " inode INTEGER NOT NULL DEFAULT 0, verified TEXT NOT NULL DEFAULT '') WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS outcomes (key BLOB PRIMARY KEY, url TEXT, spider TEXT, gallery BLOB, page TEXT,"
    " status TEXT, reason TEXT, requested_path TEXT, opt_outs TEXT, tried INTEGER, first_seen REAL, last_seen REAL)"
    " WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS galleries (number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB UNIQUE, spider TEXT,"
    " url TEXT, title TEXT, fields TEXT, media TEXT, images BLOB, first_seen REAL, last_seen REAL, complete_at REAL,"
    " error TEXT)",
    "CREATE TABLE IF NOT EXISTS claims (checksum TEXT PRIMARY KEY, path TEXT) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS walks (key BLOB PRIMARY KEY, whole INTEGER) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS looks (number INTEGER PRIMARY KEY AUTOINCREMENT, checksum TEXT UNIQUE, look BLOB,"
    " pixels INTEGER)",
    # The same bytes may be under very many addresses: what is asked must not walk them.
    "CREATE INDEX IF NOT EXISTS by_file ON images (checksum, path)",
    "CREATE INDEX IF NOT EXISTS lost ON galleries (error, number) WHERE error <> ''",
    "CREATE INDEX IF NOT EXISTS by_spider ON galleries (spider, number)",
    # What is stored is not in it: it is as small as what is missing.
    "CREATE INDEX IF NOT EXISTS not_had ON outcomes (status, spider, reason, key)"
    " WHERE status IN ('failed', 'refused')",
    "DROP INDEX IF EXISTS by_checksum",
    "DROP INDEX IF EXISTS by_path",
)
# What a catalogue of an older version lacks: version → the statements that bring it to the next.
_UPGRADES: dict[int, tuple[str, ...]] = {
    1: ("ALTER TABLE images ADD COLUMN warnings TEXT NOT NULL DEFAULT ''",),
    2: (
        "ALTER TABLE images ADD COLUMN mtime_ns INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE images ADD COLUMN inode INTEGER NOT NULL DEFAULT 0",
    ),
    3: ("ALTER TABLE images ADD COLUMN verified TEXT NOT NULL DEFAULT ''",),
}
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_REMEDY = "move a damaged one away: the images are then asked for once more"
_REMEDY_OF_READ_ONLY = (
    "its folder cannot be written to: name another place in CATALOGUE_FILE, with a copy of it if it is there"
)


class SqliteCatalogue(SqlCatalogue):
    """The catalogue in the file *path*, created if there is none. Several processes on one machine may share it.

    With *durable* every transaction is on disk when it ends; else a power cut may cost the last of them, never the
    file, and a record costs one download.

    Raises `InputError` if the file cannot be used as a catalogue, or is surely not ours alone; later on
    `CatalogueError` where a part of it that is needed turns out to be damaged.
    """

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        super().__init__()
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            check_database(path, "a catalogue of imgcrawl; move it away, or name another file in CATALOGUE_FILE")
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=60)
            with ExitStack() as unless_open:
                unless_open.callback(self._db.close)
                self._use_wal()
                self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._create()
                unless_open.pop_all()
        except (sqlite3.Error, OSError) as error:
            remedy = _REMEDY if os.access(f"{path.parent}/", os.W_OK) else _REMEDY_OF_READ_ONLY
            raise InputError(
                f"{path}: {error}; expected a catalogue of imgcrawl or a place where one can be made ({remedy})"
            ) from error
        except CatalogueError as error:
            raise InputError(str(error)) from error

    def _use_wal(self) -> None:
        # Where others make the same file at this moment SQLite does not wait here, as it does for all transactions.
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
            self._db.execute("BEGIN EXCLUSIVE")
            self._db.execute("ROLLBACK")

    def _create(self) -> None:
        with self.transaction():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if not 0 <= version <= SCHEMA_VERSION:
                raise InputError(
                    f"{self.path}: catalogue of version {version}, expected version {SCHEMA_VERSION}; "
                    "it was written by another release of imgcrawl"
                )
            older = range(version or SCHEMA_VERSION, SCHEMA_VERSION)
            for statement in (*(each for number in older for each in _UPGRADES[number]), *_SCHEMA):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Whether all of a large file is whole would take as long to see, at each start, as to read it.
        with self._lock:
            try:
                yield
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
                    raise CatalogueError(
                        f"{self.path}: {error}; expected a catalogue that is whole ({_REMEDY})"
                    ) from error
                raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._locked():
            if self._db.in_transaction:  # this thread's, as it has the lock
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._db.in_transaction:  # SQLite ends it by itself when the disk is full
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._locked():
            return self._db.execute(sql, values).fetchall()

    def _write(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._db.executemany(sql, rows)

    def _rows_of_keys(self, select: str, keys: Sequence[bytes]) -> Iterable[Any]:
        with self._locked():
            rows = [self._db.execute(f"{select} WHERE key = ?", (key,)).fetchone() for key in keys]
        return filter(None, rows)

    def _size(self) -> int:
        files = (self.path.with_name(self.path.name + suffix) for suffix in ("", "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def close(self) -> None:
        with self._lock:
            self._db.close()
