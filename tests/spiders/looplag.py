"""Measures in the crawl's own process how late its event loop is."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import Self

from scrapy import signals
from scrapy.crawler import Crawler

INTERVAL = 0.005


class LoopLag:
    """Asks to be woken every 5 ms and notes how much later it was; logs the 99th percentile at the end.

    Besides it notes the CPU time of the loop's own steps, which is not for others on the machine to change.
    """

    def __init__(self) -> None:
        self.lags: list[float] = []
        self.longest = 0.0

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        lag = cls()
        crawler.signals.connect(lag.start, signals.spider_opened)
        crawler.signals.connect(lag.stop, signals.spider_closed)
        return lag

    def start(self) -> None:
        run = asyncio.Handle._run  # type: ignore[attr-defined] # what a step of the loop is

        def timed(handle: asyncio.Handle) -> None:
            before = time.thread_time()
            run(handle)
            self.longest = max(self.longest, time.thread_time() - before)

        asyncio.get_running_loop().call_soon(setattr, asyncio.Handle, "_run", timed)
        self.task = asyncio.ensure_future(self.measure())

    async def measure(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(INTERVAL)
            self.lags.append(time.perf_counter() - before - INTERVAL)

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task
        lags = sorted(self.lags)
        p99 = lags[int(len(lags) * 0.99)] * 1000
        logging.getLogger(__name__).info(
            "event loop lag p99: %.1f ms, most %.1f ms, %d samples; longest step %.1f ms of CPU",
            p99,
            lags[-1] * 1000,
            len(lags),
            self.longest * 1000,
        )
