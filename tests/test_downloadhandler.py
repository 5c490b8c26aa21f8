from __future__ import annotations

import asyncio
import gzip
import logging
import random
import socket
import ssl
import time
import zlib

import aiohttp
import pytest
import scrapy
from aiohttp.base_protocol import BaseProtocol
from aiohttp.helpers import BaseTimerContext
from scrapy import Request, signals
from scrapy.crawler import AsyncCrawlerRunner, Crawler
from scrapy.exceptions import IgnoreRequest, NotSupported, StopDownload
from scrapy.http import HtmlResponse, Response
from scrapy.http.request import NO_CALLBACK
from scrapy.spidermiddlewares.httperror import HttpError

from imgcrawl.answers import WireAnswer
from imgcrawl.downloadhandler import DownloadHandler
from imgcrawl.exceptions import RequestRefused
from imgcrawl.failures import reason_of
from tests.attacks.kinds import CODERS, ZSTD
from tests.support.asking import SETTINGS, ask, crawl
from tests.support.server import HTML, JPEG, Answer, Exchange, Server

HASTY = {
    "DOWNLOAD_TIMEOUT": 1.5,
    "DOWNLOAD_IDLE_TIMEOUT": 0.5,
    "DOWNLOAD_MAXSIZE": 1_000_000,
    "RETRY_ENABLED": False,
    "REDIRECT_MAX_TIMES": 3,
}


async def one(request: Request | str, **settings: object) -> Response | Exception:
    return (await ask(request, **settings))[0]


async def outcome(request: Request | str, **settings: object) -> tuple[str, str]:
    answer = await one(request, **settings)
    assert isinstance(answer, Exception), f"expected a failure, got {answer}"
    return reason_of(answer)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/reset", ("failed", "connection")),
        ("/close", ("failed", "connection")),
        ("/garbage", ("failed", "connection")),
        ("/endless-headers", ("failed", "connection")),
        ("/reset-mid-body", ("failed", "truncated")),
        ("/short", ("failed", "truncated")),
        ("/chunked-cut", ("failed", "truncated")),
        ("/never", ("failed", "timeout")),
        ("/stall", ("failed", "timeout")),
        ("/drip", ("failed", "timeout")),
        ("/huge-length", ("refused", "too_large")),
        ("/endless", ("refused", "too_large")),
        ("/loop", ("failed", "too_many_redirects")),
    ],
)
async def test_each_misbehaviour_has_its_reason(server: Server, path: str, expected: tuple[str, str]) -> None:
    assert await outcome(server.url(path), **HASTY) == expected


async def test_idle_is_counted_from_the_last_piece(server: Server) -> None:
    """With one timer for all of them: it is not made anew for each."""
    told: list[float] = []

    async def in_pieces(exchange: Exchange) -> None:
        await exchange.head(content_length=str(len(JPEG)), content_type="image/jpeg")
        for at in range(4):
            await exchange.write(JPEG[at : at + 1])
            told.append(time.monotonic())
            await asyncio.sleep(0.3)
        if exchange.request.path == "/whole":
            await exchange.write(JPEG[4:])
        else:
            await asyncio.sleep(3600)

    server.add("/whole", in_pieces)
    server.add("/broken", in_pieces)
    idle = {"DOWNLOAD_IDLE_TIMEOUT": 0.8, "RETRY_ENABLED": False}
    whole, broken = await ask(server.url("/whole"), server.url("/broken"), **idle)
    assert isinstance(whole, Response)
    assert whole.body == JPEG
    assert isinstance(broken, Exception)
    assert reason_of(broken) == ("failed", "timeout")
    assert "nothing came for 0.8 s" in str(broken)
    assert time.monotonic() - told[-1] >= 0.75


@pytest.mark.parametrize(
    "path", ["/created", "/gzip", "/chunked", "/until-close", "/empty", "/html.jpg", "/to-nowhere"]
)
async def test_odd_but_complete_answers_are_answers(server: Server, path: str) -> None:
    assert isinstance(await one(server.url(path), **HASTY), Response)


