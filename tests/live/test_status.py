"""A crawl that runs is found, told and steered, as a person does it: `scrapy status`, `imgcrawl.live`."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from rich.console import Console
from scrapy.settings import Settings

from imgcrawl.demo.server import Replica, serve
from imgcrawl.exceptions import InputError
from imgcrawl.exitcodes import ExitCode
from imgcrawl.items import STATUSES
from imgcrawl.live import ask, overview
from imgcrawl.live.statusview import picture
from tests.support import processes
from tests.support.crawling import FAST, crawl_command, environment, project_settings, until
from tests.support.processes import Process
from tests.support.redis_server import RedisServer
from tests.support.tiny import Terminal

SLOW = {"DOWNLOAD_DELAY": "0.1", "DOWNLOAD_DELAY_JITTER": "0", "SHUTDOWN_TIMEOUT": "1"}
HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202e\x9b2J"


class Looker:
    """Somebody who looks at crawls of pximg from elsewhere; *folder* is where they say how they are."""

    def __init__(self, folder: Path, base: str, redis_url: str = "") -> None:
        self.folder = folder
        self.base = base
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()
        self.redis_url = redis_url
        self.crawls: list[Any] = []
        self.settings: Settings = project_settings()
        self.settings.setdict({"LIVE_FOLDER": str(folder / "live"), "REDIS_URL": redis_url or None})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.crawls:
            process.kill()
            process.wait(30)

    def start(self, *options: str, **settings: Any) -> Any:
        """A crawl, in *folder*, with its log there."""
        given = {**FAST, "LIVE_FOLDER": self.folder / "live", **settings}
        command = crawl_command("pximg", *options, arguments={"base": self.base}, settings=given)
        with (self.folder / "log").open("a") as log:
            env = environment(self.redis_url or None)
            self.crawls.append(Process(command, cwd=self.folder, env=env, stdout=log, stderr=log, text=True))
        return self.crawls[-1]

    def view(self) -> dict[str, Any]:
        return asyncio.run(overview(self.settings, "pximg"))

    def ask(self, **wanted: Any) -> None:
        asyncio.run(ask(self.settings, "pximg", **wanted))

    def _command(self, words: tuple[str, ...]) -> dict[str, Any]:
        command = [sys.executable, "-m", "scrapy", *words, "-s", f"LIVE_FOLDER={self.folder / 'live'}"]
        return {"command": command, "cwd": self.elsewhere, "env": environment(self.redis_url or None)}

    @contextmanager
    def in_terminal(self, *words: str) -> Iterator[Terminal]:
        """The command, with a terminal of its own."""
        ours, theirs = pty.openpty()
        process = Process(**self._command(words), stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        try:
            yield Terminal(process, ours)
        finally:
            process.kill()
            process.wait(30)
            os.close(ours)

    def command(self, *words: str) -> tuple[int, str]:
        done = processes.run(**self._command(words), capture_output=True, text=True, timeout=60, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout + done.stderr

    def states(self) -> list[str]:
        return [row["state"] for row in self.view()["workers"]]

    def names(self, state: str) -> list[str]:
        return [row["name"] for row in self.view()["workers"] if row["state"] == state]

    def stored(self) -> int:
        images = self.view()["images"]
        return int(images["downloaded"] + images["duplicate"])


@pytest.fixture(scope="module")
def replica() -> Any:
    with serve("pximg", galleries=30, images=4, per_page=20, width=400, misbehave=False) as running:
        yield running


def test_one_process_is_found_steered_and_missed(tmp_path: Path, replica: Replica) -> None:
    with Looker(tmp_path, replica.base) as looker:
        assert looker.view()["state"] == "none"
        with pytest.raises(InputError, match="no crawl of pximg runs here"):
            looker.ask(paused=True)

        process = looker.start("-O", "items.json", **SLOW)
        until(lambda: looker.stored() >= 2)
        view = looker.view()
        assert view["state"] == "running"
        assert [row["pid"] for row in view["workers"]] == [process.pid]
        assert view["queue"] is None
        assert view["hosts"][0]["host"] in ("127.0.0.1", "127.0.0.2")
        assert view["hosts"][0]["limit"] == 8
        assert (tmp_path / view["store"] / view["newest"][0]["path"]).exists()
        code, told = looker.command("status")
        assert code == 0
        assert "pximg: running, 0:00:" in told
        assert re.search(r"\d+ galleries, \d+ of \d+ images", told)
        assert "127.0.0." in looker.command("hosts", "pximg")[1]

        with looker.in_terminal("status", "pximg") as terminal:
            terminal.read_until(r": running,(.|\n)+: running,")
            looker.ask(paused=True)
            terminal.read_until(": paused,")
            terminal.process.send_signal(signal.SIGINT)
            assert terminal.end() == 0

        until(lambda: looker.view()["state"] == "paused" and not any(host["active"] for host in looker.view()["hosts"]))
        before = looker.stored()
        time.sleep(1.2)  # in which twelve would come
        assert looker.stored() == before
        looker.ask(paused=False, delay_factor=4)
        until(lambda: looker.stored() > before)
        until(lambda: any(host["delay"] > 0.35 for host in looker.view()["hosts"]))
        with looker.in_terminal("status") as terminal:
            terminal.read_until(": running,")
            looker.ask(stop=True)
            assert terminal.end() == 0, "it ends with the crawl"
            assert ": ended " in terminal.raw
        assert process.wait(60) == ExitCode.STOPPED
        view = looker.view()
        assert (view["state"], view["how"], view["verdict"]) == ("ended", "shutdown", "stopped before the end")
        assert view["ended"] >= view["started"]
        code, told = looker.command("status", "pximg", "--json")
        assert code == 1
        assert json.loads(told)["images"] == view["images"]

        process = looker.start("-O", "items.json", **SLOW)
        until(lambda: looker.view()["state"] == "running")
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        assert looker.view()["state"] == "killed"
        code, told = looker.command("status")
        assert code == 1
        assert told.startswith("no crawl runs here\npximg: ended ")
        assert "killed: its process is gone without a word" in told


def test_four_workers_one_killed_and_what_a_crawl_that_goes_on_tells(tmp_path: Path, replica: Replica) -> None:
    with Looker(tmp_path, replica.base) as looker:
        leader = looker.start("--workers", "4", "-O", "items.json", "--json", **SLOW)
        until(lambda: looker.states() == ["running"] * 4 and looker.stored() >= 4)
        victim = looker.view()["workers"][0]
        os.kill(victim["pid"], signal.SIGKILL)
        began = time.monotonic()
        until(lambda: victim["name"] in looker.names("killed"))
        assert time.monotonic() - began < 10, "and not when its lease expires, after 25 s"
        assert len(looker.names("running")) >= 3
        until(lambda: looker.states().count("running") == 4)  # another has taken its place

        assert "pages that wait" in looker.command("queue", "pximg")[1]
        looker.ask(paused=True)
        until(lambda: looker.states().count("paused") == 4)
        assert looker.view()["state"] == "paused"
        assert looker.view()["queue"]["leased"] > 0
        looker.ask(stop=True)
        assert leader.wait(60) == ExitCode.STOPPED
        view = looker.view()
        assert (view["state"], view["how"]) == ("ended", "shutdown")
        assert view["newest"]

        assert looker.start("--workers", "4", "-O", "items.json", "--json").wait(90) == 0
        log = (tmp_path / "log").read_text()
        first, last = (json.loads(line) for line in log.splitlines() if line.startswith("{"))
        assert f" images/s; {last['bytes_before'] / 1e6:,.1f} MB before this crawl went on" in log
        stored = sum(path.stat().st_size for path in (tmp_path / "images").rglob("00*.*"))
        # Of galleries that went back when it was stopped the images count for the start that has them in its feed.
        assert 0 < last["bytes_before"] <= first["bytes"]
        assert 0 < last["bytes"] <= stored - last["bytes_before"]
        assert last["images"]["found"] == sum(last["images"][status] for status in STATUSES) == 120
        assert looker.view()["how"] == "finished"


def write_nonsense(client: Any, live: str) -> None:
    at = client.zrange(f"{live}:at", 0, 0, withscores=True)[0][1]
    for name in (HOSTILE, "x" * 5000, "list", "deep"):
        client.zadd(f"{live}:at", {name: at})
    row = {"name": HOSTILE, "host": HOSTILE, "state": HOSTILE, "rate": "x", "images": -5, "bytes": 1e400}
    client.hset(live, HOSTILE, json.dumps(row | {"hosts": [{"host": HOSTILE, "delay": []}, 7], "curve": {}}))
    client.hset(live, mapping={"x" * 5000: "{", "list": "[]", "deep": "[" * 100_000, b"\xff": b"\xff"})
    client.lpush(f"{live}:newest", json.dumps({"url": HOSTILE, "path": "../\0", "at": "soon"}), "7")
    client.lpush(f"{live}:failures", json.dumps({"url": f"http://u:secret@h/{HOSTILE}", "reason": HOSTILE}))
    client.hset(f"{live}:control", mapping={"run": HOSTILE, "paused": "1", "delay_factor": "1e9", "stop": "1"})


def test_workers_of_one_redis_and_what_strangers_write_there(
    tmp_path: Path, replica: Replica, redis_server: RedisServer
) -> None:
    with Looker(tmp_path, replica.base, redis_server.url) as looker, redis_server.client() as client:
        crawls = [looker.start("-o", "part-%(worker)s.jsonl", **SLOW) for _ in range(2)]
        until(lambda: looker.states() == ["running"] * 2 and looker.view()["newest"])
        live = "{pximg:requests}:live"
        write_nonsense(client, live)
        with (console := Console(width=160)).capture() as shown:
            console.print(picture(looker.view()))
        told = shown.get()
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", told)
        assert "secret" not in told
        assert sum(line.split()[1:2] == ["running"] for line in told.splitlines()) >= 2
        assert looker.view()["queue"]["seen"] > 0

        crawls[0].kill()
        crawls[0].wait(30)
        assert looker.states().count("killed") == 1
        for name in ("", ":at", ":newest", ":failures", ":control"):  # foreign types end nothing
            client.delete(live + name)
            client.set(live + name, "none of ours")
        looker.view()
        until(lambda: looker.states().count("running") == 1)
        before = client.info("stats")["total_connections_received"]
        assert "pximg: running" in looker.command("status")[1]
        assert client.info("stats")["total_connections_received"] - before <= 4, "and not one for each spider"
        looker.ask(stop=True)
        assert crawls[1].wait(60) == ExitCode.STOPPED
        assert (looker.view()["state"], looker.view()["how"]) == ("ended", "shutdown")


def test_after_kills_the_sums_of_a_shared_redis_are_what_the_feed_has(
    tmp_path: Path, replica: Replica, redis_server: RedisServer
) -> None:
    def fed() -> list[Any]:
        return [line for part in tmp_path.glob("part-*.jsonl") for line in part.read_text().splitlines()]

    with Looker(tmp_path, replica.base, redis_server.url) as looker:
        settings = {**SLOW, "DOWNLOAD_DELAY": "0.02", "FRONTIER_LEASE_TIMEOUT": "2"}
        crawls = [looker.start("-o", "part-%(worker)s.jsonl", "--json", **settings) for _ in range(3)]
        for number, lines in enumerate((5, 15)):
            until(lambda lines=lines: len(fed()) >= lines)
            crawls[number].kill()
        assert crawls[2].wait(60) == 0
        view = looker.view()
        galleries = {json.loads(line)["url"] for line in fed() if line.endswith("}")}
        assert view["galleries"] == {"found": 30, "scraped": 30, "failed": 0, "not_reached": 0}
        assert len(galleries) == 30
        assert view["images"]["found"] == sum(view["images"][status] for status in STATUSES) == 120
        summary = json.loads([line for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")][-1])
        assert summary["galleries_of_all_workers"] == view["galleries"]
