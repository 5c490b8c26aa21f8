from __future__ import annotations

import asyncio
import logging
import time
from email.utils import formatdate
from itertools import pairwise
from typing import Any

import pytest
from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import Response

from imgcrawl.downloadermiddlewares.retry import _TAGS, _lacks
from imgcrawl.failures import reason_of
from imgcrawl.limits.retry_after import retry_after
from imgcrawl.webrequest import as_first_asked
from tests.support.asking import ask, crawl
from tests.support.server import JPEG, Misbehaviour, Server, drip, reset, reset_mid_body, short, too_many_requests

FAST: dict[str, Any] = {"DOWNLOAD_TIMEOUT": 5, "DOWNLOAD_IDLE_TIMEOUT": 0.3}


async def one(request: Request | str, **settings: Any) -> Response | Exception:
    return (await ask(request, **settings))[0]


@pytest.mark.parametrize("misbehaviour", [reset, reset_mid_body, short, too_many_requests(None, status=503)])
async def test_a_bad_moment_is_survived(server: Server, misbehaviour: Misbehaviour) -> None:
    server.add("/a.jpg", misbehaviour, times=2)
    server.add("/a.jpg", JPEG)
    answer = await one(server.url("/a.jpg"), **FAST)
    assert isinstance(answer, Response)
    assert answer.body == JPEG


async def test_what_stands_before_a_site_has_bad_moments_too(server: Server) -> None:
    for status in (425, 520, 530):
        server.add(f"/{status}", too_many_requests(None, status=status), times=2)
        server.add(f"/{status}", JPEG)
        answer = await one(server.url(f"/{status}"), **FAST)
        assert isinstance(answer, Response)
        assert answer.body == JPEG
        server.add(f"/{status}/once", too_many_requests(None, status=status), times=1)
        server.add(f"/{status}/once", JPEG)
        answer = await one(server.url(f"/{status}/once"), **FAST, RETRY_HTTP_CODES=[503])
        assert isinstance(answer, Response)
        assert answer.status == status


async def test_what_is_still_being_made_is_asked_for_again(server: Server) -> None:
    server.add("/a.jpg", b"<p>Processing", status=202, headers={"Content-Type": "text/html"}, times=2)
    server.add("/a.jpg", JPEG)
    server.add("/b.jpg", b"<h1>Please wait...</h1>", headers={"Content-Type": "text/html"}, times=1)
    server.add("/b.jpg", JPEG)
    for path in ("/a.jpg", "/b.jpg"):
        answer = await one(Request(server.url(path), meta={"media": True}), **FAST)
        assert isinstance(answer, Response)
        assert answer.body == JPEG


async def test_a_timeout_is_retried(server: Server) -> None:
    server.add("/a.jpg", drip, times=1)
    server.add("/a.jpg", JPEG)
    answer = await one(server.url("/a.jpg"), DOWNLOAD_TIMEOUT=0.5)
    assert isinstance(answer, Response)


GUARDED = "<p>This site is protected by reCAPTCHA"
SLOWER = "<p>Too many requests"


@pytest.mark.parametrize(
    ("body", "lacks"),
    [
        (SLOWER, "busy"),
        ("<style>body { background: #fff url(data:image/gif;base64,R0) }</style>" + SLOWER, "busy"),
        ("<style>body { background: red } p { src: url(/f) }</style><a href=/download>Download</a>" + SLOWER, "busy"),
        ('{"error": "rate limit exceeded"}', "busy"),
        ('{"captcha": true}', "busy"),
        ('{"rate_limit_remaining": 59, "photos":[{"src":"https://cdn/abc"}]}', ""),
        ('{"captcha": false, "photos":[{"src":"https://cdn/abc"}]}', ""),
        ("<h1>Album</h1>" + GUARDED, ""),
        ('<i data-bg="/media/17"></i>' + SLOWER, ""),
        ('<i style="background-image: url(/media/17)"></i>' + SLOWER, ""),
        ('<a class=x href="/original/17" download>Original</a>' + SLOWER, ""),
        ('<meta property="og:image" content="/media/17">' + SLOWER, ""),
        ("<h1>Please wait...</h1>", "not yet"),
        ("<title>Site</title><h1>Something went wrong</h1>", "not yet"),
        ("<h1>An error occurred</h1>" + 30_000 * " " + "<img src=/media/17>", ""),
        ("<h1>Album</h1><p>of what was in maintenances", ""),
    ],
)
def test_a_page_of_a_gallery_that_names_a_limit_or_has_images_is_not_busy(body: str, lacks: str) -> None:
    headers = {"Content-Type": "application/json" if body[0] == "{" else "text/html"}
    response = Response("http://h/g/1", headers=headers, body=body.encode())
    for task in ("gallery", "subpage", "sitemap"):
        assert _lacks(Request("http://h/g/1", meta={"task": task}), response) == lacks
    assert _lacks(Request("http://h/g/1", meta={"task": "list"}), response) == "", "it is for the spider"


