"""What a kill left of the last line of a file, and the header that a CSV file has."""

from __future__ import annotations

import codecs
import csv
import functools
import json
import os
import re
from pathlib import Path
from typing import IO, Any

from imgcrawl.exceptions import InputError

CHUNK = 1 << 20  # bytes


def repair_tail(path: Path, dialect: dict[str, Any] | None) -> tuple[int, bytes]:
    """How many bytes of a file of lines (of a CSV file, with *dialect*) to keep, and what to add to them."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = size
        while start:  # to the beginning of the last line
            block = min(CHUNK, start)
            file.seek(start - block)
            newline = file.read(block).rfind(b"\n")
            start -= block - (newline + 1)
            if newline >= 0:
                break
        file.seek(start)
        tail = file.read()
        if dialect is not None:
            return _repair_csv_tail(file, size, tail, dialect)
    if not tail:
        return size, b""
    try:
        json.loads(tail)
    except (ValueError, RecursionError):
        if tail.lstrip(b"\0 \t")[:1] in (b"{", b""):
            return start, b""
        raise InputError(
            f"Feed {path} holds no JSON lines to add items to: give another name, or -O to replace the file."
        ) from None
    return size, b"\n"


def _repair_csv_tail(file: IO[bytes], size: int, tail: bytes, dialect: dict[str, Any]) -> tuple[int, bytes]:
    quote = str(dialect.get("quotechar", '"')).encode()
    file.seek(0)
    row_end = b"\n" if re.search(rb"[^\r]\n$", file.readline()) else b"\r\n"
    file.seek(max(size - len(row_end), 0))
    if not size or file.read() == row_end:
        return size, b""
    file.seek(0)
    quotes = sum(chunk.count(quote) for chunk in iter(functools.partial(file.read, CHUNK), b""))
    if not tail and quotes % 2 == 0:
        return size, b""
    decoder = codecs.getincrementaldecoder(dialect["encoding"])("ignore")
    decoder.decode(tail)
    half_a_character = len(decoder.getstate()[0])
    return size - half_a_character, quote * (quotes % 2) + row_end


def columns_of(path: Path, dialect: dict[str, Any]) -> list[str]:
    """The header of a CSV file, empty if there is none. InputError if it is no text."""
    encoding = dialect["encoding"]
    if not dialect["header"]:
        return []
    if codecs.lookup(encoding).name == "utf-8":
        encoding = "utf-8-sig"  # spreadsheets write the mark
    kwargs = {key: dialect[key] for key in ("delimiter", "quotechar") if key in dialect}
    try:
        with path.open(encoding=encoding, newline="") as file:
            return next(csv.reader(file, **kwargs), [])
    except (ValueError, csv.Error) as error:
        raise InputError(
            f"Feed {path} holds no CSV header in {dialect['encoding']}: give another name, or -O to replace the file."
        ) from error
