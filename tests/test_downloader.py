from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from scrapy import Request, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import DownloadFailedError
from scrapy.http import Response
from scrapy.utils.asyncio import call_later

from imgcrawl.downloader import Downloader, downloader_of
from imgcrawl.exceptions import InputError, RequestRefused
from imgcrawl.limits.limiter import Limiter
from tests.support.asking import ask, crawl
from tests.support.processes import patience
from tests.support.server import JPEG, Answer, Server, redirect
from tests.support.server import Request as ServerRequest


@pytest.fixture
def hosts() -> Iterator[Server]:
    with Server(hosts=("127.0.0.1", "127.0.0.2", "127.0.0.3")) as running:
        running.add("*", JPEG, delay=0.02)
        yield running


def urls(server: Server, count: int, host: str = "") -> list[str]:
    return [server.url(f"/{number}.jpg", host) for number in range(count)]


async def test_a_burst_keeps_the_limit_of_its_host_and_reuses_connections(server: Server) -> None:
    server.add("*", JPEG, delay=0.01)
    answers = await ask(*urls(server, 1000), CONCURRENT_REQUESTS=64, CONCURRENT_REQUESTS_PER_DOMAIN=8)
    assert {answer.status for answer in answers} == {200}  # type: ignore[union-attr]  # an exception fails here
    assert server.max_in_flight == 8
    assert server.connections <= 12


def test_scrapys_own_media_pipeline_keeps_the_limit(server: Server, tmp_path: Path) -> None:
    """With the Twisted reactor, in a process of its own: 50 items of 20 files each."""
    server.add("*", JPEG, delay=0.01)
    script = tmp_path / "files.py"
    script.write_text(f"""
import scrapy
from scrapy.crawler import AsyncCrawlerProcess
from tests.support.asking import SETTINGS

class Files(scrapy.Spider):
    name = "files"
    async def start(self):
        for item in range(50):
            yield {{"file_urls": [{server.url()!r} + f"{{item}}-{{number}}.jpg" for number in range(20)]}}

settings = {{name: value for name, value in SETTINGS.items() if name != "TWISTED_REACTOR_ENABLED"}}
settings |= {{"CONCURRENT_REQUESTS_PER_DOMAIN": 8, "FILES_STORE": {str(tmp_path / "files")!r},
             "ITEM_PIPELINES": {{"scrapy.pipelines.files.FilesPipeline": 1}}}}
process = AsyncCrawlerProcess(settings)
process.crawl(Files)
process.start()
""")
    subprocess.run([sys.executable, str(script)], check=True, env={"PYTHONPATH": "."}, timeout=120)
    assert len(server.paths()) == 1000
    assert server.max_in_flight == 8
    assert server.connections <= 12


async def test_download_slots_may_raise_the_limit_of_one_host(server: Server) -> None:
    server.add("*", JPEG, delay=0.05)
    slots = {"127.0.0.1": {"concurrency": 20}}
    await ask(*urls(server, 100), CONCURRENT_REQUESTS_PER_DOMAIN=4, DOWNLOAD_SLOTS=slots, CONCURRENT_REQUESTS=64)
    assert server.max_in_flight == 20


async def test_the_total_is_kept_over_all_hosts(hosts: Server) -> None:
    asked = [url for host in hosts.hosts for url in urls(hosts, 40, host)]
    answers = await ask(*asked, CONCURRENT_REQUESTS=10, CONCURRENT_REQUESTS_PER_DOMAIN=8)
    assert {answer.status for answer in answers} == {200}  # type: ignore[union-attr]  # an exception fails here
    assert hosts.max_in_flight == 10


async def test_no_total_limit(hosts: Server) -> None:
    hosts.add("*", JPEG, delay=0.2)
    asked = [url for host in hosts.hosts for url in urls(hosts, 8, host)]
    await ask(*asked, CONCURRENT_REQUESTS=0, CONCURRENT_REQUESTS_PER_DOMAIN=8)
    assert hosts.max_in_flight == 24