@pytest.mark.parametrize(
    ("body", "lacks"),
    [
        ("<h1>Please wait...</h1>", "not yet"),
        ("<title>One moment, please</title>", "not yet"),
        ("<p>Your image is being generated", "not yet"),
        ("<body>Loading\u2026<meta http-equiv=refresh content=2>", "not yet"),
        ("<h1>Internal Server Error</h1>", "not yet"),
        ('{"message": "Error 502"}', "not yet"),
        ("<html></html>", "not yet"),
        (SLOWER, "busy"),
        ("<h1>This image was removed</h1>", ""),
        ('<?xml version="1.0"?>\n<!-- made by hand --><svg viewBox="0 0 9 9"><path d="M0 0h9v9z"/></svg>', ""),
        ("<p>Please wait <img src=/big/1.jpg>", ""),
        ("<p>Loading docks of Hamburg, a history of the port and of all that was unloaded", ""),
        ("<p>An errant knight, room 502", ""),
        ("<p>Please wait" + " to be seated" * 200, ""),
    ],
)
def test_what_stands_in_the_place_of_an_image_says_that_it_is_not_there_yet(body: str, lacks: str) -> None:
    response = Response("http://h/1.jpg", headers={"Content-Type": "text/html"}, body=body.encode())
    assert _lacks(Request("http://h/1.jpg", meta={"media": True}), response) == lacks


@pytest.mark.parametrize("named", ["", "<url><loc>http://h/captcha-explained</loc></url>"])
def test_a_sitemap_is_one_however_little_it_names(named: str) -> None:
    response = Response("http://h/sitemap.xml", body=f'<?xml version="1.0"?><urlset>{named}</urlset>'.encode())
    assert _lacks(Request("http://h/sitemap.xml", meta={"task": "sitemap"}), response) == ""


@pytest.mark.parametrize(
    ("urls", "reasons", "method", "again"),
    [
        (["http://h/1"], [302], "GET", "http://h/1"),
        (["http://h/1", "http://h/2"], [307, 303], "GET", "http://h/1"),
        (["http://h/1"], [301], "GET", "http://h/busy"),
        (["http://h/1", "http://h/2"], [302, 308], "GET", "http://h/busy"),
        (["http://other/1"], [302], "GET", "http://h/busy"),
        (["https://h/1"], [302], "GET", "http://h/busy"),
        (["http://h/1"], [307], "POST", "http://h/busy"),
        ([], [], "GET", "http://h/busy"),
    ],
)
def test_what_led_to_a_page_for_the_moment_is_asked_for_in_its_place(
    urls: list[str], reasons: list[int], method: str, again: str
) -> None:
    meta = {"redirect_urls": urls, "redirect_reasons": reasons, "redirect_times": len(urls), "retry_times": 2}
    made = as_first_asked(Request("http://h/busy", method=method, meta=meta))
    assert made.url == again
    assert made.meta == ({"retry_times": 2} if again != "http://h/busy" else meta)


def gaps(server: Server) -> list[float]:
    times = [request.time for request in server.requests]
    return [later - earlier for earlier, later in pairwise(times)]


async def test_delays_grow_up_to_their_limit(server: Server) -> None:
    settings = {"RETRY_TIMES": 4, "RETRY_DELAY": 0.2, "RETRY_MAX_DELAY": 0.6}
    answer = await one(server.url("/503"), **settings)
    assert isinstance(answer, Response)
    assert answer.status == 503
    slack = 1.5  # what the machine may take on top
    waited = gaps(server)
    assert len(waited) == 4
    for nominal, gap in zip([0.2, 0.4, 0.8, 1.6], waited, strict=True):
        assert nominal * 0.5 <= gap + 0.005 or gap + 0.005 >= 0.6, waited
        assert gap <= min(nominal * 1.5, 0.6) + slack, waited


async def test_a_form_that_led_to_a_busy_page_is_neither_asked_for_nor_sent_again(server: Server) -> None:
    server.add("/login", b"", status=303, headers={"Location": "/home"})
    server.add("/home", too_many_requests(None, status=503), times=1)
    server.add("/home", b"Hello")
    answer = await one(Request(server.url("/login"), method="POST", body=b"name=a"), **FAST)
    assert isinstance(answer, Response)
    assert answer.body == b"Hello"
    assert [(each.method, each.path) for each in server.requests][-3:] == [
        ("POST", "/login"), ("GET", "/home"), ("GET", "/home")
    ]  # fmt: skip


@pytest.mark.parametrize("as_date", [False, True])
async def test_retry_after_is_obeyed(server: Server, as_date: bool) -> None:
    server.add("/a.jpg", too_many_requests(1, as_date=as_date), times=1)
    server.add("/a.jpg", JPEG)
    asked_at = time.time()
    answer = await one(server.url("/a.jpg"))
    assert isinstance(answer, Response)
    assert answer.body == JPEG
    assert 1.0 <= gaps(server)[0] < 5.0
    assert server.requests[-1].time >= asked_at + 1


