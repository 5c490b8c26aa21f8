from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import Response

from imgcrawl.cancelling import cancel_all
from imgcrawl.downloader import downloader_of
from imgcrawl.downloadermiddlewares.budgets import Hours
from imgcrawl.exceptions import InputError, RequestRefused
from tests.support import crawling
from tests.support.asking import SETTINGS, ask, crawl
from tests.support.redis_server import RedisServer
from tests.support.server import JPEG, Server, jpeg
from tests.support.sharing import Sharing
from tests.support.workers import Workers

BUDGETS = {
    "DOWNLOADER_MIDDLEWARES": {
        **SETTINGS["DOWNLOADER_MIDDLEWARES"],
        "imgcrawl.downloadermiddlewares.budgets.BudgetsMiddleware": 110,
    },
    "ROBOTSTXT_OBEY": True,
}


def refused(answers: list[Response | Exception]) -> int:
    assert all(isinstance(answer, Response | RequestRefused) for answer in answers), answers
    assert all(answer.reason == "budget" for answer in answers if isinstance(answer, RequestRefused))
    return sum(isinstance(answer, RequestRefused) for answer in answers)


def images(server: Server, count: int, host: str = "") -> list[Request]:
    return [Request(server.url(f"/{number}.jpg", host), meta={"media": True}) for number in range(count)]


async def test_a_host_has_its_own_budget() -> None:
    with Server(hosts=("127.0.0.1", "127.0.0.2")) as server:
        server.add("*", JPEG)
        asked = images(server, 10, "127.0.0.1") + images(server, 4, "127.0.0.2")
        answers = await ask(*asked, **BUDGETS, BUDGET_HOST_IMAGES=4)
        assert refused(answers[:10]) == 6
        assert refused(answers[10:]) == 0


async def test_retries_and_redirects_do_not_count(server: Server) -> None:
    server.add("*", JPEG)
    server.add("/0.jpg", status=503, times=2)
    server.add("/0.jpg", JPEG)
    answers = await ask(*images(server, 2), **BUDGETS, BUDGET_HOST_IMAGES=2)
    assert refused(answers) == 0


async def test_pages_that_are_asked_for_with_the_meta_of_another_count(server: Server) -> None:
    server.add("/first", status=302, headers={"Location": server.url("/led")})
    server.add("*", b"x")

    async def script(crawler: Crawler) -> None:
        response = await crawler.engine.download_async(Request(server.url("/first")))
        for number in range(2):
            response = await crawler.engine.download_async(Request(server.url(f"/{number}"), meta=response.meta))
        with pytest.raises(RequestRefused, match="budget"):
            await crawler.engine.download_async(Request(server.url("/2"), meta=response.meta))
        assert server.paths()[-4:] == ["/first", "/led", "/0", "/1"]

    await crawl(script, **BUDGETS, BUDGET_HOST_PAGES=3)


async def test_bytes(server: Server) -> None:
    server.add("*", b"x" * 1000)

    async def script(crawler: Crawler) -> None:
        answers: list[Any] = []
        for request in images(server, 6):
            answers += await asyncio.gather(crawler.engine.download_async(request), return_exceptions=True)
        assert refused(answers) == 3
        assert crawler.stats.get_value("budget/reached/bytes") == 1

    await crawl(script, **BUDGETS, BUDGET_HOST_BYTES=2500)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BUDGET_PAGES", "many"),
        ("BUDGET_HOST_BYTES", -1),
        ("CRAWL_HOURS", "noon"),
        ("CRAWL_HOURS", "9:61-17"),
        ("CRAWL_HOURS", "{noon"),
    ],
)
async def test_bad_settings_are_named(name: str, value: Any) -> None:
    async def script(crawler: Crawler) -> None:
        raise AssertionError("it started")

    with pytest.raises(InputError, match=f"{name}={value!r}"):
        await crawl(script, **BUDGETS, **{name: value})


