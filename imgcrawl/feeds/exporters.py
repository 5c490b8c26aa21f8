"""Exporters: an item as bytes, in one write."""

from __future__ import annotations

import copy
from typing import Any

from scrapy import exporters

from imgcrawl.feeds.files import FeedFile, LinesFile


def encode_item(exporter: JsonItemExporter | JsonLinesItemExporter, item: Any) -> bytes:
    """*item* as one JSON object, as *exporter* is set up to write it."""
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
        self.file.write(encode_item(self, item) + b"\n")


class JsonItemExporter(exporters.JsonItemExporter):
    """Scrapy's, except that a `JsonFile` gets the items only: it makes the array itself."""

    def start_exporting(self) -> None:
        if not _makes_array(self.file):
            super().start_exporting()

    def finish_exporting(self) -> None:
        if not _makes_array(self.file):
            super().finish_exporting()

    def export_item(self, item: Any) -> None:
        data = encode_item(self, item)
        if not _makes_array(self.file):
            self._add_comma_after_first()
        self.file.write(data)


def _makes_array(file: Any) -> bool:
    return isinstance(file, FeedFile) and file.makes_array


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
