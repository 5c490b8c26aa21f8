"""Feeds that are written at the end, from segments: by `scrapy merge`, and by `scrapy crawl --workers`."""

from __future__ import annotations

import json
import logging
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from scrapy import Spider
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.extensions import feedexport
from scrapy.statscollectors import StatsCollector
from scrapy.utils.conf import feed_complete_default_values_from_settings
from scrapy.utils.misc import build_from_crawler, load_object
from w3lib.url import file_uri_to_path

from imgcrawl.exceptions import InputError, describe
from imgcrawl.feeds.atomic import copy_bytes, hidden_sibling, replacing, signature_of, write_all
from imgcrawl.feeds.elsewhere import SCRAPED
from imgcrawl.feeds.files import tell_nothing_new
from imgcrawl.feeds.formats import LINES, Output, after_comma, json_lines, write_array, write_items
from imgcrawl.feeds.journal import claim_journal
from imgcrawl.feeds.json_array import array_end
from imgcrawl.feeds.kept import KeptParts, Range
from imgcrawl.feeds.merge import ImageRows, Segments, take_up_journal
from imgcrawl.feeds.repair import repair_tail
from imgcrawl.feeds.storage import FileFeedStorage, without_password
from imgcrawl.lines import printable

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings


def local_path(uri: str) -> Path:
    """The file of *uri*, a path or `file:///...`. Raises InputError for what is neither.

    An address with a host is refused: `file://tmp/x.json` would be `/x.json`.
    """
    if re.match(r"file://(?!/|localhost/)|(?!file:)[^/]*://|stdout:$", uri):
        raise InputError(
            f"Feed {without_password(uri)}: expected a local file, as in images.json or file:///tmp/images.json"
        )
    path = file_uri_to_path(uri) if uri.startswith("file:") else uri
    if not path or "\0" in path:
        raise InputError(f"Feed {uri!r}: expected the name of a file")
    return Path(path)


