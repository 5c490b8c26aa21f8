"""TELL: the parts of a feed that several workers, or several runs, have written, made into one."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sqlite3
import stat
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from scrapy.crawler import Crawler
from scrapy.spiders import Spider
from scrapy.statscollectors import DummyStatsCollector

from imgcrawl.exceptions import InputError
from imgcrawl.feeds.journal import JsonFile

if TYPE_CHECKING:
    from scrapy.exporters import BaseItemExporter

CHUNK = 1 << 20  # characters of an array that are read at a time
INDEX_CACHE = 64 * 1024  # KiB of the index that are held in memory; the rest is on disk
MOST_OPEN = 64  # segments at a time: a crawl may leave thousands, and a process may have 1024 files open, or 256

LINES = ("jsonl", "jl", "jsonlines")  # the names of one format
SPOOL = -1  # stands for the temporary file, among the numbers of segments

# An item takes the place of another of the same gallery if its page was had, then if it has files at all, then if
# fewer of its addresses failed, then if it is younger, then if it stands later.
_PUT = """
INSERT INTO items VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    file = excluded.file, start = excluded.start, size = excluded.size,
    had = excluded.had, stored = excluded.stored, intact = excluded.intact, at = excluded.at
WHERE (excluded.had, excluded.stored, excluded.intact, excluded.at) >= (had, stored, intact, at)
"""


def uri_params(params: dict[str, Any], spider: Spider) -> dict[str, Any]:
    """FEED_URI_PARAMS: adds `worker` and `run` to what may stand in the address of a feed.

    So `-o 'part-%(worker)s.jsonl'` gives each worker a segment of its own. They are the frontier's names of this
    worker and of its run; without REDIS_URL they are `<host>-<process>` and empty.
    """
    scheduler = spider.crawler.engine.scheduler
    worker = getattr(scheduler, "worker", f"{socket.gethostname()}-{os.getpid()}")
    return {**params, "worker": file_name(worker), "run": file_name(getattr(scheduler, "run", ""))}


def file_name(name: str) -> str:
    """*name* of a worker or a run, made safe for the names of files."""
    return re.sub(r"[^A-Za-z0-9.-]", "_", name)[:120]


@dataclass
class Report:
    """What was read. *torn*: segments whose end a kill cut off; *broken*: other places that hold no item."""

    items: int = 0
    galleries: int = 0
    torn: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


class Segments:
    """The items of several segments, each gallery once: what has the same `spider`, `url` and `parent`.

    Of several items of a gallery the one counts whose page was had, or else the one with files, or else that with the
    fewest failures, or else the latest (`scraped_at`). Galleries stand in the order in which they are first met; items
    without a `url` are all kept. A segment is a file of JSON Lines or a JSON array; what a kill left of its last item
    is passed over and told in `report`, and so is what is no item. The journal that a kill left beside a `.json` feed
    is taken up.

    Memory is bounded: items are indexed in a temporary file by where they stand, and read again when they are wanted.
    Raises InputError for what cannot be read, or is no segment at all.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.report = Report()
        self.columns: dict[str, None] = {}  # every field, in the order in which they are first met
        self._read_already: set[tuple[int, int]] = set()
        self._sources: list[tuple[Path, tuple[int, int]]] = []  # segments of lines, and the files that they were
        self._open: dict[int, IO[bytes]] = {}  # those of them that are open, the latest used last
        self._stack = ExitStack()
        self._stack.callback(lambda: [file.close() for file in self._open.values()])
        try:
            self._index = sqlite3.connect("")  # a file that SQLite makes and removes, if it does not fit in memory
            self._stack.callback(self._index.close)
            for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{INDEX_CACHE}"):
                self._index.execute(f"PRAGMA {pragma}")
            self._index.execute(
                "CREATE TABLE items (n INTEGER PRIMARY KEY, key BLOB UNIQUE, file INTEGER, start INTEGER,"
                " size INTEGER, had INTEGER, stored INTEGER, intact INTEGER, at REAL)"
            )
            # Items of arrays are kept here as one line each.
            self._spool = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 -- closed with the stack
            for path in paths:
                self._read(path)
            self._index.commit()
            (self.report.galleries,) = self._index.execute("SELECT count(*) FROM items").fetchone()
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[bytes]:
        """Each gallery as one line of JSON, without its end."""
        for number, start, size in self._index.execute("SELECT file, start, size FROM items ORDER BY n"):
            file = self._spool if number == SPOOL else self._file(number)
            file.seek(start)
            line = file.read(size)
            if len(line) < size:
                raise InputError(f"{self._sources[number][0]} has become shorter; expected it to stay until it is read")
            yield line

    def _file(self, number: int) -> IO[bytes]:
        file = self._open.pop(number, None)
        if file is None:
            if len(self._open) >= MOST_OPEN:
                self._open.pop(next(iter(self._open))).close()
            path, identity = self._sources[number]
            try:
                file = path.open("rb")
            except OSError as error:
                raise InputError(f"{path}: {error.strerror}; expected it to stay until it is read") from error
            if _identity(os.fstat(file.fileno())) != identity:
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
            with suppress(InputError):  # another crawl is writing it: what it has so far counts
                _take_up_journal(path)
            items, broken = self.report.items, len(self.report.broken)
            with path.open("rb") as file:
                identity = _identity(os.fstat(file.fileno()))
                if identity in self._read_already:  # given twice, or `-o` to one of the segments
                    return
                self._read_already.add(identity)
                head = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
                file.seek(0)
                if head.startswith(b"["):
                    self._read_array(path)
                else:
                    self._read_lines(path, file)
        except OSError as error:
            place = error.filename or path  # of the journal, if it is that which cannot be had
            raise InputError(
                f"{place}: {error.strerror or error}; expected a feed: JSON Lines or a JSON array"
            ) from error
        if self.report.items == items and len(self.report.broken) > broken:
            raise InputError(f"{path} holds not one item; expected a feed: JSON Lines or a JSON array")

    def _read_lines(self, path: Path, file: IO[bytes]) -> None:
        number = len(self._sources)
        self._sources.append((path, _identity(os.fstat(file.fileno()))))
        start = 0
        for count, line in enumerate(file, 1):
            item = _item(line.removeprefix(b"\xef\xbb\xbf") if count == 1 else line)
            if item is not None:
                text = line.rstrip(b"\r\n")
                self._put(item, number, start + text.index(b"{"), len(text) - text.index(b"{"))
            elif not line.endswith(b"\n"):
                self.report.torn.append(f"{path}: its last line is not complete and was left out")
            elif line.strip():
                self.report.broken.append(f"{path}, line {count} is no item and was left out: {_excerpt(line)}")
            start += len(line)

    def _read_array(self, path: Path) -> None:
        for count, text in enumerate(_array(path), 1):
            if text is None:
                self.report.torn.append(
                    f"{path}: the array is not complete; what follows item {count - 1} was left out"
                )
                return
            item = _item(text.encode("utf-8", "surrogateescape"))
            if item is None:
                self.report.broken.append(f"{path}, entry {count} is no item and was left out: {_excerpt(text)}")
                continue
            line = _on_one_line(text, item)
            start = self._spool.seek(0, os.SEEK_END)
            self._spool.write(line)
            self._put(item, SPOOL, start, len(line))

    def _put(self, item: dict[str, Any], number: int, start: int, size: int) -> None:
        self.report.items += 1
        self.columns.update(dict.fromkeys(item))
        known = [item.get(name) for name in ("spider", "url", "parent")]
        if known[1] is None:
            known = [number, start, size]  # where it stands: no other is the same
        key = blake2b(json.dumps(known).encode(), digest_size=16).digest()
        outcomes = outcomes_of(item)
        failed = sum(outcome.get("status") == "failed" for outcome in outcomes)
        stored = any("path" in outcome for outcome in outcomes)
        row = (key, number, start, size, not item.get("error"), stored, -failed, _seconds(item.get("scraped_at")))
        self._index.execute(_PUT, row)


