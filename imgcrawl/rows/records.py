"""The records of a list: text, CSV, TSV and JSON Lines as fields, or as the reason why there are none."""

from __future__ import annotations

import csv
import json
import re
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from imgcrawl.addresses import addresses_in
from imgcrawl.exceptions import InputError
from imgcrawl.lines import printable
from imgcrawl.possessive import compile_late
from imgcrawl.rows.source import FORMATS, MAX_LINE, Source
from imgcrawl.rows.tables import delimiter_in, lines_of, rows_within

MAX_QUOTED_LINES = 100  # lines that one CSV record may span …
MAX_QUOTED_SIZE = 1 << 16  # … and their characters: a quote that is never closed costs one row, not the file
BROKEN = "the file is broken from here on"  # how the reason begins after which nothing more can be had
ALWAYS_LINES = (".jsonl", ".jl", ".ndjson")
OBJECT_FORMATS = {"jsonl", "json", "parquet"}  # whose records have names for their values
EXCERPT = 80  # characters of a bad row that are shown
# Lines of text that have no value: comments, and what aria2 is told of the address above.
_NO_VALUE = compile_late(r"\s*(?:#|// )|(?=\s)\s*+(?:(?:header|referer|[a-z-]*proxy)=|[a-z][a-z0-9-]*=(?!.*://))")
# How a list begins and ends that is printed in several lines, with what is in quotes.
_OPENED = compile_late(r"\s*[\[({]\s*(?=$|(['\"]).*\1,$)")
_CLOSED = compile_late(r"(?:^|(?<=['\"\s]))[\])}][,;]?\s*$")


class BadRow(NamedTuple):
    """A row that cannot be read: the line where it begins, why, and how it begins (printable)."""

    line: int
    reason: str
    excerpt: str


class Unreadable(Exception):  # noqa: N818 - no error of ours: it only carries a reason from a parser to its caller
    """Why a row is bad."""


@dataclass(frozen=True)
class Records:
    """The records of *source*, read as *format*, one of `FORMATS`; *delimiter* parts the columns of CSV and TSV."""

    source: Source
    format: str
    delimiter: str
    above: int = 0  # lines before the first row

    @property
    def path(self) -> Path:
        return self.source.path

    @property
    def encoding(self) -> str:
        return self.source.encoding

    def read(self, after: int = 0) -> Iterator[tuple[int, bytes, Any]]:
        """Line, first raw line, and the fields or the `BadRow`; the lines before *after* are not looked into."""
        is_text, is_json, delimiter = self.format == "text", self.format == "jsonl", self.delimiter
        failure: list[tuple[Exception, bytes]] = []
        source = self.source.lines(failure)
        pending: deque[bytes] = deque()  # lines that an unclosed quote had taken and gave back
        line = 0
        while True:
            raw = pending.popleft() if pending else next(source, None)
            if raw is None:
                break
            line += 1
            if line < after or line <= self.above:
                continue
            more = 0
            fields: Any
            try:
                text = _text(raw).removeprefix("\ufeff")  # of each of the files that were put together
                if is_text:
                    text = _without_bracket(text)
                if not text or text.isspace() or (is_text and _NO_VALUE.match(text)):
                    continue
                if is_text:
                    fields = [text]
                elif is_json:
                    fields = _json_fields(text)
                elif '"' not in text:
                    fields = text.split(delimiter)
                else:
                    fields, more = _quoted_fields(text, delimiter, pending, source)
            except Unreadable as error:
                fields = BadRow(line, str(error), excerpt_of(raw))
            yield line, raw, fields
            line += more
        for broken, cut in failure:
            line = max(line, after) + 1
            reason = f"{BROKEN}: {broken or type(broken).__name__}"
            yield line, cut, BadRow(line, reason, excerpt_of(cut))


def format_of(file: Path, name: Path, decoded: str, format: str | None) -> str:
    if format is not None:
        if format not in FORMATS:
            raise InputError(f"format {format!r} of list {str(file)!r}: expected one of {', '.join(FORMATS)}")
        if format == "parquet":
            raise InputError(f"list {str(file)!r} is no Parquet file: it does not begin as one")
        return format
    first = decoded.lstrip()[:EXCERPT]
    suffix = name.suffix.lower()
    if suffix in FORMATS["parquet"]:
        raise InputError(f"list {str(file)!r} is no Parquet file, whatever its name says")
    if suffix == ".json" and first.startswith("["):
        return "json"
    if re.match(r'\{\s*"', first) and suffix not in FORMATS["csv"] + FORMATS["tsv"]:
        within = suffix not in ALWAYS_LINES and rows_of_object(decoded)
        return "json" if within or is_printed_object(decoded) else "jsonl"
    by_name = (known for known, suffixes in FORMATS.items() if suffix in suffixes)
    line = decoded.lstrip().partition("\n")[0]
    found = next(by_name, "") or _format_by_content(first, line)
    if found == "text" and not _OPENED.match(line.rstrip()) and (delimiter := delimiter_in(lines_of(decoded))):
        return "tsv" if delimiter == "\t" else "csv"
    return found


