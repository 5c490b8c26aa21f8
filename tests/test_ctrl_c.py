"""Ctrl-C is heard at any moment: also while what a site has sent is being worked on, which would take a minute."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from imgcrawl.exitcodes import ExitCode
from tests.images import hostile
from tests.support.crawling import crawl, start, until
from tests.support.processes import children_of, patience
from tests.support.redis_server import RedisServer
from tests.support.server import Answer, Request, Server, jpeg

HTML = {"Content-Type": "text/html"}
MANY = 30
IN_TIME = 10  # seconds; the crawl waits for what is under way


def selectors(server: Server) -> dict[str, str]:
    """Each page takes a selector two seconds."""
    server.add("/g", b"<title>g</title>" + b"<a href=/></a>" * 9_000, headers=HTML)
    return {"images": "a ~ a"}


def dense_pages(server: Server) -> dict[str, str]:
    server.add("/g", b"<title>g</title>" + b"<p><i><b><img src=/i.jpg alt=a>" * 60_000, headers=HTML)
    return {}


def patterns(server: Server) -> dict[str, str]:
    """Each page takes a regular expression two seconds."""
    server.add("/g", b"<title>g</title>" + b"<p>" * 2_000 + b"<img src=%s!>" % (b"a" * 60), headers=HTML)
    return {"images": "//img[re:test(./@src, '(a+)+$')]/@src"}


def images(server: Server) -> dict[str, str]:
    """Each takes a decoder five seconds."""
    server.add("/g", b"<title>g</title>" + b"".join(b"<img src=/i/%d.jpg>" % n for n in range(MANY)), headers=HTML)
    body = hostile.jpeg_of_junk(17_000_000)
    for n in range(MANY):
        server.add(f"/i/{n}.jpg", body)
    return {}


def cpu_of(pid: int) -> float:
    """Seconds that this process and those that it has started have used."""
    used = 0.0
    for each in (pid, *children_of(pid)):
        with suppress(OSError, IndexError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            used += sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    return used


@pytest.mark.parametrize("hostile_site", [selectors, dense_pages, patterns, images])
def test_a_crawl_ends_in_time_whatever_it_is_at(
    hostile_site: Callable[[Server], dict[str, str]], server: Server, tmp_path: Path
) -> None:
    server.add("/list", b"".join(b"<a class=g href=/g?%d>g</a>" % n for n in range(MANY)), headers=HTML)
    arguments = hostile_site(server)
    process = start(tmp_path, "gallery", {"list": server.url("/list"), "galleries": "a.g", **arguments})
    try:
        until(lambda: any(path.startswith("/g") for path in server.paths()) or process.poll() is not None)
        busy = cpu_of(process.pid) + 0.3
        until(lambda: cpu_of(process.pid) > busy or process.poll() is not None)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        log, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert time.monotonic() - began < patience(IN_TIME), log[-2000:]
    assert process.returncode == ExitCode.STOPPED, log[-2000:]
    assert "Traceback" not in log


@pytest.mark.parametrize("way", ["JOBDIR", "Redis"])
@pytest.mark.parametrize("late", ["list", "gallery", "page", "image", "many images"])
def test_what_is_not_done_when_a_crawl_is_stopped_is_done_by_its_next_start(
    late: str, way: str, server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    """A list page or a gallery that is being read (300,000 links, or images, take a minute on a busy machine), a page
    that is being fetched, images of a gallery: all of these were lost to a JOBDIR, which has let go of the page."""
    padding = b"<p>large enough for the thread</p>" * 2_000
    links = b"".join(b"<a class=g href=/g/%d>g</a>" % number for number in range(3))
    server.add("/list", links + padding, headers=HTML)
    shown = {number: [number] for number in range(3)} | ({1: [1, *range(3, 300)]} if late == "many images" else {})
    quick = tmp_path / "quick"

    def answer(request: Request) -> Answer:
        kind, number = request.path.split("/")[1], int(request.path.rpartition("/")[2].removesuffix(".jpg"))
        waits = not quick.exists() and number not in (0, 2) and kind == {"page": "g"}.get(late, "i")
        delay = 60.0 if waits and late in ("page", "image", "many images") else 0.0
        if kind == "i":
            return Answer(jpeg(comment=f"{number}"), delay=delay)
        pictures = b"".join(b"<img src=/i/%d.jpg>" % each for each in shown[number])
        return Answer(b"<title>g</title>" + pictures + padding, headers=HTML, delay=delay)

    server.add("*", answer)
    where = {"JOBDIR": "job"} if way == "JOBDIR" else {"REDIS_URL": redis_server.url}
    arguments = {"base": server.url(""), "what": late}
    settings: dict[str, Any] = {
        "SHUTDOWN_TIMEOUT": "0.5",
        "ROBOTSTXT_OBEY": "False",
        "options": ["-o", "items.jsonl"],
        **where,
    }
    process = start(tmp_path, "slow", arguments, **settings)
    begun = {"page": "/g/1", "image": "/i/1.jpg", "many images": "/i/3.jpg"}.get(late)
    try:
        until(lambda: (tmp_path / "begun").exists() or begun in server.paths() or process.poll() is not None)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        log, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert time.monotonic() - began < patience(IN_TIME), log[-2000:]
    assert process.returncode == ExitCode.STOPPED, log[-2000:]
    assert "Traceback" not in log
    quick.touch()
    done = crawl(tmp_path, "slow", arguments, **settings)
    assert done.code == ExitCode.DONE, done.log[-2000:]
    items = [json.loads(line) for line in (tmp_path / "items.jsonl").read_text().splitlines()]
    had = {item["url"]: {image["status"] for image in item["images"]} for item in items}  # the last one of each
    assert had.keys() == {server.url(f"/g/{number}") for number in shown}
    assert set().union(*had.values()) <= {"downloaded", "uptodate"}
    assert len(done.files) == sum(map(len, shown.values()))


def test_a_page_is_read_to_its_end_where_nobody_would_take_it_back(server: Server, tmp_path: Path) -> None:
    """With Scrapy's own downloader, whose crawl waits for whatever callbacks do."""
    padding = b"<p>large enough for the thread</p>" * 2_000
    server.add("/list", b"<a class=g href=/g/1>g</a>" + padding, headers=HTML)
    arguments = {"base": server.url(""), "what": "list", "seconds": "4"}
    settings = {"DOWNLOADER": "scrapy.core.downloader.Downloader", "SHUTDOWN_TIMEOUT": "0.5", "ROBOTSTXT_OBEY": "False"}
    process = start(tmp_path, "slow", arguments, **settings)
    try:
        until(lambda: (tmp_path / "begun").exists() or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        log, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == ExitCode.STOPPED, log[-2000:]
    assert "was being read" not in log and "Traceback" not in log


def test_a_terminal_that_is_closed_stops_a_crawl_in_order(server: Server, tmp_path: Path) -> None:
    """It was killed at once, where docs/crawl.md says 3. The kernel and the shell each say so: no second Ctrl-C."""
    server.add("/list", b"<a class=g href=/g/1>g</a>", headers=HTML)
    server.add("/g/1", b"<title>g</title><img src=/1.jpg><img src=/2.jpg>", headers=HTML)
    server.add("/1.jpg", jpeg())
    server.add("/2.jpg", jpeg(comment="2"), delay=60)
    arguments = {"list": server.url("/list"), "galleries": "a.g"}
    process = start(tmp_path, "gallery", arguments, SHUTDOWN_TIMEOUT="0.5", ROBOTSTXT_OBEY="False")
    try:
        until(lambda: "/2.jpg" in server.paths() or process.poll() is not None)
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGHUP)
        log, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == ExitCode.STOPPED, log
    assert [image["status"] for item in json.loads((tmp_path / "items.json").read_text()) for image in item["images"]]
