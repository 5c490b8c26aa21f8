"""How a request goes over the wire."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cached_property
from typing import Any, NoReturn, cast

import aiohttp
import yarl
from scrapy import Request, signals
from scrapy.core.downloader.handlers._aiohttp import AiohttpDownloadHandler, _ClientResponse
from scrapy.core.downloader.handlers._base_streaming import BaseStreamingDownloadHandler
from scrapy.crawler import Crawler
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    UnsupportedURLSchemeError,
)
from scrapy.http import Headers
from scrapy.utils.ssl import _make_ssl_context

from imgcrawl.backpressure import Backpressure
from imgcrawl.bodies import BodyFile, StartOfBody, body_file_of, encodings_of, is_page
from imgcrawl.checks import is_socks
from imgcrawl.connections import AddrInfo, PrivateAddressError, Resolver, client_timeout, public_socket
from imgcrawl.engine import downloader_in
from imgcrawl.exceptions import RequestRefused
from imgcrawl.failures import DownloadTLSError
from imgcrawl.framing import MAX_FIELD, MAX_FIELDS, Connector, sent_headers
from imgcrawl.proxies import SocksConnector
from imgcrawl.signalmanager import has_listeners

_PIECE = 1024 * 1024  # bytes of a body that are handed on at a time; all at once to who listens, as he may stop it
_WRITTEN = 256 * 1024  # bytes of it that are written to a file at a time
_OF_NO_IMAGE = 64 * 1024  # bytes that are read of an error's or a redirect's page in place of an image


class _Response(_ClientResponse):
    truncate: int | None = None
    file: BodyFile | None = None
    fields: Headers | None = None  # its headers, once they were read
    goes_on = False  # it is the rest of what is in the file
    at_once = False  # all of it goes there
    limit = 0
    start_of_body: StartOfBody | None = None
    piece = _PIECE  # bytes that are handed on at a time
    backpressure: Backpressure | None = None

    async def start(self, connection: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        if connection.transport is None:  # lost while the request was written; Scrapy asserts that it is there
            raise aiohttp.ServerDisconnectedError
        return await super().start(connection)

    def unread(self) -> bytes:
        """What had come of the body before it broke off or its time was over: to read it would raise that again."""
        return b"".join([self.content._read_nowait_chunk(-1) for _ in range(len(self.content._buffer))])


class DownloadHandler(AiohttpDownloadHandler):
    """Scrapy's aiohttp handler for http and https, made for images.

    That handler is marked experimental, because its class may still move; it was chosen because it reuses
    connections and costs less CPU a request than Scrapy's default. A test names the Scrapy version it was
    checked with.

    Settings: ``DOWNLOAD_TIMEOUT`` (seconds for the whole answer), and ours: ``DOWNLOAD_CONNECT_TIMEOUT`` (10:
    name, connection and TLS handshake), ``DOWNLOAD_IDLE_TIMEOUT`` (30: between two pieces of an answer).

    Request meta: with ``public_only`` a connection is made to public addresses only, whatever the host name
    resolves to (not judged when a ``proxy``, of HTTP or SOCKS, is set: it resolves the name); ``download_truncate`` is
    a number of bytes after which the rest of a body is not read. The body of a `MediaRequest` may go to a file.

    None are taken from the network while `imgcrawl.downloader.Downloader`, if that is the crawl's, has too many bytes.

    Raises `RequestRefused` (``private_address``, ``invalid_url``), `DownloadTLSError`, and Scrapy's
    CannotResolveHostError, DownloadConnectionRefusedError, DownloadFailedError, DownloadTimeoutError,
    ResponseDataLossError, and DownloadCancelledError for a body larger than DOWNLOAD_MAXSIZE.
    """

    experimental = False
    lazy = True  # a crawl that bad input ends before its first request leaves no session to close

    def __init__(self, crawler: Crawler) -> None:
        # Not AiohttpDownloadHandler's own: its session would cap connections below a concurrency that
        # DOWNLOAD_SLOTS raises, and cannot judge addresses.
        BaseStreamingDownloadHandler.__init__(self, crawler)
        self._fail_on_dataloss_warned = True  # a short body is an outcome, told where outcomes are told
        self._connect_timeout = crawler.settings.getfloat("DOWNLOAD_CONNECT_TIMEOUT", 10)
        self._idle_timeout = crawler.settings.getfloat("DOWNLOAD_IDLE_TIMEOUT", 30)
        self._resolver = Resolver()
        self._session = self._new_session(self._connector(None))
        # Each session has its own connections: public_only never gets one that leads to a private address.
        self._public_session = self._new_session(self._connector(public_socket))
        self._socks_sessions: dict[str, aiohttp.ClientSession] = {}

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return _make_ssl_context(self.crawler.settings)  # reads all certificates of this machine, for 20 ms

    def _connector(self, socket_factory: Callable[[AddrInfo], socket.socket] | None) -> Connector:
        return Connector(
            local_addr=self._bind_address,
            resolver=self._resolver,
            limit=0,  # the Downloader limits requests, and with them connections
            limit_per_host=0,
            socket_factory=socket_factory,
        )

    def _socks_session(self, proxy: str) -> aiohttp.ClientSession:
        if proxy not in self._socks_sessions:
            self._socks_sessions[proxy] = self._new_session(SocksConnector(proxy, limit=0, limit_per_host=0))
        return self._socks_sessions[proxy]

    def _new_session(self, connector: Connector) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            response_class=_Response,
            max_line_size=MAX_FIELD,
            max_field_size=MAX_FIELD,
            max_headers=MAX_FIELDS,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )

    @asynccontextmanager
    async def _make_request(self, request: Request, timeout: float) -> AsyncIterator[_ClientResponse]:
        proxy = self._extract_proxy_url_with_creds(request)
        file = body_file_of(request)
        session = self._public_session if request.meta.get("public_only") and not proxy else self._session
        if proxy and is_socks(proxy):
            session, proxy = self._socks_session(proxy), None
        with self._wire_errors(request, timeout):
            try:
                # Sent as Scrapy escaped it: escaping again breaks signed addresses.
                url = yarl.URL(request.url, encoded=True)
                answer = await session.request(
                    request.method,
                    url,
                    data=request.body or None,
                    headers=sent_headers(request) + (file.range_headers(request.url) if file else []),
                    timeout=client_timeout(timeout, self._connect_timeout, self._idle_timeout),
                    ssl=self._tls if url.scheme == "https" else True,
                    allow_redirects=False,
                    proxy=proxy,
                )
            except (aiohttp.InvalidURL, UnicodeError) as error:
                raise RequestRefused("invalid_url", str(error)) from error
            async with answer:
                response = cast("_Response", answer)
                if response._peername is None:  # reset before its address could be read
                    raise DownloadFailedError(f"{request.url}: connection lost")
                self._direct_body(response, request, file)
                try:
                    yield response
                except ValueError as error:  # a header that Scrapy reads as a number and that is none
                    raise DownloadFailedError(f"{request.url}: {error}") from error

    def _direct_body(self, response: _Response, request: Request, file: BodyFile | None) -> None:
        """Say where the body of *response* goes, and how much of it."""
        response.truncate = request.meta.get("download_truncate")
        response.limit = request.meta.get("download_maxsize", self._default_maxsize)
        response.piece = 1 if has_listeners(self.crawler, signals.bytes_received) else _PIECE
        response.backpressure = getattr(downloader_in(self.crawler), "backpressure", None)
        if response.backpressure:
            response.backpressure.dropped()  # of an answer before, which was a redirect, or failed
        if file is None:
            return
        headers = self._extract_headers(response)
        goes_on = file.goes_on(response.status, headers)
        if goes_on is None:
            raise DownloadFailedError(f"{request.url}: sent a part that was not asked for")
        if not 200 <= response.status < 300:
            response.truncate = response.truncate or _OF_NO_IMAGE
            return
        if file.filters and not goes_on and not encodings_of(headers):
            response.start_of_body = StartOfBody(file.filters, 0 if is_page(headers) else response.content_length)
        if not file.in_memory or not encodings_of(headers):  # what is encoded is decoded as a whole
            response.file, response.goes_on = file, goes_on
            response.at_once = goes_on or (response.content_length or 0) > file.in_memory
            if not goes_on:
                file.begin(request.url, headers)

    @contextmanager
    def _wire_errors(self, request: Request, timeout: float) -> Iterator[None]:
        try:
            yield
        except aiohttp.SocketTimeoutError as error:
            raise DownloadTimeoutError(f"{request.url}: nothing came for {self._idle_timeout:g} s") from error
        except aiohttp.ConnectionTimeoutError as error:
            raise DownloadTimeoutError(f"{request.url}: no connection within {self._connect_timeout:g} s") from error
        except TimeoutError as error:
            raise DownloadTimeoutError(f"{request.url}: not complete within {timeout:g} s") from error
        except aiohttp.NonHttpUrlClientError as error:
            raise UnsupportedURLSchemeError(str(error)) from error
        except aiohttp.ClientSSLError as error:
            raise DownloadTLSError(f"{request.url}: {error.os_error}") from error
        except aiohttp.ClientConnectorDNSError as error:
            raise CannotResolveHostError(f"{request.url}: {error.os_error}") from error
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, PrivateAddressError):
                raise RequestRefused("private_address", f"{error.host} has no public address") from error
            raise DownloadConnectionRefusedError(f"{request.url}: {error.os_error}") from error
        except aiohttp.ClientError as error:
            # aiohttp shows broken answers over several lines
            raise DownloadFailedError(f"{request.url}: {' '.join(str(error).split())}") from error

    @staticmethod
    def _extract_headers(response: _ClientResponse) -> Headers:
        ours = cast("_Response", response)  # the bytes that came, without the detour by text that Scrapy's takes
        if ours.fields is None:
            ours.fields = Headers()
            for name, value in response.raw_headers:
                dict.setdefault(ours.fields, name.title(), []).append(value)
        return ours.fields

    @staticmethod
    def _build_base_response_args(response: _ClientResponse, request: Request, headers: Headers) -> Any:
        args = AiohttpDownloadHandler._build_base_response_args(response, request, headers)
        if cast("_Response", response).goes_on:
            args["status"] = 200  # with what is here it is whole
        return args

    @staticmethod
    async def _iter_body_chunks(response: _ClientResponse) -> AsyncIterator[bytes]:
        ours = cast("_Response", response)
        pieces: list[bytes] = []  # handed on together, because each is a signal (bytes_received)
        received = waiting = 0
        to_file: BodyFile | None = None
        try:
            async for piece in response.content.iter_any():
                if ours.backpressure:
                    await ours.backpressure.buffered(len(piece))
                pieces.append(piece)
                received += len(piece)
                waiting += len(piece)
                if ours.start_of_body and ours.start_of_body.is_judged_with(piece):
                    ours.start_of_body = None
                if ours.file and (ours.at_once or received >= max(ours.file.in_memory, 1)):
                    to_file = ours.file
                    break
                if waiting >= ours.piece:
                    yield b"".join(pieces)
                    pieces.clear()
                    waiting = 0
                if ours.truncate is not None and received >= ours.truncate:
                    break
        except (aiohttp.ClientError, TimeoutError):
            if body := b"".join([*pieces, ours.unread()]):
                yield body  # browsers show it, and so some accept it
            if not (ours.file and await ours.file.takes_for_whole(body, received)):
                raise
            return
        if to_file:
            await _write_rest(ours, to_file, pieces)
        elif pieces:
            yield b"".join(pieces)

    @staticmethod
    def _cancel_maxsize(size: int, limit: int, request: Request, *, expected: bool) -> NoReturn:
        raise DownloadCancelledError(f"{request.url}: {size} bytes{' announced' if expected else ''}, limit {limit}")

    async def close(self) -> None:
        for session in (self._session, self._public_session, *self._socks_sessions.values()):
            await session.close()
        await self._resolver.close()


async def _write_rest(response: _Response, file: BodyFile, pieces: list[bytes]) -> None:
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
        complete = True
    except (aiohttp.ClientError, TimeoutError):
        await file.write(b"".join([*pieces, response.unread()]))  # for the next request to go on with
        complete = await file.holds_whole()
        if not complete:
            raise
    finally:
        await file.close(complete=complete)
