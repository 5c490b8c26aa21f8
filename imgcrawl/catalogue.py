"""The record of every image ever stored: which address is here, under which name, with which bytes.

One SQLite file beside the images. Several processes on one machine may share it. It holds no bytes of images,
and a catalogue that is lost costs a download, never a file: what is found on disk under the wanted name with
the same bytes is taken up again.
"""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path

from imgcrawl.exceptions import InputError

SCHEMA_VERSION = 2  # 1 had no warnings


@dataclass(frozen=True, slots=True)
class Record:
    """One address that was stored. *key* is the request's fingerprint, *wanted* the name its item asked for,
    *path* the file that has its bytes (another image's, if that had the same bytes first), *checksum* their
    sha256 in hex, *checked_at* the Unix time at which the server last confirmed them, *warnings* what is wrong
    with them (`imgcrawl.images.damage.WARNINGS`), parted by spaces."""

    key: bytes
    wanted: str
    path: str
    checksum: str
    bytes: int
    format: str
    width: int
    height: int
    frames: int
    final_url: str
    etag: str
    last_modified: str
    fetched_at: str
    checked_at: float
    warnings: str = ""


_COLUMNS = [field.name for field in fields(Record)]
_values = attrgetter(*_COLUMNS)  # astuple() copies every value, deeply
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM images"  # noqa: S608 -- our own column names
_PUT = f"INSERT OR REPLACE INTO images VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 -- placeholders


class Catalogue:
    """The catalogue in the file *path*, created if there is none. Every method may be called from any thread.

    With *durable* every transaction is on disk when it ends; else a power cut may cost the last of them, never the
    file, and a record costs one download.

    Raises `InputError` if the file cannot be used as a catalogue, or is no regular file.
    """

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            for suffix in ("", "-wal", "-shm", "-journal"):  # SQLite would follow a link, and wait for a FIFO
                _check_is_file(path.with_name(path.name + suffix))
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=60)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._create()
        except (sqlite3.Error, OSError) as error:
            raise InputError(
                f"{path}: {error}; expected a catalogue of imgcrawl or a place where one can be made (move a"
                " damaged one away: the images are then asked for once more)"
            ) from error

    def _create(self) -> None:
        with self.transaction():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if not 0 <= version <= SCHEMA_VERSION:
                raise InputError(
                    f"{self.path}: catalogue of version {version}, expected version {SCHEMA_VERSION}; "
                    "it was written by another release of imgcrawl"
                )
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS images (key BLOB PRIMARY KEY, wanted TEXT, path TEXT, checksum TEXT,"
                " bytes INTEGER, format TEXT, width INTEGER, height INTEGER, frames INTEGER, final_url TEXT,"
                " etag TEXT, last_modified TEXT, fetched_at TEXT, checked_at REAL, warnings TEXT NOT NULL DEFAULT '')"
                " WITHOUT ROWID"
            )
            if version == 1:
                self._db.execute("ALTER TABLE images ADD COLUMN warnings TEXT NOT NULL DEFAULT ''")
            # The same bytes may be under very many addresses: what is asked must not walk them.
            self._db.execute("CREATE INDEX IF NOT EXISTS by_file ON images (checksum, path)")
            self._db.execute("DROP INDEX IF EXISTS by_checksum")
            self._db.execute("DROP INDEX IF EXISTS by_path")
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is read and written inside is one step for all threads and processes."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._db.in_transaction:  # SQLite ends it by itself when the disk is full
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def find(self, key: bytes) -> Record | None:
        """The record of the address with fingerprint *key*."""
        with self._lock:
            row = self._db.execute(f"{_SELECT} WHERE key = ?", (key,)).fetchone()
        return Record(*row) if row else None

    def find_all(self, keys: Iterable[bytes]) -> list[Record | None]:
        """The records of the addresses with the fingerprints *keys*, in their order."""
        with self._lock:
            return [self.find(key) for key in keys]

    def files_of(self, checksum: str) -> Iterator[str]:
        """The files that these bytes are recorded for, each once. That they have many addresses costs nothing."""
        path = ""
        while True:
            with self._lock:
                row = self._db.execute(
                    "SELECT path FROM images WHERE checksum = ? AND path > ? ORDER BY path LIMIT 1", (checksum, path)
                ).fetchone()
            if row is None:
                return
            path = row[0]
            yield path

    def has_file(self, path: str, checksum: str) -> bool:
        """Whether these bytes are recorded for the file *path*."""
        with self._lock:
            row = self._db.execute(
                "SELECT 1 FROM images WHERE checksum = ? AND path = ? LIMIT 1", (checksum, path)
            ).fetchone()
        return row is not None

    def put(self, record: Record) -> None:
        """Add *record*, or put it in the place of an older one of the same address. Call inside `transaction`."""
        self._db.execute(_PUT, _values(record))

    def close(self) -> None:
        with self._lock:
            self._db.close()


def _check_is_file(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise InputError(
            f"{path} is no regular file, expected a catalogue of imgcrawl; remove it, or set CATALOGUE_FILE"
        )
