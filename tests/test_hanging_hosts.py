"""One host that hangs does not stop the rest: real crawls, with figures."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.crawling import start, until
from tests.support.redis_server import RedisServer
from tests.support.server import JPEG, Answer, Request, Server, never

HANGS = "127.0.0.2"
OTHERS = tuple(f"127.0.1.{number}" for number in range(1, 101))


@pytest.fixture
def site() -> Iterator[Server]:
    with Server(hosts=("127.0.0.1", HANGS, *OTHERS)) as running:
        yield running


@pytest.fixture(params=["one process", "with Redis"])
def queue(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings of a crawl in one process, and of one that shares its queue."""
    if request.param == "one process":
        return {}
    server: RedisServer = request.getfixturevalue("redis_server")
    return {"REDIS_URL": server.url}


def page(body: str) -> Answer:
    html = f"<!doctype html><html><head><title>a page</title></head><body>{body}</body></html>"
    return Answer(html.encode(), headers={"Content-Type": "text/html; charset=utf-8"})


def links(galleries: list[str]) -> str:
    return "".join(f'<a class="g" href="{url}">a gallery</a>' for url in galleries)


def seconds_until_all_came(site: Server, folder: Path, images: int, **settings: str) -> float:
    """The seconds from the first gallery that was asked for to the last of so many images of other hosts."""
    process = start(
        folder,
        "gallery",
        {"list": site.url("/list"), "galleries": "a.g", "images": "img"},
        CONCURRENT_REQUESTS_PER_DOMAIN="8",
        ROBOTSTXT_OBEY="False",  # of a host that hangs, that alone would be what is waited for
        RETRY_ENABLED="False",
        **settings,
    )
    times = times_until_all_came(site, process, ".jpg", images)
    return times[-1] - times[1]  # the first is the list


def times_until_all_came(site: Server, process: subprocess.Popen[str], ending: str, count: int) -> list[float]:
    """When *site* was asked, until so many requests of that *ending* had come, which ends the crawl *process*."""
    try:
        until(lambda: sum(request.path.endswith(ending) for request in site.requests) >= count, timeout=90)
        return [request.time for request in site.requests]
    finally:
        process.kill()
        process.communicate()


def test_a_hundred_images_of_a_host_that_hangs_and_two_hundred_pages_of_others(
    site: Server, tmp_path: Path, queue: dict[str, str]
) -> None:
    galleries = [f"http://{OTHERS[number % 100]}:{site.port}/g/{number}" for number in range(200)]
    hanging = "".join(f'<img src="{site.url(f"/hangs/{number}", HANGS)}">' for number in range(100))

    def gallery(request: Request) -> Answer:
        return page(f'<img src="/i/{request.path.rpartition("/")[2]}.jpg">')

    site.add("*", never)
    site.add("/list", lambda _: page(links([site.url("/g/all"), *galleries])))
    site.add("/g/all", lambda _: page(hanging))
    for number in range(200):
        site.add(f"/g/{number}", gallery)
        site.add(f"/i/{number}.jpg", JPEG)
    seconds = seconds_until_all_came(site, tmp_path, 200, **queue)
    asked = sum(request.path.startswith("/hangs/") for request in site.requests)
    assert asked == 8, "the host that hangs is asked for as many as it is asked for at a time"
    assert seconds < 10


def test_five_pages_of_sixteen_that_hang(site: Server, tmp_path: Path, queue: dict[str, str]) -> None:
    """The galleries themselves hang, and with sixteen at a time they are a third of what may be under way."""
    hanging = [site.url(f"/hangs/{number}", HANGS) for number in range(5)]
    others = [f"http://{OTHERS[number]}:{site.port}/g/{number}" for number in range(100)]
    site.add("*", never)
    site.add("/list", lambda _: page(links(hanging + others)))
    for number in range(100):
        site.add(f"/g/{number}", lambda _: page("".join(f'<img src="/i/{part}.jpg">' for part in range(5))))
    for part in range(5):
        site.add(f"/i/{part}.jpg", lambda _: Answer(JPEG, delay=0.02))
    assert seconds_until_all_came(site, tmp_path, 500, CONCURRENT_REQUESTS="16", **queue) < 10


def test_pages_of_a_host_that_hangs_hide_no_others_whatever_their_priorities(
    site: Server, tmp_path: Path, queue: dict[str, str]
) -> None:
    """Each has a priority of its own, and the pages of the other host have the lowest, and come last."""
    site.add("*", never)
    for number in range(100):
        site.add(f"/{number}.html", b"<p>a page")
    process = start(
        tmp_path,
        "priorities",
        {"hangs": site.url("", HANGS), "answers": site.url(""), "count": "700"},
        options=[],
        CONCURRENT_REQUESTS="16",
        CONCURRENT_REQUESTS_PER_DOMAIN="4",
        DOWNLOAD_TIMEOUT="60",
        ROBOTSTXT_OBEY="False",
        **queue,
    )
    times = times_until_all_came(site, process, ".html", 100)
    assert len(times) == 104
    assert times[-1] - times[0] < 10
