"""What the shared queue costs its Redis, as a function of the number of workers and of pages.

`python -m benchmarks.costs_of_queue [--pages 1000000] [--workers 1000]` prints two tables in Markdown. Workers are
simulated by their clients: each has a connection for its reports, and one that is blocked until there is news.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

from scrapy.settings import Settings

from benchmarks.redis_server import redis_server
from imgcrawl.frontier import inspect
from imgcrawl.frontier.queue import Queue, queue_from_settings
from imgcrawl.frontier.verdict import RunStats, run_stats

HOSTS_OF = 10  # pages of a host
BATCH = 500
ROUNDS = 5
PATIENT = {"socket_connect_timeout": 60, "socket_timeout": 60}  # one process plays all workers
STATS = {f"image/failed/http_{code}": code for code in range(400, 420)}


def gallery(number: int) -> tuple[str, bytes, str, bytes]:
    """A gallery's page as `pximg` queues it."""
    host = f"www.site{number // HOSTS_OF}.com"
    page = f"https://{host}/topic/nvshen/page/{number % HOSTS_OF}"
    request = {
        "url": f"https://{host}/meinv/{number}.html",
        "callback": "parse_gallery",
        "errback": "gallery_failed",
        "headers": {"Referer": [page]},
        "meta": {"depth": 3, "page_url": page},
    }
    encoded = json.dumps(request, separators=(",", ":")).encode()
    return "c", sha256(b"%d" % number).digest()[:12], f"1:{host}", encoded


