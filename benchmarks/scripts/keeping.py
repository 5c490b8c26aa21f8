"""The least that keeping an image can be, step by step, for what question 17 measures.

Nothing is promised here: names are numbers, what fails ends the script, and a JPEG is as the benchmarks' own.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import threading
from itertools import count
from pathlib import Path

from PIL import Image

STEPS = ("thrown away", "file", "sha256", "decoded", "outcome")
BATCH = 32  # outcomes of a transaction, as imgcrawl's
FRAME = re.compile(rb"\xff[\xc0\xc1]..\x08(..)(..)", re.DOTALL)


class Keeper:
    """Does with each image all steps up to *last*, in the folder *store*."""

    def __init__(self, store: Path, last: str) -> None:
        self.does_file, self.does_hash, self.does_decode, self.does_note = (
            STEPS.index(step) <= STEPS.index(last) for step in STEPS[1:]
        )
        self.store = store
        self.numbers = count()
        self.rows: list[tuple[str, str, str, int, int, int]] = []
        self.noting = threading.Lock()
        store.mkdir(parents=True, exist_ok=True)
        (store / "thrown away").touch()
        if self.does_note:
            self.catalogue = sqlite3.connect(store / "catalogue.sqlite3", isolation_level=None, check_same_thread=False)
            self.catalogue.execute("PRAGMA journal_mode = WAL")
            self.catalogue.execute("PRAGMA synchronous = NORMAL")
            self.catalogue.execute(
                "CREATE TABLE images (url TEXT PRIMARY KEY, path TEXT, sha256 TEXT, bytes INT, mtime INT, inode INT)"
                " WITHOUT ROWID"
            )

    def keep(self, url: str, body: bytes) -> None:
        number = next(self.numbers)
        path = f"{self.store}/{number:07}.jpg"
        if not self.does_file:
            os.symlink(f"{self.store}/thrown away", path)  # noqa: PTH211 -- as below; it is there to be counted
            return
        checksum = hashlib.sha256(body).hexdigest() if self.does_hash else ""
        if self.does_decode:
            decode(body)
        unfinished = f"{self.store}/{number}.unfinished"  # a crash leaves no half image under an image's name
        file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(file, body)
        os.close(file)
        os.rename(unfinished, path)  # noqa: PTH104 -- a Path costs more than the call
        if self.does_note:
            status = os.stat(path)  # noqa: PTH116 -- as above
            with self.noting:
                self.rows.append((url, path, checksum, len(body), status.st_mtime_ns, status.st_ino))
                if len(self.rows) >= BATCH:
                    self.note()

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