async def test_a_retry_after_beyond_the_limit_ends_it_at_once(server: Server) -> None:
    answer = await one(server.url("/429-long"))
    assert isinstance(answer, Response)
    assert answer.status == 429
    assert server.count("/429-long") == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        (" 3 ", 3.0),
        ("2.5", 2.5),
        ("0", 0.0),
        ("-3", 0.0),
        ("soon", 0.0),
        ("", 0.0),
        ("٣", 0.0),
        ("9" * 5000, float("inf")),
        ("Sun, 06 Nov 1994 08:49:40 GMT", 3.0),
        ("Sunday, 06-Nov-94 08:49:40 GMT", 3.0),
        ("Sun Nov  6 08:49:40 1994", 3.0),
        ("Sun, 06 Nov 1994 08:49:30 GMT", 0.0),
        ("Sun, 99 Nov 1994 08:49:40 GMT", 0.0),
        ("Sun, 06 Nov 99999 08:49:40 GMT", 0.0),
    ],
)
def test_retry_after_values(value: str, seconds: float) -> None:
    headers = {"Retry-After": value, "Date": "Sun, 06 Nov 1994 08:49:37 GMT"}
    assert retry_after(Response("http://a.example/", headers=headers)) == seconds


def test_retry_after_without_a_date_of_the_server() -> None:
    until = formatdate(time.time() + 100, usegmt=True)
    assert 98 <= retry_after(Response("http://a.example/", headers={"Retry-After": until})) <= 100
    assert retry_after(Response("http://a.example/")) == 0.0


async def test_an_unknown_name_is_retried_twice_at_most() -> None:
    retries: list[int] = []

    async def script(crawler: Crawler) -> None:
        with pytest.raises(Exception, match="no-such-host") as caught:
            await crawler.engine.download_async(Request("http://no-such-host.invalid/"))
        assert reason_of(caught.value) == ("failed", "dns")
        retries.append(crawler.stats.get_value("retry/count"))

    await crawl(script, RETRY_TIMES=9)
    assert retries == [2]


async def test_what_is_refused_is_not_retried(server: Server) -> None:
    async def script(crawler: Crawler) -> None:
        with pytest.raises(Exception, match="private_address"):
            await crawler.engine.download_async(
                Request("http://localhost/", meta={"page_url": "http://www.example.com/"})
            )
        assert crawler.stats.get_value("retry/count") is None

    await crawl(script)


async def test_dont_retry(server: Server) -> None:
    await ask(Request(server.url("/503"), meta={"dont_retry": True}))
    assert server.count("/503") == 1


@pytest.mark.parametrize("how", ["stop", "close_spider"])
async def test_a_wait_ends_when_the_crawl_is_stopped(server: Server, how: str) -> None:
    server.add("/busy", too_many_requests(200))
    tasks: list[asyncio.Future[Any]] = []  # outside start(), which a stop cancels

    async def script(crawler: Crawler) -> None:
        tasks.append(asyncio.ensure_future(crawler.engine.download_async(Request(server.url("/busy")))))
        while not crawler.stats.get_value("retry/count"):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
        stop = crawler.stop_async() if how == "stop" else crawler.engine.close_spider_async(reason="enough")
        tasks.append(asyncio.ensure_future(stop))

    begun = time.monotonic()
    await crawl(script)
    answer, _ = await asyncio.gather(*tasks)
    assert time.monotonic() - begun < 10
    assert answer.status == 429


async def test_hosts_that_are_waited_for_do_not_starve_others() -> None:
    """All that may be under way at once waits for one host; pages of another are fetched meanwhile."""
    with Server(hosts=("127.0.0.1", "127.0.0.2")) as server:
        server.add("/busy", too_many_requests(200))

        async def script(crawler: Crawler) -> None:
            for number in range(2):
                crawler.engine.crawl(Request(server.url(f"/busy?{number}"), dont_filter=True))
            while crawler.stats.get_value("retry/count") != 2:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.01)
            crawler.engine.crawl(Request(server.url("/html", host="127.0.0.2"), callback=crawler.spider.parse))
            while not server.count("/html"):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.01)
            stops.append(asyncio.ensure_future(crawler.stop_async()))

        stops: list[asyncio.Future[None]] = []
        await asyncio.wait_for(crawl(script, CONCURRENT_REQUESTS=2), 15)
        await asyncio.gather(*stops)


async def test_one_line_each_and_no_traceback(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "imgcrawl"), caplog.at_level(logging.DEBUG, "scrapy"):
        await ask(server.url("/reset"), RETRY_TIMES=2, RETRY_GIVE_UP_LOG_LEVEL="WARNING")
        await ask(server.url("/429-long"))
    assert not [record for record in caplog.records if record.exc_info]
    lines = [record.getMessage() for record in caplog.records if "etry" in record.getMessage()]
    assert len([line for line in lines if "/reset" in line]) == 3
    assert len([line for line in lines if "/429-long" in line]) == 1
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_the_text_of_a_hostile_page_is_had_in_linear_time() -> None:
    hostile = (b"<script " * 2500, b"<" * 20_000, b"<a" * 10_000, b"<style>" * 2800)
    start = time.process_time()
    for body in hostile:
        assert not _TAGS.sub(b"", body)
    assert time.process_time() - start < 0.2, "a second and more where each tag is looked for to the end"
    assert _TAGS.sub(b" ", b"<p>Slow <b>down</b></p><script>x<y</script> now") == b" Slow  down    now"
