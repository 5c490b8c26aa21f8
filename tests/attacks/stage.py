"""A place for one attack: a site, a folder, a Redis; and a crawl in it that is measured, and ended when it takes too
much."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.crawling import FAST, ROOT
from tests.support.processes import children_of
from tests.support.redis_server import RedisServer
from tests.support.server import Misbehaviour, Server, jpeg
from tests.test_large_bodies import peak_rss

MB = 1_000_000
HTML = {"Content-Type": "text/html"}
# What the crawls of all stages say; 127.0.0.1 is where their sites are.
SETTINGS = {**FAST, "ROBOTSTXT_OBEY": "False", "RETRY_TIMES": "0", "DOWNLOAD_TIMEOUT": "20"}


class TooMuchError(Exception):
    """A crawl took more time or memory than it was given, and was ended."""


@dataclass
class Done:
    """What a process left behind: its exit code, what it said, and the *folder*."""

    code: int
    said: str
    folder: Path

    @property
    def items(self) -> dict[str, dict[str, Any]]:
        """By the last part of their address."""
        try:
            items = json.loads((self.folder / "items.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(item.get("url")).rpartition("/")[2]: item for item in items}

    @property
    def outcomes(self) -> list[str]:
        """Of each image its reason, or else its status."""
        images = [image for item in self.items.values() for image in item.get("images", ())]
        return [str(image.get("reason") or image.get("status")) for image in images]

    @property
    def is_clean(self) -> bool:
        return "Traceback" not in self.said and self.code >= 0

    @property
    def last_line(self) -> str:
        return (self.said.strip().splitlines() or [""])[-1][-160:]


@dataclass
class Stage:
    """*code*: the folder of the project that is attacked. What is said of `seconds`, `cpu` (seconds), `megabytes` and
    `longest` (the step of an event loop that took most CPU, in ms) is of all that ran on it; *most_seconds* and
    *most_megabytes* end a process."""

    folder: Path
    code: Path
    server: Server
    most_seconds: float = 60.0
    most_megabytes: float = 3000.0
    seconds: float = 0.0
    cpu: float = 0.0
    megabytes: float = 0.0
    longest: float = 0.0
    longest_is: str = ""
    is_probed: bool = False  # else nothing is known of the longest step
    stack: ExitStack = field(default_factory=ExitStack)

    def redis(self) -> RedisServer:
        """A server of its own."""
        folder = self.folder / "redis"
        folder.mkdir()
        return self.stack.enter_context(RedisServer(folder, "--appendonly", "no"))

    def site(self, bad: bytes | Misbehaviour, headers: Mapping[str, str] = HTML) -> dict[str, str]:
        """A list of two galleries, /bad, which has *bad*, and /good; the arguments of a crawl of it."""
        links = "".join(f'<a class=g href="/{name}">{name}</a>' for name in ("bad", "good"))
        self.server.add("/list", f"<title>list</title>{links}".encode(), headers=HTML)
        self.server.add("/bad", bad, headers=dict(headers))
        self.server.add("/good", b"<title>good</title><p><img src=/i/good.jpg></p>", headers=HTML)
        self.server.add("/i/good.jpg", jpeg(640, 480, (10, 200, 30)))
        return {"list": self.server.url("/list"), "galleries": "//a[@class='g']/@href"}

    def crawl(
        self, spider: str, arguments: Mapping[str, str], *, env: Mapping[str, str] | None = None,
        options: Iterable[str] = ("-O", "items.json"), **settings: Any,
    ) -> Done:  # fmt: skip
        """`scrapy crawl` of *spider*, images to `images`, items to `items.json`, what it says to `log`."""
        command = ["crawl", spider, *options]
        for option, values in (("-a", arguments), ("-s", SETTINGS | settings)):
            command += [part for name, value in values.items() for part in (option, f"{name}={value}")]
        return self.scrapy(*command, env=env)

    def scrapy(self, *arguments: str, env: Mapping[str, str] | None = None) -> Done:
        """`scrapy` with these arguments. Raises `TooMuchError`."""
        known = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
        known |= {"PYTHONPATH": str(self.code), "SCRAPY_SETTINGS_MODULE": "imgcrawl.settings"}
        known |= {"XDG_STATE_HOME": str(self.folder / "state"), **(env or {})}
        if self.is_probed:
            probe = str(self.folder / "probe")
            known |= {"BENCHMARK_PROBE": probe, "BENCHMARK_LAG": "1"}
            known["PYTHONPATH"] = f"{ROOT / 'benchmarks' / 'probe'}{os.pathsep}{known['PYTHONPATH']}"
        log, asked = self.folder / "log", len(self.server.requests)
        began = time.monotonic()
        with log.open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "scrapy", *arguments], cwd=self.folder, env=known, stdin=subprocess.DEVNULL,
                stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip
            why = self._watched(process)
        self.seconds += time.monotonic() - began
        self._note_steps([request.time for request in self.server.requests[asked:]])
        if why:
            raise TooMuchError(why)
        return Done(process.returncode, log.read_text("utf-8", "replace"), self.folder)

    def _note_steps(self, asked: list[float]) -> None:
        """Note the longest step behind the second request of those that came at *asked*: what is loaded as a crawl
        begins counts for nothing."""
        since = asked[1] if len(asked) > 1 else math.inf
        for report in self.folder.glob("probe.[0-9]*"):
            for when, seconds, what in json.loads(report.read_text())["steps"]:
                if when > since and seconds * 1000 > self.longest:
                    self.longest, self.longest_is = seconds * 1000, what
            report.unlink()

    def _watched(self, process: subprocess.Popen[bytes]) -> str:
        """Wait for its end; why it was ended, or ""."""
        end, own, others, why = time.monotonic() + self.most_seconds, 0, dict[int, int](), ""
        while True:
            own = max(own, peak_rss(process.pid))
            others |= {pid: max(others.get(pid, 0), peak_rss(pid)) for pid in _others(process.pid)}
            # The most that each ever had; of those beside it one is there at a time.
            self.megabytes = max(self.megabytes, (own + max(others.values(), default=0)) / MB)
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
            if ended:
                process.returncode = os.waitstatus_to_exitcode(status)
                self.cpu += used.ru_utime + used.ru_stime
                return why
            if not why and time.monotonic() > end:
                why = f"more than {self.most_seconds:.0f} s: ended by us"
            elif not why and self.megabytes > self.most_megabytes:
                why = f"more than {self.most_megabytes:.0f} MB: ended by us"
            if why:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.01)


def _others(pid: int) -> list[int]:
    """The processes that *pid* has started, but for those that are still as it is."""
    own = _command(pid)
    return [child for child in children_of(pid) if _command(child) != own]


def _command(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


Outcome = tuple[bool, str]  # whether no harm was done, and what came of it
Attack = Callable[[Stage], Outcome]


def took(attack: Attack, stage: Stage) -> Outcome:
    """What comes of *attack* on *stage*."""
    with stage.stack:
        try:
            return attack(stage)
        except TooMuchError as error:
            return False, str(error)
