"""`scrapy crawl SPIDER --workers N`: one command, many processes, as a user runs it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from imgcrawl.demo.server import Replica, serve
from imgcrawl.exitcodes import ExitCode
from imgcrawl.feeds.output import OutputWriter
from imgcrawl.samples import Samples
from imgcrawl.workers.outcome import stats_of_all, write_feeds
from imgcrawl.workers.plan import CrawlFolder
from tests.support import processes
from tests.support.crawling import FAST, ROOT, Crawl, environment, project_settings, until
from tests.support.pages import Crawl as Pages
from tests.support.pages import Site
from tests.support.processes import Process, is_alive
from tests.support.redis_server import RedisServer, free_port
from tests.support.sharing import counts_of_galleries
from tests.test_promises import STATUSES, assert_as_served

GALLERIES, PER_PAGE = 150, 50
SMALL = {"galleries": GALLERIES, "images": 3, "per_page": PER_PAGE, "width": 60, "misbehave": False}


def start(
    folder: Path, base: str, *options: str, workers: str = "3", redis_url: str | None = None
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "scrapy", "crawl", "pximg", "-a", f"base={base}", "--workers", workers]
    for name, value in FAST.items():
        command += ["-s", f"{name}={value}"]
    with (folder / "log").open("w") as log:
        return Process([*command, *options], cwd=folder, env=environment(redis_url), stdout=log, stderr=log, text=True)


def log(folder: Path) -> str:
    return (folder / "log").read_text("utf-8", "replace")


def ended(folder: Path, process: subprocess.Popen[str], timeout: float = 90) -> Crawl:
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"it did not end:\n{log(folder)[-5000:]}") from None
    return Crawl(folder, code, log(folder))


def fed(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.glob(".imgcrawl/*/segments/*.jsonl"))


def worker_pids(folder: Path) -> list[int]:
    """The living processes of the workers, by the names of their segments."""
    pids = {int(path.stem.split("-")[-2]) for path in folder.glob(".imgcrawl/*/segments/*.jsonl")}
    return [pid for pid in pids if is_alive(pid)]


@pytest.mark.parametrize("count", ["1", "3"])
def test_one_command_brings_every_image_home(tmp_path: Path, count: str) -> None:
    with serve(galleries=30, images=5, per_page=10, width=100) as replica:
        done = ended(tmp_path, start(tmp_path, replica.base, "-O", "items.json", "-O", "items.csv", workers=count))
        assert done.code == 0, done.log
        assert_as_served(done, replica)
        assert (tmp_path / "items.csv").read_text("utf-8").count("http://127.0.0.1") >= 30
        assert re.search(r"no REDIS_URL: the workers share \S+-server, which runs as long as they do", done.log)
        assert done.log.count("Spider closed (finished)") == int(count)
        # One summary, of all.
        assert done.log.count("images found") == 1
        for status in STATUSES:
            number = sum(image["status"] == status for image in done.images)
            assert re.search(rf"^  {status} +{number} *$", done.log, re.M), status
        assert "Traceback" not in done.log
        assert not (tmp_path / ".imgcrawl").exists()

        if count == "1":
            return
        # Once more, and added to what is there, as one process does.
        before = done.items
        again = ended(tmp_path, start(tmp_path, replica.base, "-o", "items.json", workers=count))
        assert again.code == 0, again.log
        items = again.items
        assert items[: len(before)] == before
        (tmp_path / "items.json").write_text(json.dumps(items[len(before) :]))
        assert_as_served(again, replica, again=True)


OWN_SPIDER = """
from pathlib import Path
import scrapy

class Own(scrapy.Spider):
    name = "own"

    async def start(self):
        yield scrapy.Request(f"{self.base}/topic/nvshen/page/1")

    def parse(self, response):
        links = [response.urljoin(link) for link in response.css("img::attr(src)").getall()[:3]]
        yield {
            "url": response.url, "image_urls": links, "images": [], "key": self.key,
            "agent": self.settings["USER_AGENT"], "command": Path("/proc/self/cmdline").read_text(),
        }
