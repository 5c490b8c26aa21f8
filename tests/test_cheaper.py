"""What costs less than Scrapy's own gives what Scrapy's gives."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from pydispatch import dispatcher
from scrapy import Request, signals
from scrapy.core.scraper import Scraper
from scrapy.downloadermiddlewares.stats import DownloaderStats as ScrapysDownloaderStats
from scrapy.exceptions import StopDownload
from scrapy.http import Response
from scrapy.settings import Settings
from scrapy.signalmanager import SignalManager as ScrapysSignalManager
from scrapy.statscollectors import MemoryStatsCollector

from imgcrawl.downloadermiddlewares.stats import DownloaderStats
from imgcrawl.outputs import start_few_tasks
from imgcrawl.signalmanager import SignalManager
from imgcrawl.statscollectors import StatsCollector

CRAWLER: Any = SimpleNamespace(settings=Settings())
HEADERS: list[dict[str, Any]] = [{}, {"Accept": "image/*"}, {"A": "b", "Set-Cookie": ["one=1", "two=2"]}]
# None whose path begins with two slashes: there Scrapy counts two more than are sent, since Python 3.12.4.
ADDRESSES = ("http://h/p;x?q#f", "http://h", "http://h:80/?", "https://h/a%20b/%C3%A4.jpg?x=1&y=2", "http://h/x//y")


def test_the_numbers_of_bytes_are_those_of_scrapy() -> None:
    found = []
    for collector, middleware in ((MemoryStatsCollector, ScrapysDownloaderStats), (StatsCollector, DownloaderStats)):
        stats = collector(CRAWLER)
        counting = middleware(stats)
        for url in ADDRESSES:
            for headers in HEADERS:
                for method in ("GET", "POST"):
                    counting.process_request(Request(url, method=method, headers=headers, body=b"form"))
        for status in (200, 206, 304, 404, 425, 451, 503, 599):
            for headers in HEADERS:
                request = Request("http://h")
                counting.process_response(request, Response("http://h", status, headers, b"body"))
        stats.max_value("most", 3)
        stats.inc_value("most", start=1, count=2)
        stats.set_value("set", [1])
        assert stats.get_value("set") == [1]
        assert stats.get_value("none", 7) == 7
        found.append(stats.get_stats())
    assert found[0] == found[1]
    assert found[0]["downloader/request_bytes"] > 1000


def test_whoever_listens_is_told() -> None:
    sender, other = object(), object()
    ours, scrapys = SignalManager(sender), ScrapysSignalManager(sender)
    heard: list[tuple[str, Any]] = []

    def one(data: bytes) -> str:
        heard.append(("one", data))
        return "answer"

    def each(signal: object) -> None:
        heard.append(("each", signal))

    def stops() -> None:
        raise StopDownload

    assert ours.send_catch_log(signals.bytes_received, data=b"0") == []
    scrapys.connect(one, signals.bytes_received)
    ours.connect(stops, signals.bytes_received)
    (_, answer), (_, failure) = ours.send_catch_log(signals.bytes_received, data=b"1")
    assert (answer, failure.type, heard) == ("answer", StopDownload, [("one", b"1")])
    assert ours.send_catch_log(signals.headers_received) == []
    assert SignalManager(other).send_catch_log(signals.bytes_received, data=b"2") == []
    dispatcher.connect(each, dispatcher.Any, sender=dispatcher.Any)
    try:
        assert len(SignalManager(other).send_catch_log(signals.bytes_received, data=b"3")) == 1
    finally:
        dispatcher.disconnect(each, dispatcher.Any, sender=dispatcher.Any)
    ours.disconnect(one, signals.bytes_received)
    ours.disconnect(stops, signals.bytes_received)
    assert ours.send_catch_log(signals.bytes_received, data=b"4") == []
    assert heard[1:] == [("each", signals.bytes_received)]


class Outputs:
    """Stands for a Scraper: what comes out of a callback is worked on, 3 at a time at the most."""

    concurrent_items = 3
    handle_spider_output_async: Any

    def __init__(self) -> None:
        self.done: list[int] = []
        self.errors: list[object] = []
        self.underway = self.most = 0

    def handle_spider_error(self, failure: Any, request: Request, response: object) -> None:
        self.errors.append((failure.type, request, response))

    async def _process_spidermw_output_async(self, output: int, response: object) -> None:
        self.underway += 1
        self.most = max(self.most, self.underway)
        if output % 2:  # a request, say, is done with at once
            await asyncio.sleep(0.001 * output)
        self.underway -= 1
        self.done.append(output)


def numbers() -> Iterator[int]:
    yield from (11, 2, 1, 3, 5, 4, 6, 7)
    raise ValueError


async def numbers_by_and_by() -> AsyncIterator[int]:
    for number in numbers():
        await asyncio.sleep(0)
        yield number


@pytest.mark.parametrize("result", [numbers, numbers_by_and_by])
async def test_what_a_callback_gives_is_worked_on_in_as_many_tasks_as_it_takes(
    result: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    request: Any = object()
    scraper: Any = Outputs()
    start_few_tasks(SimpleNamespace(scraper=scraper))  # type: ignore[arg-type] # that much of an engine
    begun: list[object] = []
    create = asyncio.create_task
    monkeypatch.setattr(asyncio, "create_task", lambda work: begun.append(work) or create(work))
    await scraper.handle_spider_output_async(result(), request, "response")
    assert sorted(scraper.done) == [1, 2, 3, 4, 5, 6, 7, 11]
    assert scraper.done.index(11) > scraper.done.index(1)
    assert (scraper.most, scraper.underway) == (3, 0)
    assert scraper.errors == [(ValueError, request, "response")]
    assert len(begun) == 3
    begun.clear()
    response, held_once = Response("http://h"), Response("http://h")
    await scraper.handle_spider_output_async(iter([2]), request, response)
    assert len(begun) == 2
    assert sys.getrefcount(response) == sys.getrefcount(held_once), "a large page waits until the one before is gone"
    scraper.done.clear()
    turns = 0
    working = create(scraper.handle_spider_output_async(iter(range(0, 2000, 2)), request, "response"))
    while not working.done():
        turns += 1
        await asyncio.sleep(0)
    assert len(scraper.done) == 1000
    assert turns > 8
    assert hasattr(Scraper, "handle_spider_output_async")
    assert hasattr(Scraper, "_process_spidermw_output_async")