async def test_hosts_take_turns(hosts: Server) -> None:
    asked = urls(hosts, 200, "127.0.0.1") + urls(hosts, 10, "127.0.0.2") + urls(hosts, 10, "127.0.0.3")
    await ask(*asked, CONCURRENT_REQUESTS=4, CONCURRENT_REQUESTS_PER_DOMAIN=4)
    others = [place for place, request in enumerate(hosts.requests) if request.address != "127.0.0.1"]
    assert len(others) == 20
    assert others[-1] < 50, "a long queue of one host held up the others"


async def test_the_delay_is_kept_in_a_burst(server: Server) -> None:
    server.add("*", JPEG)
    await ask(*urls(server, 6), DOWNLOAD_DELAY=0.1, DOWNLOAD_DELAY_JITTER=0)
    times = [request.time for request in server.requests]
    # The first goes out late, when its handler has been built.
    assert times[-1] - times[1] > 0.3, times


async def test_nothing_is_sent_for_while_too_much_is_in_memory(server: Server) -> None:
    server.add("*", JPEG)

    async def script(crawler: Crawler) -> None:
        assert crawler.engine
        downloader = downloader_of(crawler)
        with downloader.count_as_active(Request(server.url("/image.jpg"))):
            await downloader.backpressure.buffered(101)
            asked = [asyncio.ensure_future(crawler.engine.download_async(Request(url))) for url in urls(server, 3)]
            while not (slot := downloader.slots.get("127.0.0.1")) or len(slot.queue) < 3:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.01)
            assert not slot.transferring
        await asyncio.gather(*asked)

    await crawl(script, IMAGES_BACKLOG_BYTES=100)
    assert len(server.paths()) == 3


async def test_a_request_that_waits_does_not_keep_others_from_starting() -> None:
    async def script(crawler: Crawler) -> None:
        downloader = downloader_of(crawler)
        with downloader.count_as_active(request):
            assert downloader.needs_backout()
            with downloader.backpressure.not_counted():
                assert not downloader.needs_backout()
            assert downloader.needs_backout()

    request = Request("http://host.example/")
    await crawl(script, CONCURRENT_REQUESTS=1)


async def test_waits_without_number_do_count() -> None:
    async def script(crawler: Crawler) -> None:
        downloader = downloader_of(crawler)
        with ExitStack() as waits:
            for number in range(100):
                waits.enter_context(downloader.count_as_active(Request(f"http://host.example/{number}")))
                waits.enter_context(downloader.backpressure.not_counted())
            assert downloader.needs_backout(), "an outage would fill the memory with galleries that wait"
        assert not downloader.needs_backout()

    await crawl(script, CONCURRENT_REQUESTS=2)


async def test_an_image_counts_once_from_its_look_up_to_its_outcome(server: Server) -> None:
    """Else pages would come faster than images are verified, and fill the memory."""
    server.add("/a.jpg", JPEG, delay=0.3)

    async def script(crawler: Crawler) -> None:
        downloader = downloader_of(crawler)
        image = Request(server.url("/a.jpg"))
        with downloader.count_as_active(image):
            assert not downloader.needs_backout()
            asked = asyncio.ensure_future(downloader.download(image))
            while not server.count("/a.jpg"):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.01)
            assert not downloader.needs_backout(), "it was counted twice"
            await asked
            with downloader.count_as_active(Request(server.url("/b.jpg"))):
                assert downloader.needs_backout()
            assert not downloader.needs_backout()

    await crawl(script, CONCURRENT_REQUESTS=2)


async def test_a_host_counts_for_no_more_than_it_is_asked_for_at_a_time() -> None:
    async def script(crawler: Crawler) -> None:
        downloader = downloader_of(crawler)
        with ExitStack() as images:
            for number in range(100):
                images.enter_context(downloader.count_as_active(Request(f"http://hangs.example/{number}")))
            assert not downloader.needs_backout()
            images.enter_context(downloader.count_as_active(Request("http://one.example/")))
            assert not downloader.needs_backout()
            images.enter_context(downloader.count_as_active(Request("http://two.example/")))
            assert downloader.needs_backout()
        assert not downloader.needs_backout()

    await crawl(script, CONCURRENT_REQUESTS=10, CONCURRENT_REQUESTS_PER_DOMAIN=8)


