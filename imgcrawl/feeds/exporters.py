"""Exporters: an item as bytes, in one write; one with very many images is made into them outside the event loop."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Self
from xml.parsers.expat import ExpatError, ParserCreate
from xml.sax.xmlreader import AttributesImpl

from itemadapter import ItemAdapter
from scrapy import exporters
from scrapy.utils.python import is_listlike
from scrapy.utils.serialize import ScrapyJSONEncoder

from imgcrawl.exceptions import InputError
from imgcrawl.feeds.files import FeedFile, LinesFile
from imgcrawl.items import by_image, row_columns
from imgcrawl.lines import printable
from imgcrawl.possessive import compile_late

if TYPE_CHECKING:
    from scrapy.crawler import Crawler


_MANY = 500  # values of a list that take some milliseconds to encode


def encode_item(exporter: JsonItemExporter | JsonLinesItemExporter, item: Any) -> bytes:
    """*item* as one JSON object, as *exporter* is set up to write it."""
    return _encoded(exporter, dict(exporter.get_serialized_fields(item)))


def _encoded(exporter: JsonItemExporter | JsonLinesItemExporter, fields: dict[str, Any], ending: bytes = b"") -> bytes:
    encoding = exporter.encoding or "utf-8"
    try:
        pieces = [piece.encode(encoding) for piece in _in_pieces(exporter.encoder, fields)]
    except UnicodeEncodeError:
        # Half a surrogate pair in a title, or a character that the encoding lacks: JSON can escape it.
        encoder = copy.copy(exporter.encoder)
        encoder.ensure_ascii = True
        pieces = [piece.encode(encoding) for piece in _in_pieces(encoder, fields)]
    return b"".join((*pieces, ending))


def _is_large(fields: dict[str, Any]) -> bool:
    return any(isinstance(value, list) and len(value) > _MANY for value in fields.values())


def _in_pieces(encoder: json.JSONEncoder, fields: dict[str, Any]) -> Iterator[str]:
    """What *encoder* makes of *fields*, each piece in a time for which the event loop can wait for the interpreter."""
    if encoder.indent is not None or not _is_large(fields):  # what is indented is written in Python
        yield encoder.encode(fields)
        return
    before = "{"
    for name, value in fields.items():
        yield before + encoder.encode(name) + encoder.key_separator
        before = encoder.item_separator
        if isinstance(value, list) and len(value) > _MANY:
            for start in range(0, len(value), _MANY):
                yield (before if start else "[") + encoder.encode(value[start : start + _MANY])[1:-1]
            yield "]"
        else:
            yield encoder.encode(value)
    yield "}"


def _write(exporter: JsonItemExporter | JsonLinesItemExporter, item: Any, ending: bytes = b"") -> None:
    fields = dict(exporter.get_serialized_fields(item))
    if _is_large(fields) and isinstance(exporter.file, FeedFile) and exporter.file.is_waited_for:
        exporter.file.write_later(partial(_encoded, exporter, fields, ending))
    else:
        exporter.file.write(_encoded(exporter, fields, ending))


def as_json(value: Any) -> Any:
    """What JSON has in the place of *value*, which is nothing that JSON knows: what Scrapy says, else its members, or
    its text, as in CSV and XML: a spider's own field loses no item."""
    try:
        return ScrapyJSONEncoder().default(value)
    except TypeError:
        return (
            list(value)
            if isinstance(value, Set)
            else value.decode(errors="replace")
            if isinstance(value, bytes)
            else str(value)
        )


class ByImage:
    """What exporters inherit before Scrapy's: with FEED_ROWS="images" an item is a row for each of its images
    (`items.by_image`), with "galleries" (default) itself. Raises InputError for another value."""

    rows_by_image = False

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> Self:
        rows = crawler.settings.get("FEED_ROWS", "galleries")
        if rows not in ("galleries", "images"):
            raise InputError(f"FEED_ROWS is {rows!r}: expected galleries or images")
        exporter = cls(*args, **kwargs)
        exporter.rows_by_image = rows == "images"
        return exporter

    def rows_of(self, item: Any) -> Iterable[Any]:
        """What *item* is in the feed."""
        return by_image(ItemAdapter(item).asdict()) if self.rows_by_image else (item,)


