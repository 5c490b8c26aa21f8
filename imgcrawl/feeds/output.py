"""Feeds that are written at the end, from segments: by `scrapy merge`, and by `scrapy crawl --workers`."""

from __future__ import annotations

import io
import json
import logging
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from scrapy import Spider
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.extensions import feedexport
from scrapy.extensions.postprocessing import PostProcessingManager
from scrapy.statscollectors import StatsCollector
from scrapy.utils.conf import feed_complete_default_values_from_settings
from scrapy.utils.misc import build_from_crawler, load_object
from w3lib.url import file_uri_to_path

from imgcrawl.exceptions import InputError, describe
from imgcrawl.feeds.atomic import copy_bytes, hidden_sibling, replacing, signature_of, write_all
from imgcrawl.feeds.exporters import JsonLinesItemExporter, encode_item
from imgcrawl.feeds.journal import claim_journal
from imgcrawl.feeds.json_array import array_end
from imgcrawl.feeds.kept import KeptParts, Range
from imgcrawl.feeds.merge import Segments, take_up_journal
from imgcrawl.feeds.repair import columns_of, repair_tail
from imgcrawl.feeds.storage import FileFeedStorage, without_password

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

LINES = ("jsonl", "jl", "jsonlines")  # the names of one format


@dataclass(frozen=True)
class Output:
    """A feed to be written. *path* is None where only Scrapy's own parts can write it (s3://, stdout, batches).

    *options* are those of FEEDS, complete. What a file has stays (*keep*, `-o`) or is replaced (`-O`).
    """

    uri: str
    options: Mapping[str, Any]
    path: Path | None
    keep: bool

    @property
    def format(self) -> str:
        return str(self.options["format"])

    @property
    def is_array(self) -> bool:
        return self.format == "json" and not self.options.get("postprocessing")


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
                    raise InputError(
                        f"Feed {without_password(output.uri)}: expected an address of {", ".join(filter(None, storages))}"
                    )
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
        Raises InputError.
        """
        for output in self.outputs:
            if output.path:
                try:
                    self._write_file(output, output.path, segments, kept)
                except OSError as error:
                    raise InputError(f"Feed {output.path} cannot be written: {describe(error)}.") from error

    @property
    def has_others(self) -> bool:
        return any(output.path is None for output in self.outputs)

    async def write_others(self, segments: Segments) -> None:
        """Write all items to the other feeds, as Scrapy does. Raises InputError."""
        if others := {output.uri: dict(output.options) for output in self.outputs if not output.path}:
            await self._export(others, segments)

    def _write_file(self, output: Output, path: Path, segments: Segments, kept: KeptParts | None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            if output.is_array:
                stack.enter_context(_claimed(output, path))
            parts, missing = self._kept(output, path, kept) if output.keep and path.exists() else ([], b"")
            file = stack.enter_context(replacing(path))
            if parts:
                with path.open("rb", buffering=0) as old:
                    if output.is_array and parts[0].start:  # what is there began with ours
                        parts[0] = parts[0]._replace(start=_after_comma(old, parts[0].start))
                        write_all(file, b"[")
                    for part in parts:
                        copy_bytes(old, part.start, part.end - part.start, file)
            write_all(file, missing)
            start = file.tell()
            if output.is_array:
                end = _write_array(file, self._json(output, segments))
            else:
                end = self._write_lines(file, output, segments, path if start else None)
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

    def _json(self, output: Output, segments: Iterable[bytes]) -> Iterator[bytes]:
        """The items as *output* has them: the very bytes, where nothing else is asked for."""
        options = output.options
        if (
            not options["fields"]
            and (options["encoding"] or "") in ("utf-8", "utf8")
            and not options["item_export_kwargs"]
        ):
            yield from segments
            return
        exporter = JsonLinesItemExporter(
            io.BytesIO(),
            fields_to_export=options["fields"],
            encoding=options["encoding"],
            **options["item_export_kwargs"],
        )
        for line in segments:
            yield encode_item(exporter, json.loads(line))

    def _write_lines(self, file: io.FileIO, output: Output, segments: Segments, old: Path | None) -> int:
        options = output.options
        plain = _Target(file)
        target: Any = plain
        if options.get("postprocessing"):
            target = PostProcessingManager(options["postprocessing"], cast("Any", plain), cast("Any", options))
        if output.format in LINES:
            for line in self._json(output, segments):
                target.write(line + b"\n")
        else:
            self._export_to(target, output, segments, old)
        if target is not plain:
            target.close()
        plain.let_go()
        return file.tell()

    def _export_to(self, target: Any, output: Output, segments: Segments, old: Path | None) -> None:
        options = output.options
        arguments: dict[str, Any] = {"encoding": options["encoding"], "fields_to_export": options["fields"]}
        if output.format == "csv":
            arguments["fields_to_export"] = options["fields"] or list(segments.columns)
            if (
                old
                and not options.get("postprocessing")
                and (columns := columns_of(old, FileFeedStorage.dialect_of(options)))
            ):
                arguments |= {"include_headers_line": False}
                arguments["fields_to_export"] = options["fields"] or columns
        arguments |= {"indent": options["indent"]} | options["item_export_kwargs"]
        kind = load_object(self._settings.getwithbase("FEED_EXPORTERS")[output.format])
        exporter = build_from_crawler(kind, self._crawler, target, **arguments)
        exporter.start_exporting()
        for line in segments:
            exporter.export_item(json.loads(line))
        exporter.finish_exporting()

    async def _export(self, feeds: dict[str, Any], segments: Segments) -> None:
        settings = self._settings.copy()
        settings.set("FEEDS", feeds, "cmdline")
        crawler = Crawler(Spider, cast("Any", settings))
        crawler.stats = StatsCollector(crawler)
        spider = Spider.from_crawler(crawler, **self._names)
        exporter = feedexport.FeedExporter(crawler)
        crawler.settings.freeze()
        exporter.open_spider(spider)
        with _failures() as failures:
            for line in segments:
                exporter.item_scraped(json.loads(line), spider)
            await exporter.close_spider(spider)
        if failures:
            raise InputError(f"A feed could not be written: {without_password(failures[0])}.")


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


class _Target(io.RawIOBase):
    """Writes to *file* what exporters write, which close what they write to."""

    def __init__(self, file: io.FileIO) -> None:
        self._buffer = io.BufferedWriter(file)

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return self._buffer.write(data)

    def tell(self) -> int:
        return self._buffer.tell()

    def let_go(self) -> None:
        self._buffer.flush()
        self._buffer.detach()


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


def _after_comma(file: io.FileIO, start: int) -> int:
    file.seek(start)
    head = file.read(64)
    return start + len(head) - len(head.lstrip(b", \t\r\n"))


def _write_array(file: io.FileIO, items: Iterable[bytes]) -> int:
    """Add *items* to the array that *file* has so far, and close it. Returns the byte after the last item."""
    buffered = io.BufferedWriter(file)
    end = file.tell()
    separator = b",\n" if end else b"["
    for item in items:
        end += buffered.write(separator + item)
        separator = b",\n"
    buffered.write(b"]\n" if separator != b"[" else b"[]\n")
    buffered.detach()
    return end