def is_printed_object(decoded: str) -> bool:
    """Whether *decoded* begins with an object that is printed over several lines, as `jq` does it."""
    return decoded.lstrip().partition("\n")[0].strip() == "{"


def rows_of_object(decoded: str) -> str:
    """Where the rows are in the one JSON object that *decoded* begins with; "" where each line is one."""
    first, _, rest = decoded.strip().partition("\n")
    if rest:
        with suppress(ValueError, RecursionError):
            json.loads(first)
            return ""
    return rows_within(decoded)


def has_objects_in_lines(source: Source) -> bool:
    """Whether there is one more object behind the first line, which may be longer than what was looked at."""
    first, second = (*islice((line for raw in source.lines([]) if (line := raw.strip())), 2), b"", b"")[:2]
    return first.endswith(b"}") and second.startswith(b"{")


def _format_by_content(first: str, line: str) -> str:
    if re.match(r"#|(?:https?:)?//", first) or _is_printed_list(line):
        return "text"
    if first.startswith("{"):
        return "jsonl"
    if re.match(r'\[\s*[\[{"]', first):
        return "json"
    if _OPENED.match(line.rstrip()):
        return "text"
    return "tsv" if "\t" in line else "csv"


def _is_printed_list(line: str) -> bool:
    """Whether *line* has nothing but addresses, in quotes or brackets."""
    try:
        found = addresses_in(line) if line[:1] in ("'", '"', "[", "(") else []
    except ValueError:
        return False
    return bool(found) and all("//" in address for address in found)


def _json_fields(text: str) -> Any:
    try:
        record = json.loads(text.rstrip().removesuffix(","))  # of an array, without its brackets
    except RecursionError:
        raise Unreadable("JSON that is nested too deeply") from None
    except ValueError as error:
        raise Unreadable(f"not JSON: {error}") from None
    if not isinstance(record, dict | list | str):
        raise Unreadable("JSON that is no object, no array and no text")
    return [record] if isinstance(record, str) else record


def _quoted_fields(first: str, delimiter: str, pending: deque[bytes], source: Iterator[bytes]) -> tuple[list[str], int]:
    """The fields of the record that begins with *first*, and how many lines more it took.

    The lines that a record took in vain go back to *pending*.
    """
    if delimiter == "\t" and _has_lone_quote(first):
        return first.split("\t"), 0
    taken: list[bytes] = []
    ended = False

    def lines() -> Iterator[str]:
        nonlocal ended
        yield first + "\n"
        size = len(first)
        while len(taken) < MAX_QUOTED_LINES - 1 and size <= MAX_QUOTED_SIZE:
            raw = pending.popleft() if pending else next(source, None)
            if raw is None:
                break
            taken.append(raw)
            try:
                text = _text(raw)
            except Unreadable:
                break
            size += len(text)
            yield text + "\n"
        ended = True

    try:
        fields = next(csv.reader(lines(), delimiter=delimiter, skipinitialspace=delimiter != " ", strict=True))
    except csv.Error as error:
        pending.extendleft(reversed(taken))
        if ended:
            raise Unreadable(
                f"a quote is not closed within {MAX_QUOTED_LINES} lines or {MAX_QUOTED_SIZE} characters"
            ) from None
        raise Unreadable(f"no CSV: {error}") from None
    return fields, len(taken)


def _has_lone_quote(line: str) -> bool:
    """Whether a field of *line*, of a table with tabs, begins with a quote that is closed neither before the next tab
    nor on the line: one of the text, as in files that quote nothing."""
    fields = (field.strip() for field in line.split("\t")[:-1])
    if not any(field.startswith('"') and (len(field) == 1 or not field.endswith('"')) for field in fields):
        return False
    try:
        next(csv.reader([line], delimiter="\t", skipinitialspace=True, strict=True))
    except csv.Error:
        return True
    return False


def _without_bracket(text: str) -> str:
    """*text* without the bracket of a list that begins in it, or ends, and not both."""
    closed = _CLOSED.search(text[-EXCERPT:])
    if closed and text.lstrip()[:1] not in ("[", "(", "{"):
        return text.rstrip().rstrip(",;")[:-1]
    opened = _OPENED.match(text.rstrip())
    return text[opened.end() :] if opened else text


def _text(raw: bytes) -> str:
    if len(raw) > MAX_LINE:
        raise Unreadable(f"a line longer than {MAX_LINE} bytes")
    if not raw.strip(b"\0"):  # at the end of a file whose room was taken before it was written
        return ""
    if b"\0" in raw:
        raise Unreadable("a NUL byte")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Unreadable(
            "bytes that are no text in the encoding of the list; -a encoding= names another, like cp1252 or gb18030"
        ) from None


def excerpt_of(raw: bytes) -> str:
    text = raw[: 4 * EXCERPT].decode("utf-8", "replace").strip()[:EXCERPT]
    return printable(text.replace("\t", " "))
