"""What the limits cost Redis, as a function of the number of workers and of hosts. Workers are clients only."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from redis import Redis
from scrapy.settings import Settings

from benchmarks.bench import Bench, Result
from benchmarks.redis_server import NoServerError, redis_server
from imgcrawl.limits.backend import HostLimits, LimitRequest
from imgcrawl.limits.exchange import REPORT_INTERVAL, REPORTS_A_SECOND
from imgcrawl.limits.redis import RedisLimits, limits_from_settings

IDLE, OWN, SAME = "idle: us", "a host each: us", "one host for all: us"
SENT, HEARD, CORE = "bytes sent", "bytes heard", "% of a core, busy"
LOOK, LOOK_BYTES = "scrapy hosts: ms", "scrapy hosts: kB"
LIMITS = HostLimits(concurrency=8, target=4.0, first=0.5)
WORKERS = (1, 10, 100, 300, 1000)


def measure(bench: Bench) -> Result:
    columns = [IDLE, OWN, SAME, SENT, HEARD, CORE, LOOK, LOOK_BYTES]
    result = Result(
        "(12) What an exchange of the limits costs Redis: server time and bytes by workers and hosts",
        columns,
        OWN,
        base="1 workers, 1,000 hosts",
    )
    hosts = 10_000 if bench.short else 1_000_000 if bench.long else 300_000
    cases = [(workers, 1000) for workers in (WORKERS[:1] if bench.short else WORKERS)] + [(1000, hosts)]
    try:
        for number, (workers, known) in enumerate(cases):
            with redis_server(bench.work / f"redis{number}") as port:
                name = f"{workers:,} workers, {known:,} hosts"
                result.add(name, asyncio.run(_costs(port, workers, known)))
    except NoServerError as error:
        result.absent["all of them"] = str(error)
        return result
    last = result.middle(f"1,000 workers, {hosts:,} hosts", CORE)
    result.target("1,000 busy workers: at most 25 % of one core", last, 25, least=False, unit=" %")
    growth = result.ratio(f"1,000 workers, {hosts:,} hosts", "1 workers, 1,000 hosts", OWN)
    result.target("an exchange, 1,000 times the workers and hosts: at most 3 times the time", growth, 3, least=False)
    result.notes.append(
        "An exchange of a worker that has nothing to say, of one that reports answers of a host of its own, and of one "
        "of all workers at one host with room for eight; the server's time, by its own count (microseconds). A busy "
        f"worker reports every {REPORT_INTERVAL} s, and where there are more than "
        f"{REPORT_INTERVAL * REPORTS_A_SECOND:.0f}, less often: {REPORTS_A_SECOND} reports a second."
    )
    return result


async def _costs(port: int, workers: int, hosts: int) -> dict[str, float]:
    limits = limits_from_settings(Settings({"REDIS_URL": f"redis://127.0.0.1:{port}/0"}), "bench", "w0")
    await limits.open()
    everybody = [RedisLimits(limits.store, limits.url, f"w{number}") for number in range(workers)]
    with Redis(port=port) as server:
        for first in range(0, hosts, 100):
            await limits.exchange([LimitRequest(f"known-{first + number}.example", LIMITS) for number in range(100)])
        idle, _, _ = await _each(server, everybody, lambda number: [])
        own, sent, heard = await _each(server, everybody, lambda number: [_report(f"host-{number}.example")])
        same, _, _ = await _each(server, everybody, lambda number: [_report("same.example")])
        before = _counted(server)
        await limits.status()
        look = [after - then for after, then in zip(_counted(server), before, strict=True)]
        await limits.store.client.aclose()
    interval = max(REPORT_INTERVAL, workers / REPORTS_A_SECOND)
    return {
        IDLE: idle, OWN: own, SAME: same, SENT: sent, HEARD: heard,
        CORE: 100 * workers / interval * max(own, same) / 1e6,
        LOOK: look[1] / 1000, LOOK_BYTES: look[3] / 1000,
    }  # fmt: skip


def _report(host: str) -> LimitRequest:
    return LimitRequest(host, LIMITS, keep=0, want=4, starts=4, answers=5, latency=0.05)


async def _each(server: Redis, everybody: list[RedisLimits], requests: Any) -> tuple[float, float, float]:
    """Microseconds, bytes sent and heard of an exchange, when each worker has one; the second time that it has."""
    turns = max(2, 200 // len(everybody))
    for turn in range(turns):
        if turn == 1:
            before = _counted(server)
        for number, worker in enumerate(everybody):
            made = [replace(request, keep=min(request.keep, 1)) for request in requests(number)]
            await worker.exchange(made)
    calls, microseconds, read, written = (after - then for after, then in zip(_counted(server), before, strict=True))
    return microseconds / calls, read / calls, written / calls


def _counted(server: Redis) -> tuple[float, float, float, float]:
    """Calls of scripts and their microseconds; bytes that the server read and wrote."""
    script: dict[str, Any] = server.info("commandstats").get("cmdstat_evalsha", {})
    stats: dict[str, Any] = server.info("stats")
    return (
        script.get("calls", 0), script.get("usec", 0), stats["total_net_input_bytes"], stats["total_net_output_bytes"],
    )  # fmt: skip
