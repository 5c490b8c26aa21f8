"""Pages through imgcrawl's queue: pushed, leased and acknowledged in batches.

REDIS_URL PAGES -> pages a second, bytes a page
"""

from __future__ import annotations

import asyncio
import sys
import time

import scrapy
from scrapy.settings import Settings
from scrapy.utils.request import RequestFingerprinter

from imgcrawl.frontier import codec
from imgcrawl.frontier.decode import decode
from imgcrawl.frontier.queue import FINGERPRINT, queue_from_settings

# What the scheduler has together when it reports (25 links of a few pages), and what it leases at a time.
BATCH = 100
LEASED = 64


class BenchSpider(scrapy.Spider):
    name = "bench"

    def parse_gallery(self, response):
        pass

    def gallery_failed(self, failure):
        pass

    def gallery(self, number):
        """The request of a gallery, as the spider `pximg` queues it."""
        host = f"https://host{number % 7}.example.org"
        page = f"{host}/topic/nvshen/page/{number // 25}"
        return scrapy.Request(
            f"{host}/gallery/{number}.html",
            callback=self.parse_gallery,
            errback=self.gallery_failed,
            headers={"Referer": page},
            meta={"depth": number // 25, "page_url": page},
            priority=1,
        )


async def main(url: str, pages: int) -> None:
    spider = BenchSpider()
    fingerprinter = RequestFingerprinter()
    store = queue_from_settings(Settings({"REDIS_URL": url}), "bench")
    await store.client.flushall()
    run, _ = await store.join("worker", "", persist=False, flush=True)
    await store.exchange(run, "worker")
    empty = (await store.client.info("memory"))["used_memory"]
    start = time.perf_counter()
    reported = 0
    for first in range(0, pages, BATCH):
        ops = []
        for number in range(first, min(first + BATCH, pages)):
            request = spider.gallery(number)
            fingerprint = fingerprinter.fingerprint(request)[:FINGERPRINT]
            bucket = codec.bucket_of(request)
            ops.append(("c", fingerprint, bucket, codec.encode(request, spider, 1 << 20)))
        reported += (await store.exchange(run, "worker", ops=ops, sequence=reported)).accepted
    pushed = time.perf_counter()
    full = (await store.client.info("memory"))["used_memory"]
    popping = time.perf_counter()
    done: list[tuple[bytes | str, ...]] = []
    leased = 0
    while True:
        reply = await store.exchange(run, "worker", wanted=LEASED, per_host=LEASED, ops=done, sequence=reported)
        reported += reply.accepted
        for _, priority, value in reply.leases:
            decode(value, spider, int(priority))
        done = [("done", token, "") for token, _, _ in reply.leases]
        leased += len(done)
        if not done:
            break
    end = time.perf_counter()
    assert leased == pages, (leased, pages)
    await store.client.aclose()
    print(pages / (pushed - start + end - popping), (full - empty) / pages)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
