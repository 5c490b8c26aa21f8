"""Workers of one crawl, started by hand."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from pathlib import Path

from imgcrawl.demo.server import serve
from imgcrawl.exitcodes import ExitCode
from tests.support.crawling import until
from tests.support.redis_server import RedisServer
from tests.support.server import Answer, Request, Server, jpeg
from tests.support.sharing import Sharing, counts_of_galleries
from tests.test_promises import assert_as_served


def test_two_workers_3_s_apart_share_the_work_and_leave_together(tmp_path: Path, redis_server: RedisServer) -> None:
    with (
        serve(galleries=150, images=4, per_page=30, latency=0.15, width=60, misbehave=False) as replica,
        Sharing(tmp_path, redis_server.url, "pximg", {"base": replica.base}) as workers,
    ):
        first = workers.start()
        time.sleep(3)  # as the issue has it
        assert first.poll() is None
        second = workers.start()
        until(lambda: first.poll() is not None or second.poll() is not None, 90)
        workers.wait(5)
        assert [worker.returncode for worker in workers.workers] == [0, 0], workers.log(first) + workers.log(second)
        assert min(workers.shares()) >= 50, workers.shares()
        assert_as_served(workers.merge(), replica)
        asked = replica.stats()["requests"]
        assert asked[f"{replica.base}/topic/nvshen/page/1"] == 1
        assert max(asked[gallery["url"]] for gallery in replica.galleries) == 1


def test_a_rolling_restart_of_four_workers_loses_nothing_and_asks_for_nothing_twice(
    server: Server, tmp_path: Path, redis_server: RedisServer
) -> None:
    restarted = threading.Event()  # until then each list page has galleries, and so there is another
    lists: set[str] = set()

    def answer(request: Request) -> Answer:
        kind, _, number = request.path.strip("/").partition("/")
        if kind == "robots.txt":
            return Answer(status=404)
        if kind == "image":
            return Answer(jpeg(comment=number), delay=0.2)
        if kind == "gallery":
            body = f"<html><h1>{number}</h1><img src=/image/{number}><img src=/image/2{number}></html>"
        else:
            galleries = range(10) if not restarted.is_set() or request.path in lists else ()
            lists.update({request.path} if galleries else ())
            links = "".join(f"<a class=g href=/gallery/{number}{n}>g</a>" for n in galleries)
            body = f"<html>{links or 'No more.'}</html>"  # one without a word is asked for once more
        return Answer(body.encode(), headers={"Content-Type": "text/html"}, delay=0.2)

    server.add("*", answer)
    arguments = {"list": server.url("/list/1{page}"), "galleries": "a.g"}
    settings = {"SHUTDOWN_TIMEOUT": 60}  # what is under way may be done, however slow this machine is
    with Sharing(tmp_path, redis_server.url, "gallery", arguments, **settings) as workers:
        for number in range(8):
            worker = workers.start()
            until(lambda worker=worker: " of run " in workers.log(worker), 60)
            if number >= 4:
                (oldest := workers.workers[number - 4]).send_signal(signal.SIGTERM)
                assert oldest.wait(60) == ExitCode.STOPPED, workers.log(oldest)
        restarted.set()
        workers.wait(120)
        assert [worker.returncode for worker in workers.workers] == [ExitCode.STOPPED] * 4 + [ExitCode.DONE] * 4
        galleries = {url for path in lists for url in (f"{server.url('/gallery/')}{path[6:]}{n}" for n in range(10))}
        merged = workers.merge()
        assert Counter(item["url"] for item in merged.items) == Counter(galleries)
        assert {image["status"] for image in merged.images} == {"downloaded"}
        assert len(merged.files) == len(merged.images) == 2 * len(galleries)
        logs = [workers.log(worker) for worker in workers.workers]
        of_all = [counts_of_galleries(log, "galleries of all workers") for log in logs]
        assert all(each["found"] == each["scraped"] + each["failed"] + each["not reached"] for each in of_all)
        assert {each["scraped"] for each in of_all[4:]} == {each["found"] for each in of_all[4:]} == {len(galleries)}
        assert sum(counts_of_galleries(log)["scraped"] for log in logs) == len(galleries)
        asked = Counter(path for path in server.paths() if path != "/robots.txt")
        assert {path: count for path, count in asked.items() if count > 1} == {}


def test_a_worker_that_had_no_image_comes_to_the_same_verdict(tmp_path: Path, redis_server: RedisServer) -> None:
    with (
        serve(galleries=1, images=20, per_page=1, latency=0.5, width=60, misbehave=False) as replica,
        Sharing(tmp_path, redis_server.url, "pximg", {"base": replica.base}) as workers,
    ):
        workers.start()
        workers.start()
        workers.wait()
        assert sorted(workers.shares()) == [0, 1]
        assert [worker.returncode for worker in workers.workers] == [0, 0], workers.log(workers.workers[0])


def test_what_one_finds_wrong_is_the_verdict_of_all(tmp_path: Path, redis_server: RedisServer) -> None:
    with (
        serve(galleries=3, images=1, per_page=3, latency=1.5, width=60, misbehave=False) as replica,
        Sharing(tmp_path, redis_server.url, "pximg", {"base": replica.base, "topic": "nothing"}) as workers,
    ):
        workers.start()
        workers.start()
        workers.wait()
        assert [worker.returncode for worker in workers.workers] == [1, 1]
        for worker in workers.workers:
            assert "the start page could not be had" in workers.log(worker).splitlines()[-2:][0], workers.log(worker)


def test_five_workers_the_first_killed_while_it_seeds_40_000_rows(tmp_path: Path, redis_server: RedisServer) -> None:
    rows = 40_000
    with (tmp_path / "posts.csv").open("w") as file:
        # No address in any: nothing is asked of the network.
        file.writelines(f"{number},,,,,,,,,[]\n" for number in range(1, rows + 1))
    with (
        Sharing(
            tmp_path,
            redis_server.url,
            "weibo",
            {"file": "posts.csv"},
            FRONTIER_LEASE_TIMEOUT=6,
            VERDICT_IMAGES_EXPECTED=0,
            LOG_LEVEL="WARNING",
        ) as workers,
        redis_server.client() as client,
    ):
        first = workers.start()
        run = "{weibo:requests}:run"
        until(lambda: int(client.hget(run, "enqueued") or 0) > 100)
        others = [workers.start() for _ in range(4)]
        first.kill()
        assert client.hget(run, "seeded") is None, "it was faster than the test"
        until(lambda: int(client.hget(run, "seedings") or 0) >= 2, 60)  # until it is read to its end
        workers.wait(120)
        assert [worker.returncode for worker in others] == [0] * 4, workers.log(others[0])[-2000:]
        assert client.hmget(run, "enqueued", "done") == [b"400", b"400"]  # pages of 100 rows
        fed = Counter(item["url"] for item in workers.lines())
        assert len(fed) == rows
        assert len({item["url"] for item in workers.merge().items}) == len(workers.merge().items) == rows
        # Only what the killed worker had fed without being able to say so was done again; and where this machine left
        # one standing for longer than its lease, what that one had in hand.
        silent = sum(workers.log(worker).count("was silent for too long") for worker in others)
        assert sum(fed.values()) - rows <= 20 * 100 * (1 + silent), silent


def test_a_list_is_read_again_from_its_first_row_where_redis_lost_some(server: Server, tmp_path: Path) -> None:
    rows, release = 3_000, threading.Event()
    server.add("/slow.jpg", lambda _: Answer(jpeg(), delay=release))
    with (tmp_path / "posts.csv").open("w") as file:
        # The first rows wait for an image, so that others wait in Redis: they are long, so that a page has few of them.
        images = (repr(server.url("/slow.jpg")) if number < 700 and number % 13 == 1 else "" for number in range(rows))
        file.writelines(f"{number},,,,,,,,,[{each}{' ' * 20_000}]\n" for number, each in enumerate(images))
    (tmp_path / "redis").mkdir()
    settings = {"FRONTIER_LEASE_TIMEOUT": 6, "VERDICT_IMAGES_EXPECTED": 0, "LOG_LEVEL": "WARNING"}
    arguments = {"file": "posts.csv", "base": server.url("")}
    with (
        RedisServer(tmp_path / "redis", "--appendonly", "no") as redis,
        Sharing(tmp_path, redis.url, "weibo", arguments, **settings) as workers,
        redis.client() as client,
    ):
        worker = workers.start()
        run = "{weibo:requests}:run"

        def is_queued(at_least: int) -> bool:
            return int(client.hget(run, "enqueued") or 0) >= at_least

        until(lambda: is_queued(20))
        client.save()
        until(lambda: is_queued(60))
        assert client.hget(run, "seeded") is None, "it was faster than the test"
        redis.kill()  # what it takes up is from before most of these rows
        redis.start()
        release.set()
        workers.wait(120)
        assert worker.returncode == 0, workers.log(worker)[-2000:]
        assert len({item["url"] for item in workers.lines()}) == rows


def test_a_frozen_worker_harms_nothing(tmp_path: Path, redis_server: RedisServer) -> None:
    with (
        serve(galleries=60, images=4, per_page=20, latency=0.3, width=60, misbehave=False) as replica,
        Sharing(tmp_path, redis_server.url, "pximg", {"base": replica.base}, FRONTIER_LEASE_TIMEOUT=3) as workers,
        redis_server.client() as client,
    ):
        frozen, other = workers.start(), workers.start()
        until(lambda: min(workers.shares() or [0]) > 2 and len(workers.shares()) == 2)
        frozen.send_signal(signal.SIGSTOP)
        until(lambda: client.zcard("{pximg:requests}:workers") == 1)
        had = len(workers.lines())
        until(lambda: len(workers.lines()) > had + 10)
        frozen.send_signal(signal.SIGCONT)
        workers.wait(90)
        assert "silent for too long" in workers.log(frozen)
        assert [frozen.returncode, other.returncode] == [0, 0], workers.log(frozen)[-2000:]
        assert client.hget("{pximg:requests}:run", "done") == b"64"  # and the list pages, each once
        assert_as_served(workers.merge(), replica, again=True)


def test_what_ctrl_c_did_not_let_be_tried_again_is_tried_by_the_next(tmp_path: Path, redis_server: RedisServer) -> None:
    with serve(galleries=40, images=7, per_page=40, width=60) as replica:
        arguments = {"base": replica.base}
        with Sharing(tmp_path, redis_server.url, "pximg", arguments, RETRY_DELAY=60, RETRY_MAX_DELAY=60) as stopped:
            worker = stopped.start()
            # Galleries of which an image waits for another try stay in hand.
            until(lambda: len(stopped.lines()) > 10)
            worker.send_signal(signal.SIGINT)
            stopped.wait()
            assert "stopped" in {image.get("reason") for item in stopped.lines() for image in item["images"]}
        with Sharing(tmp_path, redis_server.url, "pximg", arguments) as workers:
            assert workers.start().wait(60) == 0
            assert_as_served(workers.merge(), replica, again=True)
