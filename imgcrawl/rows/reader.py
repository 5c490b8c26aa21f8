"""Lists as streams: rows out of text, CSV, TSV and JSON Lines, plain, gzipped or zipped, in constant memory.

`open_rows` judges the file before a row is used; the `RowReader` it returns gives the rows, one at a time or in
pages that travel as JSON. What cannot be read is a `BadRow` with its line and reason, and reading goes on.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from imgcrawl.exceptions import InputError
from imgcrawl.rows.objects import PARQUET, ObjectRecords
from imgcrawl.rows.records import (
    EXCERPT,
    OBJECT_FORMATS,
    BadRow,
    Records,
    Unreadable,
    excerpt_of,
    format_of,
    has_objects_in_lines,
    is_printed_object,
    rows_of_object,
)
from imgcrawl.rows.source import Source, open_source
from imgcrawl.rows.tables import delimiter_in, lines_above, lines_of

logger = logging.getLogger(__name__)

SAMPLE = 100  # rows of which one must be good before a list is believed
MAX_SAMPLE = 1 << 24  # characters of JSON, after which no more rows are held to be looked at together
MAX_PAGE = 1 << 18  # characters of JSON, after which a page of rows has no more; what is shared takes four times that


class GoodRow(NamedTuple):
    """One row: the line where it begins (from 1, in the decompressed file) and its values, stripped of spaces.

    *fields* are columns beside them, by name, where the list is read with them: JSON values.
    """

    line: int
    values: list[str]
    fields: Mapping[str, Any] = {}


class RowsPage(NamedTuple):
    """Rows that travel together.

    *first* and *last* are the lines where its first and its last row, good or bad, begin. *rows* is JSON as it
    is: `[[line, [value, …]], …]`, with the fields of a row behind its values where it has some. *bad* is for
    whoever reads the list, to be reported there and only there.
    """

    first: int
    last: int
    rows: list[list[Any]]
    bad: list[BadRow]


class RowReader:
    """The rows of one list, made by `open_rows`. Each iteration opens the file anew and starts at its first row.

    *path*, *format* (one of `FORMATS`) and *encoding* say what is read; *header* holds the column names, or None.
    """

    def __init__(
        self,
        records: Records | ObjectRecords,
        select: Callable[[Any], tuple[list[str], Mapping[str, Any]]],
        header: list[str] | None = None,
        header_line: int = 0,
    ) -> None:
        self.path = records.path
        self.format = records.format
        self.encoding = records.encoding
        self.header = header
        self._records = records
        self._select = select
        self._header_line = header_line

    def __iter__(self) -> Iterator[GoodRow | BadRow]:
        return self.rows()

    def rows(self, after: int = 0) -> Iterator[GoodRow | BadRow]:
        """The rows behind line *after*: 0, or the line of a row that this list gave before."""
        after = max(after, self._header_line)
        select = self._select
        for line, raw, fields in self._records.read(after):
            # The record at *after* is read once more, since only its end tells where the next one begins.
            if line <= after:
                continue
            if isinstance(fields, BadRow):
                yield fields
                continue
            try:
                yield GoodRow(line, *select(fields))
            except Unreadable as error:
                yield BadRow(line, str(error), excerpt_of(raw))

    def pages(self, size: int, after: int = 0) -> Iterator[RowsPage]:
        """The rows behind line *after*, *size* a page, bad ones counted; `pages(size, page.last)` goes on.

        A page whose rows have more than `MAX_PAGE` characters ends earlier.
        """
        rows = self.rows(after)
        while batch := list(_batch(rows, size)):
            yield RowsPage(
                batch[0].line,
                batch[-1].line,
                [_travelling(row) for row in batch if isinstance(row, GoodRow)],
                [row for row in batch if isinstance(row, BadRow)],
            )


def _travelling(row: GoodRow) -> list[Any]:
    return [row.line, row.values, dict(row.fields)] if row.fields else [row.line, row.values]


def _batch(rows: Iterator[GoodRow | BadRow], size: int) -> Iterator[GoodRow | BadRow]:
    room = MAX_PAGE
    for row in islice(rows, size):
        yield row
        room -= len(json.dumps(row[1:]))
        if room <= 0:
            return


def open_rows(
    path: str | os.PathLike[str],
    *,
    columns: Sequence[str | int] | None = None,
    format: str | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    header: bool | None = None,
) -> RowReader:
    """A reader of the list at *path*, a file of rows, as it is or in gzip or zip (told by its first bytes).

    *columns* names what each row gives, in that order: names of the header row, or numbers counted from 0 (also
    as digits); None is all of them. JSON Lines need names (of an object's fields; numbers for arrays), and a
    value that is not text is given as JSON. *format* is one of `FORMATS`, else the file's name or first line
    tells; text is one value a line, `#` begins a comment. A byte order mark beats *encoding*. *delimiter* parts
    CSV columns. *header* says whether the first row holds names; None: when *columns* has one.

    Raises `InputError` for a file that cannot be read at all, for a column that is not there, for a list without
    rows, and for one of whose first `SAMPLE` rows none is good. Blocks; the file must be a regular one.
    """
    records = open_records(path, format=format, encoding=encoding, delimiter=delimiter)
    file, format = records.path, records.format
    wanted = None if not columns else [_column(file, format, column) for column in columns]
    if format in OBJECT_FORMATS:
        if not wanted:
            raise InputError(f"list {str(file)!r} is {format}; expected the names of the fields to read")
        reader = RowReader(records, _json_selector(wanted))
    else:
        if header is None:
            header = any(isinstance(column, str) for column in wanted or ())
        names, line = _header(records) if header and format != "text" else (None, 0)
        numbers = None if wanted is None else [_number(file, format, names, column) for column in wanted]
        reader = RowReader(records, _selector(numbers), names, line)

    required_rows(reader)
    return reader


def open_records(
    path: str | os.PathLike[str], *, format: str | None, encoding: str, delimiter: str | None
) -> Records | ObjectRecords:
    """The records of the list at *path*; the arguments are those of `open_rows`. Raises `InputError`."""
    if _begins_as_parquet(path):
        return ObjectRecords(Source(Path(path).expanduser(), None, "", "utf-8", b"\n"), "parquet")
    source, name, head = open_source(path, encoding)
    asked, format = format, format_of(source.path, name, head, format)
    is_object = format == "json" and head.lstrip().startswith("{")
    if is_object and asked is None and "\n" not in head.strip() and has_objects_in_lines(source):
        format = "jsonl"
    if format == "json":
        within = rows_of_object(head) if is_object else ""
        if within:
            logger.info("List %r: its rows are those in %r", str(source.path), within)
        elif is_object and is_printed_object(head):
            return ObjectRecords(source, format, "")
        return ObjectRecords(source, format, f"{within}.item" if within else "item")
    lines = lines_of(head) if format in ("csv", "tsv") else []
    if delimiter is None:
        delimiter = "\t" if format == "tsv" else delimiter_in(lines) or ","
    above = lines_above(lines, delimiter)
    if len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise InputError(f"delimiter {delimiter!r} of list {str(source.path)!r}: expected one character, no quote")
    return Records(source, format, delimiter, above)


def _begins_as_parquet(path: str | os.PathLike[str]) -> bool:
    try:
        file = Path(path).expanduser()
        with file.open("rb") if file.is_file() else BytesIO() as stream:
            return stream.read(len(PARQUET)) == PARQUET
    except (OSError, ValueError, RuntimeError):  # told by whoever reads on
        return False


def sample_of(records: Records | ObjectRecords) -> Iterator[Any]:
    """The fields, or `BadRow`s, of the first `SAMPLE` rows, or fewer if they are large."""
    room = MAX_SAMPLE
    for _, _, fields in islice(records.read(), SAMPLE):
        yield fields
        room -= len(json_text(fields))
        if room <= 0:
            return


def required_rows(reader: RowReader) -> None:
    """Raise `InputError` for a list without rows, and for one of whose first `SAMPLE` rows none is good."""
    bad: list[BadRow] = []
    for row in islice(reader, SAMPLE):
        if isinstance(row, GoodRow):
            return
        bad.append(row)
    if not bad:
        raise InputError(f"list {str(reader.path)!r} holds no rows; expected at least one")
    raise InputError(
        f"list {str(reader.path)!r} cannot be read as {reader.format} in {reader.encoding}: "
        f"none of its first {len(bad)} rows is good, line {bad[0].line}: {bad[0].reason}"
    )


def _column(file: Path, format: str, column: str | int) -> str | int:
    if isinstance(column, str) and re.fullmatch(r"-?[0-9]{1,9}", column):
        column = int(column)
    if isinstance(column, int) and column < 0:
        raise InputError(f"column {column} of list {str(file)!r}: expected a name, or a number counted from 0")
    if format == "text" and column != 0:
        raise InputError(f"column {column!r} of list {str(file)!r}: text has one value a line, column 0")
    return column


def _header(records: Records | ObjectRecords) -> tuple[list[str], int]:
    line, _, fields = next(records.read(), (0, b"", []))
    if isinstance(fields, BadRow):
        raise InputError(f"list {str(records.path)!r}: its header, line {line}, cannot be read: {fields.reason}")
    return [field.strip() for field in fields], line


def _number(file: Path, format: str, header: list[str] | None, column: str | int) -> int:
    if isinstance(column, int):
        return column
    if header is None or header.count(column) != 1:
        found = ", ".join(repr(name[:EXCERPT]) for name in (header or ())[:20]) or "no header"
        expected = "a number, for the name is there twice" if header and column in header else "one of them"
        raise InputError(f"column {column!r} is unknown in list {str(file)!r}, which has {found}; expected {expected}")
    return header.index(column)


def _selector(numbers: list[int] | None) -> Callable[[list[str]], tuple[list[str], Mapping[str, Any]]]:
    def select(fields: list[str]) -> tuple[list[str], Mapping[str, Any]]:
        if numbers is None:
            return [field.strip() for field in fields], {}
        try:
            return [fields[number].strip() for number in numbers], {}
        except IndexError:
            raise Unreadable(f"{len(fields)} columns; column {max(numbers)}, counted from 0, is wanted") from None

    return select


def _json_selector(columns: list[str | int]) -> Callable[[Any], tuple[list[str], Mapping[str, Any]]]:
    def value(record: Any, column: str | int) -> str:
        try:
            found = record[column]
        except (KeyError, IndexError, TypeError):
            found = None
        if found is None:
            raise Unreadable(f"no field {column!r}")
        text = found.strip() if isinstance(found, str) else json_text(found)
        if "\0" in text or not is_unicode(text):
            raise Unreadable(f"field {column!r} holds NUL or half a surrogate pair")
        return text

    return lambda record: ([value(record, column) for column in columns], {})


def json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
