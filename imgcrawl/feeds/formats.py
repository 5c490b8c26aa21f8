"""How the items of segments are written to a file, in each format."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from scrapy.extensions.postprocessing import PostProcessingManager
from scrapy.utils.misc import build_from_crawler, load_object

from imgcrawl.feeds.exporters import JsonLinesItemExporter, encode_item
from imgcrawl.feeds.repair import columns_of
from imgcrawl.feeds.storage import FileFeedStorage

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

    from imgcrawl.feeds.merge import ImageRows, Segments

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


def json_lines(output: Output, segments: Iterable[bytes]) -> Iterator[bytes]:
    """The items as *output* has them: the very bytes, where nothing else is asked for."""
    options = output.options
    if not options["fields"] and (options["encoding"] or "") in ("utf-8", "utf8") and not options["item_export_kwargs"]:
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


def write_items(
    file: io.FileIO, output: Output, segments: Segments | ImageRows, crawler: Crawler, old: Path | None
) -> int:
    """Write *segments* to *file*, in the format of *output*, behind what *old* had of it. Returns where they end."""
    options = output.options
    plain = _Target(file)
    target: Any = plain
    if options.get("postprocessing"):
        target = PostProcessingManager(options["postprocessing"], cast("Any", plain), cast("Any", options))
    if output.format in LINES:
        for line in json_lines(output, segments):
            target.write(line + b"\n")
    else:
        _export_to(target, output, segments, crawler, old)
    if target is not plain:
        target.close()
    plain.let_go()
    return file.tell()


def _export_to(target: Any, output: Output, segments: Segments | ImageRows, crawler: Crawler, old: Path | None) -> None:
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
    kind = load_object(crawler.settings.getwithbase("FEED_EXPORTERS")[output.format])
    exporter = build_from_crawler(kind, crawler, target, **arguments)
    exporter.start_exporting()
    for line in segments:
        exporter.export_item(json.loads(line))
    exporter.finish_exporting()


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


def after_comma(file: io.FileIO, start: int) -> int:
    file.seek(start)
    head = file.read(64)
    return start + len(head) - len(head.lstrip(b", \t\r\n"))


def write_array(file: io.FileIO, items: Iterable[bytes]) -> int:
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
