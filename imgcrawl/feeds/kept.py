"""What a feed had before a crawl wrote to it, so that the crawl can write its part again when it has gone on."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

CHUNK = 1 << 20  # bytes


class Range(NamedTuple):
    """Bytes of a file, *end* not included."""

    start: int
    end: int


class KeptParts:
    """Notes in *file* which part of each feed this crawl has written, and tells what of a feed is not from it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def parts_of(self, feed: Path, end: int) -> list[Range]:
        """The parts of *feed*, up to *end*, that this crawl has not written: all of it, unless what was written is
        still there as it was; what others added behind it counts as kept."""
        for note in reversed(self._notes(feed)):
            with suppress(OSError, TypeError, KeyError):
                with feed.open("rb", buffering=0) as file:
                    same = note["end"] <= end and _digest(file, note["end"]) == note["digest"]
                if same:
                    return [Range(0, note["start"]), Range(note["end"], end)]
        return [Range(0, end)]

    def note(self, feed: Path, written: Range, file: io.FileIO) -> None:
        """This crawl is about to make *file* the *feed*, in which it wrote the part *written*."""
        notes = self._all()
        # The one before stays: until the file has become the feed, it is what holds.
        notes[str(feed)] = [*self._notes(feed)[-1:], {**written._asdict(), "digest": _digest(file, written.end)}]
        temporary = self.file.with_name(f"{self.file.name}.new")
        temporary.write_text(json.dumps(notes), "utf-8")
        temporary.replace(self.file)

    def _notes(self, feed: Path) -> list[dict[str, Any]]:
        notes = self._all().get(str(feed))
        return notes if isinstance(notes, list) else []

    def _all(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            notes = json.loads(self.file.read_text("utf-8"))
            return notes if isinstance(notes, dict) else {}
        return {}


def _digest(file: io.FileIO, end: int) -> str:
    digest = blake2b(digest_size=16)
    file.seek(0)
    while end and (data := file.read(min(CHUNK, end))):
        digest.update(data)
        end -= len(data)
    return digest.hexdigest()
