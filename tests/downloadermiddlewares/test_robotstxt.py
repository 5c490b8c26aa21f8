from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time

import pytest
from protego import Protego
from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import Response

from imgcrawl.downloadermiddlewares.robotstxt import our_rules
from imgcrawl.exceptions import RequestRefused
from imgcrawl.failures import reason_of
from tests.support.asking import ask, crawl
from tests.support.server import (
    JPEG,
    Misbehaviour,
    Server,
    endless,
    html,
    never,
    redirect,
    reset,
    too_many_requests,
)

OBEY = {"ROBOTSTXT_OBEY": True, "RETRY_TIMES": 1, "DOWNLOAD_IDLE_TIMEOUT": 0.5}


async def allowed(server: Server, path: str = "/a.jpg", **settings: object) -> bool:
    answer = (await ask(server.url(path), **{**OBEY, **settings}))[0]
    if isinstance(answer, Exception):
        assert reason_of(answer) == ("refused", "robots")
        assert server.count(path) == 0
        return False
    return answer.body == JPEG


@pytest.fixture(autouse=True)
def images(server: Server) -> None:
    server.add("*", JPEG)
    server.add("/robots.txt", status=404)


async def test_rules_hold(server: Server) -> None:
    server.robots("User-agent: *\nDisallow: /private/\nAllow: /private/open\n")
    assert await allowed(server)
    assert not await allowed(server, "/private/a.jpg")
    assert await allowed(server, "/private/open.jpg")


@pytest.mark.parametrize(
    ("encoding", "is_read"),
    [("utf-8", True), ("utf-8-sig", True), ("utf-16", False), ("utf-16-le", False), ("utf-16-be", False)],
)
async def test_rules_are_in_utf_8(server: Server, encoding: str, is_read: bool) -> None:
    # RFC 9309, 2.2: what is in another encoding is no rule. Google's parser, too, skips the mark of UTF-8 alone.
    server.add("/robots.txt", "User-agent: *\nDisallow: /\n".encode(encoding), headers={"Content-Type": "text/plain"})
    assert await allowed(server) is not is_read


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451, 304])
async def test_a_refusal_to_tell_allows_everything(server: Server, status: int) -> None:
    server.robots("User-agent: *\nDisallow: /", status)
    assert await allowed(server)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_server_in_trouble_allows_nothing(server: Server, status: int) -> None:
    server.robots("", status)
    answer = (await ask(server.url("/a.jpg"), **OBEY))[0]
    assert isinstance(answer, RequestRefused)
    assert reason_of(answer) == ("failed", "no_robots")  # tried again: it may allow more than nothing another day
    assert f"could not be had: HTTP {status}" in answer.detail
    assert server.count("/a.jpg") == 0
    assert server.count("/robots.txt") == 2, "retried as set"


@pytest.mark.parametrize(("misbehaviour", "reason"), [(never, "timeout"), (reset, "connection")])
async def test_no_answer_is_the_reason(server: Server, misbehaviour: Misbehaviour, reason: str) -> None:
    server.add("/robots.txt", misbehaviour)
    answer = (await ask(server.url("/a.jpg"), **OBEY))[0]
    assert isinstance(answer, RequestRefused)
    assert reason_of(answer) == ("failed", reason)
    assert "robots.txt could not be had" in answer.detail
    assert server.count("/a.jpg") == 0


async def test_a_host_that_does_not_exist() -> None:
    answer = (await ask("http://no-such-host.invalid/a.jpg", **OBEY))[0]
    assert isinstance(answer, Exception)
    assert reason_of(answer) == ("failed", "dns")


async def test_a_bad_moment_is_survived(server: Server) -> None:
    server.add("/robots.txt", reset, times=2)  # aiohttp itself asks twice where a connection is lost
    server.robots("User-agent: *\nDisallow: /no")
    assert await allowed(server)


async def test_asked_once_for_all_that_come_meanwhile(server: Server) -> None:
    server.add("/robots.txt", b"", delay=0.3, headers={"Content-Type": "text/plain"})
    answers = await ask(*[server.url(f"/{number}.jpg") for number in range(50)], **OBEY)
    assert all(isinstance(answer, Response) for answer in answers)
    assert server.count("/robots.txt") == 1
    assert server.paths()
    assert server.requests[0].path == "/robots.txt"


async def test_asked_of_each_host_and_of_hosts_the_spider_does_not_know() -> None:
    with Server(hosts=("127.0.0.1", "127.0.0.2")) as server:
        server.add("*", JPEG)
        server.robots("User-agent: *\nDisallow: /no")

        async def script(crawler: Crawler) -> None:
            crawler.spider.allowed_domains = ["127.0.0.1"]
            for host in server.hosts:
                request = Request(server.url("/a.jpg", host), meta={"allow_offsite": True})
                await crawler.engine.download_async(request)
                with pytest.raises(RequestRefused):
                    no = Request(server.url("/no.jpg", host), meta={"allow_offsite": True})
                    await crawler.engine.download_async(no)

        await crawl(script, **OBEY)
        assert server.count("/robots.txt") == 2


