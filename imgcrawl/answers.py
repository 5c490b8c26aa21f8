"""Answers as they come over the wire: in memory, or to a file."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
from scrapy.core.downloader.handlers._aiohttp import _ClientResponse
from scrapy.exceptions import DownloadCancelledError
from scrapy.http import Headers

from imgcrawl.backpressure import Backpressure
from imgcrawl.bodies import BodyFile, StartOfBody

PIECE = 1024 * 1024  # bytes of a body that are handed on at a time; all at once to who listens, as he may stop it
_END_OF_PAGE = 1000  # bytes in which a page ends; behind that stands who made it in what time
_WRITTEN = 256 * 1024  # bytes of it that are written to a file at a time


class WireAnswer(_ClientResponse):
    """An answer whose body goes where it is to go: to a *file*, or in pieces to who listens."""

    truncate: int | None = None
    file: BodyFile | None = None
    fields: Headers | None = None  # its headers, once they were read
    goes_on = False  # it is the rest of what is in the file
    at_once = False  # all of it goes there
    limit = 0
    start_of_body: StartOfBody | None = None
    piece = PIECE  # bytes that are handed on at a time
    backpressure: Backpressure | None = None

    async def start(self, connection: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        if connection.transport is None:  # lost while the request was written; Scrapy asserts that it is there
            raise aiohttp.ServerDisconnectedError
        return await super().start(connection)

    def unread(self) -> bytes:
        """What had come of the body before it broke off or its time was over: to read it would raise that again."""
        return b"".join([self.content._read_nowait_chunk(-1) for _ in range(len(self.content._buffer))])

    async def _is_whole(self, body: bytes, received: int) -> bool:
        """Whether *body*, of which so much was *received* before it broke off, seems to lack nothing."""
        if self.file:
            return await self.file.takes_for_whole(body, received)
        return b"</html>" in body[-_END_OF_PAGE:].lower()  # whatever length was said

    async def chunks(self) -> AsyncIterator[bytes]:
        """The pieces of the body, as far as they do not go to a file."""
        pieces: list[bytes] = []  # handed on together, because each is a signal (bytes_received)
        received = waiting = 0
        to_file: BodyFile | None = None
        try:
            async for piece in self.content.iter_any():
                if self.backpressure:
                    await self.backpressure.buffered(len(piece))
                pieces.append(piece)
                received += len(piece)
                waiting += len(piece)
                if self.start_of_body and self.start_of_body.is_judged_with(piece):
                    self.start_of_body = None
                if self.file and (self.at_once or received >= max(self.file.in_memory, 1)):
                    to_file = self.file
                    break
                if waiting >= self.piece:
                    yield b"".join(pieces)
                    pieces.clear()
                    waiting = 0
                if self.truncate is not None and received >= self.truncate:
                    break
        except (aiohttp.ClientError, TimeoutError):
            if body := b"".join([*pieces, self.unread()]):
                yield body  # browsers show it, and so some accept it
            if not await self._is_whole(body, received):
                raise
            return
        if to_file:
            await _write_rest(self, to_file, pieces)
        elif pieces:
            yield b"".join(pieces)


async def _write_rest(response: WireAnswer, file: BodyFile, pieces: list[bytes]) -> None:
    """Write *pieces*, and what follows them, to *file*."""
    complete = False
    try:
        content, size = response.content, sum(map(len, pieces))
        while pieces:
            while size < _WRITTEN and (piece := await content.readany()):
                pieces.append(piece)
                size += len(piece)
            if 0 < response.limit < file.size + size:
                raise DownloadCancelledError(f"{response.url}: more than {response.limit} bytes")
            await file.write(b"".join(pieces))
            pieces = []
            if response.backpressure:
                response.backpressure.dropped()
            piece = await content.readany()
            pieces, size = [piece] if piece else [], len(piece)
        if response.goes_on and file.lacks:  # a server may answer with less than was asked for (RFC 9110, 14.2)
            raise aiohttp.ClientPayloadError(f"a part that ends {file.lacks} bytes before the whole")
        complete = True
    except (aiohttp.ClientError, TimeoutError):
        await file.write(b"".join([*pieces, response.unread()]))  # for the next request to go on with
        complete = await file.holds_whole()
        if not complete:
            raise
    finally:
        await file.close(complete=complete)
