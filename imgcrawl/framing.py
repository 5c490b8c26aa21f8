"""Answers as servers write them: the head of each is made regular before aiohttp's parser reads it.

What browsers and curl accept is accepted, unless it would let one answer be read as another's (RFC 9112, 6.3 and 11.1):
a length that is doubtful, and bytes that nobody asked for, end the connection.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import Any, NamedTuple

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import BadHttpMessage
from scrapy import Request

from imgcrawl.possessive import compile_late

MAX_HEAD = 256 * 1024  # bytes of a status line and its headers, and of what frames a body between two parts of it
MAX_FIELD = 64 * 1024  # bytes of one of them
MAX_FIELDS = 1000
MAX_INTERIM = 100  # answers before the answer (RFC 9110, 15.2: 100, 102, 103)

_END = re.compile(rb"\n\r{0,2}\n")
_STATUS = re.compile(rb"HTTP/1\.[01] [1-9][0-9]{2}(?:[ \r\n]|\Z)")
_ODD_STATUS = compile_late(
    rb"HTTP/(?P<old>0|1(?:\.0)?(?![.0-9]))?[0-9.]*[ \t]+(?P<code>[1-9][0-9]{2})(?![0-9])[ \t]*", re.IGNORECASE
)
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
# What needs a closer look: a second length or one that is no number, codings, a line that is no field, and a CR alone.
_IRREGULAR = re.compile(
    rb"""\ncontent-length:(?s:.*)\ncontent-length
    |\ncontent-length:(?![ \t]*[0-9]{1,18}[ \t]*(?:\r?\n|\Z))
    |\ntransfer-encoding
    |\n(?![!#$%&'*+\-.^_`|~0-9A-Za-z]+:)[^\r\n]
    |\r(?!\n)""",
    re.IGNORECASE | re.VERBOSE,
)
_HEX = re.compile(rb"[0-9A-Fa-f]{1,15}")
_INTERIM = re.compile(rb"HTTP/1\.\d 1(?!01)\d\d[ \r\n]")


class Connector(aiohttp.TCPConnector):
    """aiohttp's connector, with connections that read answers as this module does."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory: partial[Any] = partial(_Protocol, loop=self._loop)


class _Protocol(ResponseHandler):
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._head: bytes | None = None  # what has come of it; None after its end
        self._interim = 0  # of its like before it
        self._chunks: _Chunks | None = None
        self._since = 0  # bytes that came since the body last grew
        self._grown = 0
        self._heard = 0.0  # when something came last, by the loop's clock

    def set_response_params(self, **params: Any) -> None:
        self._head = b""
        self._chunks = None
        self._interim = self._since = self._grown = 0
        self._drop_timeout()  # of another request, which may have had more time
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        try:
            while self._head is not None and data:
                data = self._read_head(data)
            if self._head is None:
                self._read_body(data)
        except BadHttpMessage as error:
            failure = aiohttp.ClientPayloadError(error.message)
            if self._payload is not None:
                self._payload.set_exception(failure)
            if self.transport is not None:
                self.transport.close()
            self.set_exception(failure)

    def _reschedule_timeout(self) -> None:
        # aiohttp's makes a timer anew for each piece that comes, and throws it away.
        self._heard = self._loop.time()
        if self._read_timeout_handle is None or not self._read_timeout:
            super()._reschedule_timeout()

    def _on_read_timeout(self) -> None:
        self._read_timeout_handle = None
        left = self._heard + (self._read_timeout or 0) - self._loop.time()
        if left > 0:
            self._read_timeout_handle = self._loop.call_later(left, self._on_read_timeout)
        else:
            super()._on_read_timeout()

    def connection_lost(self, exc: BaseException | None) -> None:
        body = self._payload
        if exc is None and self._chunks and self._chunks.are_all and body and not body.is_eof():
            super().data_received(b"\r\n")  # nothing is missing but the last empty line
        super().connection_lost(exc)
        if body and not body.is_eof() and body.exception() is None:  # what aiohttp's parser could not read
            body.set_exception(aiohttp.ClientPayloadError("the answer broke off"))

    def _read_head(self, data: bytes) -> bytes:
        """Take the head of an answer from *data*; returns what follows it."""
        head = ((self._head or b"") + data).lstrip(b"\r\n")
        end = _END.search(head, max(0, len(self._head or b"") - 4))
        if (end.start() if end else len(head)) > MAX_HEAD:
            raise BadHttpMessage(f"more than {MAX_HEAD} bytes of headers")
        if end is None:
            self._head = head
            self._reschedule_timeout()
            if head and not b"HTTP/".startswith(head[:5].upper()):
                raise BadHttpMessage(f"no HTTP: {head[:20]!r}")
            return b""
        regular = regular_head(head[: end.start()].rstrip(b"\r"))
        self._head = b"" if _INTERIM.match(regular.head) else None
        self._interim += self._head is not None
        if self._interim > MAX_INTERIM:
            raise BadHttpMessage(f"more than {MAX_INTERIM} answers before the answer")
        super().data_received(regular.head)
        if not regular.may_stay:
            self.force_close()
        self._chunks = _Chunks() if regular.is_chunked else None
        return head[end.end() :]

    def _read_body(self, data: bytes) -> None:
        body = self._payload
        if data and (body is None or body.is_eof()):
            # It is complete. Were this read, the next request might get it for an answer.
            self.force_close()
            if self.transport is not None:
                self.transport.close()
            return
        super().data_received(self._chunks.regular(data) if self._chunks else data)
        if self._chunks and not self._chunks.are_regular:
            self.force_close()
        if body is None or body.is_eof() or self._reading_paused:
            return
        self._since = 0 if body.total_bytes > self._grown else self._since + len(data)
        self._grown = body.total_bytes
        if self._since > MAX_HEAD:
            raise BadHttpMessage(f"more than {MAX_HEAD} bytes of framing")


class _Chunks:
    """Passes a chunked body on as RFC 9112 wants it (7.1): without what may follow the sizes of its chunks and the last
    of them, and with CRLF where lines end with LF only. Where they do, its connection is not used again."""

    def __init__(self) -> None:
        self._line = b""  # of a size, after a chunk or after the last one, what has come of it
        self._left = 0  # bytes of the chunk
        self._is_after_chunk = False
        self._is_over = False
        self.are_regular = True
        self.are_all = False  # has the last one come?

    def regular(self, data: bytes) -> bytes:
        parts = []
        at = 0
        while at < len(data) and not self._is_over:
            if self._left:
                part = data[at : at + self._left]
                parts.append(part)
                self._left -= len(part)
                at += len(part)
                continue
            end = data.find(b"\n", at) + 1 or len(data)
            self._line += data[at:end]
            at = end
            if self._line.endswith(b"\n"):
                parts.append(self._regular_line())
                self._line = b""
            elif len(self._line) > MAX_FIELD:
                raise BadHttpMessage(f"more than {MAX_FIELD} bytes in a line between chunks")
        self.are_regular = self.are_regular and at == len(data)  # else somebody's, behind the end
        return b"".join(parts)

    def _regular_line(self) -> bytes:
        self.are_regular = self.are_regular and self._line.endswith(b"\r\n")
        if self.are_all:  # a trailer, which nobody reads, or the end
            self._is_over = self._line in (b"\r\n", b"\n")
            return b"\r\n" if self._is_over else b""
        size = self._line.partition(b";")[0].strip()
        if self._is_after_chunk:
            if self._line not in (b"\r\n", b"\n"):
                raise BadHttpMessage(f"a chunk is longer than it says: {size[:20]!r}")
        elif not _HEX.fullmatch(size):
            raise BadHttpMessage(f"size of a chunk: {size[:20]!r}")
        else:
            self._left = int(size, 16)
            self.are_all = not self._left
        self._is_after_chunk = not self._is_after_chunk
        return (size if self._is_after_chunk else b"") + b"\r\n"


class RegularHead(NamedTuple):
    """A head as RFC 9112 wants it, with the empty line at its end."""

    head: bytes
    may_stay: bool = True  # may its connection be used again?
    is_chunked: bool = False


def regular_head(head: bytes) -> RegularHead:
    """*head*, which is without the empty line at its end, made regular. Raises BadHttpMessage where it is doubtful
    where the body ends."""
    is_plain = _STATUS.match(head) is not None
    if is_plain and not _IRREGULAR.search(head):
        return RegularHead(head + b"\r\n\r\n")
    # A CR alone is a space (RFC 9112, 2.2).
    status, *lines = (line.rstrip(b"\r").replace(b"\r", b" ") for line in head.split(b"\n"))
    if not is_plain:
        status = _regular_status(status)
    fields: list[tuple[bytes, bytes]] = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if line[:1] in (b" ", b"\t"):  # goes on with the field before it
            if fields:
                fields[-1] = (fields[-1][0], fields[-1][1] + b" " + line.strip())
        else:
            name = name.rstrip(b" \t")
            # A field without a name that can be one is kept in its place for what goes on with it.
            fields.append((name if colon and _TOKEN.fullmatch(name) else b"", value.strip(b" \t")))
    lengths = {
        part.strip() for name, value in fields if name.lower() == b"content-length" for part in value.split(b",")
    }
    codes = [
        code
        for name, value in fields
        if name.lower() == b"transfer-encoding"
        for part in value.split(b",")
        if (code := part.strip().lower()) not in (b"", b"identity")
    ]
    kept = [field for field in fields if field[0] and field[0].lower() not in (b"content-length", b"transfer-encoding")]
    lengths.discard(b"")
    if codes:  # they say where the body ends, whatever a length says
        kept.append((b"Transfer-Encoding", b", ".join(codes)))
    elif len(lengths) > 1 or not all(re.fullmatch(rb"[0-9]{1,19}", length) for length in lengths):
        raise BadHttpMessage(f"Content-Length: {b', '.join(sorted(lengths))[:100]!r}")
    elif lengths:
        kept.append((b"Content-Length", lengths.pop()))
    regular = b"\r\n".join([status, *(b"%s: %s" % field for field in kept), b"", b""])
    return RegularHead(regular, is_plain and not (codes and lengths), codes[-1:] == [b"chunked"])


def _regular_status(line: bytes) -> bytes:
    """A status line as browsers read it: other versions, small letters, more spaces, none after the code."""
    match = _ODD_STATUS.match(line)
    if match is None:
        raise BadHttpMessage(f"status line: {line[:60]!r}")
    return b"HTTP/1.%d %s %s" % (0 if match["old"] else 1, match["code"], line[match.end() :].strip())


def sent_headers(request: Request) -> list[tuple[str, str]]:
    """The headers of *request* as they go over the wire."""
    # Scrapy copies the headers for this, and makes every name and value canonical once more.
    return [
        (name.decode(), value.decode())
        for name, values in dict.items(request.headers)
        for value in values
        if name != b"Proxy-Authorization"
    ]