class JsonLinesItemExporter(ByImage, exporters.JsonLinesItemExporter):
    """Scrapy's, one `write` an item; an item that the encoding cannot say is escaped instead of lost."""

    def __init__(self, file: Any, **kwargs: Any) -> None:
        super().__init__(file, **{"default": as_json, **kwargs})

    def export_item(self, item: Any) -> None:
        if not self.rows_by_image:
            _write(self, item, b"\n")
        elif _is_large(dict(ItemAdapter(item))) and isinstance(self.file, FeedFile) and self.file.is_waited_for:
            self.file.write_later(partial(self._rows, item))
        else:
            self.file.write(self._rows(item))

    def _rows(self, item: Any) -> bytes:
        """In one piece, so that all are there or none."""
        return b"".join(encode_item(self, row) + b"\n" for row in self.rows_of(item))


class JsonItemExporter(ByImage, exporters.JsonItemExporter):
    """Scrapy's, except that a `JsonFile` gets the items only: it makes the array itself."""

    def __init__(self, file: Any, **kwargs: Any) -> None:
        super().__init__(file, **{"default": as_json, **kwargs})

    def start_exporting(self) -> None:
        if not _makes_array(self.file):
            super().start_exporting()

    def finish_exporting(self) -> None:
        if not _makes_array(self.file):
            super().finish_exporting()

    def export_item(self, item: Any) -> None:
        for row in self.rows_of(item):
            if not _makes_array(self.file):
                self._add_comma_after_first()
            _write(self, row)


def _makes_array(file: Any) -> bool:
    return isinstance(file, FeedFile) and file.makes_array


