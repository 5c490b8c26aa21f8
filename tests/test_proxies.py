"""Images and pages through a proxy."""

from __future__ import annotations

import asyncio
import base64
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import Response

from imgcrawl import checks
from imgcrawl.downloadermiddlewares.credentials import HttpProxyMiddleware
from imgcrawl.exceptions import InputError
from imgcrawl.failures import DownloadTLSError
from tests.support.asking import ask, crawl
from tests.support.crawling import project_settings
from tests.support.processes import patience
from tests.support.server import JPEG, Server


class Socks5:
    """A server that speaks RFC 1928 and RFC 1929, and leads all names to *target*."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.asked: list[tuple[str, int]] = []
        self.users: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        writer.write(b"\x05\x02" if 2 in methods else b"\x05\x00")
        if 2 in methods:
            _, length = await reader.readexactly(2)
            user = await reader.readexactly(length)
            password = await reader.readexactly((await reader.readexactly(1))[0])
            self.users.append(user + b":" + password)
            writer.write(b"\x01\x00")
        assert await reader.readexactly(4) == b"\x05\x01\x00\x03", "a name, for the proxy to look up"
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        (port,) = struct.unpack(">H", await reader.readexactly(2))
        self.asked.append((host, port))
        if host == "refused.example":
            writer.write(b"\x05\x05\x00\x01" + bytes(6))
            writer.close()
            return
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        far = await asyncio.open_connection(*self.target)
        await asyncio.gather(_pump(reader, far[1]), _pump(far[0], writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    finally:
        writer.close()


@asynccontextmanager
async def socks5(server: Server) -> AsyncIterator[tuple[Socks5, str]]:
    proxy = Socks5(("127.0.0.1", server.port))
    listening = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    try:
        yield proxy, f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()


async def test_pages_and_images_through_a_proxy_that_looks_the_names_up(server: Server) -> None:
    server.add("*", JPEG)
    async with socks5(server) as (proxy, address):
        answers = await ask(
            Request("http://images.example/a.jpg", meta={"proxy": f"socks5://{address}"}),
            Request("http://images.example:81/b.jpg", meta={"proxy": f"socks5h://me:pass%20word@{address}"}),
            Request("http://refused.example/", meta={"proxy": f"socks5://{address}", "dont_retry": True}),
            ROBOTSTXT_OBEY=False,
        )
    assert [answer.body for answer in answers[:2] if isinstance(answer, Response)] == [JPEG, JPEG]
    assert "makes no connection" in str(answers[2])
    assert sorted(proxy.asked) == [("images.example", 80), ("images.example", 81), ("refused.example", 80)]
    assert proxy.users == [b"me:pass word"]
    assert {request.host for request in server.requests} == {"images.example", "images.example:81"}


@pytest.mark.parametrize("verify", [True, False])
async def test_certificates_of_a_proxy_are_judged_as_those_of_sites(
    self_signed: ssl.SSLContext, *, verify: bool
) -> None:
    with Server(context=self_signed) as proxy:
        proxy.add("*", JPEG)
        (answer,) = await ask(
            Request("http://images.example/a.jpg", meta={"proxy": proxy.url("", host="localhost")}),
            ROBOTSTXT_OBEY=False,
            RETRY_TIMES=0,
            DOWNLOAD_VERIFY_CERTIFICATES=verify,
        )
    if verify:
        assert isinstance(answer, DownloadTLSError)
    else:
        assert isinstance(answer, Response)
        assert answer.body == JPEG


@asynccontextmanager
async def stalling(sends: bytes) -> AsyncIterator[str]:
    """A proxy that sends *sends*, byte by byte, each after a while, and then nothing, and closes nothing."""
    writers: list[asyncio.StreamWriter] = []

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        for byte in sends:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.2)

    listening = await asyncio.start_server(stall, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        for writer in writers:
            writer.close()


@pytest.mark.parametrize("scheme", ["socks5", "socks4", "http"])
async def test_a_proxy_that_stalls_is_given_up_and_keeps_nobody_waiting(server: Server, scheme: str) -> None:
    server.add("*", JPEG)
    async with (
        stalling(b"") as silent,
        stalling(bytes(50) if "socks" in scheme else b"HTTP/1.1 200 OK" + b"k" * 90) as slow,
    ):
        asked = [
            Request(address, meta={"proxy": f"{scheme}://{proxy}"}, dont_filter=True)
            for proxy in (silent, slow)
            for address in ("http://images.example/a.jpg", "https://images.example/a.jpg")
        ]
        began = asyncio.get_running_loop().time()
        answers = await ask(
            *asked, server.url("/a.jpg"), ROBOTSTXT_OBEY=False, RETRY_TIMES=0, DOWNLOAD_CONNECT_TIMEOUT=patience(0.25),
            DOWNLOAD_IDLE_TIMEOUT=patience(0.25), DOWNLOAD_TIMEOUT=patience(1),
        )  # fmt: skip
        took = asyncio.get_running_loop().time() - began
    assert isinstance(answers[-1], Response)
    assert {type(answer).__name__ for answer in answers[:-1]} <= {
        "DownloadTimeoutError", "DownloadFailedError", "DownloadConnectionRefusedError", "ResponseDataLossError",
    }  # fmt: skip
    assert took < patience(8)


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ('http://me:pa"secret@proxy:1', "http://proxy:1"),
        ("http://me:secret'@proxy:1", "http://proxy:1"),
        ("socks5h://me:a secret@proxy:1", "socks5h://proxy:1"),
        ("http://me:12/secret@proxy:1", "http://proxy:1"),
        ("http:/me:secret@proxy", "proxy"),
        ("http://me:secret@proxy:port", "http://proxy:port"),
        ("http://me:secret@proxy:65536", "http://proxy:65536"),
        ("http://me:secret@:1", "http://:1"),
        ("ftp://me:secret@proxy", "ftp://proxy"),
        ("/var/run/proxy.sock", "/var/run/proxy.sock"),
    ],
)
def test_a_proxy_whose_address_cannot_be_read_is_one_sentence_without_its_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str, shown: str
) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(InputError) as refusal:
        checks.check_values(project_settings())
    assert str(refusal.value).startswith(f"https_proxy: the address of the proxy {shown} cannot be read; expected http")
    monkeypatch.setenv("https_proxy", "http://me:p%40ss@proxy:3128")
    monkeypatch.setenv("no_proxy", "a b, c")
    for good in (
        "http://proxy",
        "proxy:3128",
        "http://proxy:80/path",
        "http://proxy:",
        "http://me:p@ss@[::1]:3128/",
        "SOCKS5h://me:x@proxy:1",
    ):
        monkeypatch.setenv("http_proxy", good)
        checks.check_values(project_settings())


async def test_the_password_of_a_proxy_is_told_as_a_tunnel_is_asked_for_and_not_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heads: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    listening = await asyncio.start_server(proxy, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    monkeypatch.setenv("https_proxy", f"http://me:%D0%BF@127.0.0.1:{port}")
    monkeypatch.setenv("no_proxy", "")
    try:
        await ask("https://images.example/a.jpg", ROBOTSTXT_OBEY=False, RETRY_TIMES=0, HTTPPROXY_AUTH_ENCODING="utf-8")
    finally:
        listening.close()
    (head,) = heads
    assert head.startswith(b"CONNECT images.example:443 HTTP/1.1")
    assert b"Proxy-Authorization: Basic " + base64.b64encode("me:п".encode()) in head


def test_a_proxy_whose_password_cannot_be_sent_is_not_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://me:%D0%BF@127.0.0.1:1080")
    with pytest.raises(InputError, match="all_proxy: user and password of a SOCKS proxy are expected in ASCII"):
        checks.check_values(project_settings())
    monkeypatch.setenv("all_proxy", "http://me:\udcff@127.0.0.1:1080")
    with pytest.raises(InputError, match="all_proxy: user or password cannot be read"):
        HttpProxyMiddleware()


def test_without_the_library_one_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "socks5://me:secret@127.0.0.1:1080")
    checks.check_values(project_settings())
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"127\.0\.0\.1:1080 needs the library python-socks; install .*imgcrawl\[socks\]"
    ) as raised:
        checks.check_values(project_settings())
    assert "secret" not in str(raised.value)


async def test_more_hosts_than_a_proxy_takes_requests_at_once_have_their_turns(server: Server) -> None:
    """A host's only request waits for the proxy, while others of other hosts go through it before."""
    server.add("*", JPEG)
    statuses: list[int] = []

    async def script(crawler: Crawler) -> None:
        async def three_of(host: str) -> None:
            assert crawler.engine
            for name in "abc":
                request = Request(f"http://{host}.example/{name}.jpg", meta={"proxy": server.url("")})
                statuses.append((await crawler.engine.download_async(request)).status)

        async with asyncio.timeout(patience(15)):
            await asyncio.gather(*(three_of(f"host{n}") for n in range(12)))

    await crawl(script, ROBOTSTXT_OBEY=False)
    assert statuses == [200] * 36
    assert server.max_in_flight <= 8
