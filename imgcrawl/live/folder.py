"""A folder in which each crawl of this user has a file that says how it is: found from anywhere, without a server.

Beside `<spider>,<name>.json` stands a `.lock`, which its process holds: when that ends, however it ends, the lock is
free, and whoever looks knows. What a person asks for is in `.control`.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, unquote

import platformdirs
from scrapy.settings import BaseSettings

from imgcrawl.exceptions import InputError, describe
from imgcrawl.filelocks import lock
from imgcrawl.live import border
from imgcrawl.ownfiles import read_file, whose, whose_folder
from imgcrawl.regularfiles import descriptor_of

KEPT = 20  # crawls of a spider that are remembered when they have ended
STALE = 10.0  # seconds after which a process is taken for dead where the file system has no locks


class LiveFolder:
    """LIVE_FOLDER, or what the operating system has for a program's state. Raises `InputError` if it is not ours."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._check()

    def _check(self) -> None:
        if not self.path.is_absolute():  # `~` is no folder where nobody says whose home that is
            raise InputError(f"LIVE_FOLDER is not set, and {self.path} is no folder; expected one, or HOME")
        try:
            why = whose_folder(self.path)
        except OSError as error:
            why = f"not to be had ({describe(error)})"
        if why:
            raise InputError(f"LIVE_FOLDER={self.path} is {why}; expected a folder of yours alone")

    @classmethod
    def from_settings(cls, settings: BaseSettings) -> LiveFolder:
        named = settings.get("LIVE_FOLDER")
        return cls(Path(named).absolute() if named else platformdirs.user_state_path("imgcrawl") / "live")

    def entries(self, spider: str = "") -> Iterator[LiveEntry]:
        """Those of *spider*, or all."""
        with suppress(OSError):
            for file in sorted(self.path.glob(f"{_escaped(spider)},*.json" if spider else "*.json")):
                yield LiveEntry(file)

    def open(self, spider: str, name: str) -> OwnEntry:
        """A new entry, for this process. Raises OSError, and `InputError` if the folder is not ours."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._check()  # another user may have been faster
        self._forget_old(spider)
        return OwnEntry(self.path / f"{_escaped(spider)},{quote(name, safe='')[:150]}.json")

    def _forget_old(self, spider: str) -> None:
        dead = [entry for entry in self.entries(spider) if not entry.is_alive()]
        for entry in sorted(dead, key=lambda entry: entry.changed_at)[:-KEPT]:
            entry.remove()


class LiveEntry:
    """What one process has left, or still keeps, in the folder."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lock = file.with_suffix(".lock")
        self.control = file.with_suffix(".control")

    @property
    def name(self) -> str:
        """That of the process."""
        return unquote(self.file.name.partition(",")[2].removesuffix(".json"))

    @property
    def changed_at(self) -> float:
        try:
            return self.file.stat().st_mtime
        except OSError:
            return 0.0

    def is_alive(self) -> bool:
        """Whether the process that keeps it lives."""
        try:
            with os.fdopen(descriptor_of(self.lock, follow=False), "rb") as file:
                lock(file, shared=True)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        except OSError:  # no locks there
            return time.time() - self.changed_at < STALE
        return False

    def read(self) -> dict[str, Any]:
        """What its process says, checked; without a spider if that cannot be read."""
        try:
            return border.snapshot(border.parsed(read_file(self.file, border.LARGEST, follow=False)))
        except OSError:
            return border.snapshot({})

    def ask(self, wanted: dict[str, Any]) -> None:
        """Have its process obey *wanted*. Raises OSError."""
        _replace(self.control, wanted)

    def asked(self) -> dict[str, Any]:
        """What was asked of its process."""
        try:
            return border.control(border.parsed(read_file(self.control, border.LARGEST, follow=False)))
        except OSError:
            return border.control({})

    def remove(self) -> None:
        for file in (self.file, self.control, self.lock):
            with suppress(OSError):
                file.unlink(missing_ok=True)


class OwnEntry(LiveEntry):
    """The entry of this process."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self._held: IO[bytes] | None = os.fdopen(os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        self._writing = threading.Lock()
        self._is_over = False
        with suppress(OSError):
            lock(self._held, wait=True)

    def write(self, snapshot: dict[str, Any]) -> None:
        """Say *snapshot*, from any thread, unless it was said that the crawl has ended, and this does not. Raises
        OSError."""
        with self._writing:
            if self._held and (snapshot.get("ended") or not self._is_over):
                self._is_over = bool(snapshot.get("ended"))
                _replace(self.file, snapshot)

    def close(self, *, remove: bool = False) -> None:
        """The crawl has ended in order. With *remove* nothing of it is kept."""
        with self._writing:
            if self._held:
                held, self._held = self._held, None
                if remove:
                    self.remove()
                with suppress(OSError):
                    self.control.unlink(missing_ok=True)
                held.close()


def open_entry(settings: BaseSettings, spider: str, name: str) -> OwnEntry:
    """A new entry, for this process, in the folder of *settings*. Raises OSError, and `InputError` if it is not
    ours."""
    return LiveFolder.from_settings(settings).open(spider, name)


def _replace(file: Path, content: dict[str, Any]) -> None:
    if why := whose(file):
        raise OSError(f"{file} is {why}")
    new = file.with_suffix(f".{os.getpid()}-{secrets.token_hex(3)}.new")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as written:
            json.dump(content, written, separators=(",", ":"))
        new.replace(file)
    except OSError:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise


def _escaped(spider: str) -> str:
    # Neither a comma, nor anything that a pattern of names would take for more than itself.
    return quote(spider, safe="")
