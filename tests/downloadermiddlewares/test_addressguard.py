from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import Response
from scrapy.http.request import NO_CALLBACK

from imgcrawl.exceptions import RequestRefused
from imgcrawl.failures import reason_of
from imgcrawl.urls import is_public, literal_ip
from tests.support.asking import ask, crawl
from tests.support.server import JPEG, Server, redirect

PAGE = "http://www.example.com/page"  # never asked for: it only names


async def outcome(url: str, **meta: object) -> tuple[str, str]:
    answer = (await ask(Request(url, meta=meta), RETRY_ENABLED=False))[0]
    assert isinstance(answer, Exception), f"expected a refusal, got {answer}"
    return reason_of(answer)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "127.0.0.%31",
        "①②⑦.0.0.1",
        "127。0。0。1",
        "0",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a00:1]",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[fd00::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[::7f00:1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::808:808]",
        "[2002:7f00:1::]",
        "[2001:0:808:808:0:0:80ff:fffe]",
        "[2001:db8::1]",
    ],
)
async def test_a_page_may_not_name_a_private_address(host: str) -> None:
    assert literal_ip(host)
    assert not is_public(literal_ip(host) or "")
    assert await outcome(f"http://{host}/a.jpg", page_url=PAGE) == ("refused", "private_address")


@pytest.mark.parametrize(
    "host", ["8.8.8.8", "134744072", "[2606:4700::1111]", "[64:ff9b::808:808]", "[2002:808:808::]", "[::ffff:8.8.8.8]"]
)
def test_public_addresses(host: str) -> None:
    assert is_public(literal_ip(host) or "")


@pytest.mark.parametrize(
    "host", ["example.com", "a.b", "1.2.3.4.5", "256.1.1.1", "1.2.3.4x", "face", "0xg", "[::g]", ""]
)
def test_names_are_no_addresses(host: str) -> None:
    assert literal_ip(host) is None


async def test_a_page_may_not_name_a_host_that_resolves_to_a_private_address(server: Server) -> None:
    server.add("/a.jpg", JPEG)
    assert await outcome(server.url("/a.jpg", host="localhost"), page_url=PAGE) == ("refused", "private_address")
    assert not server.connections


async def test_the_user_may_name_anything(server: Server) -> None:
    server.add("/a.jpg", JPEG)
    for host in ("127.0.0.1", "localhost"):
        answer = (await ask(server.url("/a.jpg", host=host)))[0]
        assert isinstance(answer, Response)
        assert "public_only" not in (answer.meta)


async def test_a_private_page_may_name_anything(server: Server) -> None:
    server.add("/a.jpg", JPEG)
    page = server.url("/html", host="localhost")

    async def script(crawler: Crawler) -> None:
        image = Request(server.url("/a.jpg"), meta={"page_url": page})
        with pytest.raises(RequestRefused):
            await crawler.engine.download_async(image)
        await crawler.engine.download_async(Request(page))
        assert (await crawler.engine.download_async(image.replace(dont_filter=True))).body == JPEG

    await crawl(script, RETRY_ENABLED=False)


async def test_a_worker_that_never_saw_the_page_is_told(server: Server) -> None:
    server.add("/a.jpg", JPEG)
    meta = {"page_url": "http://replica.example/list", "page_private": True}
    assert isinstance((await ask(Request(server.url("/a.jpg"), meta=meta)))[0], Response)


async def test_a_redirect_names_an_address_too(server: Server) -> None:
    """On the way from a public page: here the redirect itself cannot be had from a public host, so it is told."""
    meta = {"redirect_urls": ["http://www.example.com/go"]}
    assert await outcome(server.url("/a.jpg"), **meta) == ("refused", "private_address")


async def test_a_private_host_may_redirect_to_another(server: Server) -> None:
    server.add("/a.jpg", JPEG)
    server.add("/go", redirect(server.url("/a.jpg")))
    server.add("/names", redirect(server.url("/a.jpg")))
    for host in ("127.0.0.1", "localhost"):
        answer = (await ask(server.url("/go", host=host)))[0]
        assert isinstance(answer, Response)
        assert answer.body == JPEG


