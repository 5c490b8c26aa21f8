"""How a request goes over the wire."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cached_property, lru_cache
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
    ResponseDataLossError,
    UnsupportedURLSchemeError,
)
from scrapy.http import Headers, Response
from scrapy.utils._download_handlers import make_response
from scrapy.utils.ssl import _make_ssl_context

from imgcrawl.answers import PIECE, WireAnswer
from imgcrawl.bodies import BodyFile, MediaRequest, StartOfBody, body_file_of, encodings_of, is_page
from imgcrawl.checks import is_socks
from imgcrawl.connections import AddrInfo, PrivateAddressError, Resolver, client_timeout, public_socket
from imgcrawl.engine import downloader_in
from imgcrawl.exceptions import RequestRefused
from imgcrawl.failures import DownloadTLSError
from imgcrawl.framing import MAX_FIELD, MAX_FIELDS, Connector, sent_headers
from imgcrawl.proxies import SocksConnector
from imgcrawl.signalmanager import has_listeners

_OF_IMAGES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF")  # how most begin
_OF_NO_IMAGE = 64 * 1024  # bytes that are read of an error's or a redirect's page in place of an image


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
            response_class=WireAnswer,
            max_line_size=MAX_FIELD,
            max_field_size=MAX_FIELD,
            max_headers=MAX_FIELDS,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )

    @asynccontextmanager
    async def _make_request(self, request: Request, timeout: float) -> AsyncIterator[_ClientResponse]:
        proxy, password = self._extract_proxy(request)
        file = body_file_of(request)
        session = self._public_session if request.meta.get("public_only") and not proxy else self._session
        if proxy and is_socks(proxy):
            session = self._socks_session(self._extract_proxy_url_with_creds(request) or "")
            proxy = password = None
        with self._wire_errors(request, timeout):
            try:
                # Sent as Scrapy escaped it: escaping again breaks signed addresses.
                url = _as_written(request.url)
                headers = sent_headers(request) + (file.range_headers(request.url) if file else [])
                # Not in the proxy's address, which aiohttp reads as Latin-1; never to the far end of a tunnel.
                for_proxy = [("Proxy-Authorization", password)] if password else []
                answer = await session.request(
                    request.method,
                    url,
                    data=request.body or None,
                    headers=headers + (for_proxy if url.scheme == "http" else []),
                    timeout=client_timeout(timeout, self._connect_timeout, self._idle_timeout),
                    ssl=self._tls if url.scheme == "https" or (proxy or "").startswith("https:") else True,
                    allow_redirects=False,
                    proxy=proxy,
                    proxy_headers=for_proxy if url.scheme == "https" else None,
                )
            except (aiohttp.InvalidURL, UnicodeError) as error:
                raise RequestRefused("invalid_url", str(error)) from error
            async with answer:
                response = cast("WireAnswer", answer)
                if response._peername is None:  # reset before its address could be read
                    raise DownloadFailedError(f"{request.url}: connection lost")
                self._direct_body(response, request, file)
                try:
                    yield response
                except ValueError as error:  # a header that Scrapy reads as a number and that is none
                    raise DownloadFailedError(f"{request.url}: {error}") from error

    def _direct_body(self, response: WireAnswer, request: Request, file: BodyFile | None) -> None:
        """Say where the body of *response* goes, and how much of it."""
        response.truncate = request.meta.get("download_truncate")
        response.limit = request.meta.get("download_maxsize", self._default_maxsize)
        response.piece = 1 if has_listeners(self.crawler, signals.bytes_received) else PIECE
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

    async def _read_response(self, response: _ClientResponse, request: Request) -> Response:
        """Scrapy's; an image that nobody watches coming is there at once, without the detours that others need: three
        times through its headers, once through its bytes."""
        watched = any(has_listeners(self.crawler, each) for each in (signals.headers_received, signals.bytes_received))
        if watched or not isinstance(request, MediaRequest) or not self._is_usual(request):
            return await super()._read_response(response, request)
        headers, limit = self._extract_headers(response), cast("WireAnswer", response).limit
        announced = int(headers.get("Content-Length") or 0)
        if 0 < limit < announced:
            self._cancel_maxsize(announced, limit, request, expected=True)
        args = self._build_base_response_args(response, request, headers)
        pieces: list[bytes] = []
        try:
            async for piece in self._iter_body_chunks(response):
                pieces.append(piece)
                if 0 < limit < sum(map(len, pieces)):
                    self._cancel_maxsize(sum(map(len, pieces)), limit, request, expected=False)
        except aiohttp.ClientPayloadError as error:
            raise ResponseDataLossError(str(error)) from error
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if not body.startswith(_OF_IMAGES):  # it may be a page
            return make_response(**args, body=body)
        made = Response(**{**args, "headers": None}, body=body)
        made.headers = headers
        return made

    def _is_usual(self, request: Request) -> bool:
        meta = request.meta
        return (
            not self._tls_verbose_logging
            and not meta.get("download_warnsize", self._default_warnsize)
            and bool(meta.get("download_fail_on_dataloss", self._fail_on_dataloss))
        )

    @staticmethod
    def _extract_headers(response: _ClientResponse) -> Headers:
        ours = cast("WireAnswer", response)  # the bytes that came, without the detour by text that Scrapy's takes
        if ours.fields is None:
            ours.fields = Headers()
            for name, value in response.raw_headers:
                dict.setdefault(ours.fields, name.title(), []).append(value)
        return ours.fields

    @staticmethod
    def _build_base_response_args(response: _ClientResponse, request: Request, headers: Headers) -> Any:
        version, tls = response.version, response._ssl_object
        return {
            "status": 200 if cast("WireAnswer", response).goes_on else response.status,  # with what is here it is whole
            "url": request.url,
            "headers": headers,
            "certificate": tls.getpeercert(binary_form=True) if tls else None,
            "ip_address": _ip_address(cast("tuple[str]", response._peername)[0]),
            "protocol": f"HTTP/{version.major}.{version.minor}" if version else "HTTP/1.1",
        }

    @staticmethod
    def _iter_body_chunks(response: _ClientResponse) -> AsyncIterator[bytes]:
        return cast("WireAnswer", response).chunks()

    @staticmethod
    def _cancel_maxsize(size: int, limit: int, request: Request, *, expected: bool) -> NoReturn:
        raise DownloadCancelledError(f"{request.url}: {size} bytes{' announced' if expected else ''}, limit {limit}")

    async def close(self) -> None:
        for session in (self._session, self._public_session, *self._socks_sessions.values()):
            await session.close()
        await self._resolver.close()


_ip_address = lru_cache(1024)(ipaddress.ip_address)  # of few hosts


def _as_written(url: str) -> yarl.URL:
    """*url* as it is: a `?` with nothing behind it, which browsers send, is none to the library."""
    parsed = yarl.URL(url, encoded=True)
    if parsed.raw_query_string or not url.partition("#")[0].endswith("?"):
        return parsed
    path = f"{parsed.raw_path}?"
    return yarl.URL.build(scheme=parsed.scheme, authority=parsed.raw_authority, path=path, encoded=True)