class Meter:
    """What the server has done between two looks: microseconds in scripts and commands, bytes in and out."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def look(self) -> dict[str, float]:
        commands, stats, cpu = [await self.client.info(what) for what in ("commandstats", "stats", "cpu")]
        return {
            "us": sum(one["usec"] for name, one in commands.items() if "info" not in name),
            "calls": sum(one["calls"] for name, one in commands.items() if "info" not in name),
            "bytes": stats["total_net_input_bytes"] + stats["total_net_output_bytes"],
            "cpu": cpu["used_cpu_user"] + cpu["used_cpu_sys"],
        }

    async def cost(self, work: Any, count: int) -> str:
        """Microseconds and bytes of one of *count* calls that *work* makes."""
        before = await self.look()
        await work
        after = await self.look()
        # INFO's own answers are some KB.
        return f"{(after['us'] - before['us']) / count:,.0f} µs, {(after['bytes'] - before['bytes']) / count:,.0f} B"


class Worker:
    def __init__(self, url: str, number: int) -> None:
        self.queue: Queue = queue_from_settings(Settings({"REDIS_URL": url, "REDIS_PARAMS": PATIENT}), "bench")
        self.name = f"host-{number}-abcdef"
        self.reported = 0
        self.tokens: list[bytes] = []

    async def join(self) -> None:
        self.run, _ = await self.queue.join(self.name, "", persist=False, flush=False)
        self.stats = RunStats(self.queue, self.run, self.name)

    async def exchange(self, *pages: Any, wanted: int = 0, **options: Any) -> None:
        ops = [*pages, *(("done", token, "") for token in self.tokens)]
        reply = await self.queue.exchange(
            self.run, self.name, ops=ops, wanted=wanted, per_host=8, sequence=self.reported, **options
        )
        self.reported += reply.accepted
        self.tokens = [token for token, _, _ in reply.leases]


async def fill(worker: Worker, first: int, count: int) -> int:
    for at in range(first, first + count, BATCH):
        worker.tokens = []
        await worker.exchange(*map(gallery, range(at, min(at + BATCH, first + count))))
    return first + count


async def by_workers(url: str, most: int) -> None:
    print(
        "| workers | exchange: 8 pages done, 8 leased | report of 20 counts | `scrapy queue` | display |\n"
        + "|---" * 5
        + "|"
    )
    workers: list[Worker] = []
    for count in (1, 10, 100, 300, 1000):
        if count > most:
            break
        workers += [Worker(url, number) for number in range(len(workers), count)]
        for worker in workers:
            await worker.join()
        meter = Meter(workers[0].queue.client)
        await fill(workers[0], 10_000_000 + count * 100_000, 20 * count * ROUNDS)

        async def each(call: Any, workers: list[Worker] = workers) -> None:
            for _ in range(ROUNDS):
                for worker in workers:
                    await call(worker)

        async def show(queue: Queue) -> None:
            await inspect.counts(queue)
            await inspect.workers(queue)

        times = ROUNDS * count
        cells = [
            await meter.cost(each(lambda worker: worker.exchange(wanted=8)), times),
            await meter.cost(each(lambda w: w.stats.report({n: random.randrange(10**6) for n in STATS})), times),
            await meter.cost(show(workers[0].queue), 1),
            await meter.cost(run_stats(workers[0].queue, workers[0].run), 1),
        ]
        print(f"| {count:,} | " + " | ".join(cells) + " |", flush=True)
    await together(workers)
    for worker in workers:
        await worker.queue.client.aclose()


async def together(workers: list[Worker], seconds: float = 10.0) -> None:
    """All at once, as busy as workers of so many are: an exchange a batch window, news, a report an interval."""
    await fill(workers[0], 50_000_000, 40 * len(workers))
    window = max(1.0, len(workers) / 20) * 0.02
    loop = asyncio.get_running_loop()
    end = 0.0
    counted = 0

    async def exchanges(worker: Worker) -> None:
        nonlocal counted
        await asyncio.sleep(random.uniform(0, window))
        while loop.time() < end:
            new = [gallery(random.randrange(1 << 40)) for _ in range(4)]
            await worker.exchange(*new, wanted=4, flags="h" if random.random() < window / 5 else "", held=worker.tokens)
            counted += 1
            await asyncio.sleep(window)

    async def news(worker: Worker) -> None:
        while loop.time() < end:
            await worker.queue.wait(worker.name, 5)

    async def reports(worker: Worker) -> None:
        await asyncio.sleep(random.uniform(0, worker.stats.interval))
        while loop.time() < end:
            await worker.stats.report({name: random.randrange(10**6) for name in STATS})
            await asyncio.sleep(worker.stats.interval * random.uniform(0.8, 1.2))

    meter = Meter(workers[0].queue.client)
    before = await meter.look()
    for worker in workers[:200]:
        await worker.exchange(*map(gallery, random.sample(range(1 << 40), 4)), wanted=4)
    each = ((await meter.look())["us"] - before["us"]) / len(workers[:200])
    end = loop.time() + seconds
    before, began = await meter.look(), loop.time()
    await asyncio.gather(*(part(worker) for worker in workers for part in (exchanges, news, reports)))
    after, took = await meter.look(), loop.time() - began
    core = (after["cpu"] - before["cpu"]) / took
    # One process that plays all workers is slower than they would be: the exchanges that are missing are added.
    missing = max(0.0, len(workers) / window - counted / took)
    print(
        f"\n{len(workers):,} workers together: {counted / took:,.0f} exchanges/s with news and reports: {core:.1%}"
        f" of a core of Redis; with {missing:,.0f} more of {each:,.0f} µs each: {core + missing * each / 1e6:.0%}"
    )


async def by_pages(url: str, most: int) -> None:
    print("\n| pages queued | exchange: 8 pages done, 8 leased | `scrapy queue` | bytes a page |\n" + "|---" * 4 + "|")
    worker = Worker(url, 0)
    await worker.queue.client.flushall()
    await worker.join()
    meter = Meter(worker.queue.client)
    empty = (await worker.queue.client.info("memory"))["used_memory"]
    pages, target = 0, 1_000
    while target <= most:
        pages = await fill(worker, pages, target - pages)
        size = ((await worker.queue.client.info("memory"))["used_memory"] - empty) / pages

        async def lease() -> None:
            for _ in range(50):
                await worker.exchange(wanted=8)

        async def show() -> None:
            await inspect.counts(worker.queue)
            await inspect.workers(worker.queue)

        print(
            f"| {pages:,} | {await meter.cost(lease(), 50)} | {await meter.cost(show(), 1)} | {size:,.0f} |", flush=True
        )
        target *= 10
    await worker.queue.client.aclose()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=1_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as port:
        url = f"redis://127.0.0.1:{port}/0"
        await by_workers(url, options.workers)
        await by_pages(url, options.pages)


if __name__ == "__main__":
    asyncio.run(main())
