"""The folder that an export goes to: what is there is not written again, and no part is ever seen half written."""

from __future__ import annotations

import filecmp
import io
import os
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from imgcrawl.exceptions import ImgcrawlError, InputError, describe
from imgcrawl.filelocks import lock
from imgcrawl.ownfiles import EXPORT_NOTES, check_database, open_own, whose
from imgcrawl.pipelines.folders import Folders
from imgcrawl.pipelines.stores import is_plain
from imgcrawl.rows.reader import is_unicode

FORMAT = 1  # of the notes
_LOCK = ".export.lock"
_UNFINISHED = ".export.tmp"


class UnwritableTargetError(ImgcrawlError):
    """A part cannot be written: the disk is full, say. What is finished stays."""


@dataclass(frozen=True)
class Part:
    """A file of an export: its *name* in the target, and what *write* puts into it, which follows from what *digest*
    names. *write* returns whether that is all that it should be; what is not does not take the place of what is, and is
    written again the next time. Of what has nothing at all it leaves the file empty."""

    name: str
    digest: str
    write: Callable[[IO[bytes]], bool]


class Target:
    """The folder *folder*, for an export of *kind*. The same command again writes only the parts that are new, or have
    changed, or are gone; what it wrote and does not want any more is removed at `finish`. Files that it has not
    written are left alone.

    Raises `InputError` for a folder that cannot be used, and for one with an export of another kind or a newer release.
    Nothing in the folder that another has put there is followed, waited for or changed.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self._folders = Folders(folder)
        self.written = self.unchanged = 0
        check_database(folder / EXPORT_NOTES, "the notes of an export; remove it, or choose another folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with ExitStack() as stack:
                lock(stack.enter_context(open_own(folder / _LOCK)))
                self._notes = sqlite3.connect(folder / EXPORT_NOTES, isolation_level=None)
                stack.callback(self._notes.close)
                self._prepare_notes(kind)
                self._stack = stack.pop_all()
        except BlockingIOError as error:
            raise InputError(f"{folder} is being written by another export; expected it to have ended") from error
        except (OSError, sqlite3.Error) as error:
            raise InputError(f"{folder}: {describe(error)}; expected a folder that can be written to") from error

    def _prepare_notes(self, kind: str) -> None:
        (version,) = self._notes.execute("PRAGMA user_version").fetchone()  # 0: new, or of the first release
        if version > FORMAT:
            raise InputError(
                f"{self.folder / EXPORT_NOTES} is of format {version}, expected {FORMAT}: it was written by a newer"
                " release of imgcrawl; expected another folder"
            )
        self._notes.execute(f"PRAGMA user_version = {FORMAT}")
        self._notes.execute("PRAGMA journal_mode = WAL")
        self._notes.execute("PRAGMA synchronous = OFF")  # what a power cut costs is written again
        self._notes.execute(
            "CREATE TABLE IF NOT EXISTS parts (name TEXT PRIMARY KEY, digest TEXT, size INTEGER, mtime INTEGER,"
            " wanted INTEGER)"
        )
        self._notes.execute("CREATE TABLE IF NOT EXISTS kinds (kind TEXT)")
        found = self._notes.execute("SELECT kind FROM kinds").fetchone()
        if found and found[0] != kind:
            raise InputError(f"{self.folder} has an export of the kind {found[0]}, not {kind}; expected another folder")
        if not found:
            self._notes.execute("INSERT INTO kinds VALUES (?)", (kind,))
        self._notes.execute("UPDATE parts SET wanted = 0")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not whose(self.folder / _UNFINISHED):
            (self.folder / _UNFINISHED).unlink(missing_ok=True)
        self._stack.close()

    def add(self, part: Part) -> None:
        """Have *part* in the folder. Raises `UnwritableTargetError`, and `InputError` where another's file is, or for a
        name that is none of a file in it."""
        if not is_plain(part.name) or not is_unicode(part.name):
            raise InputError(f"{part.name!r} is no name of a file below {self.folder}; expected paths below the store")
        path = self.folder / part.name
        if link := self._link_to(path):
            raise InputError(f"{link} is a symbolic link, behind which nothing is written; expected another folder")
        noted = self._notes.execute("SELECT digest, size, mtime FROM parts WHERE name = ?", (part.name,)).fetchone()
        try:
            if noted and noted == (part.digest, *_signature(path)):
                self._notes.execute("UPDATE parts SET wanted = 1 WHERE name = ?", (part.name,))
                self.unchanged += 1
                return
            self._write(part, path, noted[0] if noted else None)
        except (OSError, sqlite3.Error) as error:
            raise UnwritableTargetError(
                f"{path} cannot be written: {describe(error)}; what is finished stays, and the same command goes on"
            ) from error

    def _write(self, part: Part, path: Path, digest_before: str | None) -> None:
        unfinished = self.folder / _UNFINISHED
        with io.BufferedRandom(open_own(unfinished)) as file:
            file.truncate()
            complete = part.write(file)
            # There is nothing of it, or less than was there before, which stays.
            if not complete and (not file.tell() or (digest_before and path.exists())):
                self._notes.execute("UPDATE parts SET wanted = 1 WHERE name = ?", (part.name,))
                return
        # After a kill there may be parts that were not noted yet: their bytes are the same.
        if path.exists() and digest_before is None and not filecmp.cmp(unfinished, path, shallow=False):
            raise InputError(f"{path} is there already and was not made by this export; expected another folder")
        with self._folders.of(part.name, create=True) as (folder, last):
            os.replace(unfinished, last, dst_dir_fd=folder)
        digest = part.digest if complete else ""
        self._notes.execute(
            "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, 1)", (part.name, digest, *_signature(path))
        )
        self.written += 1

    def finish(self) -> int:
        """Remove the parts that were not added this time, and return how many; unless there is nothing else."""
        if not self.written + self.unchanged:
            return 0
        stale = self._notes.execute("SELECT name, size, mtime FROM parts WHERE wanted = 0").fetchall()
        for name, *signature in stale:
            path = self.folder / name
            if not self._link_to(path) and _signature(path) == tuple(signature):  # nobody has changed it
                with self._folders.of(name) as (folder, last):
                    os.unlink(last, dir_fd=folder)
                _remove_empty(path.parent, self.folder)
            self._notes.execute("DELETE FROM parts WHERE name = ?", (name,))
        return len(stale)

    def _link_to(self, path: Path) -> Path | None:
        """The link, if there is one, among the folders between this one and *path*."""
        folders = path.relative_to(self.folder).parents[:-1]
        return next((self.folder / each for each in folders if (self.folder / each).is_symlink()), None)


def left_empty(file: IO[bytes]) -> bool:
    """Empties *file*, as there is nothing of the part. False."""
    file.seek(0)
    file.truncate()
    return False


def _signature(path: Path) -> tuple[int, int]:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return (-1, -1)
    return found.st_size, found.st_mtime_ns


def _remove_empty(folder: Path, root: Path) -> None:
    while folder != root:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
