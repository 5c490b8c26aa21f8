"""Lists whose rows are no lines: Parquet, and JSON as an array or as objects. What reads them is loaded when needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from imgcrawl.children import import_path
from imgcrawl.exceptions import InputError
from imgcrawl.parquetrows import MAX_ROW
from imgcrawl.rows.records import BROKEN, EXCERPT, BadRow
from imgcrawl.rows.source import READ_ERRORS, Source

PARQUET = b"PAR1"  # how such a file begins
MAX_OBJECT = 16 << 20  # bytes that one object of a JSON array may have, about
MAX_DEPTH = 1_000  # of what is nested in one: its reader remembers the way to each level
_PIECE = 1 << 12  # bytes of an array that are read at a time
_ONE_ARENA = {"MALLOC_ARENA_MAX": "1"}  # each reserves address space, which is what is bounded


@dataclass(frozen=True)
class ObjectRecords:
    """The rows of *source*, which is Parquet or (`format` "json") one JSON array, numbered from 1, with their names.

    *place* is where the rows are in JSON, as ijson names it; "" are objects one after the other."""

    source: Source
    format: str
    place: str = "item"
    encoding = "utf-8"

    @property
    def path(self) -> Path:
        return self.source.path

    def read(self, after: int = 0) -> Iterator[tuple[int, bytes, Any]]:
        """Number, nothing, and the row or the `BadRow` from which on nothing can be read; those before *after* are
        passed over. Raises `InputError` where the library is missing."""
        number = 0
        broken: tuple[type[Exception], ...] = (*READ_ERRORS, ValueError)
        if self.format == "parquet":
            if find_spec("pyarrow") is None:
                raise _without_library(self.path, "Parquet", "pyarrow", "parquet")
            rows: Iterator[Any] = _parquet_rows(self.path)
        else:
            try:
                ijson = import_module("ijson")
            except ImportError as error:
                raise _without_library(self.path, "one JSON array", "ijson", "json") from error
            broken = (*broken, ijson.JSONError)
            rows = _array_items(self.source, self.place, ijson)
        try:
            for number, row in enumerate(rows, 1):
                if number >= after:
                    is_large = row is None and self.format == "parquet"  # else it is `null`, which has no fields
                    yield number, b"", BadRow(number, f"a row of more than {MAX_ROW} bytes", "") if is_large else row
        except broken as error:
            reason = (str(error).strip().partition("\n")[0] or type(error).__name__)[: 2 * EXCERPT]
            line = max(number, after) + 1
            yield line, b"", BadRow(line, f"{BROKEN}: {reason}", "")


def _without_library(path: Path, kind: str, name: str, extra: str) -> InputError:
    return InputError(
        f"list {str(path)!r} is {kind}, and {name}, which reads it, is not installed: pip install 'imgcrawl[{extra}]'"
    )


def _parquet_rows(path: Path) -> Iterator[dict[str, Any] | None]:
    """What `parquetrows` writes. Raises ValueError where nothing more can be read."""
    process = subprocess.Popen(  # noqa: S603 -- ourselves
        [sys.executable, "-P", "-m", "imgcrawl.parquetrows", str(path.absolute())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the crawl, which ends this in its time
        env={**os.environ, **_ONE_ARENA, **import_path()},
    )
    assert process.stdout is not None  # noqa: S101 -- it was asked for
    try:
        for line in iter(partial(process.stdout.readline, MAX_OBJECT), b""):
            if not line.endswith(b"\n"):
                break
            row = json.loads(line)
            if row == "":
                return
            if row and not isinstance(row, dict):
                raise ValueError(row)
            yield row
        raise ValueError("reading it takes too long, or crashes")
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def _array_items(source: Source, place: str, ijson: Any) -> Iterator[Any]:
    stream = _Bounded(source.text_chunks())
    for item in ijson.items(stream, place, use_float=True, buf_size=_PIECE, multiple_values=not place):
        stream.since_item = stream.depth = 0
        yield float(item) if isinstance(item, Decimal) else item


class _Bounded:
    """Chunks of bytes as a file, of which so many may be read, and so many brackets be open, before `since_item` and
    `depth` are set back."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.since_item = 0
        self.depth = 0
        self._chunks = chunks
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        if size == 0:
            return b""
        if size > 0:  # a text is looked through from its beginning with each piece of it
            size = max(size, min(self.since_item // 4, MAX_OBJECT - self.since_item))
        while len(self._left) < max(size, 1) and (chunk := next(self._chunks, b"")):
            self._left += chunk
        data, self._left = (self._left[:size], self._left[size:]) if size > 0 else (self._left, b"")
        self.since_item += len(data)
        if self.since_item > MAX_OBJECT:
            raise ValueError(f"an object of more than {MAX_OBJECT} bytes")
        self.depth += sum(data.count(opened) for opened in (b"[", b"{")) - sum(data.count(end) for end in (b"]", b"}"))
        if self.depth > MAX_DEPTH:
            raise ValueError("nested too deeply")
        return data