@pytest.mark.parametrize(
    ("hours", "now", "wait"),
    [
        (Hours(22 * 60, 6 * 60), (23, 0, 0), 0),
        (Hours(22 * 60, 6 * 60), (5, 59, 59), 0),
        (Hours(22 * 60, 6 * 60), (6, 0, 0), 16 * 3600),
        (Hours(22 * 60, 6 * 60), (21, 59, 59), 1),
        (Hours(9 * 60 + 30, 17 * 60), (9, 0, 0), 1800),
        (Hours(9 * 60 + 30, 17 * 60), (17, 0, 0), 16 * 3600 + 1800),
        (Hours(0, 24 * 60), (12, 0, 0), 0),
    ],
)
def test_hours(hours: Hours, now: tuple[int, int, int], wait: float) -> None:
    assert hours.wait(datetime(2026, 1, 1, *now)) == wait


async def test_outside_its_hours_a_host_waits(server: Server) -> None:
    server.add("*", JPEG)
    hour = datetime.now().astimezone().hour
    closed = f"{(hour + 2) % 24}-{(hour + 3) % 24}"
    tasks: list[asyncio.Future[Any]] = []

    async def script(crawler: Crawler) -> None:
        tasks.append(asyncio.ensure_future(crawler.engine.download_async(Request(server.url("/a.jpg")))))
        other = Request(server.url("/b.jpg").replace("127.0.0.1", "localhost"))
        assert (await crawler.engine.download_async(other)).status == 200
        assert not tasks[0].done()
        assert crawler.stats.get_value("budget/waiting") == f"127.0.0.1 until {(hour + 2) % 24}:00"
        tasks.append(asyncio.ensure_future(crawler.stop_async()))

    await crawl(script, **BUDGETS, CRAWL_HOURS={"127.0.0.1": closed})
    with pytest.raises(RequestRefused, match="stopped:"):  # a page is no loss: the same crawl goes on with it
        await tasks[0]
    await tasks[1]
    assert server.count("/a.jpg") == 0


MIDDLEWARES = {"imgcrawl.downloadermiddlewares.budgets.BudgetsMiddleware": 110}


def test_a_budget_ends_the_crawl_without_an_error(server: Server, tmp_path: Path) -> None:
    server.add("*", JPEG)
    page = json.dumps([{"image_urls": [server.url(f"/{number}.jpg") for number in range(9)]}]).encode()
    server.add("/page", page, headers={"Content-Type": "application/json"})
    settings = {"BUDGET_IMAGES": 4, "ADDONS": "{}"}
    done = crawling.crawl(
        tmp_path, "items", {"url": server.url("/page")}, DOWNLOADER_MIDDLEWARES=json.dumps(MIDDLEWARES), **settings
    )
    assert done.code == 0, done.log
    outcomes = [(image["status"], image.get("reason")) for image in done.images]
    assert outcomes.count(("refused", "budget")) == 5
    assert "closespider_budget_images" in done.log
    assert "The crawl ends: its budget of 4 images is used up" in done.log


