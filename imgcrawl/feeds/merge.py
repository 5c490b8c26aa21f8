"""TELL: the parts of a feed that several workers, or several runs, have written, made into one."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

from scrapy.crawler import Crawler
from scrapy.spiders import Spider
from scrapy.statscollectors import DummyStatsCollector

from imgcrawl.exceptions import InputError
from imgcrawl.feeds.atomic import hidden_sibling
from imgcrawl.feeds.journal import BeingWrittenError, JsonFile
from imgcrawl.feeds.reader import FeedEntry, entries, without_lease
from imgcrawl.items import STORED, by_image, is_row, outcomes_of, row_columns, seconds_of

INDEX_CACHE = 64 * 1024  # KiB of the index that are held in memory; the rest is on disk
MOST_OPEN = 64  # segments at a time: a crawl may leave thousands, and a process may have 1024 files open, or 256
EXCERPT = 60  # bytes of what is no item that are told

# An item takes the place of another of the same gallery if its page was had, then if it has files at all, then if
# fewer of its addresses failed, then if it is younger, then if it stands later.
_PUT = """
INSERT INTO items VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    file = excluded.file, start = excluded.start, size = excluded.size,
    had = excluded.had, stored = excluded.stored, intact = excluded.intact, at = excluded.at
WHERE (excluded.had, excluded.stored, excluded.intact, excluded.at) >= (had, stored, intact, at)
"""


@dataclass
class Report:
    """What was read. *rows*: items that are rows of images (FEED_ROWS); *torn*: segments whose end a kill cut
    off; *broken*: other places that hold no item."""

    items: int = 0
    rows: int = 0
    galleries: int = 0
    torn: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


class Segments:
    """The items of several segments, each once.

    Two items are the same if they came from the same lease (`imgcrawl.feeds.segments` notes it in each line), whoever
    held it. Where no lease is noted, as in feeds, a gallery is known by what the item says: `spider`, `url` and
    `parent`; a row, by its place and its addresses; the first page of a domain, by its rank, too; an image's row
    (FEED_ROWS), by its gallery and its number. Items without a `url` are all kept.

    Of several items the one counts whose page was had, or else the one with files, or else that with the fewest
    failures, or else the latest (`scraped_at`). They stand in the order in which they are first met. A segment is a
    file of JSON Lines or a JSON array; what a kill left of its last item is passed over and told in `report`, and so
    is what is no item. The journal that a kill left beside a `.json` feed is taken up.

    Memory is bounded: items are indexed in a temporary file by where they stand, and read again when they are wanted.
    Raises InputError for what cannot be read, or is no segment at all.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.report = Report()
        self.columns: dict[str, None] = {}  # every field, in the order in which they are first met
        self._read_already: set[tuple[int, int]] = set()
        self._sources: list[tuple[Path, tuple[int, int]]] = []  # segments, and the files that they were
        self._open: dict[int, io.FileIO] = {}  # those of them that are open, the latest used last
        self._stack = ExitStack()
        self._stack.callback(self._close_all)
        try:
            self._index = sqlite3.connect("")  # a file that SQLite makes and removes, if it does not fit in memory
            self._stack.callback(self._index.close)
            for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{INDEX_CACHE}"):
                self._index.execute(f"PRAGMA {pragma}")
            self._index.execute(
                "CREATE TABLE items (n INTEGER PRIMARY KEY, key BLOB UNIQUE, file INTEGER, start INTEGER,"
                " size INTEGER, had INTEGER, stored INTEGER, intact INTEGER, at REAL)"
            )
            for path in paths:
                self._read(path)
            self._index.commit()
            (self.report.galleries,) = self._index.execute("SELECT count(*) FROM items").fetchone()
        except BaseException:
            self._stack.close()
            raise

    def _close_all(self) -> None:
        for file in self._open.values():
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[bytes]:
        """Each item as one line of JSON, without its end."""
        return (line for _, line in self.with_places())

    def with_places(self) -> Iterator[tuple[Path, bytes]]:
        """Each item as such a line, and the segment that has it."""
        for number, start, size in self._index.execute("SELECT file, start, size FROM items ORDER BY n"):
            file = self._file(number)
            file.seek(start)
            text = file.read(size)
            if len(text) < size:
                raise InputError(f"{self._sources[number][0]} has become shorter; expected it to stay until it is read")
            yield self._sources[number][0], _on_one_line(without_lease(text)[0])

    def _file(self, number: int) -> io.FileIO:
        file = self._open.pop(number, None)
        if file is None:
            if len(self._open) >= MOST_OPEN:
                self._open.pop(next(iter(self._open))).close()
            path, identity = self._sources[number]
            try:
                file = path.open("rb", buffering=0)
            except OSError as error:
                raise InputError(f"{path}: {error.strerror}; expected it to stay until it is read") from error
            if _file_identity(os.fstat(file.fileno())) != identity:
                file.close()
                raise InputError(f"{path} is another file now; expected it to stay until it is read")
        self._open[number] = file
        return file

    def _read(self, path: Path) -> None:
        try:
            mode = path.stat().st_mode
            if not stat.S_ISREG(mode):  # a pipe would be waited for, and cannot be read twice
                what = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
                raise InputError(f"{path} is {what}; expected a feed: JSON Lines or a JSON array")
            with suppress(BeingWrittenError):  # what it has so far counts
                take_up_journal(path)
            with path.open("rb") as file:
                identity = _file_identity(os.fstat(file.fileno()))
                if identity in self._read_already:  # given twice, or `-o` to one of the segments
                    return
                self._read_already.add(identity)
                self._sources.append((path, identity))
                items, broken = self.report.items, len(self.report.broken)
                self._index_items(path, file)
        except OSError as error:
            place = error.filename or path  # of the journal, if it is that which cannot be had
            raise InputError(
                f"{place}: {error.strerror or error}; expected a feed: JSON Lines or a JSON array"
            ) from error
        if self.report.items == items and len(self.report.broken) > broken:
            raise InputError(f"{path} holds not one item in JSON; expected a feed: JSON Lines or a JSON array, no CSV")

    def _index_items(self, path: Path, file: io.BufferedReader) -> None:
        for entry in entries(file):
            if entry.torn:
                self.report.torn.append(f"{path}: {entry.place} is not complete, and what is missing was left out")
            elif entry.item is None:
                self.report.broken.append(
                    f"{path}, {entry.place} is no item and was left out: {entry.text[:EXCERPT]!r}"
                )
            else:
                self._put(entry)

    def _put(self, entry: FeedEntry) -> None:
        item = entry.item or {}
        number = len(self._sources) - 1
        self.report.items += 1
        self.columns.update(dict.fromkeys(item))
        key = blake2b(json.dumps(_identity(entry, number)).encode(), digest_size=16).digest()
        outcomes = [item] if is_row(item) else outcomes_of(item)
        self.report.rows += is_row(item)
        failed = sum(outcome.get("status") == "failed" for outcome in outcomes)
        stored = any(outcome.get("status") in STORED for outcome in outcomes)
        quality = (not item.get("error"), stored, -failed, seconds_of(item.get("scraped_at")))
        self._index.execute(_PUT, (key, number, entry.start, len(entry.text), *quality))


