from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from scrapy.settings import Settings

from imgcrawl.limits.backend import HostLimits, LimitRequest
from imgcrawl.limits.redis import limits_from_settings
from tests.support import processes
from tests.support.redis_server import RedisServer

ROOT = Path(__file__).parents[2]


def hosts(*arguments: str, redis_url: str = "") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"SCRAPY_SETTINGS_MODULE": "imgcrawl.settings", "PYTHONPATH": str(ROOT)}
    environment["REDIS_URL"] = redis_url
    command = [sys.executable, "-m", "scrapy", "hosts", *arguments]
    return processes.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


async def test_who_slowed_which_host_and_why(redis_server: RedisServer) -> None:
    backend = limits_from_settings(Settings({"REDIS_URL": redis_server.url}), "pximg", "worker-7")
    await backend.open()
    host_limits = HostLimits(concurrency=8)
    requests = [
        LimitRequest("img.example", host_limits, want=3),
        LimitRequest("www.example", host_limits, keep=1, want=2, trouble=0.0, why="429, Retry-After 30 s", block=30),
    ]
    await backend.exchange(requests)
    await backend.notes.remember("robots of www.example", {"said": "2 rules for us"}, 60)
    done = hosts("pximg", redis_url=redis_server.url)
    await backend.close()
    assert done.returncode == 0, done.stderr
    assert "pximg: 1 workers, 2 hosts" in done.stdout
    (slowed,) = (line for line in done.stdout.splitlines() if line.startswith("www.example"))
    for part in ("2/8", "0.10 s", "429, Retry-After 30 s (worker-7, ", "2 rules for us"):
        assert part in slowed, slowed
    (calm,) = (line for line in done.stdout.splitlines() if line.startswith("img.example"))
    assert "3/8" in calm
    assert "worker-7" not in calm


def test_without_redis_one_sentence(tmp_path: Path) -> None:
    done = hosts("pximg", "-s", f"LIVE_FOLDER={tmp_path}")  # other tests have crawls of it at the same time
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("scrapy hosts: no crawl of pximg runs here")


def test_no_such_spider_and_no_such_server() -> None:
    assert "expected one spider of" in hosts("nosuch").stderr
    done = hosts("pximg", redis_url="redis://127.0.0.1:1/0")
    assert done.returncode == 2
    assert "cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr
    done = hosts("pximg", "-s", "REDIS_PARAMS={", redis_url="redis://127.0.0.1:1/0")
    assert done.stderr.startswith("REDIS_PARAMS: ")
    assert len(done.stderr.splitlines()) == 1
