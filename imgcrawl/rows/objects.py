"""Lists whose rows are no lines: Parquet, and one JSON array. The libraries that read them are loaded when needed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

from imgcrawl.exceptions import InputError
from imgcrawl.rows.records import BROKEN, EXCERPT, BadRow
from imgcrawl.rows.source import READ_ERRORS, Source

PARQUET = b"PAR1"  # how such a file begins
MAX_OBJECT = 16 << 20  # bytes that one object of a JSON array may have, about
MAX_DEPTH = 1_000  # of what is nested in one: its reader remembers the way to each level
_PIECE = 1 << 12  # bytes of an array that are read at a time
_BATCH = 100  # rows of Parquet that are held
# What is never read: bytes (images in the list itself), and what has columns of its own.
_LARGE_TYPES = ("is_binary", "is_large_binary", "is_fixed_size_binary", "is_struct", "is_map", "is_union")


@dataclass(frozen=True)
class ObjectRecords:
    """The rows of *source*, which is Parquet or (`format` "json") one JSON array, numbered from 1, with their names."""

    source: Source
    format: str
    encoding = "utf-8"

    @property
    def path(self) -> Path:
        return self.source.path

    def read(self, after: int = 0) -> Iterator[tuple[int, bytes, Any]]:
        """Number, nothing, and the row or the `BadRow` from which on nothing can be read; those before *after* are
        passed over. Raises `InputError` where the library is missing."""
        number = 0
        library = _library(self.path, *(("pyarrow", "parquet") if self.format == "parquet" else ("ijson", "json")))
        broken = (
            *READ_ERRORS,
            ValueError,
            library.lib.ArrowException if self.format == "parquet" else library.JSONError,
        )
        rows = _parquet_rows(self.path) if self.format == "parquet" else _array_items(self.source, library)
        try:
            for number, row in enumerate(rows, 1):
                if number >= after:
                    yield number, b"", row
        except broken as error:
            reason = (str(error).strip().partition("\n")[0] or type(error).__name__)[: 2 * EXCERPT]
            line = max(number, after) + 1
            yield line, b"", BadRow(line, f"{BROKEN}: {reason}", "")


def _library(path: Path, name: str, extra: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        kind = "Parquet" if extra == "parquet" else "one JSON array"
        raise InputError(
            f"list {str(path)!r} is {kind}, and {name}, which reads it, is not installed: "
            f"pip install 'imgcrawl[{extra}]'"
        ) from error


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    types = import_module("pyarrow.types")
    with import_module("pyarrow.parquet").ParquetFile(path, buffer_size=1 << 20) as file:
        columns = [field.name for field in file.schema_arrow if not _is_large(field.type, types)]
        for batch in file.iter_batches(batch_size=_BATCH, columns=columns, use_threads=False):
            for row in batch.to_pylist():
                yield {name: _plain(value) for name, value in row.items()}


def _is_large(kind: Any, types: Any) -> bool:
    if types.is_list(kind) or types.is_large_list(kind):
        kind = kind.value_type
    return any(getattr(types, name)(kind) for name in _LARGE_TYPES)


def _plain(value: Any) -> Any:
    """*value* of a column as JSON has it: days and times as ISO 8601 writes them, decimals as text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _array_items(source: Source, ijson: Any) -> Iterator[Any]:
    stream = _Bounded(source.text_chunks())
    for item in ijson.items(stream, "item", use_float=True, buf_size=_PIECE):
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
        if not self._left:
            self._left = next(self._chunks, b"")
        data, self._left = (self._left[:size], self._left[size:]) if size > 0 else (self._left, b"")
        self.since_item += len(data)
        if self.since_item > MAX_OBJECT:
            raise ValueError(f"an object of more than {MAX_OBJECT} bytes")
        self.depth += sum(data.count(opened) for opened in (b"[", b"{")) - sum(data.count(end) for end in (b"]", b"}"))
        if self.depth > MAX_DEPTH:
            raise ValueError("nested too deeply")
        return data
