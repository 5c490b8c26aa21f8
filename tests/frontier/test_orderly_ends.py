"""A worker that ends in order beside others: what it has begun it does to the end, and the others do the rest, once."""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.crawling import until
from tests.support.redis_server import RedisServer
from tests.support.server import Answer, Request, Server, jpeg
from tests.support.workers import Workers

PAGES = 24
TOLD = "import json, sys; open(sys.argv[1], 'a').write(json.load(sys.stdin)['item']['url'] + '\\n')"


def answer(request: Request) -> Answer:
    """Pages of two images each, of which the second is not there."""
    if not request.path.endswith(".jpg"):
        return Answer(b"<html></html>", headers={"Content-Type": "text/html"})
    return Answer(jpeg(comment=request.path), delay=0.3) if request.path.endswith("/0.jpg") else Answer(status=404)


@pytest.mark.parametrize("how", ["CLOSESPIDER_ITEMCOUNT", "SIGTERM"])
def test_who_ends_does_what_it_has_begun_and_others_do_not_do_it_again(
    server: Server, tmp_path: Path, redis_server: RedisServer, how: str
) -> None:
    """Not even for what a site has not got: an image of each gallery is 404, which asking again does not change."""
    server.add("*", answer)
    server.add("/0/0/0.jpg", status=503, times=1)
    done = tmp_path / "done"
    command = json.dumps([sys.executable, "-c", TOLD, str(done)])
    arguments = {"bases": server.url(""), "pages": PAGES, "images": 2}
    settings = {"COMMAND_FOR_GALLERY": command, "CONCURRENT_REQUESTS_PER_DOMAIN": 4}
    with Workers(tmp_path, redis_server.url, 0, arguments, **settings) as workers:
        workers.settings |= {"RETRY_DELAY": 60, "RETRY_MAX_DELAY": 60}
        if how == "CLOSESPIDER_ITEMCOUNT":
            workers.settings[how] = 2
        first = workers.start()
        until(lambda: server.count("/0/0/0.jpg"))
        workers.settings |= {"RETRY_DELAY": 0.1, "CLOSESPIDER_ITEMCOUNT": 0}
        workers.start()
        if how == "SIGTERM":
            until(lambda: len(done.read_text().splitlines()) >= 2 if done.exists() else False)
            first.send_signal(signal.SIGTERM)
        workers.wait()
        items = [item for number in range(2) for item in workers.items(number)]
        log = workers.log(first)
    again = {server.url("/0/0")}  # it was to be tried again
    had = {item["url"]: [image["status"] for image in item["images"]] for item in items}
    assert len(had) == PAGES
    assert {tuple(statuses) for statuses in had.values()} == {("downloaded", "failed")}, log
    asked = Counter(server.paths())
    assert {server.url(path) for path, times in asked.items() if path.count("/") == 2 and times > 1} <= again
    assert {url for url, times in Counter(done.read_text().split()).items() if times > 1} <= again
    assert asked["/0/0/0.jpg"] == 2


def test_pages_that_wait_for_their_hours_or_for_a_robots_txt_go_back(
    server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    """They were taken for refused, and so for done."""
    server.add("*", answer)
    server.robots("", status=503)
    hour = datetime.now().astimezone().hour
    closed = json.dumps({"127.0.0.1": f"{(hour + 2) % 24}-{(hour + 3) % 24}"})
    arguments, settings = {"bases": server.url(""), "pages": 6}, {"FRONTIER_PER_HOST": 2, "ROBOTSTXT_RETRY": 1}
    with (
        Workers(tmp_path, redis_server.url, 0, arguments, ROBOTSTXT_WAIT=90, **settings) as workers,
        redis_server.client() as client,
    ):
        for hours in ("{}", closed):
            workers.settings["CRAWL_HOURS"] = hours
            waiting = workers.start()
            until(lambda: sum(map(client.hlen, client.keys("*:leases:*"))) == 2)
            until(lambda: server.count("/robots.txt"))
            waiting.send_signal(signal.SIGTERM)
            waiting.wait(20)
            server.robots("")
        workers.settings["CRAWL_HOURS"] = "{}"
        last = workers.start()
        workers.wait()
        assert len(workers.items(2)) == 6, workers.log(last)


def test_a_value_cannot_say_that_its_page_was_given_up(
    server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    """It would be asked for again for ever."""
    server.add("*", answer)
    fed = {"url": server.url("/fed"), "meta": {"given_up": True}, "cb_kwargs": {"base": ""}}
    with redis_server.client() as client:
        client.lpush("polite:start_urls", json.dumps(fed))
    with Workers(tmp_path, redis_server.url, 1, {"bases": server.url(""), "pages": 1}) as workers:
        workers.wait(20)
        assert sorted(item["url"] for item in workers.items(0)) == [server.url("/0/0"), server.url("/fed")]
    assert server.count("/fed") == 1


STUCK = "import os, sys, time; os.path.exists(sys.argv[1]) or (open(sys.argv[1], 'w'), time.sleep(100))"


def test_a_command_that_is_stopped_with_its_worker_is_run_by_another(
    server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    """Its page counted as done, and nobody ran it to its end."""
    server.add("*", answer)
    begun = tmp_path / "begun"
    settings = {"COMMAND_FOR_GALLERY": json.dumps([sys.executable, "-c", STUCK, str(begun)]), "SHUTDOWN_TIMEOUT": 0.5}
    with Workers(tmp_path, redis_server.url, 1, {"bases": server.url(""), "pages": 1}, **settings) as workers:
        until(begun.exists)
        workers.workers[0].send_signal(signal.SIGTERM)
        workers.workers[0].wait(20)
        last = workers.start()
        workers.wait()
        assert "'command/run': 1" in workers.log(last)
        assert "command/failed" not in workers.log(last)
    assert server.count("/0/0") == 2
