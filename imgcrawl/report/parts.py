"""A large feed of JSON Lines in parts, each for a process of its own."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import BinaryIO, Final

from imgcrawl.items import is_row

LONGEST: Final = 1 << 24  # bytes of a line at which a part may begin

Part = tuple[int, int]  # its first byte, and the one behind its last


def parts_of(path: Path, most: int) -> list[Part | None]:
    """Up to *most* parts of about the same size that have all of the feed at *path*; None: the file as a whole.

    A part begins with a gallery: rows of images, of which several make one, stay together. Raises OSError.
    """
    size = path.stat().st_size
    if most < 2 or path.suffix.lower() in (".csv", ".parquet"):
        return [None]
    with path.open("rb") as file:
        if not file.read(1 << 10).lstrip().startswith(b"{"):  # an array has no place of which the way is known
            return [None]
        begins = [0]
        for number in range(1, most):
            begin = _begin_behind(file, max(begins[-1], size * number // most))
            if begin >= size:
                break
            begins.append(begin)
    begins = sorted(set(begins))
    return [*zip(begins, [*begins[1:], size], strict=True)] if len(begins) > 1 else [None]


def _begin_behind(file: BinaryIO, place: int) -> int:
    """Where the first line behind *place* stands that begins a gallery; or the end."""
    file.seek(max(0, place - 1))
    while line := file.readline(LONGEST):
        if not line.endswith(b"\n"):  # the next piece is of the same line
            continue
        begin = file.tell()
        try:
            item = json.loads(file.readline(LONGEST))
        except (ValueError, RecursionError):
            item = None
        if isinstance(item, dict) and (not is_row(item) or item.get("index", 1) == 1):
            return begin
        file.seek(begin)
    return file.tell()


class PartFile(io.RawIOBase):
    """A *part* of the file at *path*, as a file to read. Raises OSError."""

    def __init__(self, path: Path, part: Part) -> None:
        self._file = path.open("rb", buffering=0)
        self._begin, self._end = part
        self.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self._end - self._begin}[whence]
        return self._file.seek(self._begin + start + offset) - self._begin

    def tell(self) -> int:
        return self._file.tell() - self._begin

    def readinto(self, buffer: memoryview, /) -> int | None:  # type: ignore[override] # any buffer, as for Python's own
        room = max(0, min(len(buffer), self._end - self._file.tell()))
        return self._file.readinto(memoryview(buffer)[:room])

    def close(self) -> None:
        self._file.close()
        super().close()
