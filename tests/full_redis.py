"""A Redis of 12 MB that is full, and a list of 400,000 rows: start() waits, pages are done, each row is done once.

`python -m tests.full_redis [--rows 400000] [--megabytes 12]` prints what came of it, and ends with 1 if a row was not
done once. Half the rows are done by a worker that seeds and is then gone without a word, the others by the next one;
what was in hand goes back. A page is done as it is leased, without being fetched: it takes minutes, not hours.
"""

# ruff: noqa: T201 -- it is a script

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from scrapy import Request
from scrapy.settings import Settings
from scrapy.statscollectors import StatsCollector
from scrapy.utils.test import get_crawler

from imgcrawl.frontier.leases import Leases, Page
from imgcrawl.frontier.membership import join, start
from imgcrawl.frontier.queues import queues_from_settings
from imgcrawl.frontier.run import RunOptions, RunState, SharedRun
from imgcrawl.frontier.seeding import Seeding
from tests.support.redis_server import RedisServer

HOST = "www.pximg.example"
LEASE = 10  # seconds


class Worker:
    """A worker that does each page at once. *done* counts the rows, of all workers."""

    def __init__(self, url: str, rows: int, done: Counter[int]) -> None:
        self.url, self.rows, self.done = url, rows, done
        settings = Settings({"REDIS_URL": url, "FRONTIER_LEASE_TIMEOUT": LEASE})
        self.queues = queues_from_settings(settings, "rows")
        self.leases = Leases(512, 1000)
        self.leases._may_start = 1000  # a slow start is for sites
        self.run = SharedRun(
            self.queues, self.leases, RunOptions(), StatsCollector(get_crawler()),
            accept=self.accept, wake_engine=self.work, is_stopping=lambda: False,
        )  # fmt: skip
        self.seeding = Seeding(self.run, lambda request: None, print)
        self.is_full = False  # nothing is done before

    def accept(self, shard: int, token: bytes, priority: bytes, value: bytes, quarantined: bool) -> None:
        row = int(json.loads(value)["url"].rpartition("/")[2])
        self.leases.add(
            Request(f"http://{HOST}/{row}", meta={"row": row}), Page(token, HOST, b"%d" % row, shard), quarantined=False
        )

    def work(self) -> None:
        asyncio.get_running_loop().call_soon(self._work)

    def _work(self) -> None:
        while self.is_full and (request := self.leases.start_next()):
            self.done[request.meta["row"]] += 1
            page = self.leases.finish(request)
            assert page is not None
            self.run.end_page(page, "done")
        self.run.look_for_more()

    async def start(self) -> AsyncIterator[Request]:
        for row in range(self.rows):
            yield Request(f"http://{HOST}/{row}")
            if row % 100 == 0:
                await asyncio.sleep(0)

    async def again(self) -> Any:
        return self.start()

    async def crawl(self, until: int) -> None:
        """Seed and work until that many rows are done, or all of the run."""
        await join(self.run, self.url, "rows")
        start(self.run, partial(asyncio.sleep, 3600))
        seeding = asyncio.create_task(self.seed())
        while self.run.state is RunState.RUNNING and len(self.done) < until:
            self.run.nothing_outside = True
            self.is_full = self.is_full or not self.run.home.reply.has_room or self.run.home.reply.seeded
            self.work()
            self.run.wake()
            await asyncio.sleep(0.05)
        seeding.cancel()

    async def seed(self) -> None:
        async for request in self.seeding.seed(self.start(), self.again):
            body = {"url": request.url, "callback": "parse_page", "headers": {"Referer": [f"https://{HOST}/list"]}}
            fingerprint = blake2b(request.url.encode(), digest_size=12).digest()
            self.run.enqueue("c", fingerprint, request, json.dumps(body).encode())

    async def vanish(self) -> None:
        for shard in self.run.shards:
            await shard.session.stop(0.1)
        await self.queues.client.aclose()


async def main(rows: int, most: int, folder: Path) -> bool:
    options = ["--maxmemory", str(most), "--maxmemory-policy", "noeviction", "--appendonly", "no"]
    done: Counter[int] = Counter()
    with RedisServer(folder, *options) as server, server.client() as client:
        seen = {"highest": 0, "queued": 0, "waits": 0}

        async def watch() -> None:
            while True:
                run = client.hgetall("{rows:requests}:run")
                used = client.info("memory")["used_memory"]
                seen["highest"] = max(seen["highest"], used)
                seen["queued"] = max(seen["queued"], int(run.get(b"queued") or 0))
                seen["waits"] += used >= 0.8 * most
                await asyncio.sleep(0.1)

        watching = asyncio.create_task(watch())
        began = time.monotonic()
        first = Worker(server.url, rows, done)
        await first.crawl(rows // 2)
        await first.vanish()
        had = len(done)
        second = Worker(server.url, rows, done)
        await second.crawl(rows + 1)
        ended = second.run.state
        counts = {
            name: int(value)
            for name, value in client.hgetall("{rows:requests}:run").items()
            if name in (b"done", b"queued", b"leased")
        }
        await second.vanish()
        watching.cancel()
        twice = sum(count > 1 for count in done.values())
        print(
            f"{rows:,} rows in {time.monotonic() - began:,.0f} s, {had:,} by the first worker; {len(done):,} done,"
            f" {twice:,} of them twice; run {ended.name}, {counts}; at most {seen['queued']:,} queued and"
            f" {seen['highest'] / 1e6:.2f} of {most / 1e6:.2f} MB, {seen['waits'] / 10:.0f} s above 80 %"
        )
    return len(done) == rows and twice <= 2 * 512 and ended is RunState.DONE


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--megabytes", type=int, default=12)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        sys.exit(not asyncio.run(main(given.rows, given.megabytes * 1024 * 1024, Path(name))))