"""
OWN_FILE = """
spiders = ["mine"]
[settings]
IMAGES_STORE = "kept"
USER_AGENT = {{file = "agent"}}
REDIS_URL = "{redis_url}"
[arguments.own]
base = "{base}"
key = {{env = "OWN_KEY"}}
"""


def test_workers_have_the_configuration_file_too_and_its_secrets_are_shown_to_nobody(
    tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGCRAWL_TESTS_FORK", "0")  # looked at are command lines
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own.py").write_text(OWN_SPIDER)
    (tmp_path / "agent").write_text("agent-4711")
    with serve(**SMALL) as replica:
        (tmp_path / "imgcrawl.toml").write_text(OWN_FILE.format(redis_url=redis_server.url, base=replica.base))
        command = [
            sys.executable,
            "-m",
            "imgcrawl",
            "crawl",
            "own",
            "--workers",
            "2",
            "-O",
            "items.json",
            "-a",
            "tag=b",
        ]
        with (tmp_path / "log").open("w") as file:
            env = {**environment(settings=None), "OWN_KEY": "sesame-4711"}
            done = ended(tmp_path, Process([*command], cwd=tmp_path, env=env, stdout=file, stderr=file, text=True))
    assert done.code == 0, done.log
    (item,) = done.items
    assert (item["agent"], item["key"]) == ("agent-4711", "sesame-4711")
    assert [image["status"] for image in item["images"]] == ["downloaded"] * 3
    assert all((tmp_path / "kept" / image["path"]).is_file() for image in item["images"])
    assert "\0tag=b\0" in item["command"]
    with redis_server.client() as client:
        kept = json.loads(client.hget("{own:requests}:run", "arguments"))
    assert kept["tag"] == "b"
    assert kept["key"].startswith("*** (")
    assert "4711" not in item["command"] + str(kept) + done.log


def test_a_worker_that_crashes_is_followed_by_another(tmp_path: Path) -> None:
    with serve(**SMALL, latency=0.2) as replica:
        process = start(tmp_path, replica.base, "-O", "items.json", workers="2")
        until(lambda: fed(tmp_path) > 5 and len(worker_pids(tmp_path)) == 2)
        killed: set[int] = set()
        for had in (10, 20):
            until(lambda had=had: fed(tmp_path) > had and len(set(worker_pids(tmp_path)) - killed) == 2)
            victim = next(pid for pid in worker_pids(tmp_path) if pid not in killed)
            os.kill(victim, signal.SIGKILL)
            killed.add(victim)
        done = ended(tmp_path, process)
        assert done.code == 0, done.log
        assert done.log.count("crashed (signal 9): another takes its place") == 2
        assert_as_served(done, replica, again=True)


def test_what_a_crashed_worker_had_of_the_limits_is_for_the_others_at_once(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with serve(**SMALL, latency=0.2) as replica, redis_server.client() as client:
        process = start(tmp_path, replica.base, "-O", "items.json", workers="2", redis_url=redis_server.url)

        def known(key: str) -> set[int]:
            return {int(name.split(b"-")[-2]) for name in client.zrange("{pximg:requests}:" + key, 0, -1)}

        until(lambda: len(known("workers") & known("limits")) == 2)
        killed = min(known("limits"))
        os.kill(killed, signal.SIGKILL)
        until(lambda: killed not in known("limits") | known("workers"), 8)  # by themselves they go after 30 s
        until(lambda: len(known("limits") & known("workers")) == 2)
        process.send_signal(signal.SIGINT)
        ended(tmp_path, process, 30)


def test_workers_that_only_crash_are_given_up(tmp_path: Path, redis_server: RedisServer) -> None:
    with serve(**SMALL, latency=0.5) as replica:
        process = start(tmp_path, replica.base, "-O", "items.json", workers="1", redis_url=redis_server.url)
        killed: set[int] = set()
        with redis_server.client() as client:
            while process.poll() is None:
                for worker in client.zrange("{pximg:requests}:workers", 0, -1):
                    pid = int(worker.decode().split("-")[-2])
                    if pid not in killed and is_alive(pid):
                        killed.add(pid)
                        os.kill(pid, signal.SIGKILL)
        done = ended(tmp_path, process)
        assert len(killed) == 6
        assert done.code == 1
        assert "6 workers crashed within a minute, the last with signal 9" in done.log
        assert json.loads((tmp_path / "items.json").read_text()) == done.items


def test_ctrl_c_stops_all_and_the_same_command_goes_on(tmp_path: Path) -> None:
    with serve(**SMALL, latency=0.2) as replica:
        process = start(
            tmp_path, replica.base, "-O", "items.json", "-s", "RUN_SUMMARY=summary.json", "-s", "SHUTDOWN_TIMEOUT=0.1"
        )
        until(lambda: fed(tmp_path) > 12 and len(worker_pids(tmp_path)) == 3)
        process.send_signal(signal.SIGINT)
        done = ended(tmp_path, process, 30)
        assert done.code == ExitCode.STOPPED
        assert done.log.rstrip().splitlines()[-1] == "stopped before the end"
        assert done.log.count("Spider closed (shutdown)") == 3
        assert worker_pids(tmp_path) == []
        assert 12 < len(done.items) < GALLERIES
        assert len(done.items) == fed(tmp_path)
        # With galleries on list pages that no worker has read there are more than these.
        left = re.search(r"pages not reached +(\d+)", done.log)
        assert left, done.log
        assert 0 < int(left[1]) <= GALLERIES - len(done.items) + 1
        assert_galleries_add_up(done, replica)
        summary = json.loads((tmp_path / "summary.json").read_text())
        now = sum(image["status"] == "downloaded" for item in done.items for image in item["images"])
        assert summary["images_downloaded_now"] == summary["images"]["downloaded"] == now

        process = start(tmp_path, replica.base, "-O", "items.json")
        before = fed(tmp_path)
        until(lambda: fed(tmp_path) > before + 6)
        while process.poll() is None:  # until nothing is waited for any more
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        assert_galleries_add_up(ended(tmp_path, process, 30), replica)

        asked = set(replica.stats()["requests"])
        done = ended(tmp_path, start(tmp_path, replica.base, "-O", "items.json", "-s", "RUN_SUMMARY=summary.json"))
        assert done.code == 0, done.log
        assert_as_served(done, replica, again=True)
        summary = json.loads((tmp_path / "summary.json").read_text())
        sizes = [image["bytes"] for item in done.items for image in item["images"] if image["status"] == "downloaded"]
        assert summary["bytes"] + summary["bytes_before"] == sum(sizes)
        assert asked < set(replica.stats()["requests"])
        assert not (tmp_path / ".imgcrawl").exists()


def assert_galleries_add_up(done: Crawl, replica: Replica) -> None:
    counts = counts_of_galleries(done.log)
    lists = [url for url in replica.stats()["requests"] if "/page/" in url]
    assert counts["found"] in {PER_PAGE * count for count in range(1, len(lists) + 1)}
    assert counts["scraped"] + counts["failed"] == len(done.items)
    assert counts["found"] == counts["scraped"] + counts["failed"] + counts["not reached"]


def test_after_a_kill_of_the_command_its_workers_leave_and_the_next_goes_on(tmp_path: Path) -> None:
    with serve(**SMALL, latency=0.2) as replica:
        process = start(tmp_path, replica.base, "-O", "items.json")
        until(lambda: fed(tmp_path) > 12 and len(worker_pids(tmp_path)) == 3)
        process.kill()
        process.wait()
        until(lambda: worker_pids(tmp_path) == [])
        assert fed(tmp_path) < GALLERIES
        done = ended(tmp_path, start(tmp_path, replica.base, "-O", "items.json"))
        assert done.code == 0, done.log
        assert_as_served(done, replica, again=True)
        assert max(replica.stats()["requests"][gallery["url"]] for gallery in replica.galleries) == 1


def test_one_crawl_at_a_time_in_one_place(tmp_path: Path) -> None:
    with serve(**SMALL, latency=0.2) as replica:
        process = start(tmp_path, replica.base, "-O", "items.json")
        until(lambda: fed(tmp_path) > 0)
        (tmp_path / "log").rename(tmp_path / "first.log")
        second = ended(tmp_path, start(tmp_path, replica.base, "-O", "items.json"))
        assert (second.code, second.log.count("\n")) == (2, 1)
        assert second.log.startswith("This crawl runs already, in another process that has ")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 3


def test_redis_of_the_user_is_used_and_left_as_it_is(tmp_path: Path, redis_server: RedisServer) -> None:
    with serve(galleries=6, images=1, per_page=6, width=60, misbehave=False) as replica:
        done = ended(tmp_path, start(tmp_path, replica.base, "-O", "items.json", redis_url=redis_server.url))
        assert done.code == 0, done.log
        assert "no REDIS_URL" not in done.log
        assert len(done.items) == 6
        with redis.Redis.from_url(redis_server.url) as client:
            assert client.hget("{pximg:requests}:run", "state") == b"done"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--workers", "many"], "--workers many: expected a number from 1 to 10000"),
        (["--workers", "9" * 5000], "expected a number from 1 to 10000"),
        (["-a", "colour=red"], "-a colour=red: pximg has no option 'colour'; it has topic, stop_at_known, pages, base"),
        (["-s", "VERDICT_MAX_FAILED=7"], "-s VERDICT_MAX_FAILED=7: expected a number from 0 to 1"),
        (["-s", "FRONTIER_LEASE_TIMEOUT=0"], "FRONTIER_LEASE_TIMEOUT='0': expected a number, 1 or more"),
        (["-s", "FRONTIER_PER_HOST=x"], "FRONTIER_PER_HOST='x': expected a number"),
        (["-s", "SCHEDULER_PERSIST=x"], "SCHEDULER_PERSIST='x': expected True or False"),
        (["-s", "REDIS_PARAMS={secret"], "REDIS_PARAMS: "),
        (["-O", "gopher://bucket/x.json"], "Feed gopher://bucket/x.json: expected an address of "),
        (["-O", "nowhere.json/x.json"], "Feed nowhere.json/x.json cannot be written: "),
        (["-o", "nowhere.json"], "nowhere.json holds no JSON array to add items to: give another name, or -O"),
        (["-o", "there.xml"], "there.xml: nothing can be added to it; -O replaces it"),
        (["-O", "%(worker)s.json"], "Feed %(worker)s.json: one feed is written of all workers"),
        (["-s", f"REDIS_URL=redis://me:secret@127.0.0.1:{free_port()}/"], "REDIS_URL redis://127.0.0.1:"),
    ],
)
def test_bad_input_is_found_once_and_told_in_one_sentence(tmp_path: Path, options: list[str], sentence: str) -> None:
    (tmp_path / "nowhere.json").write_text("nonsense\n")
    (tmp_path / "there.xml").write_text("<items/>")
    done = ended(tmp_path, start(tmp_path, "http://127.0.0.1:1", *options), 30)
    lines = [line for line in done.log.splitlines() if not line.startswith("no REDIS_URL")]
    assert done.code == 2, done.log
    assert len(lines) == 1 and sentence in lines[0], done.log
    assert "secret" not in done.log
    assert not list(tmp_path.glob(".imgcrawl/*/redis"))


PLAIN: dict[str, Any] = {
    "COMMANDS_MODULE": "imgcrawl.commands",
    "EXTENSIONS": {"imgcrawl.extensions.verdict.Verdict": 0},
    "FEED_STORAGES": {"": "imgcrawl.feeds.storage.FileFeedStorage", "file": "imgcrawl.feeds.storage.FileFeedStorage"},
    "VERDICT_IMAGES_EXPECTED": False,
}


def told(crawl: Pages, worker: subprocess.Popen[bytes], timeout: float = 60) -> str:
    """The log of a command that has ended."""
    worker.wait(timeout)
    return crawl.log(worker)


def runs(log: str) -> set[str]:
    return set(re.findall(r"of run (\S+)", log))


def feed(folder: Path) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads((folder / "out.json").read_text())
    return items


def living(client: redis.Redis) -> list[int]:
    return [int(name.split(b"-")[-2]) for name in client.zrange("{pages:requests}:workers", 0, -1)]


@pytest.mark.parametrize("persist", ["0", "1"])
def test_a_site_that_one_worker_finishes_is_crawled_once(
    tmp_path: Path, redis_server: RedisServer, persist: str
) -> None:
    out = ["--workers", "3", "-O", "out.json", "-s", f"SCHEDULER_PERSIST={persist}"]
    with Site() as site, Pages(tmp_path, redis_server.url, site, **PLAIN) as crawl:
        log = told(crawl, worker := crawl.start(*out, rows="4"))
        assert worker.returncode == 0, log
        assert set(site.hits.values()) == {1}
        assert len(runs(log)) == 1
        assert len(feed(tmp_path)) == 4


def test_a_worker_that_crashes_as_the_others_finish_begins_no_new_run(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with (
        Site() as site,
        Pages(tmp_path, redis_server.url, site, **PLAIN) as crawl,
        redis_server.client() as client,
    ):
        wait = tmp_path / "items.jsonl.wait"
        wait.touch()
        worker = crawl.start("--workers", "2", "-O", "out.json", rows="16")
        until(lambda: len(living(client)) == 2)
        until(lambda: len(site.hits) == 16)
        os.kill(living(client)[0], signal.SIGKILL)
        wait.unlink()
        log = told(crawl, worker)
        assert worker.returncode == 0, log
        assert len(runs(log)) == 1
        assert len(feed(tmp_path)) == 16


def test_only_the_first_worker_flushes_the_queue(tmp_path: Path, redis_server: RedisServer) -> None:
    with (
        Site(0.05) as site,
        Pages(tmp_path, redis_server.url, site, **PLAIN) as crawl,
        redis_server.client() as client,
    ):
        flush = ["-s", "SCHEDULER_FLUSH_ON_START=1"]
        worker = crawl.start("--workers", "1", "-O", "out.json", *flush, lists="5")
        until(lambda: len(crawl.items()) > 40)
        os.kill(living(client)[0], signal.SIGKILL)
        log = told(crawl, worker)
        assert worker.returncode == 0, log
        assert len(runs(log)) == 1
        assert sum(hits > 1 for hits in site.hits.values()) <= 24  # what the killed one had in hand
        assert len(feed(tmp_path)) == 100


def queue(crawl: Pages, *arguments: str) -> tuple[int, str]:
    """`scrapy queue pages`, where the crawl is: its exit code and all it says."""
    done = processes.run(
        [sys.executable, "-m", "scrapy", "queue", "pages", *arguments],
        cwd=crawl.folder,
        env={**os.environ, "REDIS_URL": crawl.redis_url, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("own", [True, False], ids=["no REDIS_URL", "REDIS_URL"])
def test_pages_given_up_are_shown_and_put_back_and_the_feed_keeps_the_others(
    tmp_path: Path, redis_server: RedisServer, own: bool
) -> None:
    out = ["--workers", "2", "-O", "out.json"]
    url = "" if own else redis_server.url
    with Site(0.01, {"/page/3": "fails"}) as site, Pages(tmp_path, url, site, **PLAIN) as crawl:
        log = told(crawl, worker := crawl.start(*out, lists="1"))
        assert worker.returncode == 1, log
        assert len(feed(tmp_path)) == 19
        assert "scrapy queue pages --dead shows them" in log
        place = f" --in {next(tmp_path.glob('.imgcrawl/*'))}" if own else ""
        assert log.splitlines()[-1] == (
            f"also: scrapy queue pages --requeue{place} puts the pages back that were set aside; the same command then"
            " goes on with them"
        )
        code, said = queue(crawl, "--dead")
        assert (code, said.count("/page/3")) == (0, 1), said
        del site.pages["/page/3"]
        assert queue(crawl, "--requeue", *place.split()) == (0, "pages: 1 page is in the queue again\n")
        log = told(crawl, worker := crawl.start(*out, lists="1"))
        assert worker.returncode == 0, log
        assert len(feed(tmp_path)) == 20
        assert sum(site.hits.values()) == 19 + 5 + 1 + 1  # with the list, and each page once but that one
        assert not (tmp_path / ".imgcrawl").exists()


def test_pages_given_up_are_not_in_the_way_of_the_next_crawl(tmp_path: Path) -> None:
    out = ["--workers", "1", "-O", "out.json"]
    with Site(0.01, {"/page/3": "fails"}) as site, Pages(tmp_path, "", site, **PLAIN) as crawl:
        told(crawl, crawl.start(*out, lists="1"))
        site.pages = {"/page/3": "ok", "/page/7": "fails"}
        log = told(crawl, crawl.start(*out, lists="1"))
        assert {int(item["url"].rpartition("/")[2]) for item in feed(tmp_path)} == set(range(20)) - {7}, log


def test_a_command_that_was_killed_before_it_wrote_the_feed(tmp_path: Path, redis_server: RedisServer) -> None:
    out = ["--workers", "1", "-O", "out.json", "-s", "SCHEDULER_PERSIST=1"]
    with Site(0.05) as site, Pages(tmp_path, redis_server.url, site, **PLAIN) as crawl, redis_server.client() as client:
        worker = crawl.start(*out, lists="2")
        until(lambda: client.hget("{pages:requests}:run", "state") == b"done")
        worker.kill()
        worker.wait()
        until(lambda: not living(client))
        asked = sum(site.hits.values())
        assert not (tmp_path / "out.json").exists()
        log = told(crawl, worker := crawl.start(*out, lists="2"))
        assert worker.returncode == 0, log
        assert (len(feed(tmp_path)), sum(site.hits.values())) == (40, asked)
        assert "the last start of this crawl did all but write the feed: it is written now" in log
        assert not (tmp_path / ".imgcrawl").exists()


def test_what_a_killed_command_had_is_fed_though_its_queue_is_gone(tmp_path: Path, redis_server: RedisServer) -> None:
    out = ["--workers", "1", "-O", "out.json"]
    with Site(0.05) as site, Pages(tmp_path, redis_server.url, site, **PLAIN) as crawl, redis_server.client() as client:
        worker = crawl.start(*out, lists="5")
        until(lambda: any(item["url"].endswith("/page/3") for item in crawl.items()) and fed(tmp_path) > 20)
        worker.kill()
        worker.wait()
        until(lambda: not living(client))
        client.flushall()
        site.pages["/page/3"] = "fails"
        log = told(crawl, worker := crawl.start(*out, lists="5"))
        assert len(runs(log)) == 1
        assert len(feed(tmp_path)) == 100


def test_a_queue_that_is_cleared_ends_the_command(tmp_path: Path, redis_server: RedisServer) -> None:
    with Site(0.05) as site, Pages(tmp_path, redis_server.url, site, **PLAIN) as crawl, redis_server.client() as client:
        worker = crawl.start("--workers", "2", "-O", "out.json", lists="60")
        until(lambda: len(living(client)) == 2 and len(crawl.items()) > 60)
        assert queue(crawl, "--clear", "--yes") == (0, "pages: cleared\n")
        log = told(crawl, worker, 20)
        assert worker.returncode == 1, log
        assert log.splitlines()[-1] == (
            "the queue of pages was cleared, or lost, while its workers ran: start the crawl again"
        )
        assert "crashed" not in log
        assert len(runs(log)) == 1
        assert 60 < len(feed(tmp_path)) < 1200  # of all
        assert site.hits["/list/1"] == 1
        assert not (tmp_path / ".imgcrawl").exists()


def test_the_end_of_the_terminal_stops_the_crawl_in_order(tmp_path: Path) -> None:
    with serve(**SMALL, latency=0.2) as replica:
        process = start(tmp_path, replica.base, "-O", "items.json")
        until(lambda: fed(tmp_path) > 12)
        process.send_signal(signal.SIGHUP)
        done = ended(tmp_path, process, 30)
        assert done.code == ExitCode.STOPPED
        assert done.log.rstrip().splitlines()[-1] == "stopped before the end"
        assert 12 < len(done.items) == fed(tmp_path)


def test_a_worker_that_is_refused_in_mid_crawl_ends_it_with_what_was_fed(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    addons = {"imgcrawl.frontier.Addon": 100, "pages.refuses.Refuses": 200}
    with (
        Site(0.05) as site,
        Pages(tmp_path, redis_server.url, site, **PLAIN, ADDONS=addons) as crawl,
        redis_server.client() as client,
    ):
        (tmp_path / "pages" / "refuses.py").write_text(
            "from pathlib import Path\n"
            "from imgcrawl.exceptions import InputError\n"
            "class Refuses:\n"
            "    def update_settings(self, settings):\n"
            "        if Path('refuse').exists():\n"
            "            raise InputError('COLOUR=red: expected blue')\n"
        )
        worker = crawl.start("--workers", "1", "-O", "out.json", lists="15")
        until(lambda: fed(tmp_path) > 40)
        (tmp_path / "refuse").touch()
        os.kill(living(client)[0], signal.SIGKILL)
        log = told(crawl, worker, 20)
        assert worker.returncode == 2, log
        assert log.count("COLOUR=red: expected blue") == 1
        assert "Traceback" not in log
        assert log.count("another takes its place") == 1
        assert 40 < len(feed(tmp_path)) < 300


def test_what_earlier_starts_had_in_pages_that_went_back_is_theirs(tmp_path: Path) -> None:
    folder = CrawlFolder(tmp_path)
    folder.segments.mkdir()
    images = [{"url": f"http://h/{n}", "status": "downloaded", "bytes": 10 + n} for n in range(3)]
    for name, number in (("run,first", 0), ("run,now", 1)):
        item = {"spider": "s", "url": f"http://h/g{number}", "images": images[number : number * 2 + 1]}
        (folder.segments / f"{name}.jsonl").write_text(json.dumps(item) + "\n")
    before = {folder.segments / "run,first.jsonl"}
    counted = asyncio.run(write_feeds(folder, before, OutputWriter(project_settings()), Samples(), {}))
    stats = stats_of_all({"image/bytes": 5, "image/downloaded": 1}, counted)
    assert (stats["image/downloaded"], stats["start/downloaded"]) == (3, 2)
    assert (stats["image/bytes"], stats["start/earlier_bytes"]) == (23, 10)


def test_what_no_feed_has_is_counted_as_the_workers_did() -> None:
    known = {"gallery/known": 3, "gallery/session_ended": 1, "gallery/led_to/http://h/": 5}
    sums = known | {"gallery/count": 9, "image/downloaded": 4, "image/bytes": 7, "item_scraped_count": 9}
    counted = {"gallery/count": 8, "image/downloaded": 3}
    assert stats_of_all(sums, counted) == known | counted | {"item_scraped_count": 9}
