"""Where the body of an answer goes: into memory up to a bound, into a file beyond it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from functools import cached_property
from io import BufferedWriter
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Protocol

from scrapy import Request
from scrapy.http import Headers, Response

from imgcrawl.exceptions import ImageError, RequestRefused
from imgcrawl.webrequest import WebRequest

IN_MEMORY = 1024 * 1024  # bytes; what is larger is written as it comes
# After so many bytes the start of an image is judged: most formats say in the first ones how large it is, a JPEG behind
# its metadata, of which cameras write up to 64 KiB.
_LOOKS = (1024, 16 * 1024, 80 * 1024)
_PAGES = (b"text/", b"application/json", b"application/xhtml")
_CODINGS = {b"gzip", b"x-gzip", b"deflate", b"br", b"zstd"}
_RANGE = re.compile(rb"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")
_PROGRESS = 64 * 1024  # bytes; an answer that breaks after as many goes on where it broke, and counts for no retry
_STEADY = 60  # seconds from which on a Last-Modified tells versions apart (RFC 9110, 8.8.2.2)


IsWhole = Callable[[bytes | mmap], bool]


class BodyFilters(Protocol):
    """What judges a body by its start, raising `ImageError` for one whose rest is not wanted."""

    @property
    def look_within(self) -> bool:
        """Whether its start says anything."""

    def check_bytes(self, count: int) -> None:
        """Judge the number of bytes that it has."""

    def check_start(self, start: bytes) -> bool:
        """Judge its *start*. Whether no more of it need be looked at."""


class StartOfBody:
    """Has a body of *length* bytes, if that was announced, judged by *filters* while it comes. Raises `RequestRefused`
    for one whose rest is not to be read."""

    def __init__(self, filters: BodyFilters, length: int | None) -> None:
        self._filters = filters
        self._start = b""
        self._looks = [*_LOOKS] if filters.look_within else []
        if length:  # one without a body is "empty"
            with _refusals():
                filters.check_bytes(length)

    def is_judged_with(self, piece: bytes) -> bool:
        """Whether no more of it need be looked at, now that *piece* has come."""
        if self._looks:
            self._start += piece
            if len(self._start) < self._looks[0]:
                return False
            self._looks = [look for look in self._looks if look > len(self._start)]
            with _refusals():
                return self._filters.check_start(self._start) or not self._looks
        return True


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except ImageError as error:
        raise RequestRefused(error.reason, error.detail) from error


class BodyFile:
    """Receives the body of a 2xx answer: what is larger than *in_memory* bytes goes to a file as it comes, for which
    *make_path* has a path.

    `is_written` says that it did; the response's own body is empty then. What a broken answer left, there or in memory,
    is gone on with by the next request (RFC 9110, 14.2), if the server named a version of it. What *filters* refuse is
    not read on. One for each image, not for each request.

    *is_whole* looks at what has come before an answer broke off, and says whether that seems to be all there is;
    `is_cut` then says that the answer was taken so.
    """

    def __init__(
        self,
        make_path: Callable[[], Path],
        *,
        in_memory: int = IN_MEMORY,
        filters: BodyFilters | None = None,
        is_whole: IsWhole | None = None,
    ) -> None:
        self._make_path = make_path
        self.filters = filters
        self.in_memory = min(in_memory, IN_MEMORY)
        self.size = 0  # bytes in the file
        self.brought = 0  # bytes by the last answer
        self.is_written = False  # is the whole body in it?
        self.is_cut = False
        self._is_whole = is_whole
        self._file: BufferedWriter | None = None
        self._is_there = False
        self._url = ""
        self._headers: Headers | None = None  # of the answer that they are from
        self._seen = 0  # bytes there were when `made_progress` was asked last
        self._has_begun = False
        self._is_anew = False  # did the last answer begin once more?

    @cached_property
    def path(self) -> Path:
        """The file."""
        return self._make_path()

    @property
    def _length(self) -> int:
        """The bytes that the whole has; 0 if it was not said."""
        said = (self._headers.get("Content-Length") if self._headers else b"") or b""
        return int(said) if said.isdigit() else 0

    @property
    def lacks(self) -> int:
        """How many bytes of the whole, if its length was said, are not here."""
        return max(0, self._length - self.size)

    @property
    def _validator(self) -> bytes:
        """What names the version that they are of; empty where nothing does."""
        return _validator(self._headers) if self._headers and self._length else b""

    def range_headers(self, url: str) -> list[tuple[str, str]]:
        """What asks for the rest of what is here; empty if *url* has it as a whole only."""
        if not self.size or url != self._url or not (validator := self._validator):
            return []
        return [("Range", f"bytes={self.size}-"), ("If-Range", validator.decode("latin-1"))]

    def goes_on(self, status: int, headers: Headers) -> bool | None:
        """Whether an answer to a request with `range_headers` is the rest of what is here. None if it is a part that
        was not asked for, or if there is none of that. What is here is given up if the answer is whole."""
        self.brought = 0
        self._is_anew = self._has_begun
        if status != 206:
            if (was_asked := status == 416 and self.size > 0) or status < 300:
                self.forget()
            return None if was_asked else False
        said = (headers.get("Content-Range") or b"").strip()
        if not said and not self.size:
            return False  # nothing says that it is a part, and none was asked for
        part = _RANGE.fullmatch(said)
        if part and int(part[1]) == 0 and part[3].isdigit() and int(part[2]) + 1 == int(part[3]):
            self.forget()
            return False  # a part that is the whole
        ours = self._headers or headers
        is_same = all(headers.get(name, ours.get(name)) == ours.get(name) for name in ("ETag", "Last-Modified"))
        if part and int(part[1]) == self.size and is_same and part[3] in (b"*", str(self._length).encode()):
            self._is_anew = False
            return True
        self.forget()
        return None

    def begin(self, url: str, headers: Headers) -> None:
        """A whole answer begins."""
        self.forget()
        self._has_begun = True
        self._url, self._headers = url, headers

    async def write(self, piece: bytes) -> None:
        if self._file is None:
            self._file = await asyncio.to_thread(self.path.open, "ab" if self.size else "wb")
            self._is_there = True
        await asyncio.to_thread(self._file.write, piece)
        self.size += len(piece)
        self.brought += len(piece)

    async def close(self, *, complete: bool) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            await asyncio.to_thread(file.close)
        self.is_written = complete

    async def holds_whole(self) -> bool:
        """Whether what was written seems to be the whole body, though its answer broke off. Closes the file."""
        await self.close(complete=False)
        if self._is_whole is None or not self.size:
            return False
        self.is_cut = await asyncio.to_thread(self._looks_whole)
        return self.is_cut

    async def takes_for_whole(self, body: bytes, received: int) -> bool:
        """The same of a *body* that is in memory. If it is not whole, and all that was *received*, it is kept for the
        next request to go on with."""
        self.is_cut = bool(body) and self._is_whole is not None and self._is_whole(body)
        if not self.is_cut and body and len(body) >= received and self._validator:
            await self.write(body)
            await self.close(complete=False)
            self.brought = 0  # it is counted as what came into memory
        return self.is_cut

    def _looks_whole(self) -> bool:
        with self.path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as body:
            return self._is_whole is not None and self._is_whole(body)

    def made_progress(self) -> bool:
        """Whether the next request can go on where the last one broke, and that one brought much that is new: a server
        that begins once more each time would be asked for ever."""
        before, self._seen = self._seen, self.size
        return not self._is_anew and self.size - before >= _PROGRESS and bool(self._validator)

    def remove(self) -> None:
        """Remove the file, if there is one."""
        if self._is_there:
            self.path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Begin anew."""
        self.size = self._seen = 0
        self._headers = None
        self.is_written = self.is_cut = False