@pytest.mark.parametrize("kind", ["PAGES", "IMAGES"])
@pytest.mark.parametrize("way", ["JOBDIR", "Redis"])
def test_what_a_budget_cuts_short_is_had_by_who_goes_on(
    way: str, kind: str, server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    html = {"Content-Type": "text/html"}
    server.add("/list", b"".join(b"<a class=g href=/g/%d>g</a>" % number for number in range(9)), headers=html)
    for number in range(9):
        server.add(f"/g/{number}", b"<title>g</title><img src=/%d.jpg>" % number, headers=html)
        server.add(f"/{number}.jpg", jpeg(comment=str(number)))
    where = {"JOBDIR": "job"} if way == "JOBDIR" else {"REDIS_URL": redis_server.url, "SCHEDULER_PERSIST": "True"}
    arguments = {"list": server.url("/list"), "galleries": "a.g"}
    settings = {"ROBOTSTXT_OBEY": "False", "options": ["-o", "items.jsonl"], "CRAWL_HOURS": "0-24", **where}
    first = crawling.crawl(tmp_path, "gallery", arguments, **settings, **{f"BUDGET_{kind}": "4"})
    assert f"closespider_budget_{kind.lower()}" in first.log, first.log
    for _ in range(2):  # each with the same budget, as every night
        last = crawling.crawl(tmp_path, "gallery", arguments, **settings, **{f"BUDGET_{kind}": "4"})
        assert last.code == 0, last.log
    items = [json.loads(line) for line in (tmp_path / "items.jsonl").read_text().splitlines()]
    had = {image["url"] for item in items for image in item.get("images", []) if image["status"] == "downloaded"}
    assert len(had) == 9, (first.log, last.log)


@pytest.mark.parametrize(("killed", "shards"), [(1, 1), (2, 1), (1, 4)])
def test_a_night_in_which_workers_are_killed_leaves_the_next_its_budget(
    killed: int, shards: int, server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    """Who was killed was in the crawl still, by a clock that stands while nobody calls: the next nights had none."""
    html = {"Content-Type": "text/html"}
    server.add("/list", b"".join(b"<a class=g href=/g/%d>g</a>" % number for number in range(12)), headers=html)
    for number in range(12):
        server.add(f"/g/{number}", b"<title>g</title><img src=/%d.jpg>" % number, headers=html)
        server.add(f"/{number}.jpg", jpeg(comment=str(number)), delay=0.1)
    shared = {"SCHEDULER_PERSIST": "True", "FRONTIER_LEASE_TIMEOUT": 2, "CONCURRENT_REQUESTS_PER_DOMAIN": 2}
    settings = {"ROBOTSTXT_OBEY": "False", "BUDGET_IMAGES": 8, **({"FRONTIER_SHARDS": shards} if shards > 1 else {})}
    arguments = {"list": server.url("/list"), "galleries": "a.g"}

    def asked() -> int:
        return sum(path.endswith(".jpg") for path in server.paths())

    def silence() -> float:
        """Seconds since a worker was heard."""
        return time.time() - int(client.get("{gallery:requests}:clock").split()[1]) / 1000

    with (
        Sharing(tmp_path, redis_server.url, "gallery", arguments, **shared, **settings) as workers,
        redis_server.client() as client,
    ):
        for night in range(5):
            before = asked()
            tonight = [workers.start(), workers.start()]
            if night < 2:
                crawling.until(lambda before=before: asked() >= before + 2)
                for worker in tonight[:killed]:
                    worker.kill()
            workers.wait()
            assert 2 * (night < 2) <= asked() - before <= 8
            assert [worker.returncode for worker in tonight[killed:]] == [0] * (2 - killed)
            crawling.until(lambda: silence() > 2)
        had = {image["url"] for item in workers.lines() for image in item["images"] if image["status"] != "refused"}
    assert len(had) == 12


async def test_what_is_on_its_way_to_the_others_at_the_end_is_told_once_and_the_crawl_ends(server: Server) -> None:
    server.add("*", b"x" * 1000)
    told: list[int] = []
    telling = asyncio.Event()

    class Notes:
        """Those of a Redis that is slow, by a client that swallows a cancellation, as redis-py's may."""

        async def spend(self, run: str, amounts: Mapping[str, int]) -> dict[str, int]:
            told.extend(amounts.values())
            telling.set()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.2)
            return dict(amounts)

    async def script(crawler: Crawler) -> None:
        downloader_of(crawler).host_notes = Notes()  # type: ignore[assignment] -- the part that a budget uses
        await crawler.engine.download_async(images(server, 1)[0])
        await telling.wait()

    async with asyncio.timeout(30):
        await crawl(script, **BUDGETS | {"ROBOTSTXT_OBEY": False}, BUDGET_BYTES=100_000)
    assert [bytes_ for bytes_ in told if bytes_] == [1000]


async def test_a_task_that_swallows_cancellations_is_ended_all_the_same() -> None:
    async def stubborn() -> None:
        for _ in range(3):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
        await asyncio.sleep(60)

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await cancel_all(task)
    assert task.cancelled()


def test_workers_have_one_budget(server: Server, tmp_path: Path, redis_server: RedisServer) -> None:
    server.add("*", JPEG, delay=0.1)
    arguments = {"bases": server.url(""), "pages": 200}
    settings = {"ADDONS": "{}", "BUDGET_PAGES": 100, "DOWNLOADER_MIDDLEWARES": json.dumps(MIDDLEWARES)}
    with Workers(tmp_path, redis_server.url, 2, arguments, CONCURRENT_REQUESTS_PER_DOMAIN=4, **settings) as workers:
        workers.wait()
        reasons = [workers.log(workers.workers[number]).count("closespider_budget_pages") for number in range(2)]
    assert all(reasons)
    assert len(server.paths()) == 100
