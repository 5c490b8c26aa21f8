"""What a shard of the queue costs its Redis when 1,000 workers share 1 or 4 of them.

`python -m benchmarks.costs_of_shards [--workers 1000] [--seconds 8] [--pages 4 16]` prints a table in Markdown. Each
shard has a server of its own, as on a cluster whose nodes have one each. Workers are simulated by their clients: with
each shard a worker has a connection for its reports, and one that is blocked until there is news.

All workers together make EXCHANGES_A_SECOND exchanges, with one shard after another (`frontier.shard`: the more there
are, the more is said at a time). One process that plays them all is slower: a server's CPU is divided by the exchanges
that it had, and the core that it would need is computed.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from scrapy.settings import Settings

from benchmarks.costs_of_queue import PATIENT, gallery
from benchmarks.redis_server import redis_server
from imgcrawl.frontier.queue import queue_from_settings
from imgcrawl.frontier.queues import Queues
from imgcrawl.frontier.shard import EXCHANGES_A_SECOND
from imgcrawl.limits.backend import HostLimits, LimitRequest
from imgcrawl.limits.redis import RedisLimits

HOSTS_ASKED = 8  # by a worker, in one exchange of its limits


class Worker:
    def __init__(self, urls: list[str], number: int) -> None:
        shards = [
            queue_from_settings(
                Settings({"REDIS_URL": url, "REDIS_PARAMS": PATIENT, "SCHEDULER_QUEUE_KEY": f"bench:{shard}"}), "bench"
            )
            for shard, url in enumerate(urls)
        ]
        self.queues = Queues(shards)
        self.limits = [RedisLimits(queue, url, f"host-{number}") for queue, url in zip(shards, urls, strict=True)]
        self.number = number
        self.name = f"host-{number}-abcdef"
        self.reported = [0] * len(urls)
        self.tokens: list[list[bytes]] = [[] for _ in urls]

    async def join(self) -> None:
        self.run, _ = await self.queues.join(self.name, "", persist=False, flush=False, arguments={})

    async def exchange(self, shard: int, pages: int, wanted: int) -> None:
        new = [gallery(random.randrange(1 << 40)) for _ in range(pages)]
        ops = [*new, *(("done", token, "") for token in self.tokens[shard])]
        reply = await self.queues[shard].exchange(
            self.run, self.name, ops=ops, wanted=wanted, per_host=8, sequence=self.reported[shard],
            flags="x" if shard else "w", held=self.tokens[shard],
        )  # fmt: skip
        self.reported[shard] += reply.accepted
        self.tokens[shard] = [token for token, _, _ in reply.leases]

    async def ask_limits(self, shard: int) -> None:
        limits = HostLimits(concurrency=8)
        hosts = [f"www.site{self.number * HOSTS_ASKED + n}.com" for n in range(HOSTS_ASKED)]
        await self.limits[shard].exchange([LimitRequest(host, limits, want=2, answers=2) for host in hosts])

    async def close(self) -> None:
        for queue in self.queues:
            await queue.client.aclose()


async def cpu(worker: Worker) -> list[float]:
    """Seconds of CPU that each server has used."""
    infos: list[Any] = [await queue.client.info("cpu") for queue in worker.queues]
    return [info["used_cpu_user"] + info["used_cpu_sys"] for info in infos]


async def measured(workers: list[Worker], pages: int, seconds: float) -> float:
    """Microseconds of a server's CPU for an exchange of so many pages new, done and leased; of the busiest server."""
    shards = len(workers[0].queues)
    for worker in workers:
        for shard in range(shards):
            await worker.exchange(shard, 3 * pages, 0)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    counts = [0] * shards

    async def exchanges(worker: Worker) -> None:
        await asyncio.sleep(random.uniform(0, 1))
        while loop.time() < begun + seconds:
            for shard in random.sample(range(shards), shards):
                await worker.exchange(shard, pages, pages)
                counts[shard] += 1
                await asyncio.sleep(len(workers) / EXCHANGES_A_SECOND)

    async def news(worker: Worker, shard: int) -> None:
        while loop.time() < begun + seconds:
            await worker.queues[shard].wait(worker.name, 5)

    waiting = [asyncio.create_task(news(worker, shard)) for worker in workers for shard in range(shards)]
    before, begun = await cpu(workers[0]), loop.time()
    await asyncio.gather(*map(exchanges, workers))
    used = await cpu(workers[0])
    await asyncio.gather(*waiting)
    return max((after - b) / count for after, b, count in zip(used, before, counts, strict=True)) * 1e6


async def by_limits(workers: list[Worker]) -> float:
    """Microseconds of a server's CPU for an exchange of the limits about eight hosts."""
    for worker in workers:
        await worker.ask_limits(0)
    before = await cpu(workers[0])
    for worker in workers:
        await worker.ask_limits(0)
    return ((await cpu(workers[0]))[0] - before[0]) / len(workers) * 1e6


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--pages", type=int, nargs="+", default=[4, 16], help="new, done and leased in an exchange")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(
        "| shards | pages/s of all workers | CPU of an exchange | of a core, each server | pages/s a core does"
        " | all shards together |\n" + "|---" * 6 + "|"
    )
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        fleets = []
        for shards in (1, 4):
            places = [Path(folder) / f"{shards}-{number}" for number in range(shards)]
            urls = [f"redis://127.0.0.1:{stack.enter_context(redis_server(place))}/0" for place in places]
            fleets.append([Worker(urls, number) for number in range(options.workers)])
            for worker in fleets[-1]:
                await worker.join()
        for pages in options.pages:
            # In turns, as other work on the machine makes both slower; the better of two rounds.
            rounds = [[await measured(workers, pages, options.seconds) for workers in fleets] for _ in range(2)]
            for workers, each in zip(fleets, map(min, zip(*rounds, strict=True)), strict=True):
                print(row(len(workers[0].queues), pages, each), flush=True)
        limits = min([await by_limits(fleets[0]) for _ in range(3)])
        print(f"\nAn exchange of the limits about {HOSTS_ASKED} hosts: {limits:,.0f} µs")
        for worker in (worker for workers in fleets for worker in workers):
            await worker.close()


def row(shards: int, pages: int, each: float) -> str:
    core = each * EXCHANGES_A_SECOND / shards / 1e6
    carried = 1e6 / each * pages
    cells = [str(shards), f"{EXCHANGES_A_SECOND * pages:,}", f"{each:,.0f} µs", f"{core:.0%}", f"{carried:,.0f}"]
    return "| " + " | ".join([*cells, f"{carried * shards:,.0f}"]) + " |"


if __name__ == "__main__":
    asyncio.run(main())
