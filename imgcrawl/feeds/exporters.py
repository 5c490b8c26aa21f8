"""Exporters: an item as bytes, in one write."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any, Self

from itemadapter import ItemAdapter
from scrapy import exporters
from scrapy.utils.serialize import ScrapyJSONEncoder

from imgcrawl.exceptions import InputError
from imgcrawl.feeds.files import FeedFile, LinesFile
from imgcrawl.lines import printable

if TYPE_CHECKING:
    from scrapy.crawler import Crawler


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


class PlanExporter(exporters.BaseItemExporter):
    """For `scrapy crawl --simulate`: a line for each image of an item, its path without an extension, a tab, and its
    address. Of one that would not be asked for the status, or the reason, stands in the place of the path."""

    def __init__(self, file: Any, **kwargs: Any) -> None:
        super().__init__(dont_fail=True, **kwargs)
        self.file = file

    def export_item(self, item: Any) -> None:
        adapter = ItemAdapter(item)
        for image in [*(adapter.get("images") or ()), *(adapter.get("videos") or ())]:
            asked = image.get("reason") == "simulated"
            where = image["requested_path"] if asked else f"({image.get('reason') or image['status']})"
            self.file.write(f"{printable(where)}\t{printable(image['url'])}\n".encode())


# What a spreadsheet runs as a formula, at the beginning of a cell (OWASP, "CSV Injection"); a number is none.
_FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?[0-9][0-9.,]*(?:[eE][+-]?[0-9]+)?%?")


class CsvItemExporter(exporters.CsvItemExporter):
    """Scrapy's, except that rows added to a file go under the header that the file has, that lists of objects (images)
    are JSON, and that a text which a spreadsheet would run as a formula gets an apostrophe before it, by which
    spreadsheets know a text.

    FEED_CSV_FORMULAS: "escape" (default), because titles come from strangers; "keep" leaves them as they are, for
    programs. Raises InputError for another value.
    """

    def __init__(self, file: Any, *, formulas: str = "escape", **kwargs: Any) -> None:
        kwargs.setdefault("errors", "backslashreplace")  # Scrapy would lose the row
        super().__init__(file, **kwargs)
        self._escape = formulas == "escape"
        self._encoder = ScrapyJSONEncoder(ensure_ascii=False)
        if isinstance(file, LinesFile) and file.columns:
            self.include_headers_line = False
            if not self.fields_to_export:
                self.fields_to_export = file.columns
                self._autodetected_fields = True  # Scrapy then warns of fields that have no column

    @classmethod
    def from_crawler(cls, crawler: Crawler, file: Any, **kwargs: Any) -> Self:
        formulas = crawler.settings.get("FEED_CSV_FORMULAS", "escape")
        if formulas not in ("escape", "keep"):
            raise InputError(f"FEED_CSV_FORMULAS is {formulas!r}: expected escape or keep")
        return cls(file, formulas=formulas, **kwargs)

    def serialize_field(self, field: Any, name: str, value: Any) -> Any:
        value = super().serialize_field(field, name, value)
        if isinstance(value, (list, tuple, dict)):
            value = self._encoder.encode(value)
        if self._escape and isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
            return f"'{value}"
        return value
