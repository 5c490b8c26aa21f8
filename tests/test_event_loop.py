"""Nothing of a page keeps the event loop busy, however large it is."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import re
import socket
import sys
import time
import weakref
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Event, get_ident

import pytest
from scrapy.http import HtmlResponse

from imgcrawl import eventloop, longwork
from imgcrawl.eventloop import EventLoop
from imgcrawl.longwork import WorkGivenUp, at_once, interruptible, while_wanted
from imgcrawl.pages import search
from imgcrawl.pages.images import find_images
from imgcrawl.pages.outside import LARGE, in_pieces, let_go, outside_loop
from imgcrawl.pipelines import futures
from imgcrawl.pipelines.futures import settle
from imgcrawl.urls import resolve
from tests.support.crawling import crawl, project_settings
from tests.support.processes import patience
from tests.support.server import JPEG, Server

HTML = {"Content-Type": "text/html; charset=utf-8"}
CARDS = 7_000  # 3 MB: to search them takes most of a second
LINKS = 3_000
IMAGES = 20_000


def dense_page(title: str) -> bytes:
    cards = "".join(
        f'<div class="card"><a href="/{card}.html?from=a&amp;at={card}"><img class="lazy" width="300" height="200" '
        f'alt="An image of {card}" src="/i/{card % 20}-300x200.jpg" srcset="/i/{card % 20}-300x200.jpg 300w, '
        f'/i/{card % 20}-600x400.jpg 600w, /i/{card % 20}.jpg 1200w"></a><h3>Number {card}</h3>'
        f"<p>Some <b>words</b> about what can be seen here.</p></div>\n"
        for card in range(CARDS)
    )
    return f"<!doctype html><title>{title}</title><body>{cards}</body>".encode()


def test_no_step_of_the_event_loop_is_long_with_dense_pages_of_megabytes_and_a_gallery_of_very_many_images(
    server: Server, tmp_path: Path
) -> None:
    """The step is judged by its own CPU time: a busy machine does not change it much. It was a second."""
    galleries = ["/dense/1", "/dense/2", "/many"]
    links = "".join(f'<a class="g" href="{path}">a gallery</a>' for path in galleries)
    others = "".join(f'<p>More <a href="/other/{number}?page=2">of {number}</a></p>' for number in range(LINKS))
    server.robots("")
    server.add("*", JPEG)
    server.add("/list", f"<html><body>{links}{others}</body></html>".encode(), headers=HTML)
    for path in galleries[:2]:
        server.add(path, dense_page(path), headers=HTML)
    refused = "".join(f'<img src="ftp://nowhere.invalid/{number}.jpg">' for number in range(IMAGES))
    server.add("/many", f"<title>many</title>{refused}".encode(), headers=HTML)
    extensions = {"tests.spiders.looplag.LoopLag": 0, **project_settings().getdict("EXTENSIONS")}
    done = crawl(
        tmp_path,
        "gallery",
        {"list": server.url("/list"), "galleries": "a.g"},
        EXTENSIONS=json.dumps(extensions),
        LOG_LEVEL="INFO",
        VERDICT_MAX_FAILED="1",
    )
    assert "Traceback" not in done.log
    by_title = {item["title"]: item for item in done.items}
    for path in galleries[:2]:
        assert next(image["status"] for image in by_title[path]["images"]) in ("downloaded", "duplicate")
        assert by_title[path]["image_urls"] == [server.url(f"/i/{number}.jpg") for number in range(20)]
    assert [image["url"] for image in by_title["many"]["images"]] == by_title["many"]["image_urls"]
    assert len(by_title["many"]["images"]) == IMAGES
    longest = float(re.findall(r"longest step ([\d.]+) ms", done.log)[-1])
    assert longest < 100, f"{longest} ms"


async def test_what_is_made_of_a_large_page_comes_in_its_order_and_others_have_their_turn() -> None:
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(take_turns())
    for size in (0, LARGE):
        turns = 0
        made = [each async for each in in_pieces(size, iter(range(100)))]
        assert made == list(range(100))
        assert turns >= 4
    assert await outside_loop(LARGE, lambda: time.sleep(0.1)) is None
    assert turns > 100
    others.cancel()


async def test_long_work_ends_when_nobody_waits_for_it_whatever_it_is_at() -> None:
    """And the thread does the next work: what comes too late is raised nowhere."""
    swallowed = Event()

    class Swallowing:
        def __del__(self) -> None:  # in which Python ignores any exception
            swallowed.set()
            time_out = time.monotonic() + 30
            while time.monotonic() < time_out:
                pass

    def spin() -> None:
        with suppress(Exception):
            while True:
                pass

    def swallow() -> None:
        Swallowing()
        spin()

    with ThreadPoolExecutor(1) as threads:
        for work in (spin, spin, swallow):
            waited = [asyncio.create_task(while_wanted(threads, each, lambda: True)) for each in (work, spin)]
            for task in waited:  # the second one has not begun
                with pytest.raises(WorkGivenUp):
                    await asyncio.wait_for(task, patience(5))
            assert await while_wanted(threads, get_ident, lambda: False) != get_ident()
        assert swallowed.is_set()
        assert await while_wanted(threads, lambda: sum(range(1_000)), lambda: True) == 499_500
        cancelled = asyncio.create_task(while_wanted(threads, lambda: time.sleep(0.1), lambda: False))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled


async def test_a_page_is_not_kept_by_what_looks_after_its_work() -> None:
    """A large one would stay, with its tree, until the next collection of garbage."""
    page = HtmlResponse("http://h/", body=b"a")
    kept = weakref.ref(page)
    gc.disable()
    try:
        assert await outside_loop(LARGE, lambda page: page.status, page) == 200
        del page
        assert kept() is None
    finally:
        gc.enable()


async def test_long_work_is_not_ended_while_it_writes_to_the_log() -> None:
    """Python 3.11 would leave the handler's lock behind, and whoever logs next waits for ever."""

    class Slow(logging.Handler):
        written = False

        def emit(self, _: logging.LogRecord) -> None:
            end = time.monotonic() + 0.7
            while time.monotonic() < end:
                pass
            self.written = True

    log, handler = logging.Logger("slow"), Slow()
    log.addHandler(handler)

    def work() -> None:
        log.warning("a")
        while True:
            pass

    with ThreadPoolExecutor(1) as threads, pytest.raises(WorkGivenUp):
        await while_wanted(threads, work, lambda: True)
    assert handler.written


