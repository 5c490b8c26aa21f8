"""Which file a feed is, and whether it can be had."""

from __future__ import annotations

import codecs
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, cast
from urllib.parse import urlsplit

from scrapy import exporters, signals
from scrapy.extensions import feedexport
from scrapy.utils.conf import feed_complete_default_values_from_settings
from scrapy.utils.defer import deferred_from_coro
from scrapy.utils.misc import load_object

from imgcrawl.durability import wants_fsync
from imgcrawl.engine import scheduler_in
from imgcrawl.exceptions import ImgcrawlError, InputError, describe, record_fatal_error
from imgcrawl.feeds.atomic import hidden_sibling, is_there, signature_of
from imgcrawl.feeds.elsewhere import in_place_of_nothing
from imgcrawl.feeds.exporters import JsonItemExporter
from imgcrawl.feeds.files import FeedFile, ItemWaiter, LinesFile, StreamFile, UnwritableFeed
from imgcrawl.feeds.journal import JsonFile, claim_journal
from imgcrawl.feeds.json_array import array_end
from imgcrawl.feeds.packed import check_packed
from imgcrawl.feeds.repair import columns_of, repair_tail
from imgcrawl.lines import shown_address

if TYPE_CHECKING:
    from scrapy import Spider
    from scrapy.crawler import Crawler
    from scrapy.settings import BaseSettings
    from scrapy.statscollectors import StatsCollector
    from twisted.internet.defer import Deferred

logger = logging.getLogger(__name__)
_SKEW = 60_000  # ms by which the clocks of a file system and of Redis may differ


def kind_of(exporter: type | None, options: Mapping[str, Any]) -> str:
    """The kind of a feed whose items are on disk one by one: json, jsonl or csv; or "" for all others."""
    encoding = codecs.lookup(options.get("encoding") or "utf-8").name
    plain = "[]\r\n".encode(encoding) == b"[]\r\n"  # not UTF-16 and the like, of which each write has a mark
    if not exporter or not plain or options.get("postprocessing"):
        return ""
    if issubclass(exporter, JsonItemExporter):
        return "json" if encoding in {"utf-8", "ascii"} else ""
    if issubclass(exporter, exporters.JsonLinesItemExporter):
        return "jsonl"
    return "csv" if issubclass(exporter, exporters.CsvItemExporter) else ""


def check_shared_feeds(settings: BaseSettings) -> None:
    """Raise InputError for a feed that a worker which shares a queue cannot have: a page is acknowledged when its item
    is in the feed, and not done again, so a kill must not take the item away."""
    storages, known = (settings.getwithbase(name) for name in ("FEED_STORAGES", "FEED_EXPORTERS"))
    for uri, given in settings.getdict("FEEDS").items():
        options = feed_complete_default_values_from_settings(dict(given), settings, str(uri))
        storage = load_object(storages.get(urlsplit(str(uri)).scheme) or storages["file"])
        exporter = known.get(options["format"])
        if issubclass(storage, FileFeedStorage | StdoutFeedStorage):
            kind = kind_of(exporter and load_object(exporter), options)
            if kind and (kind != "json" or issubclass(storage, FileFeedStorage)):
                continue
        raise InputError(
            f"Feed {without_password(str(uri))}: workers that share a queue need a feed that is on disk item by item,"
            " a local .jsonl, .json or .csv as imgcrawl writes them (scrapy merge makes any feed of those);"
            " or scrapy crawl --workers N, which writes any feed at the end."
        )


def without_password(uri: str) -> str:
    """The address of a feed for a sentence."""
    return shown_address(uri) if "://" in uri and not uri.startswith("file:") else uri


