"""What the beginning of a list tells of its form: what parts its columns, what stands above, where its rows are."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from imgcrawl.possessive import compile_late

DELIMITERS = ",;\t|"
_LOOKED_AT = 50  # lines
_SEPARATOR = re.compile(r'"?sep=(.)"?', re.IGNORECASE)  # what spreadsheets write and read above a table
_ADDRESS = re.compile(r"\s*(?:https?:)?//[^\s/]\S*\s*", re.IGNORECASE)
_OF_IMAGE = re.compile(r"\.(?:jpe?g|png|gif|webp|avif|tiff?|bmp)\b", re.IGNORECASE | re.ASCII)
_NAMES_ADDRESSES = compile_late(r"ur[il]|link|src|im(?:age|g)|photo|pic|address|href|file", re.IGNORECASE)
_IS_VALUE = re.compile(r"//|\w\.\w|^\s*[0-9]+\s*$")  # no name of a column
# Keys of an object that is a row itself, whatever lists it has in it.
_OF_A_ROW = {"image_urls", "video_urls", "image_url", "image", "url", "src"}


def lines_of(head: str) -> list[str]:
    """The first lines of *head*, the beginning of a file: without the last one, of which there may be more."""
    lines = head.split("\n") if "\n" in head else head.split("\r")
    return [line.removesuffix("\r") for line in lines[:_LOOKED_AT]]


def lines_above(lines: Sequence[str], delimiter: str) -> int:
    """How many of *lines* stand above the rows of a table: what parts its columns (`sep=;`), comments, a title.

    A line with an address, one with as many columns as most, and one where a quote goes on are none of these. A title
    has an empty line or a header behind it: else it is a row, or the header of the first column.
    """
    above = 1 if lines and _SEPARATOR.fullmatch(lines[0]) else 0
    width = _width(_records(lines[above:], delimiter))[0]
    sure, has_title = above, False
    for line in lines[above:-1]:
        cells = _cells(line, delimiter)
        is_comment = line.startswith("#") and len(cells) != width
        is_title = not is_comment and len(cells) == 1 and (width > 1 or line.startswith("#"))
        if line.strip() and ("//" in line or line.count('"') % 2 or not (is_comment or is_title)):
            return above if _is_header(cells, width) else sure
        above += 1
        has_title = bool(line.strip()) and (has_title or is_title)
        if not has_title:
            sure = above
    return sure


def _is_header(cells: Sequence[str], width: int) -> bool:
    return len(cells) == width and any(map(_NAMES_ADDRESSES.search, cells)) and not any(map(_IS_VALUE.search, cells))


def delimiter_in(lines: Sequence[str]) -> str:
    """What parts the columns of *lines*: what they say themselves, or where they are surely a table with a column of
    addresses. Else ""."""
    if declared := _SEPARATOR.fullmatch(lines[0]) if lines else None:
        return declared[1]
    for delimiter in DELIMITERS:
        rows = _records(lines[lines_above(lines, delimiter) :], delimiter)
        width, number = _width(rows)
        if width > 1 and number == len(rows) > 1 and _has_addresses(rows, delimiter):
            return delimiter
    return ""


def _has_addresses(rows: Sequence[Sequence[str]], delimiter: str) -> bool:
    """Whether a column of *rows* is one of addresses. What is behind a comma may be a part of the address before it: so
    there is a header, or text before the address, or a space behind it."""
    column = next((number for number, cell in enumerate(rows[1]) if _ADDRESS.fullmatch(cell)), None)
    if column is None or not all(_ADDRESS.fullmatch(row[column]) for row in rows[1:]):
        return False
    if "//" not in "".join(rows[0]):
        return column > 0 or bool(_NAMES_ADDRESSES.search(rows[0][0]))
    rest = [delimiter.join(row[column + 1 :]) for row in rows]
    return column > 0 or delimiter == "\t" or all(" " in text.strip() and "//" not in text for text in rest)


def _width(rows: Sequence[Sequence[str]]) -> tuple[int, int]:
    """How many columns most of *rows* have, and how many rows these are."""
    counts = Counter(map(len, rows))
    return max(counts.items(), key=lambda counted: (counted[0] > 1, counted[1]), default=(1, 0))


def _records(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """The records of *lines* that have something in them; in quotes there may be ends of lines."""
    if not any('"' in line for line in lines):
        return [line.split(delimiter) for line in lines if line.strip()]
    ended = (line + "\n" for line in lines)
    try:
        rows = [row for row in csv.reader(ended, delimiter=delimiter, skipinitialspace=True) if any(row)]
    except csv.Error:
        return []
    return rows[:-1] if len(rows) > 2 else rows  # the last may go on behind *lines*


def _cells(line: str, delimiter: str) -> list[str]:
    return next(iter(_records([line], delimiter)), [""])


def rows_within(head: str) -> str:
    """Where in the JSON object that begins with *head* its list is, as ijson names it: the first of objects with
    addresses of files of images, else (licences may come before it) with any.

    It is "" where there is none, and where the object is a row itself.
    """
    try:
        ijson = import_module("ijson")
    except ImportError:
        return ""
    found = of_images = ""
    for prefix, address in _places(head, ijson):
        if prefix in _OF_A_ROW:
            return ""
        outer, _, inner = prefix.partition(".item.")
        if inner:
            found = found or outer
            of_images = of_images or (outer if _OF_IMAGE.search(address) else "")
    return of_images or found


def _places(head: str, ijson: Any) -> Iterator[tuple[str, str]]:
    """Where in *head* addresses are, with these, and what says that all of it is a row."""
    try:
        for prefix, event, value in ijson.parse(head.encode("utf-8", "replace")):
            if event == "map_key" and not prefix and value in ("image_urls", "video_urls"):
                yield str(value), ""
            if event == "string" and len(prefix) < 1_000 and _ADDRESS.fullmatch(value):
                yield prefix, value
    except (ValueError, ijson.JSONError):  # it goes on behind the head
        return