async def test_an_error_in_what_is_made_outside_of_the_loop_is_raised_where_it_is_waited_for() -> None:
    def made() -> list[int]:
        raise ValueError("no such thing")

    for size in (0, LARGE):
        try:
            await outside_loop(size, made)
        except ValueError as error:
            assert str(error) == "no such thing"
        else:
            raise AssertionError("nothing was raised")


def read_in_turns(connections: int, turns: int, work: Callable[[], None]) -> list[list[int]]:
    """Which of so many *connections*, of which each has something to be read all the time, are read in each of *turns*
    of an event loop; *work* is done for each."""
    loop = EventLoop()
    pairs = [socket.socketpair() for _ in range(connections)]
    seen: list[list[int]] = [[]]

    def read(number: int) -> None:
        work()
        seen[-1].append(number)

    def take_turn() -> None:
        if len(seen) == turns:
            loop.stop()
            return
        seen.append([])
        loop.call_soon(take_turn)

    try:
        for number, (ours, theirs) in enumerate(pairs):
            theirs.send(b"x")  # which nobody takes
            loop.add_reader(ours, read, number)
        loop.call_soon(take_turn)
        loop.run_forever()
    finally:
        for ours, theirs in pairs:
            loop.remove_reader(ours)
            ours.close()
            theirs.close()
        loop.close()
    return seen[:-1]  # the last goes on until the loop stops


def test_of_many_connections_that_have_something_to_be_read_some_have_their_turn_and_then_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(eventloop, "at_once", lambda: 4)
    seen = read_in_turns(32, 100, lambda: None)
    assert max(map(len, seen)) <= 4
    times = Counter(number for turn in seen for number in turn)
    assert len(times) == 32
    assert max(times.values()) - min(times.values()) <= 2, times


