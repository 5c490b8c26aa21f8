"""A folder for the unfinished files of one process, which is gone with it."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO

from imgcrawl.exceptions import InputError
from imgcrawl.filelocks import lock as lock_file

NAME = ".incoming"
ALONE = "alone.lock"  # held by who wants the store for itself
_LOCK = re.compile(r"([0-9a-f]{32})\.lock")
# What is no regular file is neither followed nor waited for.
_OPEN = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class Staging:
    """A folder below `.incoming` in *parent*, with a name that nobody can foresee. It is of this process while this
    holds the lock on the file beside it, on whatever machine: process ids and host names repeat in containers.

    `open` raises `InputError` if `.incoming` is not a folder of this user, and OSError.
    """

    def __init__(self, parent: Path) -> None:
        self.incoming = parent / NAME
        self._numbers = count()
        self._lock: BinaryIO | None = None
        self._alone: BinaryIO | None = None

    def open(self, *, alone: bool = False) -> None:
        """Make the folder. Those of processes that are gone are removed. With *alone* no other process has one until
        this is closed; `InputError` where one has."""
        with suppress(FileExistsError):
            self.incoming.mkdir(parents=True)
        found = self.incoming.lstat()
        if not stat.S_ISDIR(found.st_mode) or not is_own(found):
            raise InputError(
                f"{self.incoming} is {described(found)}, expected a folder of this user for unfinished files; "
                "remove it, or set another IMAGES_STORE"
            )
        for entry in self.incoming.iterdir():
            if match := _LOCK.fullmatch(entry.name):
                _remove_if_dead(entry, self.incoming / match[1])
        while self._lock is None:
            self._claim(secrets.token_hex(16))
        # Each takes its own lock before it looks at the other's: one of two sees the other.
        try:
            self._be_alone() if alone else self._check_nobody_is_alone()
        except BlockingIOError:
            self.close()
            raise InputError(
                f"{self.incoming.parent} is used by another process; expected one that has ended: files are renamed "
                "(scrapy rename) while nobody else writes into their folder"
            ) from None

    def _be_alone(self) -> None:
        self._alone = os.fdopen(os.open(self.incoming / ALONE, _OPEN | os.O_CREAT, 0o600), "rb+")
        lock_file(self._alone)
        for entry in self.incoming.iterdir():
            match = _LOCK.fullmatch(entry.name)
            if match and match[1] != self._folder.name:
                with suppress(FileNotFoundError), os.fdopen(os.open(entry, _OPEN), "rb+") as file:
                    lock_file(file)

    def _check_nobody_is_alone(self) -> None:
        with suppress(FileNotFoundError), os.fdopen(os.open(self.incoming / ALONE, _OPEN), "rb+") as file:
            lock_file(file, shared=True)

    def _claim(self, token: str) -> None:
        path = self.incoming / f"{token}.lock"
        file = os.fdopen(os.open(path, _OPEN | os.O_CREAT | os.O_EXCL, 0o600), "rb+")
        lock_file(file, wait=True)
        try:  # whoever looked between the two lines above took it for a dead process's
            ours = os.path.samestat(os.fstat(file.fileno()), path.lstat())
        except FileNotFoundError:
            ours = False
        if not ours:
            file.close()
            return
        self._lock = file
        self._folder = self.incoming / token
        self._folder.mkdir(mode=0o700)

    def close(self) -> None:
        """Remove the folder and what is in it."""
        if self._alone is not None:
            self._alone.close()  # its file stays: another may be about to lock it
            self._alone = None
        if self._lock is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            with suppress(OSError):
                (self.incoming / f"{self._folder.name}.lock").unlink()
            self._lock.close()
            self._lock = None

    def unused_path(self) -> Path:
        """A path, which nothing has, for a file that is not visible under any final name."""
        return self._folder / f"{next(self._numbers):x}"

    @contextmanager
    def unused(self) -> Iterator[Path]:
        """The same. Whatever is there is gone at the end."""
        path = self.unused_path()
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


def is_own(found: os.stat_result) -> bool:
    """Whether *found* belongs to the user that runs this."""
    return not hasattr(os, "geteuid") or found.st_uid == os.geteuid()


def described(found: os.stat_result) -> str:
    """What *found* is, for a sentence: "a symbolic link", "a folder of the user with the number 7"."""
    kinds = {stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFREG: "a file"}
    kind = "a folder" if stat.S_ISDIR(found.st_mode) else kinds.get(stat.S_IFMT(found.st_mode), "a device")
    return kind if is_own(found) else f"{kind} of the user with the number {found.st_uid}"


def _remove_if_dead(lock: Path, folder: Path) -> None:
    """Remove *folder* and *lock* of a process that no longer holds the lock."""
    with suppress(OSError), os.fdopen(os.open(lock, _OPEN), "rb+") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or not is_own(found):
            return
        lock_file(file)
        shutil.rmtree(folder, ignore_errors=True)  # which follows no link
        lock.unlink()
