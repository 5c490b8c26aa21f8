"""Lists of addresses of images: which column has them, whether its names stand above it, what else rows tell."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from imgcrawl.addresses import addresses_in
from imgcrawl.exceptions import InputError
from imgcrawl.possessive import compile_late, compile_possessive
from imgcrawl.rows.reader import SAMPLE, RowReader, is_unicode, json_text, open_records, required_rows, sample_of
from imgcrawl.rows.records import OBJECT_FORMATS, BadRow, Records, Unreadable

# Of the columns beside the address: how many characters one may have that nobody asked for, and all of a row.
MAX_SMALL, MAX_KEPT = 1_000, 16_384
MAX_COLUMNS = 1_000
# A row with this column is an item as feeds hold it (`scrapy failed` writes such rows): its fields keep their names.
ITEM_COLUMNS = ("image_urls", "video_urls")
# What a crawl says itself of an item: not to be taken from a list.
_OWN = {"spider", "scraped_at", "error", "failed", "images", "videos", "failed_pages", *ITEM_COLUMNS}
# What other rows may not set: it would be another's word about where an item came from, or how it is stored.
_ITEM_ONLY = {
    *("url", "final_url", "opt_outs", "image_facts", "image_copies", "image_names", "image_pages", "image_paths"),
    *("referrer_policy", "referrer_policies", "opt_outs_of_pages", "video_names", "video_pages", "video_paths"),
}
# Of several columns with addresses, the first of these.
_NAMES = (
    *("image_url", "image", "img_url", "img", "photo_image_url", "photo_url", "photo", "picture_url", "picture"),
    *("url", "src", "link"),
)
_ADDRESS = compile_late(r"""[\s'"<\[(]*(?:[a-z][a-z0-9+.-]*:)?//[^\s/]""", re.IGNORECASE)
# Spaces are looked at from their first one only: there may be a million.
_UNSEEN = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"  # comes along where an address is copied
_COMMENT = re.compile(r"(?<!\s)\s++#.*")
# What is amid a text; Markdown may have a link around an image.
_WITHIN = compile_possessive(r"https?://(?:(?!\)\]\()[^\s\"'<>|])++", re.IGNORECASE)
_WITHOUT_SCHEME = re.compile(r"www\.[\w-]+(?:\.[\w-]+)+/\S+", re.IGNORECASE)
_IN_ANGLES = re.compile(r"^<(?:URL:)?(.*)>$")  # RFC 3986, appendix C
_FORMULA = re.compile(r'=\s*(?:HYPERLINK|IMAGE)\(\s*"([^"]{1,4000})"', re.IGNORECASE)
_BETWEEN = compile_late(r"(?:(?<!\s)\s++)?+[,;|]\s++(?=https?://)|(?<!\s)\s++(?=(?:https?:)?//)|[;|](?=https?://)")


@dataclass(frozen=True)
class AddressRows:
    """What rows of a list give: the addresses in *column* and, of the other columns, those that are kept.

    *header* has the names of a table's columns; without it they are `column0`, `column1` and so on. *keep* names
    the columns to keep; None is all that are small (`MAX_SMALL`).
    """

    column: str
    header: Sequence[str] | None = None
    keep: frozenset[str] | None = None

    def __call__(self, record: Any) -> tuple[list[str], dict[str, Any]]:
        """The addresses of a row, and the columns beside them. Raises `Unreadable`."""
        row = self.named(record)
        if row.get(self.column) is None:
            raise Unreadable(f"no field {self.column!r}")
        addresses, kept = _addresses(row[self.column]), self.kept(row)
        if self.column not in ITEM_COLUMNS:  # these are addresses as they were asked for; others may come from markup
            addresses = [address.replace("&amp;", "&") for address in addresses]
        if not is_unicode(json_text([addresses, kept])) or any("\0" in address for address in addresses):
            raise Unreadable("a field that holds NUL or half a surrogate pair")
        return addresses, kept

    def named(self, record: Any) -> Mapping[str, Any]:
        if isinstance(record, Mapping):
            return record
        if not isinstance(record, list):
            return {"column0": record}
        header = self.header or ()
        rest = range(len(header), min(len(record), MAX_COLUMNS))
        return dict(zip([*header, *(f"column{number}" for number in rest)], record, strict=False))

    def kept(self, row: Mapping[str, Any]) -> dict[str, Any]:
        is_item = self.column in ITEM_COLUMNS
        kept, room = {}, MAX_KEPT
        for column, value in row.items():
            if value in (None, "", []) or not (name := self.name_of(column)):
                continue
            told = value.strip() if isinstance(value, str) else value
            try:
                size = len(json.dumps(told, ensure_ascii=False, allow_nan=False))
            except ValueError:  # no number that JSON has
                continue
            if not is_item:
                if size > (MAX_SMALL if self.keep is None else MAX_KEPT) or size > room:
                    continue
                room -= size
            kept[name] = told
        return kept

    def name_of(self, column: str) -> str:
        """What the item's field for *column* is called; empty where it is not kept."""
        if column == self.column or (self.keep is not None and column not in self.keep):
            return ""
        if self.column in ITEM_COLUMNS:
            return "" if column in _OWN else column
        return f"row_{column}" if column in _OWN | _ITEM_ONLY else column


def open_address_list(
    path: str | os.PathLike[str],
    *,
    column: str | None = None,
    keep: str | None = None,
    format: str | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    names: Sequence[str] = _NAMES,
) -> tuple[RowReader, frozenset[str]]:
    """A reader of the list of addresses at *path*, and the names of the fields that its rows have besides.

    A row's `values` are its addresses, one or a printed list of them. Which *column* has them (a name, or a number
    counted from 0) and whether the first row of a table holds names is told by the first `SAMPLE` rows, if it is
    not said; of several with addresses it is the first of *names*. *keep*: the columns to keep, parted by commas; None
    is all that are small, "" none. Else as `open_rows`. Raises `InputError`, also where no column has addresses or
    several may be meant.
    """
    records = open_records(path, format=format, encoding=encoding, delimiter=delimiter)
    if delimiter is None and isinstance(records, Records) and records.format == "csv":
        records = replace(records, delimiter=_delimiter(records))
    sample = list(sample_of(records))
    good = [fields for fields in sample if not isinstance(fields, BadRow)]
    place = str(records.path)
    header, header_line = None, 0
    if column is not None and re.fullmatch(r"[0-9]{1,3}", column):
        column = f"column{int(column)}"
    if records.format == "text":
        column = column or "column0"
        if column != "column0":
            raise InputError(f"column {column!r} of list {place!r}: text has one value a line, column 0")
    elif good and all(isinstance(fields, list) for fields in good) and not isinstance(sample[0], BadRow):
        header = _header(sample[0], good[1:], column)
    if header:
        if column and [cell.strip() for cell in sample[0]].count(column) > 1:
            raise InputError(f"column {column!r} is there twice in list {place!r}; expected a number, counted from 0")
        header_line = next(records.read())[0]
        good = good[1:]
        if column and column not in header and (number := re.fullmatch(r"column([0-9]+)", column)):
            column = dict(enumerate(header)).get(int(number[1]), column)
    rows = [AddressRows("", header).named(fields) for fields in good]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if rows:
        column = _checked_column(place, columns, column) if column else _address_column(place, columns, rows, names)
    wanted = None if keep is None else frozenset(name.strip() for name in keep.split(",") if name.strip())
    if wanted is not None:
        wanted = frozenset(_kept_column(place, columns, name, header) for name in wanted)
    shape = AddressRows(column or "column0", header, wanted)
    reader = RowReader(records, shape, list(header) if header else None, header_line)
    required_rows(reader)
    return reader, frozenset(filter(None, map(shape.name_of, columns)))


def open_item_list(path: str | os.PathLike[str], *, encoding: str = "utf-8") -> RowReader | None:
    """A reader of the list at *path* as `open_address_list` has it, if it is one of items; None if it is another."""
    records = open_records(path, format=None, encoding=encoding, delimiter=None)
    if records.format not in OBJECT_FORMATS:
        return None
    good = (fields for _, _, fields in islice(records.read(), SAMPLE) if isinstance(fields, dict))
    if not any(column in next(good, {}) for column in ITEM_COLUMNS):
        return None
    return open_address_list(path, encoding=encoding)[0]


def _addresses(value: Any) -> list[str]:
    """The addresses in a cell: one, several with something between, the members of a list, those of a printed one, or
    what an object states as its address."""
    if isinstance(value, list):
        return [_stated(each) for each in value if each]
    text = _COMMENT.sub("", _stated(value))
    within = [] if _ADDRESS.match(text) else _within(text)
    if text[:1] not in ("[", "(", "{", "'", '"', "“", "‘"):
        return within or [_IN_ANGLES.sub(r"\1", each.rstrip(",;")) for each in _BETWEEN.split(text)]
    try:
        return addresses_in(text)
    except ValueError as error:
        if within:
            return within
        raise Unreadable(str(error)) from None


def _within(text: str) -> list[str]:
    """The addresses amid *text*, which begins with something else: a list in Markdown, a bookmark, a formula."""
    return [_without_rest(match[0]) for match in _WITHIN.finditer(text)] or (
        [f"https://{text}"] if _WITHOUT_SCHEME.fullmatch(text) else []
    )


def _without_rest(address: str) -> str:
    """*address*, as it stands in a text, without what ends the sentence or the brackets around it."""
    address = address.rstrip(".,;:!*`»›”’」』")
    for opening, closing in ("()", "[]", "{}"):
        if address.endswith(closing) and address.count(opening) < address.count(closing):
            address = address[:-1]
    return address


def _stated(value: Any) -> str:
    """*value* as text; of an object, or a spreadsheet's formula, what it states as an address."""
    if isinstance(value, dict):
        value = next((value[name] for name in _NAMES if isinstance(value.get(name), str)), "")
    text = str(value).strip().strip(_UNSEEN).strip()
    formula = _FORMULA.match(text) if text.startswith("=") else None
    return formula[1] if formula else text


def _holds_address(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return any(isinstance(each, str | dict) and _ADDRESS.match(_stated(each)) for each in values)


def _header(first: Sequence[Any], rest: Sequence[Sequence[Any]], column: str | None) -> list[str] | None:
    """The names in *first*, the first row of a table; None where it is a row like the others.

    It holds names if they are no numbers and no addresses, and a later row has an address or is what
    the user named a column of.
    """
    cells = [cell.strip() if isinstance(cell, str) else cell for cell in first]
    if any(not isinstance(cell, str) or _ADDRESS.match(cell) or re.fullmatch(r"[\d.,-]+", cell) for cell in cells):
        return None
    names = [cell if cell and cell not in cells[:number] else f"column{number}" for number, cell in enumerate(cells)]
    return names if column in names or any(_holds_address(cell) for row in rest for cell in row) else None


def _delimiter(records: Records) -> str:
    """What parts the names in the first row of a table that does not say it itself, and has no comma there."""
    if records.delimiter != ",":
        return records.delimiter
    _, raw, _ = next(records.read(), (0, b"", []))
    line = raw.decode("utf-8", "replace")
    if "," in line or _ADDRESS.match(line):
        return ","
    return max(",;\t|", key=line.count)


def _checked_column(place: str, names: Iterable[str], column: str) -> str:
    if column not in names:
        raise InputError(
            f"column {column!r} is unknown in list {place!r}, which has {_told(names)}; expected one of them"
        )
    return column


def _kept_column(place: str, names: Sequence[str], name: str, header: Sequence[str] | None) -> str:
    if re.fullmatch(r"[0-9]{1,3}", name):
        number = int(name)
        name = header[number] if header and number < len(header) else f"column{number}"
    if name not in names:
        raise InputError(f"-a keep={name}: list {place!r} has no such column; it has {_told(names)}")
    return name


def _address_column(place: str, names: Sequence[str], rows: Sequence[Mapping[str, Any]], likely: Sequence[str]) -> str:
    """The column of *rows* with the addresses, of several the first of those called as *likely*. Raises
    `InputError`."""
    if items := [name for name in ITEM_COLUMNS if name in names]:
        return items[0]
    found = [name for name in names if sum(_holds_address(row.get(name)) for row in rows) * 2 > _filled(rows, name)]
    if len(found) == 1:
        return found[0]
    for name in likely:
        matching = [each for each in found if each.lower() == name]
        if len(matching) == 1:
            return matching[0]
    if not found and len(names) == 1 and any(_within(_stated(row.get(names[0]))) for row in rows):
        return names[0]
    if not found:
        raise InputError(
            f"list {place!r} has no column with addresses in its first {len(rows)} rows; "
            f"say which one it is: -a column=NAME, one of {_told(names)}"
        )
    wanted = "images" if likely is _NAMES else "galleries"
    raise InputError(
        f"list {place!r} has addresses in {_told(found)}; say which of them are {wanted}: -a column={found[0]}"
    )


def _filled(rows: Sequence[Mapping[str, Any]], name: str) -> int:
    return sum(row.get(name) not in (None, "") for row in rows)


def _told(names: Iterable[str]) -> str:
    return ", ".join(repr(name[:80]) for name in islice(names, 20)) or "no columns"