async def test_beside_scrapys_downloader_middlewares_wait_and_keep_a_delay(server: Server) -> None:
    server.add("/robots.txt", b"User-agent: *\nCrawl-delay: 0.7")
    server.add("*", JPEG)

    async def script(crawler: Crawler) -> None:
        assert await downloader_of(crawler).wait(0.1)
        for path in ("/a", "/b"):
            await crawler.engine.download_async(Request(server.url(path)))
        a, b = (request.time for request in server.requests if request.path != "/robots.txt")
        assert b - a >= 0.6

    await crawl(script, DOWNLOADER="scrapy.core.downloader.Downloader", ROBOTSTXT_OBEY=True)


def test_the_overridden_methods_are_still_scrapys() -> None:
    """A method that Scrapy renames would be overridden in vain."""
    for name in ("_process_queue", "_enqueue_request", "_download", "_get_slot", "needs_backout"):
        assert hasattr(Downloader.__mro__[1], name)


async def test_download_does_what_the_engine_does(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Signals, stats, log lines and answers, over a redirect, of an image, a 404 and a failure."""
    server.add("/hop", b"", status=302, headers={"Location": "/a.jpg"})
    server.add("/a.jpg", JPEG)
    seen: list[list[object]] = []
    for way in ("engine", "downloader"):
        told: list[object] = []

        def tell(
            signal: object, request: Request, told: list[object] = told, response: Response | None = None, **_: object
        ) -> None:
            told.append((signal, request.url, response and response.status))

        async def script(crawler: Crawler, told: list[object] = told, way: str = way, tell: object = tell) -> None:
            for name in ("request_reached_downloader", "response_downloaded", "response_received"):
                crawler.signals.connect(tell, getattr(signals, name))
            downloader = downloader_of(crawler)
            download = crawler.engine.download_async if way == "engine" else downloader.download
            for path in ("/hop", "/a.jpg", "/none"):
                answer = await download(Request(server.url(path), meta={"media": True}))
                told.append((answer.url, answer.status, answer.body, answer.request.url))
            with pytest.raises(DownloadFailedError):
                await download(Request(server.url("/reset"), meta={"max_retry_times": 0}))
            stats = crawler.stats.get_stats()
            told.append({name: value for name, value in stats.items() if name.startswith(("response", "downloader/"))})
            assert not downloader.active
            assert not crawler.engine._slot.inprogress

        caplog.clear()
        with caplog.at_level("DEBUG", "scrapy.core.engine"):
            await crawl(script)
        told.extend(message for message in caplog.messages if message.startswith("Crawled"))
        seen.append(told)
    engine, downloader = seen
    assert [str(line) for line in engine] == [str(line) for line in downloader]
    assert sum("Crawled (200)" in str(line) for line in downloader) == 2


@pytest.mark.parametrize("path", ["/a.jpg", "/reset", "/another"])
async def test_a_request_is_in_somebodys_hands_at_every_turn_of_the_loop(server: Server, path: str) -> None:
    server.add("/a.jpg", JPEG)
    server.add("/another", redirect("/a.jpg"))

    async def script(crawler: Crawler) -> None:
        downloader = downloader_of(crawler)
        heard: list[object] = []
        request = Request(server.url(path))
        downloader.fetch(request).addBoth(heard.append)
        while not heard:
            assert request in downloader.active, "the engine may close here"
            await asyncio.sleep(0)
        assert not downloader.active

    await crawl(script, RETRY_TIMES=0)


async def test_what_fails_in_a_limit_fails_alone(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.add("*", JPEG)
    take, give, asked = Limiter.take, Limiter.give, iter([MemoryError, None, None, ValueError])
    told = iter([None, ZeroDivisionError])

    def failing(self: Limiter, name: str, queued: int) -> bool:
        if error := next(asked, None):
            raise error
        return take(self, name, queued)

    def failing_too(self: Limiter, name: str, **answer: Any) -> None:
        give(self, name, **answer)
        if error := next(told, None):
            raise error

    monkeypatch.setattr(Limiter, "take", failing)
    monkeypatch.setattr(Limiter, "give", failing_too)
    bad = Request(server.url("/bad.jpg"), meta={"proxy": "http://["})
    answers = await ask(*urls(server, 9), bad, CONCURRENT_REQUESTS_PER_DOMAIN=1, RETRY_TIMES=0, ROBOTSTXT_OBEY=False)
    assert sum(isinstance(answer, Response) for answer in answers) == 6, answers
    assert isinstance(answers[-1], ValueError)


async def test_a_download_that_is_cancelled_gives_its_place_to_the_next(server: Server) -> None:
    server.add("*", JPEG, delay=0.1)

    async def script(crawler: Crawler) -> None:
        downloader = downloader_of(crawler)
        tasks = [asyncio.create_task(downloader.download(Request(url))) for url in urls(server, 6)]
        while len(server.paths()) < 2:  # noqa: ASYNC110 -- the server is in another thread
            await asyncio.sleep(0.01)
        tasks[0].cancel()  # under way
        tasks[3].cancel()  # waiting
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(answer).__name__ == "CancelledError" for answer in answers] == [
            True,
            False,
            False,
            True,
            False,
            False,
        ]
        (slot,) = downloader.slots.values()
        assert not (slot.active or slot.transferring or slot.queue or downloader.active)
        # Cancelled in the very moment in which its turn came: nothing is sent, and nobody waits for ever.
        last = asyncio.create_task(downloader.download(Request(server.url("/last.jpg"))))
        while not slot.transferring:  # noqa: ASYNC110 -- the very turn of the loop is meant
            await asyncio.sleep(0)
        last.cancel()
        await asyncio.gather(last, return_exceptions=True)
        assert not (slot.active or slot.transferring or slot.queue or downloader.active)
        assert (await downloader.download(Request(server.url("/more.jpg")))).status == 200

    await asyncio.wait_for(crawl(script, CONCURRENT_REQUESTS_PER_DOMAIN=2), 20)
    assert server.max_in_flight <= 3  # the server cannot know at once that one was given up
    assert "/3.jpg" not in server.paths()


async def test_a_bandwidth_is_kept(server: Server) -> None:
    server.add("*", b"x" * 10_000)
    await ask(*urls(server, 20), BANDWIDTH=200_000, CONCURRENT_REQUESTS_PER_DOMAIN=1)
    times = [request.time for request in server.requests]
    assert times[-1] - times[0] > 0.9, "200 kB at 200 kB a second, the last of them still to come"


async def test_bandwidth_is_waited_for_by_one_timer(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[float] = []

    def counted(delay: float, function: Callable[[], None]) -> object:
        timers.append(delay)
        return call_later(delay, function)

    monkeypatch.setattr("imgcrawl.turns.call_later", counted)
    server.add("*", b"x" * 10_000)
    answers = await ask(*urls(server, 60), BANDWIDTH=400_000, CONCURRENT_REQUESTS_PER_DOMAIN=8)
    assert {answer.status for answer in answers} == {200}  # type: ignore[union-attr]  # an exception fails here
    assert 1 <= len(timers) <= 60, "no more than one for each that came"


async def test_hosts_with_one_address_can_be_limited_together(server: Server) -> None:
    server.add("*", JPEG, delay=0.05)
    asked = urls(server, 20) + [url.replace("127.0.0.1", "localhost") for url in urls(server, 20)]
    await ask(*asked, CONCURRENT_REQUESTS_PER_DOMAIN=4)
    assert server.max_in_flight == 8
    server.forget()
    await ask(*asked, CONCURRENT_REQUESTS_PER_DOMAIN=4, LIMITS_BY_ADDRESS=True)
    assert server.max_in_flight == 4


async def test_a_proxy_has_limits_of_its_own(hosts: Server) -> None:
    """The server answers whatever it is asked, as a proxy would: for two hosts, and no more than the proxy takes."""
    hosts.add("http://one.example/a.jpg", JPEG, delay=0.05)
    hosts.add("http://two.example/a.jpg", JPEG, delay=0.05)
    proxy = hosts.url("")
    names = ["one", "two"] * 10
    asked = [
        Request(f"http://{name}.example/a.jpg?{number}", meta={"proxy": proxy}) for number, name in enumerate(names)
    ]
    slots = {f"proxy 127.0.0.1:{hosts.port}": {"concurrency": 3}}
    answers = await ask(*asked, CONCURRENT_REQUESTS_PER_DOMAIN=2, DOWNLOAD_SLOTS=slots, ROBOTSTXT_OBEY=False)
    assert {answer.status for answer in answers} == {200}  # type: ignore[union-attr]  # an exception fails here
    assert hosts.max_in_flight == 3


async def test_trouble_slows_a_host_and_good_answers_make_it_fast_again(server: Server) -> None:
    server.add("*", status=503, times=1)
    server.add("*", JPEG)

    async def script(crawler: Crawler) -> None:
        downloader = downloader_of(crawler)
        delays = []
        for url in urls(server, 12):
            await crawler.engine.download_async(Request(url))
            delays.append(downloader.limits.delay("127.0.0.1"))
        assert max(delays) >= 0.1
        while downloader.limits.delay("127.0.0.1"):
            await crawler.engine.download_async(Request(server.url("/more.jpg")))

    await asyncio.wait_for(crawl(script, LIMITS_SPEEDUP=50, RETRY_TIMES=2), 20)


async def test_one_answer_that_asks_for_a_day_of_patience_fails_its_address_only(server: Server) -> None:
    """The host is asked on, more slowly, unless its other answers say the same."""
    server.add("*", JPEG, delay=0.05)

    async def script(crawler: Crawler) -> None:
        downloader = downloader_of(crawler)

        async def ask_for(path: str) -> int:
            answer = await crawler.engine.download_async(Request(server.url(path)))
            return int(answer.status)

        # One of many that are asked for together: all others are had, whether they were under way or not.
        asked = await asyncio.gather(*(ask_for(f"/429-long?{n}" if n == 5 else f"/{n}.jpg") for n in range(40)))
        assert asked == [429 if n == 5 else 200 for n in range(40)]
        assert 1 < server.max_in_flight <= 8
        for _ in range(4):
            assert await ask_for("/429-long") == 429
            assert downloader.limits.delay("127.0.0.1") > 0
            assert await ask_for("/a.jpg") == 200
        assert [await ask_for(f"/429-long?{number}") for number in range(3)] == [429] * 3
        with pytest.raises(RequestRefused, match="retry_after"):
            await ask_for("/a.jpg")

    await crawl(script, LIMITS_SPEEDUP=50)
    assert server.count("/a.jpg") == 4
    assert server.paths()[-1] == "/429-long?2"


@pytest.mark.parametrize(
    ("name", "value"), [("CONCURRENT_REQUESTS_PER_DOMAIN", 0), ("DOWNLOAD_DELAY", -1), ("LIMITS_SPEEDUP", 0)]
)
async def test_limits_that_make_no_sense_are_named(name: str, value: float) -> None:
    async def script(crawler: Crawler) -> None:
        raise AssertionError("it started")

    with pytest.raises(InputError, match=f"{name}={value}"):
        await crawl(script, **{name: value})


async def test_a_host_that_answers_503_twice_for_each_address_is_not_asked_once_a_minute(server: Server) -> None:
    """What it refused comes before what was not asked for yet, so that good answers come in between."""
    tried: Counter[str] = Counter()

    def busy(request: ServerRequest) -> Answer:
        tried[request.path] += 1
        return Answer(JPEG) if tried[request.path] > 2 else Answer(b"", 503)

    server.add("*", busy)

    settings = {"RETRY_TIMES": 2, "ROBOTSTXT_OBEY": False, "CONCURRENT_REQUESTS_PER_DOMAIN": 2}
    answers = await asyncio.wait_for(ask(*urls(server, 10), **settings), patience(30))
    assert [answer.status for answer in answers] == [200] * 10  # type: ignore[union-attr]  # an exception fails here
    assert max(later.time - earlier.time for earlier, later in pairwise(server.requests)) < 20, "51 s before"
    paths = [request.path for request in server.requests]
    assert len(set(paths[: paths.index(paths[0], 1)])) < 10, "all others were asked for before the first came again"
