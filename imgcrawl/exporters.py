"""Feeds that are valid at every moment.

`scrapy crawl X -o images.json` (or `.jsonl`, `.csv`; `-O` to replace) works as in Scrapy, and besides:

- An item is on its way to disk (`write(2)` has returned) when `item_scraped` has been handled: a SIGKILL loses none.
- A local `.json` file is a whole JSON array whenever it is read: it is only ever replaced, by `rename(2)`. A second
  `-o` leaves one array with the items of both runs.
- `-o` mends what a kill left of the last line of a `.jsonl` or `.csv` file, and writes no second CSV header.
- A feed that cannot be written is refused in one sentence before the first request, its file untouched. One that
  cannot be written any more (disk full) is told in one sentence; the items it lacks are counted in `feed/lost`.

How a `.json` feed is written: items go to a journal beside it (`.images.json.journal`). A thread copies the array and
what the journal has more to `.images.json.tmp` and renames that; then it rests `PAUSE` times as long as it took, so
that a large array costs a few per cent of one thread's time, and is a little behind. The journal is removed when the
crawl ends. One that a kill left is taken up by the next `-o` to the same file, as far as it had not come into the
array, and by nothing else: `-O` starts afresh. A running crawl holds a lock on the journal: a second one is refused.

Scrapy's own behaviour remains for other stores (S3, FTP, stdout), devices and pipes, other formats, feeds with
`postprocessing` (a compressed file is whole when it is finished) and JSON in another encoding than UTF-8
(RFC 8259, 8.1, wants UTF-8).
"""

from __future__ import annotations

import codecs
import contextlib
import copy
import csv
import errno
import functools
import io
import json
import logging
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from scrapy import exporters, signals
from scrapy.extensions import feedexport
from scrapy.utils.asyncio import run_in_thread
from scrapy.utils.defer import deferred_from_coro
from scrapy.utils.misc import load_object

from imgcrawl.exceptions import ImgcrawlError, InputError

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from scrapy import Spider
    from scrapy.crawler import Crawler
    from scrapy.statscollectors import StatsCollector
    from twisted.internet.defer import Deferred
    from typing_extensions import Buffer

    Signature = tuple[int, int]

logger = logging.getLogger(__name__)

PAUSE = 20  # times the duration of the last publishing: at most 5 % of the time goes into it
RETRY = 5.0  # seconds until a publishing that failed is tried again
CHUNK = 1 << 20  # bytes


# ---- Exporters: an item as bytes -----------------------------------------------------------------------


def _encoded(exporter: JsonItemExporter | JsonLinesItemExporter, item: Any) -> bytes:
    fields = dict(exporter.get_serialized_fields(item))
    encoding = exporter.encoding or "utf-8"
    try:
        return exporter.encoder.encode(fields).encode(encoding)
    except UnicodeEncodeError:
        # Half a surrogate pair in a title, or a character that the encoding lacks: JSON can escape it.
        encoder = copy.copy(exporter.encoder)
        encoder.ensure_ascii = True
        return encoder.encode(fields).encode(encoding)


class JsonLinesItemExporter(exporters.JsonLinesItemExporter):
    """Scrapy's, one `write` an item; an item that the encoding cannot say is escaped instead of lost."""

    def export_item(self, item: Any) -> None:
        self.file.write(_encoded(self, item) + b"\n")


class JsonItemExporter(exporters.JsonItemExporter):
    """Scrapy's, except that a `JsonFile` gets the items only: it makes the array itself."""

    def start_exporting(self) -> None:
        if not isinstance(self.file, FeedFile):
            super().start_exporting()

    def finish_exporting(self) -> None:
        if not isinstance(self.file, FeedFile):
            super().finish_exporting()

    def export_item(self, item: Any) -> None:
        data = _encoded(self, item)
        if not isinstance(self.file, FeedFile):
            self._add_comma_after_first()
        self.file.write(data)


