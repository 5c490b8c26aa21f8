"""The least that keeping an image can be, step by step, for what question 17 measures.

Little is promised here: what fails ends the script, and a JPEG is as the benchmarks' own.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import threading
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from PIL import Image

STEPS = {
    "thrown away": "",
    "file": "file",
    "sha256": "file hash",
    "decoded": "file hash decode",
    "outcome": "file hash decode note",
    "structure": "file hash walk note",
}
BATCH = 32  # outcomes of a transaction, as imgcrawl's
FRAME = re.compile(rb"\xff[\xc0\xc1]..\x08(..)(..)", re.DOTALL)
MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")


class Keeper:
    """Does with each image all that belongs to *last*, in the folder *store*."""

    def __init__(self, store: Path, last: str) -> None:
        self.does = frozenset(STEPS[last].split())
        self.store = store
        self.numbers = count()
        self.rows: list[tuple[str, str, str, int, int, int]] = []
        self.noting = threading.Lock()
        store.mkdir(parents=True, exist_ok=True)
        (store / "thrown away").touch()
        if "note" in self.does:
            self.catalogue = sqlite3.connect(store / "catalogue.sqlite3", isolation_level=None, check_same_thread=False)
            self.catalogue.execute("PRAGMA journal_mode = WAL")
            self.catalogue.execute("PRAGMA synchronous = NORMAL")
            self.catalogue.execute(
                "CREATE TABLE images (url TEXT PRIMARY KEY, path TEXT, sha256 TEXT, bytes INT, mtime INT, inode INT)"
                " WITHOUT ROWID"
            )

    def known(self, urls: Sequence[str]) -> list[tuple[str, str]]:
        """Those of *urls* that are stored, each with its path."""
        marks = ", ".join("?" * len(urls))
        with self.noting:
            return self.catalogue.execute(f"SELECT url, path FROM images WHERE url IN ({marks})", urls).fetchall()  # noqa: S608 -- question marks

    def folder(self, name: str) -> str:
        """A folder in the store."""
        path = f"{self.store}/{name.replace('/', '_')}"
        os.makedirs(path, exist_ok=True)  # noqa: PTH103 -- a Path costs more than the call
        return path

    def keep(self, url: str, body: bytes, name: str = "") -> tuple[str, str]:
        """The path and the checksum of an image. With a *name* of its own it takes nobody else's."""
        number = next(self.numbers)
        path = name or f"{self.store}/{number:07}.jpg"
        if not self.does:
            os.symlink(f"{self.store}/thrown away", path)  # noqa: PTH211 -- as above; it is there to be counted
            return path, ""
        checksum = hashlib.sha256(body).hexdigest() if "hash" in self.does else ""
        if "decode" in self.does:
            decode(body)
        elif "walk" in self.does:
            walk(body)
        unfinished = f"{self.store}/{number}.unfinished"  # a crash leaves no half image under an image's name
        file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(file, body)
        os.close(file)
        if name:
            os.link(unfinished, path)
            os.unlink(unfinished)  # noqa: PTH108 -- as above
        else:
            os.rename(unfinished, path)  # noqa: PTH104 -- as above
        if "note" in self.does:
            status = os.stat(path)  # noqa: PTH116 -- as above
            with self.noting:
                self.rows.append((url, path, checksum, len(body), status.st_mtime_ns, status.st_ino))
                if len(self.rows) >= BATCH:
                    self.note()
        return path, checksum

    def note(self) -> None:
        """Write the outcomes that are not yet in the catalogue."""
        if self.rows:
            self.catalogue.execute("BEGIN")
            self.catalogue.executemany("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?)", self.rows)
            self.catalogue.execute("COMMIT")
            self.rows.clear()


def decode(body: bytes) -> None:
    """Decode every bit; of the picture one pixel in 64 is computed, as imgcrawl's `images/jpeg.py` does."""
    height, width = (int.from_bytes(side, "big") for side in FRAME.search(body).groups())
    Image.frombytes("L", (-(-width // 8), -(-height // 8)), body, "jpeg", "L", "", 8, 0)


def walk(body: bytes) -> None:
    """Go from marker to marker of a JPEG to its end, as imgcrawl's `images/structure.py` does."""
    at, within = 2, False
    while True:
        marker = MARKER.search(body, at) if within else MARKER.match(body, at)
        code, at = marker[1][0], marker.end()
        if code == 0xD9:
            return
        at += int.from_bytes(body[at : at + 2], "big")
        within = code == 0xDA