def write_feed(
    segments: Segments,
    path: Path,
    format_: str,
    exporter: Callable[..., BaseItemExporter],
    *,
    each: Callable[[dict[str, Any]], None] | None = None,
    **options: Any,
) -> None:
    """Write all galleries to *path*, which is replaced when all is on disk, and not before.

    *format_* `json` and `LINES` copy the items as they are; any other is written by *exporter*,
    which gets *options*. *each* is called with each item. Raises InputError where *path* cannot be written.
    """
    path = path.absolute().resolve()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            if format_ == "json":
                _write_array(segments, file, each)
            elif format_ in LINES:
                for line in _seen(segments, each):
                    file.write(line + b"\n")
            else:
                options.setdefault("fields_to_export", list(segments.columns))
                _export(segments, exporter(file, **options), each)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            with suppress(OSError):  # not every file system has modes
                shutil.copymode(path, temporary)
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"Feed {path} cannot be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _seen(segments: Segments, each: Callable[[dict[str, Any]], None] | None) -> Iterator[bytes]:
    for line in segments:
        if each:
            each(json.loads(line))
        yield line


def _write_array(segments: Segments, file: IO[bytes], each: Callable[[dict[str, Any]], None] | None) -> None:
    separator = b"["
    for line in _seen(segments, each):
        file.write(separator + line)
        separator = b",\n"
    file.write(b"[]\n" if separator == b"[" else b"]\n")