class CsvItemExporter(exporters.CsvItemExporter):
    """Scrapy's, except that rows added to a file go under the header that the file has."""

    def __init__(self, file: Any, **kwargs: Any) -> None:
        kwargs.setdefault("errors", "backslashreplace")  # Scrapy would lose the row
        super().__init__(file, **kwargs)
        if isinstance(file, LinesFile) and file.columns:
            self.include_headers_line = False
            if not self.fields_to_export:
                self.fields_to_export = file.columns
                self._autodetected_fields = True  # Scrapy then warns of fields that have no column


# ---- Files: what an exporter writes to -----------------------------------------------------------------


class FeedFile(io.RawIOBase):
    """One `write` is one item, which is on its way to disk when `write` returns.

    An item that cannot be written is counted (`lost`, the stat `feed/lost`), the first one is told, and the
    file is as if the attempt had not been made.
    """

    def __init__(self, path: Path, stats: StatsCollector) -> None:
        self.path = path
        self.stats = stats
        self.lost = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        size = memoryview(data).nbytes
        try:
            self._append(data)
        except OSError as error:
            self.lost += 1
            self.stats.inc_value("feed/lost")
            if self.lost == 1:
                sentence = f"Feed {self.path}: items cannot be written: {_why(error)}."
                logger.error(sentence)  # noqa: TRY400 - one sentence, no traceback
                _accuse(self.stats, sentence)
        return size

    def _append(self, data: Buffer) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        """Bring the file to its end. Raises ImgcrawlError if it lacks items."""
        if self.lost:
            raise ImgcrawlError(f"{self.lost} items could not be written")


class LostFile(FeedFile):
    """Stands for a file that cannot be opened, and counts what it should have held."""

    def __init__(self, path: Path, stats: StatsCollector, why: Exception) -> None:
        super().__init__(path, stats)
        self._why = _why(why)

    def _append(self, data: Buffer) -> None:
        raise OSError(self._why)


class LinesFile(FeedFile):
    """A file of lines or rows. *columns* is the header that a CSV file has already.

    Any number of crawls may add to one file. Raises OSError, and InputError as `_mended` does.
    """

    def __init__(self, path: Path, stats: StatsCollector, *, overwrite: bool, dialect: dict[str, Any] | None) -> None:
        super().__init__(path, stats)
        self.columns: list[str] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._regular = path.is_file()
        try:
            if self._regular:
                self._begin(overwrite, dialect)
        except BaseException:
            self._file.close()
            raise

    def _begin(self, overwrite: bool, dialect: dict[str, Any] | None) -> None:
        if overwrite:
            self._file.truncate(0)
        # Where another crawl has the file, its last line is not torn but being written.
        elif _lock(self._file, alone=True):
            keep, add = _mended(self.path, dialect)
            self._file.truncate(keep)
            _write(self._file, add)
        _lock(self._file, alone=False)
        if dialect is not None:
            self.columns = _columns(self.path, dialect)

    def _append(self, data: Buffer) -> None:
        try:
            _write(self._file, data)
        except _TornWriteError as error:
            # What another crawl has added meanwhile must stay.
            if self._regular and (end := self._file.tell()) == self._file.seek(0, os.SEEK_END):
                self._file.truncate(end - error.written)
            raise

    def finish(self) -> None:
        self._file.close()
        super().finish()


