"""A database that SQL is spoken with, and what a catalogue asks it about what is stored."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from operator import attrgetter, itemgetter
from typing import Any, TypeVar

from imgcrawl.catalogue.contract import Record

_T = TypeVar("_T")
AT_ONCE = 200  # rows that are read together

RECORD = [field.name for field in fields(Record)]
_record_values = attrgetter(*RECORD)  # astuple() copies every value, deeply


def select(table: str, columns: Sequence[str]) -> str:
    return f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608 -- our own names


def insert(table: str, columns: Sequence[str], kept: Sequence[str] = ()) -> str:
    """An INSERT that replaces all but the columns *kept* where the key is there."""
    places = ", ".join("?" * len(columns))
    new = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in {"key", *kept})
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places}) ON CONFLICT (key) DO UPDATE SET {new}"  # noqa: S608 -- our own names


_FIND = f"{select('images', RECORD)} WHERE key = ?"
_PUT = insert("images", RECORD)
FIRST_FILE = "FROM images WHERE checksum = ? AND path > ? ORDER BY path LIMIT 1"
INCOMPLETE = "UPDATE galleries SET complete_at = 0 WHERE key = (SELECT gallery FROM outcomes WHERE key = ?)"


class SqlRecords(ABC):
    """What is stored, in a database; a subclass knows how to talk to it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]: ...

    @abstractmethod
    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """What *sql* answers, at once."""

    @abstractmethod
    def _write(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run *sql* with each of *rows*."""

    @abstractmethod
    def _rows_of_keys(self, select: str, keys: Sequence[bytes]) -> Iterable[Any]:
        """The rows that *select* has for *keys*, in any order, each with its key first."""

    # What is stored

    def find(self, key: bytes) -> Record | None:
        rows = self._rows(_FIND, (key,))
        return Record(*rows[0]) if rows else None

    def find_all(self, keys: Iterable[bytes]) -> list[Record | None]:
        keys = list(keys)
        return in_order(self._rows_of_keys(select("images", RECORD), keys), Record, keys)

    def files_of(self, checksum: str, after: str = "") -> Iterator[str]:
        while rows := self._rows(f"SELECT path {FIRST_FILE}", (checksum, after)):
            after = rows[0][0]
            yield after

    def first_files(self, checksums: Iterable[str]) -> dict[str, str]:
        return {checksum: path for checksum in checksums if (path := next(self.files_of(checksum), ""))}

    def has_file(self, path: str, checksum: str) -> bool:
        return bool(self._rows("SELECT 1 FROM images WHERE checksum = ? AND path = ? LIMIT 1", (checksum, path)))

    def put(self, *records: Record) -> None:
        self._write(_PUT, map(_record_values, records))

    def note_file(self, record: Record) -> None:
        values = (record.mtime_ns, record.inode, record.key, record.path, record.checksum)
        sql = "UPDATE images SET mtime_ns = ?, inode = ? WHERE key = ? AND path = ? AND checksum = ?"
        self._write(sql, [values])

    def note_decoded(self, records: Iterable[Record]) -> None:
        told = [(r.width, r.height, r.frames, r.warnings, r.key, r.path, r.checksum) for r in records]
        facts = "verified = '', width = ?, height = ?, frames = ?, warnings = ?"
        with self.transaction():
            self._write(f"UPDATE images SET {facts} WHERE key = ? AND path = ? AND checksum = ?", told)  # noqa: S608 -- our own names

    def claim(self, checksum: str, path: str) -> str:
        with self.transaction():
            for stored in self.files_of(checksum):
                return stored
            self._write("INSERT INTO claims (checksum, path) VALUES (?, ?) ON CONFLICT DO NOTHING", [(checksum, path)])
            claimed: str = self._rows("SELECT path FROM claims WHERE checksum = ?", (checksum,))[0][0]
        return claimed

    def put_claimed(self, record: Record) -> None:
        with self.transaction():
            self.put(record)
            self._write("DELETE FROM claims WHERE checksum = ?", [(record.checksum,)])

    def records(self, after: bytes = b"") -> Iterator[Record]:
        for row in self._all(f"{select('images', RECORD)} WHERE key > ? ORDER BY key", (), after):
            yield Record(*row)

    def keys_of(self, path: str, *, deleted: bool = False) -> list[bytes]:
        where = "path = '' AND wanted = ?" if deleted else "path = ?"
        return [bytes(key) for (key,) in self._rows(f"SELECT key FROM images WHERE {where}", (path,))]  # noqa: S608 -- our own names

    def forget(self, keys: Iterable[bytes]) -> None:
        rows = [(key,) for key in keys]
        with self.transaction():
            # By the name of its file a person may want it back.
            without = "wanted = path, path = '', mtime_ns = 0, inode = 0"
            self._write(f"UPDATE images SET {without} WHERE key = ? AND path <> ''", rows)  # noqa: S608 -- our own names
            self._write("UPDATE outcomes SET status = 'refused', reason = 'deleted' WHERE key = ?", rows)

    def remove(self, keys: Iterable[bytes]) -> None:
        rows = [(key,) for key in keys]
        with self.transaction():
            self._write(INCOMPLETE, rows)
            for table in ("images", "outcomes"):
                self._write(f"DELETE FROM {table} WHERE key = ?", rows)  # noqa: S608 -- our own names

    # How it is read

    def _all(
        self, sql: str, values: Sequence[Any], *after: Any, last: Callable[[Any], Sequence[Any]] = itemgetter(slice(1))
    ) -> Iterator[Any]:
        """All rows of *sql*, which asks for those behind *after*, some at a time: nothing is held, and nobody has to
        wait. *last* is what it has to be asked with after a row: by default that row's first column."""
        behind: Sequence[Any] = after
        while rows := self._rows(f"{sql} LIMIT {AT_ONCE}", (*values, *behind)):
            yield from rows
            behind = last(rows[-1])


def in_order(rows: Iterable[Any], kind: Callable[..., _T], keys: Iterable[bytes]) -> list[_T | None]:
    """What *kind* makes of *rows*, each of which has its key first, in the order of *keys*."""
    found = {bytes(row[0]): kind(*row) for row in rows}
    return [found.get(key) for key in keys]