@pytest.mark.parametrize(
    "length", ["abc", "-5", "1e3", "5, 5", "99999999999999999999999999", "5\r\nContent-Length: 7", ""]
)
async def test_a_content_length_that_is_none(server: Server, length: str) -> None:
    async def odd(exchange: Exchange) -> None:
        await exchange.write(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n12345".encode())
        exchange.close()

    server.add("/odd", odd)
    answer = await one(server.url("/odd"), **HASTY)
    assert isinstance(answer, Response) or reason_of(answer)[1] in ("connection", "truncated", "too_large")


async def test_a_decompression_bomb_is_too_large(server: Server) -> None:
    resource = pytest.importorskip("resource")
    for coding, make in CODERS.items():
        server.add(f"/{coding}", make(150_000_000), headers={"Content-Encoding": coding})
    twice = zlib.compress(CODERS["br"](150_000_000))
    server.add("/twice", twice, headers={"Content-Encoding": "br, deflate"})
    before, used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    for path in (*CODERS, "twice"):
        assert await outcome(server.url(f"/{path}"), **HASTY) == ("refused", "too_large"), path
    assert time.process_time() - used < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kB"


@pytest.mark.parametrize(
    "encoding", ["gzip", "deflate", "br", "zstd", "gzip, br", "identity", "none", "utf-8", "aws-chunked", "binary", ""]
)
async def test_a_body_that_is_not_encoded_as_announced_is_taken_as_it_came(
    server: Server, caplog: pytest.LogCaptureFixture, encoding: str
) -> None:
    server.add("/a.jpg", JPEG, headers={"Content-Encoding": encoding})
    server.add("/page", HTML, headers={"Content-Encoding": encoding, "Content-Type": "text/html"})
    with caplog.at_level(logging.WARNING):
        image, page = await ask(server.url("/a.jpg"), server.url("/page"), **HASTY)
    assert isinstance(image, Response)
    assert image.body == JPEG
    assert isinstance(page, HtmlResponse)
    assert page.css("title::text").get() == "sorry"
    assert not caplog.records


@pytest.mark.parametrize(("said", "library"), [("utf-8, x-GZIP", "gzip"), ("br", "brotli"), ("zstd", ZSTD)])
async def test_large_bodies_are_decoded_whatever_else_the_header_says(server: Server, said: str, library: str) -> None:
    body = JPEG + random.Random(1).randbytes(300_000)
    encoded = pytest.importorskip(library).compress(body)
    server.add("/a.jpg", encoded, headers={"Content-Encoding": said})  # which an image is asked for without
    answer = await one(server.url("/a.jpg"), **HASTY)
    assert isinstance(answer, Response)
    assert answer.body == body


async def test_pages_have_a_bound_of_their_own(server: Server) -> None:
    """Compressed or not. It is not that of images."""
    page = HTML + bytes(300_000)
    server.add("/page", page, headers={"Content-Type": "text/html"})
    server.add("/gzip", gzip.compress(page), headers={"Content-Type": "text/html", "Content-Encoding": "gzip"})
    settings = {**HASTY, "PAGES_MAXSIZE": 200_000}
    for path in ("/page", "/gzip"):
        assert await outcome(server.url(path), **settings) == ("refused", "too_large")
        image = Request(server.url(path), callback=NO_CALLBACK)
        assert isinstance(await one(image, **settings), Response)
    assert isinstance(await one(server.url("/page"), **HASTY), Response)


async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert await outcome(f"http://127.0.0.1:{port}/", **HASTY) == ("failed", "connection")


async def test_an_unknown_host() -> None:
    assert await outcome("http://no-such-host.invalid/", **HASTY) == ("failed", "dns")


async def test_no_connection_in_time() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        # With its queue full and nobody accepting, Linux lets further attempts wait.
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        settings = {**HASTY, "DOWNLOAD_CONNECT_TIMEOUT": 0.3, "DOWNLOAD_TIMEOUT": 60}
        answer = await one(f"http://127.0.0.1:{address[1]}/", **settings)
        for filler in fillers:
            filler.close()
    assert "no connection within 0.3 s" in str(answer)
    assert isinstance(answer, Exception)
    assert reason_of(answer) == ("failed", "timeout")


async def test_a_self_signed_certificate_is_refused_once(self_signed: ssl.SSLContext) -> None:
    with Server(context=self_signed) as server:
        server.add("/a.jpg", JPEG)
        url = server.url("/a.jpg", host="localhost")
        assert await outcome(url, RETRY_TIMES=5) == ("failed", "tls")
        assert not server.requests
        answer = await one(url, DOWNLOAD_VERIFY_CERTIFICATES=False)
    assert isinstance(answer, Response)
    assert answer.body == JPEG


async def test_tls_spoken_to_a_plain_server(server: Server) -> None:
    assert await outcome(server.url("/").replace("http:", "https:"), **HASTY) == ("failed", "tls")


# ---- public_only ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.1.", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "0"])
async def test_public_only_connects_to_public_addresses_only(server: Server, host: str) -> None:
    """Without the address guard, so that the handler's own judgement is seen."""
    request = Request(server.url("/html", host=host), meta={"public_only": True})
    answer = await one(request, **HASTY, DOWNLOADER_MIDDLEWARES={})
    assert isinstance(answer, RequestRefused)
    assert answer.reason in ("private_address", "invalid_url")
    assert not server.connections


async def test_public_only_does_not_use_an_open_connection_to_a_private_address(server: Server) -> None:
    async def script(crawler: Crawler) -> None:
        assert crawler.engine
        await crawler.engine.download_async(Request(server.url("/html")))
        with pytest.raises(RequestRefused):
            await crawler.engine.download_async(Request(server.url("/html"), meta={"public_only": True}))

    await crawl(script, **HASTY, DOWNLOADER_MIDDLEWARES={})
    assert server.count("/html") == 1


async def test_the_address_of_a_proxy_is_not_judged(server: Server) -> None:
    server.add("http://images.example/a.jpg", JPEG)
    meta = {"public_only": True, "proxy": server.url("")}
    answer = await one(Request("http://images.example/a.jpg", meta=meta), **HASTY, DOWNLOADER_MIDDLEWARES={})
    assert isinstance(answer, Response)
    assert answer.body == JPEG


# ---- details --------------------------------------------------------------------------------------------


async def test_an_address_is_sent_as_it_is(server: Server) -> None:
    path = "/a%7Eb%2Fc.jpg?x-oss-process=image/resize,m_fill,w_80/quality,q_90&sig=a%2Bb%3D+c%21"
    server.add("*", JPEG)
    await ask(server.url(path))
    assert server.paths() == [path]


async def test_the_rest_of_a_body_is_not_read(server: Server) -> None:
    answer = await one(Request(server.url("/endless"), meta={"download_truncate": 1000}), **HASTY)
    assert isinstance(answer, Response)
    assert 1000 <= len(answer.body) < 1_000_000


async def test_who_listens_to_what_comes_can_stop_it_at_once(server: Server) -> None:
    def stop(data: bytes) -> None:
        raise StopDownload(fail=False)

    async def script(crawler: Crawler) -> None:
        crawler.signals.connect(stop, signals.bytes_received)
        response = await crawler.engine.download_async(Request(server.url("/endless")))
        assert 0 < len(response.body) < 500_000  # in place of a megabyte at a time

    await crawl(script, **HASTY)


async def test_the_handler_needs_no_crawl(server: Server) -> None:
    handler = DownloadHandler(AsyncCrawlerRunner(SETTINGS).create_crawler(scrapy.Spider))
    server.add("/a", JPEG)
    try:
        assert (await handler.download_request(Request(server.url("/a")))).body == JPEG
    finally:
        await handler.close()


async def test_no_warning_and_no_line_but_ours(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await ask(server.url("/short"), server.url("/huge-length"), **HASTY)
    assert not caplog.records


async def test_a_lost_connection_is_replaced(server: Server) -> None:
    """A server may close an idle connection at any time."""

    def closing(_: object) -> Answer:
        return Answer(JPEG, headers={"Connection": "close"})

    server.add("*", closing)

    async def script(crawler: Crawler) -> None:
        assert crawler.engine
        for number in range(5):
            answer = await crawler.engine.download_async(Request(server.url(f"/{number}")))
            assert answer.body == JPEG

    await crawl(script, **HASTY)


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        (RequestRefused("robots"), ("refused", "robots")),
        (RequestRefused("dns", "robots.txt could not be had"), ("failed", "dns")),
        (IgnoreRequest("max redirections reached"), ("failed", "too_many_redirects")),
        (IgnoreRequest("Forbidden by robots.txt"), ("refused", "robots")),
        (IgnoreRequest("not today"), ("refused", "filtered")),
        (HttpError(Response("http://a.example/", status=404)), ("failed", "http_404")),
        (StopDownload(), ("refused", "filtered")),
        (NotSupported("gopher"), ("refused", "scheme")),
        (ConnectionResetError(), ("failed", "connection")),
        (TimeoutError(), ("failed", "timeout")),
        (zlib.error(), ("failed", "corrupt")),
        (RuntimeError("?"), ("failed", "error")),
        (asyncio.CancelledError(), ("failed", "error")),
    ],
)
def test_reasons_of_other_exceptions(exception: BaseException, expected: tuple[str, str]) -> None:
    assert reason_of(exception) == expected


def test_checked_with_this_scrapy() -> None:
    """The handler builds on a class that Scrapy calls experimental. With a new release compare
    core/downloader/handlers/_aiohttp.py and _base_streaming.py with what imgcrawl/downloadhandler.py overrides."""
    assert scrapy.__version__.startswith("2.19.")


async def test_what_had_come_when_the_time_for_the_whole_answer_was_over_is_had() -> None:
    class Over(BaseTimerContext):
        def assert_timeout(self) -> None:
            raise TimeoutError

        def __enter__(self) -> BaseTimerContext:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    loop = asyncio.get_running_loop()
    response = object.__new__(WireAnswer)
    response.content = aiohttp.StreamReader(BaseProtocol(loop), 2**16, timer=Over(), loop=loop)
    for piece in (b"what ", b"has come"):
        response.content.feed_data(piece)
    with pytest.raises(TimeoutError):
        response.content.read_nowait()
    assert response.unread() == b"what has come"