class JsonFile(FeedFile):
    """A JSON array that is whole at every moment; the module's docstring says how.

    The journal holds a `MARK`, then each item with a comma before it. The mark says up to which byte the journal is
    in the array, and where the array's last item ended then. `_body` is that end; an empty array's is 1.
    Raises OSError, InputError (no array, no journal, another crawl has it).
    """

    MARK = re.compile(rb"(\d{20}) (\d{20})\n")
    MARK_SIZE = 42

    def __init__(self, path: Path, stats: StatsCollector, *, overwrite: bool, indent: int | None) -> None:
        super().__init__(path, stats)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._overwrite = overwrite
        self._separator, self._tail = (b",", b"]") if indent is None else (b",\n", b"\n]")
        self._journal_path, self._temporary = _beside(path, "journal"), _beside(path, "tmp")
        self._body, self._published = 1, self.MARK_SIZE
        self._news, self._ended = threading.Event(), threading.Event()
        self._publisher = threading.Thread(target=self._keep_publishing, name=f"feed {path.name}", daemon=True)
        self._journal = _claimed(path)
        self._written = self._journal.seek(0, os.SEEK_END)
        self._signature = _signature(path)
        # The publisher's own place in the journal: positions belong to the open file.
        self._reader = self._journal_path.open("r+b", buffering=0)
        try:
            if not overwrite:
                self._take_up()
        except BaseException:
            self.discard()
            raise

    def _take_up(self) -> None:
        if self._signature:
            self._body = _array_end(self.path, self._signature)
        self._journal.seek(0)
        head = self._journal.read(self.MARK_SIZE)
        if len(head) < self.MARK_SIZE:  # new, or killed while it was made
            self._mark()
            self._written = self.MARK_SIZE
            return
        mark = self.MARK.fullmatch(head)
        if not mark:
            raise InputError(f"{self._journal_path} is not the journal of a feed: remove it, then try again.")
        body, published = (int(number) for number in mark.groups())
        # Killed between renaming and marking: what follows the marked end is what follows in the journal.
        begin, more = published + (body == 1), self._body - body
        if more > 0 and _same(self.path, body, self._journal_path, begin, more):
            published = begin + more
        published = min(published, self._written)
        end, items, _ = _read_items(self._journal, published, inside=True)
        self._journal.truncate(end)
        self._published, self._written = published, end
        self._mark()
        if items:
            self._publish()
            logger.info("Feed %s: took up %d items that a killed crawl had left in its journal", self.path, items)

    def start(self) -> None:
        """Begin to publish. With *overwrite* an empty array takes the place of what was there."""
        if self._overwrite:
            self._signature = _signature(self.path)
            self._journal.truncate(self.MARK_SIZE)
            self._written = self.MARK_SIZE
            self._mark()
            try:
                self._publish()
            except (OSError, ImgcrawlError):
                self._news.set()  # the publisher tries again, and tells
        self._publisher.start()

    def _append(self, data: Buffer) -> None:
        self._journal.seek(self._written)
        try:
            written = _write(self._journal, self._separator + bytes(data))
        except OSError:
            self._journal.truncate(self._written)
            raise
        self._written += written
        self._news.set()

    def _keep_publishing(self) -> None:
        told = ""
        while self._news.wait() and not self._ended.is_set():
            self._news.clear()
            started, failure = time.monotonic(), ""
            try:
                self._publish()
            except (OSError, ImgcrawlError) as error:
                failure = _why(error)
                self._news.set()
            if failure and failure != told:
                waiting = self._journal_path
                logger.error("Feed %s is behind, its items wait in %s: %s", self.path, waiting, failure)
            told = failure
            self._ended.wait(PAUSE * (time.monotonic() - started) + (RETRY if failure else 0))

    def _publish(self) -> None:
        end = self._written
        signature = _signature(self.path)
        if signature and signature != self._signature:
            raise ImgcrawlError("another program has changed it")
        # Someone may have moved the array away: the next one begins where that one ends.
        body = self._body if signature else 1
        begin = min(self._published + (body == 1), end)
        # A half copy would take the space that images and the journal still need.
        disk = shutil.disk_usage(self.path.parent)
        if disk.total and body + end - begin + len(self._tail) > disk.free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        try:
            with self._temporary.open("wb", buffering=0) as target:
                if body == 1:
                    _write(target, b"[")
                else:
                    with self.path.open("rb", buffering=0) as source:
                        _copy(source, 0, body, target)
                _copy(self._reader, begin, end - begin, target)
                _write(target, self._tail)
                os.fsync(target.fileno())
            if signature:
                with contextlib.suppress(OSError):  # not every file system has modes
                    shutil.copymode(self.path, self._temporary)
            self._signature = _signature(self._temporary)
            self._temporary.replace(self.path)
        except OSError:
            self._signature = signature
            self._temporary.unlink(missing_ok=True)
            raise
        self._body = body + end - begin
        self._published = end
        self._mark()

    def _mark(self) -> None:
        self._reader.seek(0)
        _write(self._reader, b"%020d %020d\n" % (self._body, self._published))

    def finish(self) -> None:
        """Publish what is missing and remove the journal. Raises ImgcrawlError if the array lacks items."""
        self._ended.set()
        self._news.set()
        if self._publisher.is_alive():
            self._publisher.join()
        try:
            if self._written > self._published or not self.path.exists():
                self._publish()
        except (OSError, ImgcrawlError) as error:
            raise ImgcrawlError(f"{_why(error)}; items wait in {self._journal_path} for the next -o") from error
        finally:
            self.discard()
        super().finish()

    def discard(self) -> None:
        """Let go of the file; the journal stays if it has items that the array has not."""
        if self._journal.closed:
            return
        if self._written <= self._published:
            self._journal_path.unlink(missing_ok=True)
        self._reader.close()
        self._journal.close()