async def test_redirects_are_followed_to_other_hosts() -> None:
    with Server(hosts=("127.0.0.1", "127.0.0.2")) as server:
        server.add("/robots.txt", redirect(server.url("/r1", "127.0.0.2")))
        for number in range(1, 5):
            server.add(f"/r{number}", redirect(f"/r{number + 1}"))
        server.add("/r5", b"User-agent: *\nDisallow: /a")
        assert not await allowed(server)


async def test_a_sixth_redirect_allows_everything(server: Server) -> None:
    server.add("/robots.txt", redirect("/robots.txt"))
    assert await allowed(server)
    assert server.count("/robots.txt") == 6


async def test_five_hundred_kibibytes_are_read(server: Server) -> None:
    line = b"# 0123456\n"
    head = b"User-agent: *\nDisallow: /early\n"
    filler = line * (500 * 1024 // len(line))
    server.add("/robots.txt", head + filler + b"\nDisallow: /late\n" + filler)
    assert not await allowed(server, "/early.jpg")
    assert await allowed(server, "/late.jpg")


async def test_an_endless_file_is_read_no_further(server: Server) -> None:
    server.add("/robots.txt", endless)
    begun = time.monotonic()
    assert await allowed(server)
    assert time.monotonic() - begun < 8


async def test_a_page_is_no_rule(server: Server) -> None:
    server.add("/robots.txt", html)
    assert await allowed(server)


async def test_asked_again_when_its_time_is_over(server: Server) -> None:
    async def script(crawler: Crawler) -> None:
        for number in range(3):
            await crawler.engine.download_async(Request(server.url(f"/{number}.jpg")))

    await crawl(script, **OBEY)
    assert server.count("/robots.txt") == 1
    await crawl(script, **OBEY, ROBOTSTXT_TTL=0)
    assert server.count("/robots.txt") == 1 + 3


async def test_asked_again_after_a_failure(server: Server) -> None:
    server.add("/robots.txt", status=503, times=2)
    server.robots("User-agent: *\nDisallow: /no")

    async def script(crawler: Crawler) -> None:
        with pytest.raises(RequestRefused):
            await crawler.engine.download_async(Request(server.url("/a.jpg")))
        assert (await crawler.engine.download_async(Request(server.url("/a.jpg")))).body == JPEG

    await crawl(script, **OBEY, ROBOTSTXT_RETRY=0)


async def test_a_failure_is_remembered_for_a_while(server: Server) -> None:
    server.add("/robots.txt", status=503)

    async def script(crawler: Crawler) -> None:
        for _ in range(5):
            with pytest.raises(RequestRefused):
                await crawler.engine.download_async(Request(server.url("/a.jpg")))
        assert crawler.stats.get_value("robotstxt/forbidden") == 5

    await crawl(script, **OBEY)
    assert server.count("/robots.txt") == 2


async def test_old_rules_stay_in_force_while_new_ones_cannot_be_had(server: Server) -> None:
    server.add("/robots.txt", b"User-agent: *\nDisallow: /no", times=1)
    server.add("/robots.txt", status=503)

    async def script(crawler: Crawler) -> None:
        for _ in range(2):
            assert (await crawler.engine.download_async(Request(server.url("/a.jpg")))).body == JPEG
            with pytest.raises(RequestRefused, match="forbids"):
                await crawler.engine.download_async(Request(server.url("/no.jpg")))

    await crawl(script, **OBEY, ROBOTSTXT_TTL=0)


async def test_the_address_guard_holds_for_robots_txt(server: Server) -> None:
    request = Request(server.url("/a.jpg", "localhost"), meta={"page_url": "http://www.example.com/"})
    answer = (await ask(request, **OBEY))[0]
    assert isinstance(answer, Exception)
    assert reason_of(answer) == ("refused", "private_address")
    assert not server.connections


async def test_one_request_that_is_cancelled_does_not_harm_the_others(server: Server) -> None:
    server.add("/robots.txt", b"", delay=0.3)

    async def script(crawler: Crawler) -> None:
        first, second = (
            asyncio.ensure_future(crawler.engine.download_async(Request(server.url(f"/{number}.jpg"))))
            for number in range(2)
        )
        while not server.requests:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
        first.cancel()
        assert (await second).body == JPEG

    await crawl(script, **OBEY)


async def test_no_traceback(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.add("/robots.txt", reset)
    with caplog.at_level(logging.INFO):
        await ask(server.url("/a.jpg"), server.url("/b.jpg"), **OBEY, RETRY_GIVE_UP_LOG_LEVEL="DEBUG")
    ours = [record for record in caplog.records if record.name.startswith("imgcrawl")]
    assert len(ours) == 1
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.WARNING]


async def test_dont_obey(server: Server) -> None:
    server.robots("User-agent: *\nDisallow: /")
    request = Request(server.url("/a.jpg"), meta={"dont_obey_robotstxt": True})
    assert isinstance((await ask(request, **OBEY))[0], Response)
    assert server.count("/robots.txt") == 0


async def test_thousands_of_agents_and_rules_do_not_stop_the_loop(server: Server) -> None:
    """As it stands, Protego takes minutes and gigabytes for it."""
    agents = "".join(f"User-agent: a{number}\n" for number in range(10_000))
    rules = "".join(f"Disallow: /{number}\n" for number in range(10_000))
    server.robots(f"{agents}User-agent: *\n{rules}")
    begun = time.monotonic()
    assert not await allowed(server, "/77.jpg")
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(("count", "in_loop"), [(400, True), (5_000, False)])
async def test_very_many_stars_are_tried_beside_the_loop(
    count: int, in_loop: bool, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40 ms for each address of a site."""
    asked: list[bool] = []
    can_fetch = Protego.can_fetch

    def noted(rules: Protego, url: str, agent: str) -> bool:
        asked.append(threading.current_thread() is threading.main_thread())
        return bool(can_fetch(rules, url, agent))

    monkeypatch.setattr(Protego, "can_fetch", noted)
    server.robots("User-agent: *\n" + f"Disallow: /*a*a*a*{'b' * 40}$\n" * count + "Disallow: /x*.jpg$\n")
    assert await allowed(server, "/a.jpg")
    assert asked[-1] is in_loop
    assert not await allowed(server, "/x1.jpg")


async def test_retry_after_of_robots_txt_is_obeyed(server: Server) -> None:
    server.add("/robots.txt", too_many_requests(1), times=1)
    server.robots("")
    assert await allowed(server)
    asked = [request.time for request in server.requests if request.path == "/robots.txt"]
    assert asked[1] - asked[0] >= 1


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("User-agent: *\nDisallow: /a", "Disallow: /a"),
        ("User-agent: ImgCrawl\nDisallow: /a\nUser-agent: *\nDisallow: /b", "Disallow: /a"),
        ("user-AGENT: imgcrawl/1.0\nDisallow: /a", "Disallow: /a"),
        ("User-agent: img\nDisallow: /a", ""),
        ("User-agent: notimgcrawl\nDisallow: /a", ""),
        ("User-agent: imgcrawl\n\nUser-agent: *\nDisallow: /b", "Disallow: /b"),
        ("User-agent: imgcrawl\nDisallow:\nUser-agent: *\nDisallow: /", "Disallow:"),
        (
            "User-agent: imgcrawl\nAllow: /a\nUser-agent: x\nAllow: /b\nUser-agent: imgcrawl\nAllow: /c",
            "Allow: /a\nAllow: /c",
        ),
        ("User-agent: x\nUser-agent: *\nDisallow: /a # why\nCrawl-delay: 3", "Disallow: /a\nCrawl-delay: 3"),
        ("User-agent: *\nSitemap: /s\nNoise\nDisallow: /a", "Disallow: /a"),
        ("Disallow: /a", ""),
        ("User-agent: *\rDisallow: /a\r\nDisallow: /b", "Disallow: /a\nDisallow: /b"),
        ("\x00\x01", ""),
        ("", ""),
    ],
)
def test_our_rules(text: str, rules: str) -> None:
    assert our_rules(text, "imgcrawl") == rules


@pytest.mark.parametrize(
    "agent",
    ["imgcrawl Bot", "imgcrawl/1.0 (images)", "IMGCRAWL;", "imgcrawl, other", "imgcrawl*", "imgcrawl\tx # note"],
)
def test_a_product_token_ends_where_no_token_goes_on(agent: str) -> None:
    assert our_rules(f"User-agent: *\nDisallow: /a\nUser-agent: {agent}\nDisallow: /b", "imgcrawl") == "Disallow: /b"


@pytest.mark.parametrize("agent", ["imgcrawl-news", "imgcrawl_x", "my imgcrawl", "*imgcrawl", "mimgcrawl"])
def test_another_product_is_another_product(agent: str) -> None:
    assert our_rules(f"User-agent: *\nDisallow: /a\nUser-agent: {agent}\nDisallow: /b", "imgcrawl") == "Disallow: /a"


def test_everybody_is_a_star_and_what_follows_it_does_not_count() -> None:
    assert our_rules("User-agent: * everybody\nDisallow: /a", "imgcrawl") == "Disallow: /a"
    assert our_rules("User-agent: bot2000\nDisallow: /a", "Bot2000") == "Disallow: /a", "a token that is none"


async def test_memory_is_bounded() -> None:
    """Strangers' robots.txt, each as long as it may be, and none of it plain ASCII."""
    rules = "Disallow: /\N{GRINNING FACE}" + "x" * 1000 + "\n"
    with Server(hosts=tuple(f"127.0.0.{number}" for number in range(1, 15))) as server:
        server.robots("User-agent: *\n" + rules * (450 * 1024 // len(rules.encode())))

        async def script(crawler: Crawler) -> None:
            (robots,) = (each for each in crawler.engine.downloader.middleware.middlewares if hasattr(each, "_answers"))
            for host in server.hosts:
                await robots.process_request(Request(server.url("/a.jpg", host)))
            assert 2 < len(robots._answers) < len(server.hosts)
            assert sum(sys.getsizeof(answer.rules) for answer in robots._answers.values()) < 16 * 1024 * 1024

        await crawl(script, **OBEY)
