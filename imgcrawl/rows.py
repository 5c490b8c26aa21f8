"""Lists as streams: rows out of text, CSV, TSV and JSON Lines, plain, gzipped or zipped, in constant memory.

`open_rows` judges the file before a row is used; the `RowReader` it returns gives the rows, one at a time or in
pages that travel as JSON. What cannot be read is a `BadRow` with its line and reason, and reading goes on.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import os
import re
import stat
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from imgcrawl.exceptions import InputError

FORMATS = {
    "text": (".txt", ".list", ".lst", ".urls"),
    "csv": (".csv",),
    "tsv": (".tsv", ".tab"),
    "jsonl": (".jsonl", ".jl", ".ndjson", ".json"),
}
MAX_LINE = 1 << 20  # bytes of UTF-8: a longer line is bad, and is never held whole
MAX_QUOTED_LINES = 100  # lines that one CSV record may span …
MAX_QUOTED_SIZE = 1 << 16  # … and their characters: a quote that is never closed costs one row, not the file
BROKEN = "the file is broken from here on"  # how the reason begins after which nothing more can be had
SAMPLE = 100  # rows of which one must be good before a list is believed
_CHUNK = 1 << 16
_EXCERPT = 80
_BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark is the beginning of this one
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_PACKINGS = {"gzip": (b"\x1f\x8b",), "zip": (b"PK\x03\x04", b"PK\x05\x06")}
_OTHER_PACKINGS = {
    "bzip2": rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)",
    "xz": rb"\xfd7zXZ\x00",
    "Zstandard": rb"\x28\xb5\x2f\xfd",
    "7-Zip": rb"7z\xbc\xaf\x27\x1c",
    "RAR": rb"Rar!\x1a\x07",
    "gzip in another archive": rb"\x1f\x8b\x08",
    "zip in another archive": rb"PK\x03\x04",
}
_READ_ERRORS = (OSError, EOFError, zlib.error, zipfile.BadZipFile)

# Input that cannot be decoded becomes a lone surrogate, which no UTF-8 holds: so the row it stands in is bad,
# and only that row.
codecs.register_error("imgcrawl.bad", lambda error: ("\udc80", getattr(error, "end", 0)))


class Row(NamedTuple):
    """One row: the line where it begins (from 1, in the decompressed file) and its values, stripped of spaces."""

    line: int
    values: list[str]


class BadRow(NamedTuple):
    """A row that cannot be read: the line where it begins, why, and how it begins (printable)."""

    line: int
    reason: str
    excerpt: str


class Page(NamedTuple):
    """Rows that travel together.

    *first* and *last* are the lines where its first and its last row, good or bad, begin. *rows* is JSON as it
    is: `[[line, [value, …]], …]`. *bad* is for whoever reads the list, to be reported there and only there.
    """

    first: int
    last: int
    rows: list[list[Any]]
    bad: list[BadRow]


class _Bad(Exception):  # noqa: N818 - no error of ours: it only carries a reason from a parser to its caller
    """Why a row is bad."""


@dataclass(frozen=True)
class _Source:
    """A list file whose packing, encoding, line end and format are known."""

    path: Path
    packing: str | None
    member: str
    encoding: str
    newline: bytes
    format: str
    delimiter: str

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        with self.path.open("rb") as file:
            if self.packing == "gzip":
                with gzip.GzipFile(fileobj=file) as stream:
                    yield stream
            elif self.packing == "zip":
                with zipfile.ZipFile(file) as archive, archive.open(self.member) as stream:
                    yield stream
            else:
                yield file

    def chunks(self) -> Iterator[bytes]:
        """The decompressed bytes. `read1` gives what there is before it raises what is wrong with the rest."""
        with self._opened() as stream:
            while chunk := stream.read1(_CHUNK):
                yield chunk

    def _lines(self, failure: list[tuple[Exception, bytes]]) -> Iterator[bytes]:
        """UTF-8 lines; what stops the reading ends up in *failure*, together with the line it cut."""
        chunks = self.chunks()
        if self.encoding != "utf-8":
            chunks = _transcoded(chunks, self.encoding)
        tail = b""
        try:
            for chunk in chunks:
                rest = chunk
                if len(tail) > MAX_LINE:
                    _, end, rest = chunk.partition(self.newline)
                    if not end:
                        continue
                    yield tail
                    tail = b""
                lines = (tail + rest).split(self.newline)
                tail = lines.pop()
                yield from lines
        except _READ_ERRORS as error:
            failure.append((error, tail))
            return
        if tail:
            yield tail

    def records(self, after: int = 0) -> Iterator[tuple[int, bytes, Any]]:
        """Line, first raw line, and the fields or the `BadRow`; the lines before *after* are not looked into."""
        is_text, is_json, delimiter = self.format == "text", self.format == "jsonl", self.delimiter
        failure: list[tuple[Exception, bytes]] = []
        source = self._lines(failure)
        pending: deque[bytes] = deque()  # lines that an unclosed quote had taken and gave back
        line = 0
        while True:
            raw = pending.popleft() if pending else next(source, None)
            if raw is None:
                break
            line += 1
            if line < after:
                continue
            more = 0
            fields: Any
            try:
                text = _decoded(raw)
                if line == 1:
                    text = text.removeprefix("\ufeff")
                if not text or text.isspace() or (is_text and text.lstrip().startswith("#")):
                    continue
                if is_text:
                    fields = [text]
                elif is_json:
                    fields = _json_fields(text)
                elif '"' not in text:
                    fields = text.split(delimiter)
                else:
                    fields, more = _quoted_fields(text, delimiter, pending, source)
            except _Bad as error:
                fields = BadRow(line, str(error), _excerpt(raw))
            yield line, raw, fields
            line += more
        for broken, cut in failure:
            line = max(line, after) + 1
            reason = f"{BROKEN}: {broken or type(broken).__name__}"
            yield line, cut, BadRow(line, reason, _excerpt(cut))


class RowReader:
    """The rows of one list, made by `open_rows`. Each iteration opens the file anew and starts at its first row.

    *path*, *format* (one of `FORMATS`) and *encoding* say what is read; *header* holds the column names, or None.
    """

    def __init__(
        self,
        source: _Source,
        select: Callable[[Any], list[str]],
        header: list[str] | None = None,
        header_line: int = 0,
    ) -> None:
        self.path = source.path
        self.format = source.format
        self.encoding = source.encoding
        self.header = header
        self._source = source
        self._select = select
        self._header_line = header_line

    def __iter__(self) -> Iterator[Row | BadRow]:
        return self.rows()

    def rows(self, after: int = 0) -> Iterator[Row | BadRow]:
        """The rows behind line *after*: 0, or the line of a row that this list gave before."""
        after = max(after, self._header_line)
        select = self._select
        for line, raw, fields in self._source.records(after):
            # The record at *after* is read once more, since only its end tells where the next one begins.
            if line <= after:
                continue
            if isinstance(fields, BadRow):
                yield fields
                continue
            try:
                yield Row(line, select(fields))
            except _Bad as error:
                yield BadRow(line, str(error), _excerpt(raw))

    def pages(self, size: int, after: int = 0) -> Iterator[Page]:
        """The rows behind line *after*, *size* a page, bad ones counted; `pages(size, page.last)` goes on."""
        rows = self.rows(after)
        while batch := list(islice(rows, size)):
            yield Page(
                batch[0].line,
                batch[-1].line,
                [[row.line, row.values] for row in batch if isinstance(row, Row)],
                [row for row in batch if isinstance(row, BadRow)],
            )


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
    try:
        file = Path(path).expanduser()
        packing = _packing(file)
        member = _member(file) if packing == "zip" else ""
        source = _Source(file, packing, member, "utf-8", b"\n", "text", ",")
        head = _head(source)
    except (*_READ_ERRORS, ValueError, RuntimeError) as error:
        # RuntimeError: what zipfile says of passwords and unknown compression; ValueError: a NUL in the path.
        told = getattr(error, "strerror", None) or error or type(error).__name__
        raise InputError(f"list {str(path)!r} cannot be read: {told}; expected a file of rows") from error

    name = Path(member or (file.stem if packing == "gzip" and file.suffix.lower() == ".gz" else file.name))
    encoding, decoded = _decoded_head(file, head, encoding)
    if decoded.count("\0") * 10 > len(decoded):
        raise InputError(
            f"list {str(file)!r} holds zero bytes, as binary files and UTF-16 without a byte order mark do; "
            "expected text, or the name of its encoding"
        )
    format = _format(file, name, decoded, format)
    if delimiter is None:
        delimiter = "\t" if format == "tsv" else ","
    if len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise InputError(f"delimiter {delimiter!r} of list {str(file)!r}: expected one character, no quote")
    newline = b"\r" if "\r" in decoded and "\n" not in decoded else b"\n"
    source = _Source(file, packing, member, encoding, newline, format, delimiter)

    wanted = None if not columns else [_column(file, format, column) for column in columns]
    if format == "jsonl":
        if not wanted:
            raise InputError(f"list {str(file)!r} is JSON Lines; expected the names of the fields to read")
        reader = RowReader(source, _json_selector(wanted))
    else:
        if header is None:
            header = any(isinstance(column, str) for column in wanted or ())
        names, line = _header(source) if header and format != "text" else (None, 0)
        numbers = None if wanted is None else [_number(file, format, names, column) for column in wanted]
        reader = RowReader(source, _selector(numbers), names, line)

    sample = list(islice(reader, SAMPLE))
    if not sample:
        raise InputError(f"list {str(file)!r} holds no rows; expected at least one")
    first = sample[0]
    if isinstance(first, BadRow) and all(isinstance(row, BadRow) for row in sample):
        raise InputError(
            f"list {str(file)!r} cannot be read as {format} in {encoding}: "
            f"none of its first {len(sample)} rows is good, line {first.line}: {first.reason}"
        )
    return reader


def _packing(file: Path) -> str | None:
    mode = file.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "no regular file"
        raise InputError(f"list {str(file)!r} is {kind}; expected a file of rows")
    with file.open("rb") as stream:
        magic = stream.read(4)
    if not magic:
        raise InputError(f"list {str(file)!r} is empty; expected a file of rows")
    for packing, magics in _PACKINGS.items():
        if magic.startswith(magics):
            return packing
    if file.suffix.lower() in (".gz", ".zip"):
        raise InputError(
            f"list {str(file)!r} is neither gzip nor zip, whatever its name says; expected what the name says"
        )
    return None


def _member(file: Path) -> str:
    with zipfile.ZipFile(file) as archive:
        # macOS puts a shadow of every file into this folder.
        members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
    suffixes = {suffix for suffixes in FORMATS.values() for suffix in suffixes}
    lists = [m for m in members if Path(m.filename).suffix.lower() in suffixes]
    chosen = members if len(members) == 1 else lists
    if len(chosen) != 1:
        names = ", ".join(repr(m.filename) for m in (lists or members)[:5]) or "nothing"
        raise InputError(f"list {str(file)!r} is a zip that holds {names}; expected exactly one list")
    if chosen[0].compress_type == zipfile.ZIP_LZMA:
        raise InputError(f"list {str(file)!r} is a zip with LZMA; expected deflate, bzip2 or none")
    return chosen[0].filename


def _head(source: _Source) -> bytes:
    """The first bytes after decompression: as many as there are before the file ends or breaks."""
    head = b""
    try:
        for chunk in source.chunks():
            head += chunk
            if len(head) >= _CHUNK:
                break
    except _READ_ERRORS:
        if not head:
            raise
    if not head:
        raise InputError(f"list {str(source.path)!r} holds no bytes; expected a file of rows")
    for packing, magic in _OTHER_PACKINGS.items():
        if re.match(magic, head):
            raise InputError(f"list {str(source.path)!r} is {packing}; expected plain text, gzip or zip")
    return head


def _decoded_head(file: Path, head: bytes, encoding: str) -> tuple[str, str]:
    """The encoding that holds, and *head* in it."""
    encoding = next((marked for bom, marked in _BOMS.items() if head.startswith(bom)), encoding)
    try:
        b"a".decode(encoding, "replace")  # LookupError for codecs that make no text of bytes
        codec = codecs.lookup(encoding)
        decoded = codec.incrementaldecoder("imgcrawl.bad").decode(head)
    except (LookupError, ValueError, TypeError) as error:
        raise InputError(
            f"encoding {encoding!r} of list {str(file)!r}: {error}; expected one that it can be read in, "
            "like utf-8, utf-16-le or gb18030"
        ) from error
    return codec.name, decoded.removeprefix("\ufeff")


def _format(file: Path, name: Path, decoded: str, format: str | None) -> str:
    if format is not None:
        if format not in FORMATS:
            raise InputError(f"format {format!r} of list {str(file)!r}: expected one of {', '.join(FORMATS)}")
        return format
    first = decoded.lstrip()[:_EXCERPT]
    suffix = name.suffix.lower()
    if suffix == ".json" and first.startswith("["):
        raise InputError(f"list {str(file)!r} is one JSON document; expected JSON Lines, an object a line")
    for known, suffixes in FORMATS.items():
        if suffix in suffixes:
            return known
    if first.startswith("{"):
        return "jsonl"
    if re.match(r"#|(?:https?:)?//", first):
        return "text"
    return "tsv" if "\t" in first.partition("\n")[0] else "csv"


def _column(file: Path, format: str, column: str | int) -> str | int:
    if isinstance(column, str) and re.fullmatch(r"-?[0-9]{1,9}", column):
        column = int(column)
    if isinstance(column, int) and column < 0:
        raise InputError(f"column {column} of list {str(file)!r}: expected a name, or a number counted from 0")
    if format == "text" and column != 0:
        raise InputError(f"column {column!r} of list {str(file)!r}: text has one value a line, column 0")
    return column


def _header(source: _Source) -> tuple[list[str], int]:
    line, _, fields = next(source.records(), (0, b"", []))
    if isinstance(fields, BadRow):
        raise InputError(f"list {str(source.path)!r}: its header, line {line}, cannot be read: {fields.reason}")
    return [field.strip() for field in fields], line


def _number(file: Path, format: str, header: list[str] | None, column: str | int) -> int:
    if isinstance(column, int):
        return column
    if header is None or header.count(column) != 1:
        found = ", ".join(repr(name[:_EXCERPT]) for name in (header or ())[:20]) or "no header"
        expected = "a number, for the name is there twice" if header and column in header else "one of them"
        raise InputError(f"column {column!r} is unknown in list {str(file)!r}, which has {found}; expected {expected}")
    return header.index(column)


def _selector(numbers: list[int] | None) -> Callable[[list[str]], list[str]]:
    def select(fields: list[str]) -> list[str]:
        if numbers is None:
            return [field.strip() for field in fields]
        try:
            return [fields[number].strip() for number in numbers]
        except IndexError:
            raise _Bad(f"{len(fields)} columns; column {max(numbers)}, counted from 0, is wanted") from None

    return select


def _json_selector(columns: list[str | int]) -> Callable[[Any], list[str]]:
    def value(record: Any, column: str | int) -> str:
        try:
            found = record[column]
        except (KeyError, IndexError, TypeError):
            found = None
        if found is None:
            raise _Bad(f"no field {column!r}")
        text = found.strip() if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
        if "\0" in text or not _is_unicode(text):
            raise _Bad(f"field {column!r} holds NUL or half a surrogate pair")
        return text

    return lambda record: [value(record, column) for column in columns]


def _json_fields(text: str) -> Any:
    try:
        record = json.loads(text)
    except RecursionError:
        raise _Bad("JSON that is nested too deeply") from None
    except ValueError as error:
        raise _Bad(f"not JSON: {error}") from None
    if not isinstance(record, dict | list):
        raise _Bad("JSON that is neither an object nor an array")
    return record


def _quoted_fields(first: str, delimiter: str, pending: deque[bytes], source: Iterator[bytes]) -> tuple[list[str], int]:
    """The fields of the record that begins with *first*, and how many lines more it took.

    The lines that a record took in vain go back to *pending*.
    """
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
                text = _decoded(raw)
            except _Bad:
                break
            size += len(text)
            yield text + "\n"
        ended = True

    try:
        fields = next(csv.reader(lines(), delimiter=delimiter, skipinitialspace=delimiter != " ", strict=True))
    except csv.Error as error:
        pending.extendleft(reversed(taken))
        if ended:
            raise _Bad(
                f"a quote is not closed within {MAX_QUOTED_LINES} lines or {MAX_QUOTED_SIZE} characters"
            ) from None
        raise _Bad(f"no CSV: {error}") from None
    return fields, len(taken)


def _decoded(raw: bytes) -> str:
    if len(raw) > MAX_LINE:
        raise _Bad(f"a line longer than {MAX_LINE} bytes")
    if b"\0" in raw:
        raise _Bad("a NUL byte")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise _Bad("bytes that are no text in the encoding of the list") from None


def _transcoded(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("imgcrawl.bad")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _excerpt(raw: bytes) -> str:
    text = raw[: 4 * _EXCERPT].decode("utf-8", "replace").strip()[:_EXCERPT]
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


_TOKEN = re.compile(
    r"""
    (?P<space>[\s,，;]++)
  | (?P<open>[\[({【［])
  | (?P<close>[\])}】］])
  | [uUbB]?'(?P<single>[^'\\]*+(?:\\.[^'\\]*+)*+)'
  | [uUbB]?"(?P<double>[^"\\]*+(?:\\.[^"\\]*+)*+)"
  | ‘(?P<curly>[^’]*+)’
  | “(?P<curly2>[^”]*+)”
  | (?P<nothing>(?:None|null|nan)\b)
  | (?P<bare>(?:[a-zA-Z][a-zA-Z0-9+.-]*+:)?//(?:[^\s,，\]】］'"’”]|,(?=[^\s'"\]])(?!(?:[a-zA-Z][\w+.-]*+:)?//))++)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ADDRESS = re.compile(r"(?:[a-zA-Z][a-zA-Z0-9+.-]*+:)?//|[a-zA-Z][a-zA-Z0-9+.-]*+:")


def addresses_in(text: str) -> list[str]:
    """The addresses in a printed list: `['https://…', "…"]`, a JSON array, `[]`, one bare address, or nothing.

    Nested lists count as one; empty strings, `None`, `null` and `nan` are left out; what stands in quotes is
    given as it is, also when it is no address, as long as an address is among it. Raises `ValueError` with the
    reason for other text, also for a list that was cut.
    """
    found: list[str] = []
    position = depth = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise ValueError(f"no list of addresses: {text[position : position + 40]!r} at character {position}")
        position = token.end()
        kind = token.lastgroup or ""
        if kind in ("open", "close"):
            depth += 1 if kind == "open" else -1
            if depth < 0:
                raise ValueError(f"no list of addresses: a bracket closes at character {position} that none opened")
        elif kind not in ("space", "nothing"):
            value = token[kind]
            if kind in ("single", "double"):
                value = _ESCAPE.sub(_escaped, value)
            try:
                # JSON writes a character beyond U+FFFF as two escapes.
                found.append(value.encode("utf-16", "surrogatepass").decode("utf-16").strip())
            except UnicodeDecodeError:
                raise ValueError("no list of addresses: half a surrogate pair") from None
    if depth:
        raise ValueError("no list of addresses: a bracket is not closed")
    found = [value for value in found if value]
    if found and not any(_ADDRESS.match(value) for value in found):
        raise ValueError(f"no list of addresses: {found[0][:40]!r} is none")
    return found


def _escaped(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if code is None:
        return {"n": "\n", "t": "\t", "r": "\r"}.get(match[4], match[4])
    return chr(int(code, 16)) if int(code, 16) <= 0x10FFFF else match[0]