async def test_a_redirect_does_not_keep_public_only(server: Server) -> None:
    """Meta is copied from request to request; each is judged anew."""
    server.add("/a.jpg", JPEG)
    answer = (await ask(Request(server.url("/a.jpg"), meta={"public_only": True})))[0]
    assert isinstance(answer, Response)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file:///etc/passwd", "scheme"),
        ("ftp://host.example/a.jpg", "scheme"),
        ("data:image/png;base64,AAAA", "scheme"),
        ("s3://bucket/key", "scheme"),
        ("http://user:secret@host.example/a.jpg", "invalid_url"),
        ("http://host.example:0/a.jpg", "invalid_url"),
        ("http:///a.jpg", "invalid_url"),
        ("http://a b/a.jpg", "invalid_url"),
        ("http://exa%20mple.com/a.jpg", "invalid_url"),
        ("http://.example.com/a.jpg", "invalid_url"),
        ("http://a..b/a.jpg", "invalid_url"),
        ("http://256.256.256.256/a.jpg", "invalid_url"),
        ("http://1.2.3.4.5/a.jpg", "invalid_url"),
        (f"http://{'a' * 64}.example/a.jpg", "invalid_url"),
        (f"http://{'a.' * 127}com/a.jpg", "invalid_url"),
    ],
)
@pytest.mark.parametrize("meta", [{}, {"page_url": PAGE}])
async def test_what_cannot_be_asked_for(url: str, reason: str, meta: dict[str, str]) -> None:
    assert await outcome(url, **meta) == ("refused", reason)


async def test_another_scheme_that_has_a_handler_is_for_the_user_alone_to_name(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("mine")
    urls = [(tmp_path / "page.html").as_uri(), "data:,mine"]
    handlers = {"DOWNLOAD_HANDLERS": {}, "RETRY_ENABLED": False}  # Scrapy's
    start = {"is_start_request": True}  # as Scrapy notes it
    requests = [Request(url, meta=start) for url in urls]
    assert [getattr(answer, "body", answer) for answer in await ask(*requests, **handlers)] == [b"mine"] * 2
    named: list[dict[str, Any]] = [
        {"page_url": PAGE},
        {"page_url": urls[0]},
        {"redirect_urls": [PAGE]},
        {"media": True},
    ]
    refused = [Request(url, meta=start | meta) for url in urls for meta in named]
    # What pipelines ask for, and what a spider itself does in a callback, is named by nobody who is known.
    bare: list[dict[str, Any]] = [{}, {"callback": NO_CALLBACK}, {"callback": NO_CALLBACK, "meta": start}]
    refused += [Request(url, **arguments) for url in urls for arguments in bare]
    answers = await ask(*refused, **handlers)
    assert [isinstance(answer, Exception) and reason_of(answer) for answer in answers] == [("refused", "scheme")] * 14


async def test_a_password_is_not_repeated() -> None:
    answer = (await ask("http://user:secret@host.example/"))[0]
    assert "secret" not in str(answer)


async def test_each_answer_is_judged_for_itself_and_not_by_the_name_of_its_host(server: Server) -> None:
    """A name may have a public and a private address: what one of its pages came from says nothing of another."""
    server.add("/a.jpg", JPEG)

    async def script(crawler: Crawler) -> None:
        private, other = server.url("/html", host="localhost"), server.url("/html?other", host="localhost")
        await crawler.engine.download_async(Request(private))
        image = Request(server.url("/a.jpg"), meta={"page_url": private})
        assert (await crawler.engine.download_async(image)).body == JPEG
        with pytest.raises(RequestRefused):
            await crawler.engine.download_async(image.replace(meta={"page_url": other}))

    await crawl(script, RETRY_ENABLED=False)


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.0.1.", "%3127.0.0.1"])
async def test_an_address_has_one_spelling_for_limits_robots_and_connections(server: Server, host: str) -> None:
    server.add("/a.jpg", JPEG)

    async def script(crawler: Crawler) -> None:
        for name in (host, "127.0.0.1"):
            answer = await crawler.engine.download_async(Request(server.url("/a.jpg", host=name)))
            assert answer.body == JPEG
        assert list(crawler.engine.downloader.slots) == ["127.0.0.1"]

    await crawl(script, ROBOTSTXT_OBEY=True)
    assert {request.host for request in server.requests} == {f"127.0.0.1:{server.port}"}
    assert server.count("/robots.txt") == 1


@pytest.mark.parametrize(
    ("referer", "sent"),
    [
        ("http://pages.example/1?q", "http://pages.example/1?q"),
        ("https://pages.example/1", None),
        ("http://user:secret@pages.example/1", "http://pages.example/1"),
    ],
)
async def test_a_referer_tells_nothing_that_was_not_meant_for_others(
    server: Server, referer: str, sent: str | None
) -> None:
    server.add("/go", redirect("/a.jpg"))
    server.add("/a.jpg", JPEG)
    await ask(Request(server.url("/go"), headers={"Referer": referer}, meta={"media": True}))
    asked = [request for request in server.requests if request.path != "/robots.txt"]
    assert [request.headers.get("referer") for request in asked] == [sent, sent]