class OutputWriter:
    """Writes the feeds of FEEDS in *settings*, of a crawl of *spider* with *arguments*. Raises InputError for one that
    cannot be written from segments.
    """

    def __init__(self, settings: BaseSettings, spider: str = "", arguments: Mapping[str, str] | None = None) -> None:
        self._settings = settings.copy()
        self._names = {**(arguments or {}), "name": spider or "merge"}
        self._by_image = self._settings.get("FEED_ROWS", "galleries") == "images"
        self._settings.set("FEED_ROWS", "galleries", "cmdline")  # what exporters are given are the rows
        self._settings.set("FEED_URI_PARAMS", None, "cmdline")  # there is no worker here
        self._crawler = Crawler(Spider, cast("Any", self._settings))
        self._crawler.stats = StatsCollector(self._crawler)
        self.outputs = [self._output(str(uri), given) for uri, given in settings.getdict("FEEDS").items()]

    # What is wanted

    def _output(self, uri: str, given: Mapping[str, Any]) -> Output:
        options = feed_complete_default_values_from_settings(dict(given), cast("Any", self._settings), uri)
        options["uri_params"] = None
        shown = without_password(uri)
        for name in ("item_classes", "item_filter"):
            if options.get(name):
                raise InputError(f"Feed {shown}: expected no {name}, as feeds are written from segments here")
        if re.search(r"%\((worker|run)\)", uri):
            raise InputError(f"Feed {shown}: one feed is written of all workers; expected no %(worker)s and no %(run)s")
        formats = self._settings.getwithbase("FEED_EXPORTERS")
        if not formats.get(options["format"]):
            known = ", ".join(sorted(name for name in formats if formats[name]))
            raise InputError(f"Feed {shown}: the format is {options['format']!r}; expected one of {known}")
        local = urlsplit(uri).scheme in ("", "file")
        path = _regular(local_path(uri)) if local else None
        if options.get("batch_item_count") or "%(" in uri:
            path = None
            unknown = set(re.findall(r"%\((\w+)\)", uri)) - {"time", "batch_time", "batch_id", *self._names}
            if unknown:
                raise InputError(f"Feed {shown}: nothing is known here for {', '.join(sorted(unknown))}")
        output = Output(uri, options, path, keep=not options.get("overwrite"))
        self._check(output)
        return output

    def _check(self, output: Output) -> None:
        storages = self._settings.getwithbase("FEED_STORAGES")
        scheme = urlsplit(output.uri).scheme
        path = output.path
        try:
            if path is None and scheme not in ("", "file"):
                if not storages.get(scheme):
                    known = ", ".join(filter(None, storages))
                    raise InputError(f"Feed {without_password(output.uri)}: expected an address of {known}")
                build_from_crawler(
                    load_object(storages[scheme]), self._crawler, output.uri, feed_options=output.options
                )
            elif path is not None:
                self._storage(path, output).check()
                if (
                    output.keep
                    and path.exists()
                    and path.stat().st_size
                    and (output.format == "xml" or (output.format == "json" and not output.is_array))
                ):
                    raise InputError(f"Feed {path}: nothing can be added to it; -O replaces it")
        except (NotConfigured, ValueError, AssertionError) as error:
            raise InputError(f"Feed {without_password(output.uri)} cannot be written: {describe(error)}.") from error

    def _storage(self, path: Path, output: Output) -> FileFeedStorage:
        exporter = load_object(self._settings.getwithbase("FEED_EXPORTERS")[output.format])
        options = {**output.options, "overwrite": not output.keep}
        return FileFeedStorage(str(path), stats=self._crawler.stats, exporter=exporter, feed_options=options)

    # Writing

    def write_files(self, segments: Segments, kept: KeptParts | None = None) -> None:
        """Write all items of *segments* to the feeds that are local files; each is replaced when all is on disk, and
        not before. What a file has already is kept, where it is to be; *kept* knows what of it is from an earlier try.
        Where there is no item, a file is left as it is. Raises InputError.
        """
        for output in self.outputs:
            if output.path and not segments.report.galleries and output.path.exists() and output.path.stat().st_size:
                if not output.keep:
                    tell_nothing_new(output.path)
            elif output.path:
                try:
                    self._write_file(output, output.path, self._rows(segments), kept)
                except OSError as error:
                    raise InputError(f"Feed {output.path} cannot be written: {describe(error)}.") from error

    @property
    def has_others(self) -> bool:
        return any(output.path is None for output in self.outputs)

    async def write_others(self, segments: Segments) -> None:
        """Write all items to the other feeds, as Scrapy does; where there is none, they stay. Raises InputError."""
        if others := {output.uri: dict(output.options) for output in self.outputs if not output.path}:
            await self._export(others, self._rows(segments))

    def _rows(self, segments: Segments) -> Segments | ImageRows:
        return ImageRows(segments) if self._by_image else segments

    def _write_file(self, output: Output, path: Path, segments: Segments | ImageRows, kept: KeptParts | None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            if output.is_array:
                stack.enter_context(_claimed(output, path))
            parts, missing = self._kept(output, path, kept) if output.keep and path.exists() else ([], b"")
            file = stack.enter_context(replacing(path))
            if parts:
                with path.open("rb", buffering=0) as old:
                    if output.is_array and parts[0].start:  # what is there began with ours
                        parts[0] = parts[0]._replace(start=after_comma(old, parts[0].start))
                        write_all(file, b"[")
                    for part in parts:
                        copy_bytes(old, part.start, part.end - part.start, file)
            write_all(file, missing)
            start = file.tell()
            if output.is_array:
                end = write_array(file, json_lines(output, segments))
            else:
                end = write_items(file, output, segments, self._crawler, path if start else None)
            if kept:
                kept.note(path, Range(start, end), file)

    @staticmethod
    def _kept(output: Output, path: Path, kept: KeptParts | None) -> tuple[list[Range], bytes]:
        """The parts of what is there that stay, and what is missing at their end."""
        missing = b""
        if output.is_array:
            end = array_end(path, cast("Any", signature_of(path)))
            end = 0 if end == 1 else end
        elif output.options.get("postprocessing") or output.format not in (*LINES, "csv"):
            end = path.stat().st_size
        else:
            dialect = FileFeedStorage.dialect_of(output.options) if output.format == "csv" else None
            end, missing = repair_tail(path, dialect)
        parts = kept.parts_of(path, end) if kept else [Range(0, end)]
        return [part for part in parts if part.end > part.start], missing

    async def _export(self, feeds: dict[str, Any], segments: Segments | ImageRows) -> None:
        settings = self._settings.copy()
        settings.set("FEEDS", feeds, "cmdline")
        crawler = Crawler(Spider, cast("Any", settings))
        crawler.stats = StatsCollector(crawler)
        spider = Spider.from_crawler(crawler, **self._names)
        exporter = feedexport.FeedExporter(crawler)
        crawler.settings.freeze()
        crawler.stats.set_value(SCRAPED, 0)
        exporter.open_spider(spider)
        with _failures() as failures:
            for line in segments:
                crawler.stats.inc_value(SCRAPED)  # a feed without any is not stored
                exporter.item_scraped(json.loads(line), spider)
            await exporter.close_spider(spider)
        if failures:
            raise InputError(f"A feed could not be written: {printable(failures[0])}.")


@contextmanager
def _failures() -> Iterator[list[str]]:
    """What Scrapy cannot store, in a sentence each, in place of tracebacks in the log."""
    failures: list[str] = []

    def take(record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1]:
            failures.append(f"{record.getMessage()}: {describe(record.exc_info[1])}")
        return not record.exc_info

    feedexport.logger.addFilter(take)
    try:
        yield failures
    finally:
        feedexport.logger.removeFilter(take)


def _regular(path: Path) -> Path:
    """What is to be replaced: the file itself, where *path* is a link. Raises InputError for what is no file."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    except OSError as error:
        raise InputError(f"Feed {path} cannot be written: {error.strerror}.") from error
    if not stat.S_ISREG(mode):  # it would be replaced, even /dev/null
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise InputError(f"Feed {path} is {what}, a file is needed.")
    return path.absolute().resolve()


@contextmanager
def _claimed(output: Output, path: Path) -> Iterator[None]:
    """Holds the journal of an array, so that no crawl writes it meanwhile; what it had is in the array, or replaced."""
    if output.keep:
        take_up_journal(path)
    with claim_journal(path) as journal:
        yield
        hidden_sibling(path, "journal").unlink(missing_ok=True)
        journal.flush()