_NO_CHARACTER = compile_late("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # of XML


@lru_cache(1000)
def _is_element(name: str, encoding: str) -> bool:
    """Whether *name* may be that of an element of XML in *encoding*."""
    try:
        name.encode(encoding)
        return bool(re.fullmatch(r"[\w.-]++", name)) and bool(ParserCreate().Parse(f"<{name}/>", True))
    except (ExpatError, UnicodeEncodeError):
        return False


class XmlItemExporter(ByImage, exporters.XmlItemExporter):
    """Scrapy's, except that it can be read whatever the names and texts are: those of lists, addresses as keys
    (`image_facts`) and titles are strangers'. What cannot be the name of an element is `<value name="…">`, what cannot
    be a character of XML is U+FFFD."""

    def export_item(self, item: Any) -> None:
        for row in self.rows_of(item):
            super().export_item(row)

    def _export_xml_field(self, name: str, serialized_value: Any, depth: int) -> None:
        text = str(name)
        if _is_element(text, self.encoding):
            self._export_element(text, {}, serialized_value, depth)
        else:
            self._export_element("value", {"name": _NO_CHARACTER.sub("\ufffd", text)}, serialized_value, depth)

    def _export_element(self, name: str, attributes: Mapping[str, str], value: Any, depth: int) -> None:
        self._beautify_indent(depth=depth)
        self.xg.startElement(name, AttributesImpl(dict(attributes)))
        if isinstance(value, Mapping) or is_listlike(value):
            self._beautify_newline()
            parts = value.items() if isinstance(value, Mapping) else (("value", part) for part in value)
            for subname, part in parts:
                self._export_xml_field(subname, part, depth=depth + 1)
            self._beautify_indent(depth=depth)
        else:
            self.xg.characters(_NO_CHARACTER.sub("\ufffd", str(value)))
        self.xg.endElement(name)
        self._beautify_newline()


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


# What a spreadsheet runs as a formula, at the beginning of a cell (OWASP, "CSV Injection"); a number is none. Where it
# is set to another separator, or to none of ours, a cell begins behind each `;`, tab and line, quoted or not. What is
# not seen before a formula is dropped by some, quotes are taken for those of a cell; so is an apostrophe, for the
# sake of who reads the cell again.
_SEPARATORS = r"[;\t\r\n]"
_UNSEEN = r"[\0-\x08\x0b\x0c\x0e-\x20\x85\xa0\u1680\u2000-\u200f\u2028\u2029\u202f\u205f\u2060\u3000\ufeff\"']*+"
_NUMBER = r" *+[+-]?[0-9][0-9.,]*+(?:[eE][+-]?[0-9]++)?%?"
_RUNS = rf"(?={_UNSEEN}[=+\-@\uff1d\uff0b\uff0d\uff20])(?!{_NUMBER}(?:{_SEPARATORS}|\Z))"
_BEGINNING = rf"(?:\A|(?<={_SEPARATORS}))"
_FORMULA = compile_late(rf"\A(?='*+[\t\r\n])|{_BEGINNING}{_RUNS}")
_APOSTROPHE = compile_late(rf"\A'(?='*+[\t\r\n])|{_BEGINNING}'{_RUNS}")


def with_apostrophes(text: str) -> str:
    """*text* with an apostrophe before each part that a spreadsheet would run."""
    return _FORMULA.sub("'", text)


def without_apostrophes(cell: str) -> str:
    """A *cell* of a CSV feed as the item had it (FEED_CSV_FORMULAS)."""
    return _APOSTROPHE.sub("", cell)


class CsvItemExporter(ByImage, exporters.CsvItemExporter):
    """Scrapy's, except that rows added to a file go under the header that the file has, that lists of objects (images)
    are JSON, and that a text which a spreadsheet would run as a formula gets an apostrophe before it, by which
    spreadsheets know a text; also within a cell, behind `;`, a tab or a line, where others begin a cell.

    FEED_CSV_FORMULAS: "escape" (default), because titles come from strangers; "keep" leaves them as they are, for
    programs. Raises InputError for another value.
    """

    def __init__(self, file: Any, *, formulas: str = "escape", **kwargs: Any) -> None:
        kwargs.setdefault("errors", "backslashreplace")  # Scrapy would lose the row
        super().__init__(file, **kwargs)
        self._escape = formulas == "escape"
        self._encoder = json.JSONEncoder(ensure_ascii=False, default=as_json)
        self._lines = file if isinstance(file, LinesFile) else None

    @classmethod
    def from_crawler(cls, crawler: Crawler, file: Any, **kwargs: Any) -> Self:
        formulas = crawler.settings.get("FEED_CSV_FORMULAS", "escape")
        if formulas not in ("escape", "keep"):
            raise InputError(f"FEED_CSV_FORMULAS is {formulas!r}: expected escape or keep")
        return super().from_crawler(crawler, file, formulas=formulas, **kwargs)

    def export_item(self, item: Any) -> None:
        if not self._lines:
            self._export(item)
            return
        with self._lines.beginning():
            if self._headers_not_written and self._lines.columns:
                self.include_headers_line = False
                if not self.fields_to_export:
                    self.fields_to_export = self._lines.columns
                    self._autodetected_fields = True  # Scrapy then warns of fields that have no column
            self._export(item)

    def _export(self, item: Any) -> None:
        if not self.rows_by_image:
            super().export_item(item)
            return
        if not self.fields_to_export:
            self.fields_to_export = row_columns(ItemAdapter(item).field_names())
            self._autodetected_fields = True  # Scrapy then warns of fields that have no column
        for row in self.rows_of(item):
            super().export_item(row)

    def serialize_field(self, field: Any, name: str, value: Any) -> Any:
        value = super().serialize_field(field, name, value)
        if isinstance(value, (list, tuple, dict)):
            value = self._encoder.encode(value)
        return value

    def _build_row(self, values: Iterable[Any]) -> Iterable[Any]:
        """Also of the header, whose names may be those of a stranger's list."""
        for value in super()._build_row(values):
            yield with_apostrophes(value) if self._escape and isinstance(value, str) else value