def _export(segments: Segments, exporter: BaseItemExporter, each: Callable[[dict[str, Any]], None] | None) -> None:
    exporter.start_exporting()
    for line in _seen(segments, each):
        exporter.export_item(json.loads(line))
    exporter.finish_exporting()


def outcomes_of(item: dict[str, Any]) -> list[dict[str, Any]]:
    """The outcomes of an item's images and videos."""
    found = [outcome for name in ("images", "videos") if isinstance(item.get(name), list) for outcome in item[name]]
    return [outcome for outcome in found if isinstance(outcome, dict)]


def count_item(stats: Counter[str], item: dict[str, Any]) -> None:
    """Count *item* and its outcomes in *stats* as the crawl that yielded it has done."""
    if item.get("error"):
        stats["gallery/failed"] += 1
        stats[f"gallery/failed/{item['error']}"] += 1
    else:
        stats["gallery/count"] += 1
    outcomes = outcomes_of(item)
    if not outcomes and not item.get("error"):
        stats["gallery/empty"] += 1
    for outcome in outcomes:
        status = outcome.get("status")
        stats["image/found"] += 1
        stats[f"image/{status}"] += 1
        if "reason" in outcome:
            stats[f"image/{status}/{outcome['reason']}"] += 1


# ---- reading ------------------------------------------------------------------------------------------------


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _item(text: bytes) -> dict[str, Any] | None:
    try:
        item = json.loads(text.decode())
    except (ValueError, RecursionError):
        return None
    return item if isinstance(item, dict) else None


def _array(path: Path) -> Iterator[str | None]:
    """The entries of a JSON array as text, and then None if the array ends too early. Holds one entry or `CHUNK`."""
    decode = json.JSONDecoder().raw_decode
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        text = file.read(CHUNK)
        at = text.index("[") + 1
        while True:
            at = _skip(text, at)
            if at < len(text) and text[at] == "]":
                return
            try:
                _, end = decode(text, at)
                # A number may go on after what was read.
                cut = end == len(text)
            except (ValueError, RecursionError):
                cut, end = True, at
            if cut:
                more = file.read(max(CHUNK, len(text) - at))
                text, at = text[at:] + more, 0
                if not more:
                    yield None
                    return
                continue
            yield text[at:end]
            at = _skip(text, end)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in ", \t\r\n":
        at += 1
    return at


def _on_one_line(text: str, item: dict[str, Any]) -> bytes:
    if "\n" not in text and "\r" not in text:
        return text.encode()
    try:
        return json.dumps(item, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, as pages contain
        return json.dumps(item).encode()


def _take_up_journal(path: Path) -> None:
    """Let a `.json` feed have what a killed crawl left in its journal. InputError: a crawl is writing it."""
    journal = path.with_name(f".{path.name}.journal")
    if journal.exists():
        stats = DummyStatsCollector(Crawler(Spider))
        file = JsonFile(path.absolute().resolve(), stats, overwrite=False, indent=None)
        file.start()
        file.finish()


def _seconds(at: Any) -> float:
    try:
        when = datetime.fromisoformat(at)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _excerpt(text: bytes | str) -> str:
    return repr(text[:60])