# ---- Storage: which file, and whether it can be had ----------------------------------------------------


class FileFeedStorage(feedexport.FileFeedStorage):
    """Scrapy's storage of local feeds; the module's docstring says what it adds.

    *exporter* is the class that FEED_EXPORTERS has for the feed's format. Raises InputError.
    """

    def __init__(
        self, uri: str, *, stats: StatsCollector, exporter: type | None, feed_options: dict[str, Any] | None = None
    ) -> None:
        super().__init__(uri, feed_options=feed_options)
        self._options = feed_options or {}
        self._stats = stats
        self._overwrite = bool(self._options.get("overwrite"))
        self._path = Path(self.path).absolute()
        self._special = self._path.exists() and not self._path.is_file()
        if not self._special:
            self._path = self._path.resolve()  # renaming would replace a link, not its file
        self._file: FeedFile | None = None
        self._dialect: dict[str, Any] | None = None
        self._kind = self._kind_of(exporter)
        if self._kind == "csv":
            options = self._options.get("item_export_kwargs", {})
            self._dialect = {key: options[key] for key in ("delimiter", "quotechar") if key in options}
            self._dialect["encoding"] = self._options.get("encoding") or "utf-8"
            self._dialect["header"] = options.get("include_headers_line", True)

    def _kind_of(self, exporter: type | None) -> str:
        encoding = codecs.lookup(self._options.get("encoding") or "utf-8").name
        plain = "[]\r\n".encode(encoding) == b"[]\r\n"  # not UTF-16 and the like, of which each write has a mark
        if not exporter or not plain or self._options.get("postprocessing"):
            return ""
        if issubclass(exporter, JsonItemExporter):
            return "" if self._special or encoding not in {"utf-8", "ascii"} else "json"
        if issubclass(exporter, exporters.JsonLinesItemExporter):
            return "jsonl"
        return "csv" if issubclass(exporter, exporters.CsvItemExporter) else ""

    @classmethod
    def from_crawler(cls, crawler: Crawler, uri: str, *, feed_options: dict[str, Any] | None = None) -> FileFeedStorage:
        exporter = crawler.settings.getwithbase("FEED_EXPORTERS").get(str((feed_options or {}).get("format")))
        try:
            storage = cls(
                uri,
                stats=crawler.stats,
                exporter=load_object(exporter) if exporter else None,
                feed_options=feed_options,
            )
        except (OSError, LookupError) as error:  # a name that is too long; an encoding that does not exist
            raise InputError(f"Feed {uri} cannot be written: {_why(error)}.") from error
        storage._prepare(crawler, uri)
        return storage

    def _prepare(self, crawler: Crawler, uri: str) -> None:
        # FeedExporter first tries every storage out, with %(name)s and the like still in its address; settings
        # are frozen when that is over.
        if not crawler.settings.frozen:
            if "%(" not in uri:
                self._check()
            return
        try:
            self._check()
            if self._kind == "json":
                self._claim()
                crawler.signals.connect(self._discard, signals.feed_exporter_closed)
        except InputError as refusal:
            if not crawler.engine.running:
                raise
            # A later batch: an exception here would make FeedExporter write to the file that it has closed.
            self._file = LostFile(self._path, self._stats, refusal)

    def _check(self) -> None:
        path = self._path
        try:
            if path.is_dir():
                raise InputError(f"Feed {path} is a folder, a file is needed.")
            needed = {next(place for place in (path, *path.parents) if place.exists())}
            if self._kind == "json" and path.exists():
                needed.add(path.parent)
            for place in needed:
                if not os.access(place, os.W_OK) or not (place == path or place.is_dir()):
                    raise InputError(f"Feed {path} cannot be written: {place} is not a place to write to.")
            if path.is_file() and not self._overwrite:
                self._check_content(path)
            if self._kind == "json" and _beside(path, "journal").exists():
                _claimed(path).close()
        except OSError as error:
            raise InputError(f"Feed {path} cannot be written: {_why(error)}.") from error

    def _claim(self) -> None:
        try:
            self._file = self._make()
        except InputError:
            raise
        except (OSError, ImgcrawlError) as error:
            raise InputError(f"Feed {self._path} cannot be written: {_why(error)}.") from error

    def _check_content(self, path: Path) -> None:
        if self._kind == "json":
            signature = _signature(path)
            if signature:
                _array_end(path, signature)
        elif self._kind:
            _mended(path, self._dialect)
        if self._dialect is not None:
            columns = _columns(path, self._dialect)
            fields = self._options.get("fields") or columns
            wanted = list(fields.values() if isinstance(fields, Mapping) else fields)
            if columns and columns != wanted:
                raise InputError(
                    f"Feed {path} has the columns {','.join(columns)}, FEED_EXPORT_FIELDS wants {','.join(wanted)}: "
                    "give another name, or -O to replace the file."
                )

    def _make(self) -> JsonFile | LinesFile:
        if self._kind == "json":
            indent = self._options.get("indent")
            return JsonFile(self._path, self._stats, overwrite=self._overwrite, indent=indent)
        return LinesFile(self._path, self._stats, overwrite=self._overwrite, dialect=self._dialect)

    def open(self, spider: Spider) -> IO[bytes]:
        if not self._kind:
            return super().open(spider)
        file: FeedFile
        try:
            file = self._file or self._make()
            if isinstance(file, JsonFile):
                file.start()
        except (OSError, ImgcrawlError) as error:
            file = LostFile(self._path, self._stats, error)
        return cast("IO[bytes]", file)

    def store(self, file: IO[bytes]) -> Deferred[None] | None:
        if not isinstance(file, FeedFile):
            return super().store(file)
        return deferred_from_coro(self._finish(file))

    async def _finish(self, file: FeedFile) -> None:
        try:
            await run_in_thread(file.finish)
        except (OSError, ImgcrawlError) as error:
            _accuse(self._stats, f"Feed {self._path} is not complete: {_why(error)}.")
            raise ImgcrawlError(_why(error)) from error

    def _discard(self) -> None:
        if isinstance(self._file, JsonFile):
            self._file.discard()


