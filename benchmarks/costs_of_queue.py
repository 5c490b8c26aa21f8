"""What the shared queue costs its Redis, as a function of the number of workers and of pages.

`python -m benchmarks.costs_of_queue [--pages 1000000] [--workers 1000]` prints two tables in Markdown: by pages, ten of
a host (or --of-a-host 1), and, with all these still queued, by workers. Workers are simulated by their clients: each
has a connection for its reports, and one that is blocked until there is news. Ten million pages take a quarter of an
hour and 1 GB.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

from scrapy.settings import Settings

from benchmarks.redis_server import redis_server
from imgcrawl.frontier import inspect
from imgcrawl.frontier.counted import Counted
from imgcrawl.frontier.leases import Leases
from imgcrawl.frontier.queue import Queue, queue_from_settings
from imgcrawl.frontier.shard import BATCH_WINDOW, EXCHANGES_A_SECOND
from imgcrawl.frontier.verdict import RunStats, run_stats
from imgcrawl.limits.backend import HostLimits, LimitRequest
from imgcrawl.limits.exchange import REPORT_INTERVAL, REPORTS_A_SECOND
from imgcrawl.limits.redis import RedisLimits
from imgcrawl.live.board import Board
from imgcrawl.live.shared import of_queue

HOSTS_OF = 10  # pages of a host
BATCH = 500
ROUNDS = 5
PAGES_A_SECOND = 4  # of a busy worker: 80 images, with 20 on a page
PATIENT = {"socket_connect_timeout": 60, "socket_timeout": 60}  # one process plays all workers
CALLS = (
    "exchange: 8 pages done, 8 leased | limits | report of 20 counts | `scrapy queue` | display | a word of a worker"
    " | `scrapy status`"
)
ROW = {"state": "running", "rate": 12.3, "images": 123_456, "bytes": 1 << 40, "memory": 1 << 28, "curve": [12.3] * 60}
HOST = {"active": 8, "limit": 8, "delay": 0.0512, "reason": "autothrottle", "until": None, "waiting": 12, "rate": 7.25}
STATS = {f"image/failed/http_{code}": code for code in range(400, 420)}


def gallery(number: int, of_a_host: int = HOSTS_OF) -> tuple[str, bytes, str, bytes]:
    """A gallery's page as `pximg` queues it."""
    host = f"www.site{number // of_a_host}.com"
    page = f"https://{host}/topic/nvshen/page/{number % of_a_host}"
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
    of_a_host = HOSTS_OF

    def __init__(self, url: str, number: int) -> None:
        self.queue: Queue = queue_from_settings(Settings({"REDIS_URL": url, "REDIS_PARAMS": PATIENT}), "bench")
        self.name = f"host-{number}-abcdef"
        self.reported = 0
        self.tokens: list[bytes] = []

    async def join(self) -> None:
        self.run, _ = await self.queue.join(self.name, "", persist=False, flush=False)
        self.stats = RunStats(self.queue, self.run, self.name)
        self.counted = Counted(Leases(1, 1))
        self.limits = RedisLimits(self.queue, "", self.name)

    async def say(self, workers: int) -> None:
        """What it says about once a second, as `imgcrawl.live.publisher` does, with one new image."""
        hosts = [HOST | {"host": f"www.site{number}.example"} for number in range(max(2, min(20, 600 // workers)))]
        row = ROW | {"name": self.name, "host": "host", "pid": 4242, "run": self.run, "hosts": hosts}
        image = {"url": "u" * 100, "page": "p" * 80, "path": "f" * 60, "title": "t" * 40, "at": time.time()}
        await Board(self.queue).publish(self.name, row, [image])

    async def limit(self) -> None:
        """What its limits say: answers of a host of its own, which other workers may ask, too."""
        host = f"host-{self.name}.example"
        limits = HostLimits(concurrency=8, target=4.0, first=0.5)
        request = LimitRequest(host, limits, keep=1, want=4, starts=4, answers=5, latency=0.05)
        await self.limits.exchange([request])

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
        numbers = range(at, min(at + BATCH, first + count))
        await worker.exchange(*(gallery(number, worker.of_a_host) for number in numbers))
    return first + count


async def costs(meter: Meter, workers: list[Worker], rounds: int) -> list[str]:
    """What each of CALLS costs, when each of *workers* makes it *rounds* times."""

    async def each(call: Any) -> None:
        for _ in range(rounds):
            for worker in workers:
                await call(worker)

    async def show(queue: Queue) -> None:
        await inspect.counts(queue)
        await inspect.workers(queue)

    times = rounds * len(workers)
    first = workers[0]
    return [
        await meter.cost(each(lambda worker: worker.exchange(wanted=8)), times),
        await meter.cost(each(Worker.limit), times),
        await meter.cost(each(report), times),
        await meter.cost(show(first.queue), 1),
        await meter.cost(run_stats(first.queue, first.run), 1),
        await meter.cost(each(lambda worker: worker.say(len(workers))), times),
        await status(meter, first),
    ]


async def status(meter: Meter, worker: Worker) -> str:
    """What `scrapy status` costs Redis, and whoever looks: milliseconds of CPU of one look."""
    seen = []

    async def look() -> None:
        for _ in range(ROUNDS):
            began = time.process_time()
            view = await of_queue(Settings({"LIVE_FOLDER": "/nonexistent"}), "bench", worker.queue)
            seen.append((time.process_time() - began, len(json.dumps(view))))

    cost = await meter.cost(look(), ROUNDS)
    return f"{cost}; {1000 * min(seen)[0]:,.1f} ms here, {max(seen)[1]:,} B shown"


async def report(worker: Worker) -> None:
    counts = Counter({name: random.randrange(10**6) for name in STATS})
    worker.counted.settled[0] = worker.counted.by_pages = counts
    await worker.stats.report(counts, worker.counted)


async def by_workers(url: str, most: int) -> None:
    print(f"\n| workers | {CALLS} |\n" + "|---" * 8 + "|")
    workers: list[Worker] = []
    for count in (1, 10, 100, 300, 1000):
        if count > most:
            break
        workers += [Worker(url, number) for number in range(len(workers), count)]
        for worker in workers:
            await worker.join()
        meter = Meter(workers[0].queue.client)
        await fill(workers[0], 10_000_000 + count * 100_000, 20 * count * ROUNDS)

        print(f"| {count:,} | " + " | ".join(await costs(meter, workers, ROUNDS)) + " |", flush=True)
    await together(workers)
    for worker in workers:
        await worker.queue.client.aclose()


async def together(workers: list[Worker], seconds: float = 10.0) -> None:
    """All at once, idle and then busy: exchanges of queue and limits, news, reports, each as often as so many do."""
    count = len(workers)
    await fill(workers[0], 50_000_000, 4 * PAGES_A_SECOND * count)
    window = max(BATCH_WINDOW, count / EXCHANGES_A_SECOND)
    limits = max(REPORT_INTERVAL, count / REPORTS_A_SECOND)
    pages = max(1, round(PAGES_A_SECOND * window))
    heartbeat = workers[0].queue.settings.heartbeat_interval

    async def exchange(worker: Worker) -> None:
        new = [gallery(random.randrange(1 << 40)) for _ in range(pages)]
        held = worker.tokens
        await worker.exchange(*new, wanted=pages, flags="h" if random.random() < window / heartbeat else "", held=held)

    busy = {exchange: window, Worker.limit: limits, report: workers[0].stats.interval}
    idle = {Worker.exchange: heartbeat * 0.9, Worker.limit: heartbeat, report: workers[0].stats.interval}
    for name, parts in (("idle", idle), ("busy", busy)):
        print(f"\n{count:,} {name} workers together, a second: {await cost_of(workers, parts, seconds)}")


async def cost_of(workers: list[Worker], parts: dict[Any, float], seconds: float) -> str:
    """What *parts*, calls and the seconds between two of them of a worker, cost Redis when all workers make them."""
    meter = Meter(workers[0].queue.client)
    loop = asyncio.get_running_loop()
    heartbeat = workers[0].queue.settings.heartbeat_interval
    count = len(workers)
    each = {}
    for call in parts:  # the server's time, the bytes on their way included
        before = await meter.look()
        for worker in workers[:200]:
            await call(worker)
        each[call] = ((await meter.look())["cpu"] - before["cpu"]) / len(workers[:200])
    made = dict.fromkeys(parts, 0)
    end = loop.time() + seconds

    async def repeat(worker: Worker, call: Any, interval: float) -> None:
        await asyncio.sleep(random.uniform(0, interval))
        while loop.time() < end:
            await call(worker)
            made[call] += 1
            await asyncio.sleep(interval * random.uniform(0.9, 1.1))

    async def news(worker: Worker) -> None:
        while loop.time() < end:
            await worker.queue.wait(worker.name, heartbeat)

    before, began = await meter.look(), loop.time()
    every = [repeat(worker, *part) for worker in workers for part in parts.items()]
    await asyncio.gather(*every, *map(news, workers))
    after, took = await meter.look(), loop.time() - began
    core = (after["cpu"] - before["cpu"]) / took
    # One process that plays all workers is slower than they would be: what is missing is added.
    missing = sum(max(0.0, count / interval - made[call] / took) * each[call] for call, interval in parts.items())
    costs = ", ".join(f"{count / interval:,.0f} of {1e6 * each[call]:,.0f} µs" for call, interval in parts.items())
    return (
        f"{costs} (exchange, limits, report); {sum(made.values()) / took:,.0f} of them made by one process, and waiting"
        f" for news, took {core:.1%} of a core of Redis; all: {core + missing:.0%}"
    )


async def by_pages(url: str, most: int) -> None:
    print(f"| pages queued | {CALLS} | bytes a page |\n" + "|---" * 9 + "|")
    worker = Worker(url, 0)
    await worker.join()
    meter = Meter(worker.queue.client)
    await costs(meter, [worker], 1)  # what the first calls bring along is no page's
    empty = (await worker.queue.client.info("memory"))["used_memory"]
    pages, target = 0, 1_000
    while target <= most:
        pages = await fill(worker, pages, target - pages)
        size = ((await worker.queue.client.info("memory"))["used_memory"] - empty) / pages
        print(f"| {pages:,} | " + " | ".join(await costs(meter, [worker], 50)) + f" | {size:,.0f} |", flush=True)
        target *= 10
    await worker.queue.client.aclose()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=1_000)
    parser.add_argument("--of-a-host", type=int, default=HOSTS_OF)
    options = parser.parse_args()
    Worker.of_a_host = options.of_a_host
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as port:
        url = f"redis://127.0.0.1:{port}/0"
        await by_pages(url, options.pages)
        await by_workers(url, options.workers)


if __name__ == "__main__":
    asyncio.run(main())
