"""Pages a second through the queue: pushed, leased and acknowledged, against scrapy-redis' push and pop."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks import peers
from benchmarks.bench import Bench, Result
from benchmarks.redis_server import NoServerError, far_away, redis_server

DELAY = 0.02
NEAR, FAR, BYTES = "pages/s, loopback", "pages/s, 20 ms away", "bytes a page, queued and seen"
THEIRS = "scrapy-redis"


def measure(bench: Bench) -> Result:
    result = Result("(8) Pages through the queue: in, out and done", [NEAR, FAR, BYTES], NEAR)
    result.lacks[THEIRS] = "no lease: what a killed worker had is lost; pickle"
    result.lacks[peers.IMGCRAWL.name] = ""
    if problem := bench.lacking("scrapy-redis"):
        result.absent[THEIRS] = problem
    pages, few = (2_000, 30) if bench.short else (10_000, 60)
    try:
        with redis_server(bench.work / "redis") as port, far_away(port, DELAY) as far:
            for _ in range(bench.rounds):
                for name, interpreter, script in (
                    (peers.IMGCRAWL.name, Path(sys.executable), "queue_imgcrawl.py"),
                    (THEIRS, bench.peers_python, "queue_scrapy_redis.py"),
                ):
                    if name in result.absent:
                        continue
                    rate, size = _run(interpreter, script, port, pages)
                    away, _ = _run(interpreter, script, far, pages // 2 if name == peers.IMGCRAWL.name else few)
                    result.add(name, {NEAR: rate, FAR: away, BYTES: size})
    except NoServerError as error:
        result.absent["all of them"] = str(error)
        return result
    for column in (NEAR, FAR):
        ratio = result.ratio(peers.IMGCRAWL.name, THEIRS, column)
        result.target(f"{column}: at least as many as scrapy-redis", ratio, 1, least=True)
    return result


def _run(python: Path, script: str, port: int, pages: int) -> tuple[float, float]:
    command = [str(python), str(peers.SCRIPTS / script), f"redis://127.0.0.1:{port}/0", str(pages)]
    environment = {"PYTHONPATH": str(peers.ROOT)} if python == Path(sys.executable) else {}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)
    if ran.returncode:
        raise RuntimeError(f"{script} failed:\n{ran.stderr[-3000:]}")
    rate, size = ran.stdout.split()[-2:]
    return float(rate), float(size)