class FileFeedStorage(feedexport.FileFeedStorage):
    """Scrapy's storage of local feeds; the module's docstring says what it adds.

    *exporter* is the class that FEED_EXPORTERS has for the feed's format. Raises InputError.
    """

    def __init__(
        self, uri: str, *, stats: StatsCollector, exporter: type | None, feed_options: dict[str, Any] | None = None
    ) -> None:
        super().__init__(uri, feed_options=feed_options)
        feedexport.logger.addFilter(_one_sentence)  # which is there once, however often it is added
        self._options = feed_options or {}
        self._stats = stats
        self._overwrite = bool(self._options.get("overwrite"))
        self._path = Path(self.path).absolute()
        self._special = self._path.exists() and not self._path.is_file()
        if not self._special:
            self._path = self._path.resolve()  # renaming would replace a link, not its file
        found = signature_of(self._path) if self._path.is_file() else None
        self._found = found if found and found[0] else None
        self._run = ""  # that goes on in this feed
        self._file: FeedFile | None = None
        self._waiter: ItemWaiter
        self._dialect: dict[str, Any] | None = None
        self._kind = kind_of(exporter, self._options)
        if self._kind == "json" and self._special:
            self._kind = ""
        if self._kind == "csv":
            self._dialect = self.dialect_of(self._options)

    @staticmethod
    def dialect_of(options: Mapping[str, Any]) -> dict[str, Any]:
        """How the rows of a CSV feed are written."""
        given = options.get("item_export_kwargs", {})
        dialect = {key: given[key] for key in ("delimiter", "quotechar") if key in given}
        dialect["encoding"] = options.get("encoding") or "utf-8"
        dialect["header"] = given.get("include_headers_line", True)
        return dialect

    @classmethod
    def from_crawler(cls, crawler: Crawler, uri: str, *, feed_options: dict[str, Any] | None = None) -> FileFeedStorage:
        exporter = crawler.settings.getwithbase("FEED_EXPORTERS").get(str((feed_options or {}).get("format")))
        try:
            kind = load_object(exporter) if exporter else None
            storage = cls(uri, stats=crawler.stats, exporter=kind, feed_options=feed_options)
        except (OSError, LookupError) as error:  # a name that is too long; an encoding that does not exist
            raise InputError(f"Feed {uri} cannot be written: {describe(error)}.") from error
        feedexport.logger.addFilter(_one_sentence)
        wants_fsync(crawler.settings)  # refused before anything is asked for
        if exporter:  # or else Scrapy tells that there is no such format
            storage._prepare(crawler, uri)
        return storage

    def _go_on_with(self, run: str) -> None:
        """Add to the feed of a *run* that others began, and had items in it: what was done is not done again.

        What was there before the run is overwritten all the same."""
        if self._kind and self._overwrite and self._may_be_of(run):
            self._overwrite, self._run = False, run
            logger.info("Feed %s: run %s goes on, so its items are added to those that are there", self._path, run)

    def _may_be_of(self, run: str) -> bool:
        """Whether the feed, or the journal that it may have, was written to since *run* began."""
        signatures = self._found, signature_of(hidden_sibling(self._path, "journal"))
        try:
            began = int(run.partition("-")[0])
        except ValueError:
            return any(signatures)
        return any(signature and signature[1] // 1_000_000 >= began - _SKEW for signature in signatures)

    def _prepare(self, crawler: Crawler, uri: str) -> None:
        # FeedExporter first tries every storage out, with %(name)s and the like still in its address; settings
        # are frozen when that is over.
        if not crawler.settings.frozen:
            if "%(" not in uri:
                self.check()
            return
        self._waiter = ItemWaiter(crawler)
        scheduler = scheduler_in(crawler)
        run, worker = getattr(scheduler, "run", ""), getattr(scheduler, "worker", "")
        if isinstance(run, str) and run and not run.endswith(f"-{worker}"):  # as `begin` in lua/workers.lua has it
            self._go_on_with(run)
        try:
            self.check()
            if self._kind == "json":
                self._claim()
                crawler.signals.connect(self._discard, signals.feed_exporter_closed)
        except InputError as refusal:
            if not (crawler.engine and crawler.engine.running):
                raise
            # A later batch: an exception here would make FeedExporter write to the file that it has closed.
            self._file = UnwritableFeed(self._path, self._stats, refusal)

    def check(self) -> None:
        """Raise InputError if the feed cannot be had."""
        path = self._path
        try:
            if path.is_dir():
                raise InputError(f"Feed {path} is a folder, a file is needed.")
            needed = {next(place for place in (path, *path.parents) if is_there(place))}
            if self._kind == "json" and path.exists():
                needed.add(path.parent)
            for place in needed:
                if not os.access(place, os.W_OK) or not (place == path or place.is_dir()):
                    raise InputError(f"Feed {path} cannot be written: {place} is not a place to write to.")
            if path.is_file() and not self._overwrite:
                try:
                    self._check_content(path)
                except InputError as refusal:
                    if not self._run:
                        raise
                    told, added = str(refusal), f"; run {self._run} goes on, so -O adds to what is there."
                    raise InputError(told.replace(", or -O to replace the file.", added)) from refusal
            if self._kind == "json" and is_there(hidden_sibling(path, "journal")):
                claim_journal(path).close()
        except OSError as error:
            raise InputError(f"Feed {path} cannot be written: {describe(error)}.") from error

    def _claim(self) -> None:
        try:
            self._file = self._make()
        except InputError:
            raise
        except (OSError, ImgcrawlError) as error:
            raise InputError(f"Feed {self._path} cannot be written: {describe(error)}.") from error

    def _check_content(self, path: Path) -> None:
        if self._kind == "json":
            signature = signature_of(path)
            if signature:
                array_end(path, signature)
        elif self._kind:
            repair_tail(path, self._dialect)
        else:
            check_packed(path, self._options)
        if self._dialect is not None:
            columns = columns_of(path, self._dialect)
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
        replaces = self._found if self._overwrite else None
        return LinesFile(self._path, self._stats, replaces=replaces, dialect=self._dialect)

    def open(self, spider: Spider) -> IO[bytes]:
        if not self._kind:
            if self._overwrite and self._found and (unwritten := in_place_of_nothing(spider.crawler, self._path)):
                return unwritten
            if self._options.get("postprocessing"):
                # What a plugin hands on (a compressed block) is in the file at once: a kill costs what it has in hand.
                self._path.parent.mkdir(parents=True, exist_ok=True)
                return cast("IO[bytes]", self._path.open(self.write_mode, buffering=0))
            return super().open(spider)
        file: FeedFile
        try:
            file = self._file or self._make()
            if isinstance(file, JsonFile):
                file.start()
        except (OSError, ImgcrawlError) as error:
            file = UnwritableFeed(self._path, self._stats, error)
        self._waiter.wait_for(file)
        return cast("IO[bytes]", file)

    def store(self, file: IO[bytes]) -> Deferred[None] | None:
        if not isinstance(file, FeedFile):
            return super().store(file)
        return deferred_from_coro(self._finish(file))

    async def _finish(self, file: FeedFile) -> None:
        try:
            await self._waiter.end(file)
        except (OSError, ImgcrawlError) as error:
            record_fatal_error(self._stats, f"Feed {self._path} is not complete: {describe(error)}.")
            raise ImgcrawlError(describe(error)) from error

    def _discard(self) -> None:
        if isinstance(self._file, JsonFile):
            self._file.discard()


class StdoutFeedStorage(feedexport.StdoutFeedStorage):
    """Scrapy's, except that whoever reads it has an item when `item_scraped` has been handled, and that nothing in it
    is obeyed by a terminal."""

    def __init__(
        self, uri: str, _stdout: IO[bytes] | None = None, *, feed_options: dict[str, Any] | None = None
    ) -> None:
        super().__init__(uri, _stdout, feed_options=feed_options)
        self._options = feed_options or {}

    _waiter: ItemWaiter

    @classmethod
    def from_crawler(cls, crawler: Crawler, uri: str, *, feed_options: dict[str, Any] | None = None) -> Self:
        storage = cls(uri, feed_options=feed_options)
        storage._waiter = ItemWaiter(crawler)
        return storage

    def open(self, spider: Spider) -> IO[bytes]:
        exporter = spider.crawler.settings.getwithbase("FEED_EXPORTERS").get(str(self._options.get("format")))
        is_json = kind_of(load_object(exporter) if exporter else None, self._options).startswith("json")
        encoding = "" if self._options.get("postprocessing") else self._options.get("encoding") or "utf-8"
        file = StreamFile(super().open(spider), spider.crawler.stats, encoding, is_json=is_json)
        self._waiter.wait_for(file)
        return cast("IO[bytes]", file)


def _one_sentence(record: logging.LogRecord) -> bool:
    # FeedExporter reports a feed that could not be stored with a traceback; our sentence says it all.
    if record.exc_info and isinstance(record.exc_info[1], ImgcrawlError):
        record.msg, record.args = f"{record.getMessage()}: {record.exc_info[1]}", ()
        record.exc_info = record.exc_text = None
    return True