class MediaRequest(WebRequest):
    """A request whose body *body_file* receives.

    Not in its meta, which may come from elsewhere: nothing that travels says where a body goes. Copies of it, for
    retries and redirects, have the same.
    """

    __slots__ = ("body_file",)
    attributes: tuple[str, ...] = (*Request.attributes, "body_file")

    def __init__(self, *args: Any, body_file: BodyFile | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.body_file = body_file


def body_file_of(request: Request) -> BodyFile | None:
    return request.body_file if isinstance(request, MediaRequest) else None


def received_bytes(request: Request, response: Response) -> int:
    """The bytes of body that *response* to *request* brought, in memory or to a file."""
    body_file = body_file_of(request)
    return len(response.body) + (body_file.brought if body_file else 0)


def encodings_of(headers: Headers) -> list[bytes]:
    """The codings of a body that can be undone (RFC 9110, 8.4.1), in the order in which they were applied. What else
    servers write there (``identity``, ``none``, ``utf-8``) says nothing."""
    if b"Content-Encoding" not in headers:
        return []
    said = b",".join(headers.getlist("Content-Encoding")).lower().split(b",")
    return [coding for each in said if (coding := each.strip()) in _CODINGS]


def is_page(headers: Headers) -> bool:
    """Whether a body is a page or data, as its type says. It is not too small: it may lead to the image."""
    return (headers.get("Content-Type") or b"").strip().lower().startswith(_PAGES)


def _validator(headers: Headers) -> bytes:
    """What tells the version of an answer apart from others for certain, or nothing (RFC 9110, 13.1.5)."""
    etag = headers.get("ETag") or b""
    if etag.startswith(b'"'):
        return etag
    modified, date = headers.get("Last-Modified") or b"", headers.get("Date") or b""
    try:
        age = parsedate_to_datetime(date.decode("latin-1")) - parsedate_to_datetime(modified.decode("latin-1"))
    except (ValueError, TypeError, OverflowError, IndexError):
        return b""
    return modified if age.total_seconds() >= _STEADY else b""
