"""Which file gets which name when IMAGES_NAME has changed: worked out before anything is moved."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any, NamedTuple, Self

from imgcrawl.catalogue import Catalogue, Record, StoredGallery
from imgcrawl.images.names import distinct, file_names, folded
from imgcrawl.pipelines.stores import FileStore
from imgcrawl.upkeep.naming import Naming

# `names`: an address each, with its file, the name it had asked for and the name it asks for. `files`: a file each, in
# the order in which names are given; what is `stuck` cannot be called otherwise. `taken`: names, `folded`, that a file
# has, or will have, or is recorded to have had.
_SCHEMA = """
CREATE TABLE names (n INTEGER PRIMARY KEY, key BLOB UNIQUE, old TEXT, checksum TEXT, was TEXT, wanted TEXT,
                    owner INTEGER, seen REAL);
CREATE TABLE files (n INTEGER PRIMARY KEY, old TEXT, checksum TEXT, was TEXT, wanted TEXT, new TEXT, gone INTEGER,
                    stuck INTEGER, waits INTEGER DEFAULT 0);
CREATE TABLE taken (name TEXT PRIMARY KEY, checksum TEXT) WITHOUT ROWID;
"""
_NAME = """
INSERT INTO names (key, old, checksum, was, wanted, owner, seen) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET wanted = excluded.wanted WHERE excluded.wanted = excluded.was
"""


class Move(NamedTuple):
    """A file that is to be called *new*; *between* is a name that nothing else has, for one whose new name another file
    has yet, which is to move, too."""

    old: str
    new: str
    between: str
    checksum: str


class RenamePlan:
    """What is to be moved in *store* so that every image of a spider's galleries is called as *naming* has it.

    The same as long as nothing changes, and what was moved as planned stays where it is: so it may be made again and
    done further. A name that another file has, or is recorded to have had, is given to nobody. A file of several
    addresses is named by the one that named it, or by the first; what another spider's galleries had shown before is
    theirs. Kept in a temporary file, not in memory.
    """

    def __init__(self, catalogue: Catalogue, store: FileStore, naming: Naming) -> None:
        self.catalogue = catalogue
        self.store = store
        self.naming = naming
        self.unknown: Counter[str] = Counter()  # galleries that no pipeline works on, by the fields of their images
        self.others: Counter[str] = Counter()  # images that galleries of another spider had named before, by it
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_SCHEMA}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def read(self) -> Iterator[int]:
        """Work it out; yields now and then, with the number of addresses read so far."""
        self._db.execute("BEGIN")
        count = 0
        for gallery in self.catalogue.galleries(self.naming.spider):
            count += len(gallery.keys)
            self._add(gallery)
            yield count
        # What another spider had shown before is called as that has it: a list may name it, too.
        for gallery in (each for each in self.catalogue.galleries(None) if each.spider != self.naming.spider):
            keys = [(key, gallery.first_seen) for key in gallery.keys]
            found = self._db.executemany("DELETE FROM names WHERE key = ? AND seen > ?", keys)
            self.others[gallery.spider] += max(0, found.rowcount)
            yield count
        self._choose_owners()
        self._db.execute("CREATE INDEX by_old ON files (old)")
        self._db.execute("CREATE INDEX by_file ON names (old, checksum)")
        planned = "SELECT 1 FROM files WHERE old = ? AND checksum = ?"
        for number, record in enumerate(self.catalogue.records()):
            if record.path and not self._db.execute(planned, (record.path, record.checksum)).fetchone():
                self._take(record.path, record.checksum)
            if number % 1000 == 0:
                yield count
        for _ in self._give_names():
            yield count
        self._db.execute("COMMIT")

    def _add(self, gallery: StoredGallery) -> None:
        if gallery.keys and self.naming.requests_for(gallery.media) is None:
            self.unknown[gallery.media] += 1
        outcomes = self.catalogue.outcomes(gallery.keys)
        records = self.catalogue.find_all(gallery.keys)
        paths = self.naming.paths(gallery, [outcome.url if outcome else "" for outcome in outcomes])
        rows = []
        for outcome, record, wanted in zip(outcomes, records, paths, strict=False):
            if record and record.path:
                owns = self._names_its_file(record, wanted)
                rows.append((record.key, record.path, record.checksum, record.wanted, wanted, owns, gallery.first_seen))
            elif outcome and outcome.requested_path:
                rows.append((outcome.key, "", "", outcome.requested_path, wanted, False, gallery.first_seen))
        self._db.executemany(_NAME, rows)

    def _names_its_file(self, record: Record, wanted: str) -> bool:
        path, checksum = record.path, record.checksum
        return path in self._names(record.wanted, path, checksum) or path == self._names(wanted, path, checksum)[-1]

    def _names(self, wanted: str, path: str, checksum: str) -> tuple[str, ...]:
        return file_names(wanted, PurePosixPath(path).suffix, checksum, with_checksum=self.naming.with_checksum)

    def _choose_owners(self) -> None:
        order = "old, checksum, owner DESC, n"
        sql = f"SELECT old, checksum, n, was, wanted, owner FROM names WHERE old <> '' ORDER BY {order}"  # noqa: S608 -- our own names
        with closing(self._db.execute(sql)) as rows:
            for (old, checksum), addresses in groupby(rows, key=lambda row: row[:2]):
                _, _, n, was, wanted, is_owner = next(addresses)
                if is_owner or not self._is_anothers(old, checksum):
                    values = (n, old, checksum, was, wanted)
                    self._db.execute("INSERT INTO files VALUES (?, ?, ?, ?, ?, NULL, 0, 0, 0)", values)

    def _is_anothers(self, path: str, checksum: str) -> bool:
        """Whether an address of another spider has named the file *path*."""
        for key, wanted in self.catalogue.sharing(checksum, path):
            if path in self._names(wanted, path, checksum):
                (outcome,) = self.catalogue.outcomes([key])
                if outcome and outcome.spider != self.naming.spider:
                    return True
        return False

    def _give_names(self) -> Iterator[None]:
        for n, old, checksum, was, wanted in self._rows("SELECT n, old, checksum, was, wanted FROM files"):
            yield
            names = self._names(wanted, old, checksum)
            is_gone = self.store.stat(old) is None
            # The last of the names is also a place between two others.
            is_right = is_gone or old == names[0] or (old in names and was == wanted)
            if is_right or not any(self._is_free(name, checksum) for name in names):
                self._take(old, checksum)
                values = (is_gone, not is_right, n)
                self._db.execute("UPDATE files SET new = old, gone = ?, stuck = ? WHERE n = ?", values)
        for n, old, checksum, wanted in self._rows("SELECT n, old, checksum, wanted FROM files WHERE new IS NULL"):
            yield
            new = next((name for name in self._names(wanted, old, checksum) if self._is_free(name, checksum)), "")
            if is_stuck := not new:
                new = old
            elif distinct([old, new])[1] != new and self.store.stat(old) == self.store.stat(new):
                new = old  # one name, where capitals make no difference
            self._take(new, checksum)
            self._db.execute("UPDATE files SET new = ?, stuck = ? WHERE n = ?", (new, is_stuck, n))

    def _is_free(self, name: str, checksum: str) -> bool:
        if taken := self._db.execute("SELECT checksum FROM taken WHERE name = ?", (folded(name),)).fetchone():
            return bool(taken[0] == checksum)
        if self._db.execute("SELECT 1 FROM files WHERE old = ?", (name,)).fetchone():
            return True  # what has it moves away
        return self.store.is_gone(name) or self.store.checksum(name) == checksum

    def _take(self, path: str, checksum: str) -> None:
        self._db.execute("INSERT OR IGNORE INTO taken VALUES (?, ?)", (folded(path), checksum))

    def _rows(self, sql: str, *values: object) -> Iterator[Any]:
        """The rows of *sql*, which asks for `files` and their number first, while these are changed."""
        after = 0
        where = "AND" if "WHERE" in sql else "WHERE"
        while rows := self._db.execute(f"{sql} {where} n > ? ORDER BY n LIMIT 200", (*values, after)).fetchall():
            yield from rows
            after = rows[-1][0]

    # What has been worked out

    def moves(self, *, waiting: bool = False) -> Iterator[Move]:
        """The files that are to be moved, in the order of their galleries, but for those that are *waiting*; or these
        alone."""
        sql = "SELECT n, old, new, checksum, wanted FROM files WHERE new <> old AND waits = ?"
        for _, old, new, checksum, wanted in self._rows(sql, waiting):
            yield Move(old, new, self._names(wanted, old, checksum)[-1], checksum)

    def note_waiting(self, moves: Sequence[Move]) -> None:
        """Note that *moves* are not to be done before all others."""
        self._db.executemany("UPDATE files SET waits = 1 WHERE old = ?", [(move.old,) for move in moves])

    def count(self) -> int:
        """How many files are called as they should be."""
        sql = "SELECT count(*) FROM files WHERE new = old AND NOT gone AND NOT stuck"
        return int(self._db.execute(sql).fetchone()[0])

    def gone(self) -> Iterator[str]:
        """The files that are not there."""
        for _, old in self._rows("SELECT n, old FROM files WHERE gone = 1"):
            yield str(old)

    def stuck(self) -> Iterator[tuple[str, str]]:
        """The files that none of their names is free for, each with the first of these."""
        for _, old, checksum, wanted in self._rows("SELECT n, old, checksum, wanted FROM files WHERE stuck = 1"):
            yield old, self._names(wanted, old, checksum)[0]

    def names_of(self, moves: Sequence[Move]) -> list[tuple[bytes, str]]:
        """The addresses in the files of *moves*, each with the name that it asks for."""
        found: list[tuple[bytes, str]] = []
        for move in moves:
            sql = "SELECT key, wanted FROM names WHERE old = ? AND checksum = ?"
            found += self._db.execute(sql, (move.old, move.checksum))
        return found

    def other_names(self) -> Iterator[tuple[bytes, str]]:
        """The addresses that ask for another name than before, and whose file is not to be moved, or that have none."""
        for _, key, wanted in self._rows(
            "SELECT n, key, wanted FROM names WHERE was <> wanted AND NOT EXISTS (SELECT 1 FROM files"
            " WHERE files.old = names.old AND files.checksum = names.checksum AND (new <> files.old OR gone OR stuck))"
        ):
            yield key, wanted