class ImageRows:
    """The items of *segments*, a row for each of their images; those that are rows already as they are."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        read = segments.columns
        self.columns = dict.fromkeys([*row_columns(()), *read] if segments.report.rows else row_columns(read))

    def __iter__(self) -> Iterator[bytes]:
        for line in self._segments:
            item = json.loads(line)
            for row in (item,) if is_row(item) else by_image(item):
                try:
                    yield json.dumps(row, ensure_ascii=False).encode()
                except UnicodeEncodeError:  # half of a surrogate pair
                    yield json.dumps(row).encode()


def _identity(entry: FeedEntry, number: int) -> list[Any]:
    """What two items have in common that are the same; *number* is that of the segment."""
    item = entry.item or {}
    url = item.get("url")
    if entry.lease:
        return [entry.lease, url]
    if is_row(item):
        return ["row", *(item.get(name) for name in ("spider", "gallery_url", "parent", "index", "url"))]
    if url is None:
        return [number, entry.start]  # no other is the same
    known = [item.get(name) for name in ("spider", "url", "parent")]
    if "://" not in str(url):  # a row's place in a list: another list may have the same name
        known += [item.get(name) for name in ("image_urls", "video_urls")]
    return [*known, item.get("rank")] if "domain" in item else known


def _file_identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _on_one_line(text: bytes) -> bytes:
    if b"\n" not in text and b"\r" not in text:
        return text
    item = json.loads(text)
    try:
        return json.dumps(item, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, as pages contain
        return json.dumps(item).encode()


def take_up_journal(path: Path) -> None:
    """Let a `.json` feed have what a killed crawl left in its journal. Raises BeingWrittenError."""
    if os.path.lexists(hidden_sibling(path, "journal")):
        stats = DummyStatsCollector(Crawler(Spider))
        file = JsonFile(path.absolute().resolve(), stats, overwrite=False, indent=None)
        file.start()
        file.finish()