def _one_sentence(record: logging.LogRecord) -> bool:
    # FeedExporter reports a feed that could not be stored with a traceback; our sentence says it all.
    if record.exc_info and isinstance(record.exc_info[1], ImgcrawlError):
        record.msg, record.args = f"{record.getMessage()}: {record.exc_info[1]}", ()
        record.exc_info = None
    return True


feedexport.logger.addFilter(_one_sentence)


def _accuse(stats: StatsCollector, sentence: str) -> None:
    if not stats.get_value("verdict/error"):
        stats.set_value("verdict/error", sentence)


def _why(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


# ---- Bytes and locks -----------------------------------------------------------------------------------


class _TornWriteError(OSError):
    """A write that ended early, after *written* bytes."""

    def __init__(self, error: OSError, written: int) -> None:
        super().__init__(error.errno, error.strerror)
        self.written = written


def _write(file: io.FileIO, data: Buffer) -> int:
    written, view = 0, memoryview(data).cast("B")
    while written < len(view):
        try:
            written += file.write(view[written:])
        except OSError as error:
            raise _TornWriteError(error, written) from error
    return written


def _copy(source: io.FileIO, start: int, count: int, target: io.FileIO) -> None:
    source.seek(start)
    while count:
        data = source.read(min(CHUNK, count))
        if not data:
            raise OSError(f"{source.name!r} has become shorter")
        count -= _write(target, data)


def _same(a: Path, start_a: int, b: Path, start_b: int, count: int) -> bool:
    with a.open("rb") as one, b.open("rb") as other:
        one.seek(start_a)
        other.seek(start_b)
        while count:
            data = one.read(min(CHUNK, count))
            if not data or data != other.read(len(data)):
                return False
            count -= len(data)
    return True


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{ending}")


def _signature(path: Path) -> Signature | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns


def _lock(file: io.FileIO, *, alone: bool) -> bool:
    """Lock *file* until it is closed, *alone* or with others; False if another has it. No lock where there are none."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
    except BlockingIOError:
        return False
    except OSError as error:  # a file system without locks
        logger.debug("%s cannot be locked: %s", file.name, error)
    return True


def _claimed(path: Path) -> io.FileIO:
    journal = _beside(path, "journal")
    while True:
        file = io.FileIO(os.open(journal, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b")
        if not _lock(file, alone=True):
            file.close()
            raise InputError(f"Feed {path} is being written by another crawl: wait for its end, or give another name.")
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(journal.stat(), os.fstat(file.fileno())):
                return file
        file.close()  # the crawl that had it has just removed it


# ---- What is there already -----------------------------------------------------------------------------

_SPACE = re.compile(r"[ \t\r\n]*")


def _read_items(file: io.FileIO, start: int, *, inside: bool) -> tuple[int, int, bool]:
    """Read a JSON array from byte *start* on: from its bracket or, *inside*, from after an item.

    Returns the byte after the last whole item, the number of items, and whether the array then closes and nothing
    follows. Holds one item or `CHUNK` in memory.
    """
    decode = json.JSONDecoder().raw_decode
    utf8 = codecs.getincrementaldecoder("utf-8")()
    # A window on the file, one character a byte (so that places in it are places in the file).
    text, offset, at = "", start, 0

    def more() -> bool:
        nonlocal text, offset, at
        data = file.read(max(CHUNK, len(text) - at))
        utf8.decode(data)
        text, offset, at = text[at:] + data.decode("latin-1"), offset + at, 0
        return bool(data)

    def next_character() -> str:
        nonlocal at
        while True:
            at = cast("re.Match[str]", _SPACE.match(text, at)).end()
            if at < len(text) or not more():
                return text[at : at + 1]

    def skip_value() -> None:
        nonlocal at
        while True:
            try:
                _, end = decode(text, at)
            except json.JSONDecodeError as error:
                cut = error.pos > len(text) - 16 or error.msg.startswith("Unterminated string")
                if not cut or not more():
                    raise
            else:
                size = end - at
                if end < len(text) or not more():  # a number may go on after the window
                    at += size
                    return

    file.seek(start)
    end, items = start, 0
    try:
        if not inside:
            if next_character() != "[":
                return end, items, False
            at += 1
            end = offset + at
        while character := next_character():
            if character == "]":
                at += 1
                return end, items, not next_character()
            if inside or items:
                if character != ",":
                    break
                at += 1
                next_character()
            skip_value()
            end = offset + at
            items += 1
    except (ValueError, RecursionError) as error:
        logger.debug("%s ends after %d items: %s", file.name, items, error)
    return end, items, False


@functools.lru_cache(maxsize=8)
def _array_end(path: Path, signature: Signature) -> int:
    """The byte after the last item of the array in *path*, 1 if it has none. InputError if it is not an array."""
    if not signature[0]:
        return 1
    with path.open("rb", buffering=0) as file:
        end, items, whole = _read_items(file, 0, inside=False)
    if not whole:
        raise InputError(
            f"Feed {path} holds no JSON array to add items to: give another name, or -O to replace the file."
        )
    return end if items else 1


def _mended(path: Path, dialect: dict[str, Any] | None) -> tuple[int, bytes]:
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
            return _mended_csv(file, size, tail, dialect)
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


def _mended_csv(file: IO[bytes], size: int, tail: bytes, dialect: dict[str, Any]) -> tuple[int, bytes]:
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


def _columns(path: Path, dialect: dict[str, Any]) -> list[str]:
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
