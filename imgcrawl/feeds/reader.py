"""Reads a feed, JSON Lines or a JSON array, also one that a kill has cut off."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from imgcrawl.feeds import json_array
from imgcrawl.feeds.atomic import CHUNK
from imgcrawl.feeds.json_array import ArrayItems

BOM = b"\xef\xbb\xbf"

# How a worker's segment ends a line: the lease that its item came from. No text of an item can look like it, because
# JSON escapes quotation marks.
_LEASE = re.compile(rb'(?:,\s*)?"_lease":\s*"([^"\\]+)"\}$')


class FeedEntry(NamedTuple):
    """What stands at byte *start* of a feed: *item* (None if it is none), with the *lease* that it came from, if that
    is noted. *torn*: the feed ends within it. *place* says where, for people."""

    place: str
    start: int
    text: bytes
    item: dict[str, Any] | None = None
    lease: str = ""
    torn: bool = False


def entries(file: io.BufferedReader) -> Iterator[FeedEntry]:
    """What stands in a feed, in order. Holds one item at a time, and none of more than `MAX_ITEM` bytes."""
    head = file.peek(len(BOM))
    begin = len(BOM) if head.startswith(BOM) else 0
    if file.peek(4096)[begin:].lstrip().startswith(b"["):
        yield from _array_entries(file.raw, begin)
    else:
        yield from _line_entries(file, begin)


def without_lease(text: bytes) -> tuple[bytes, str]:
    """The JSON of an item as it is in a feed, and the lease that its segment notes, or ""."""
    match = _LEASE.search(text)
    return (text[: match.start()] + b"}", match[1].decode("utf-8", "replace")) if match else (text, "")


def _line_entries(file: io.BufferedReader, begin: int) -> Iterator[FeedEntry]:
    file.seek(begin)
    start = begin
    for number, line in enumerate(iter(partial(file.readline, json_array.MAX_ITEM), b""), 1):
        if len(line) == json_array.MAX_ITEM and not line.endswith(b"\n"):
            yield FeedEntry(f"line {number}, of more than {json_array.MAX_ITEM} bytes,", start, line[:CHUNK])
            while (rest := file.readline(CHUNK)) and not rest.endswith(b"\n"):
                pass
            start = file.tell()
            continue
        text = line.rstrip(b"\r\n")
        entry = _entry(f"line {number}", start, text)
        if entry.item is None and not line.endswith(b"\n"):
            entry = FeedEntry("its last line", start, text, torn=True)
        if entry.item is not None or line.strip():
            yield entry
        start += len(line)


def _array_entries(file: Any, begin: int) -> Iterator[FeedEntry]:
    items = ArrayItems(file, begin, strict=False)
    for start, end in items:
        place = file.tell()
        file.seek(start)
        yield _entry(f"entry {items.count}", start, file.read(end - start))
        file.seek(place)
    if not items.closed:
        yield FeedEntry(f"the array, after {items.count} items,", items.end, b"", torn=True)


def _entry(place: str, start: int, text: bytes) -> FeedEntry:
    whole, lease = without_lease(text)
    try:
        item = json.loads(whole.decode())
    except (ValueError, RecursionError):
        item = None
    return FeedEntry(place, start, text, item if isinstance(item, dict) else None, lease)