def test_beside_long_work_fewer_connections_have_their_turn_at_once_when_each_takes_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(eventloop, "goes_on", lambda: True)
    monkeypatch.setattr(eventloop, "_LONG", 0.004)
    at_once = [len(turn) for turn in read_in_turns(8, 40, lambda: time.sleep(0.003))]
    assert sum(at_once[10:]) < 2 * len(at_once[10:]), at_once


async def test_answers_for_many_are_given_in_their_order_with_turns_for_others_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(futures, "at_once", lambda: 4)
    loop = asyncio.get_running_loop()
    waited_for: list[asyncio.Future[int]] = [loop.create_future() for _ in range(100)]
    seen: list[int] = []

    async def wait(future: asyncio.Future[int]) -> None:
        seen.append(await future)

    async def most_at_once() -> int:
        most = 0
        while len(seen) < 100:
            before = len(seen)
            await asyncio.sleep(0)
            most = max(most, len(seen) - before)
        return most

    async with asyncio.TaskGroup() as tasks:
        for future in waited_for:
            tasks.create_task(wait(future))
        others = tasks.create_task(most_at_once())
        await asyncio.sleep(0)
        for start in range(0, 100, 10):  # from several groups in one turn
            settle((future, start + number) for number, future in enumerate(waited_for[start : start + 10]))
    assert seen == list(range(100))
    assert others.result() <= 8


async def test_a_page_that_is_let_go_has_its_tree_freed_in_steps_and_is_parsed_anew_for_whoever_asks() -> None:
    page = HtmlResponse("http://127.0.0.1/", body=dense_page("title"))
    elements = page.xpath("count(//*)").get()
    root = page.selector.root
    await let_go(page)
    assert sum(1 for _ in root.iter("*")) <= 1_000
    assert page.xpath("count(//*)").get() == elements

    small = HtmlResponse("http://127.0.0.1/", body=b"<p>x</p>" * 100)
    selector = small.selector
    await let_go(small)
    assert small.selector is selector


def test_long_work_of_several_threads_leaves_the_interpreter_as_it_was() -> None:
    before = sys.getswitchinterval()
    began, end = Barrier(3), Event()

    def work() -> float:
        began.wait(30)
        end.wait(30)
        return sys.getswitchinterval()

    with ThreadPoolExecutor(2) as threads:
        works = [threads.submit(interruptible, work) for _ in range(2)]
        began.wait(30)
        assert sys.getswitchinterval() < before
        assert at_once() == 1
        end.set()
        assert min(each.result() for each in works) < before
    assert sys.getswitchinterval() == before


def test_long_work_that_reads_addresses_leaves_the_interpreter_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call into the parser gives it away for too short a time to be taken: others waited for all of the page."""
    clock, pauses = [100.0], []
    monkeypatch.setattr(longwork, "monotonic", lambda: clock[0])
    monkeypatch.setattr(longwork, "sleep", pauses.append)

    def read(seconds: float) -> None:
        for _ in range(1000):
            clock[0] += seconds / 1000
            assert resolve("http://a.example/b/", "../c d.jpg") == "http://a.example/c%20d.jpg"

    read(1)
    assert not pauses  # in the event loop itself, and in what takes no time
    interruptible(read, 1)
    assert 100 <= len(pauses) <= 500
    assert 0 < max(pauses) < 0.001
    pauses.clear()
    read(1)
    interruptible(read, 0.001)
    assert not pauses


def test_the_links_around_images_are_read_only_where_they_are_told_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def note(base: str, link: str, encoding: str = "utf-8") -> str | None:
        read.append(link)
        return resolve(base, link, encoding)

    monkeypatch.setattr(search, "resolve", note)
    links = [f'<a href="/page/{n}.html?from=list&amp;at={n}"><img src="/{n}.jpg"></a>' for n in range(50)]
    told = '<a href="/out?to=http%3A%2F%2Fb.example%2Flarge.jpg"><img src="/small.jpg"></a>'
    found = find_images("".join(links) + told, "http://a.example/list")
    assert found == [*(f"http://a.example/{n}.jpg" for n in range(50)), "http://b.example/large.jpg"]
    assert [link for link in read if "html" in link or "out" in link] == ["/out?to=http%3A%2F%2Fb.example%2Flarge.jpg"]
