"""Where a body is examined: in the threads of the crawl, or in a process that can be ended."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from scrapy import Request
from scrapy.crawler import Crawler

from imgcrawl.downloader import Downloader
from imgcrawl.images.process import DecoderProcess
from imgcrawl.images.room import IN_THREADS, CostlyError, set_pixel_limit
from imgcrawl.pipelines.examiners import Examiner, ImageExaminer, ProcessExaminer, VideoExaminer
from imgcrawl.pipelines.settings import PipelineSettings

_T = TypeVar("_T")


class Places:
    """*threads*; and, for what these have no room for, a process of its own, with a thread that waits for it: so what
    takes long there takes nothing from what does not."""

    def __init__(
        self, config: PipelineSettings, threads: ThreadPoolExecutor, crawler: Crawler, *, videos: bool = False
    ) -> None:
        set_pixel_limit(config.max_pixels, IN_THREADS)
        examiner: Examiner = VideoExaminer() if videos else ImageExaminer(config)
        self._process = DecoderProcess(config.max_pixels, config.memory)
        self._waiting = ThreadPoolExecutor(1, "costly")
        self._crawler = crawler
        self._threads = threads, examiner
        self._alone = self._waiting, ProcessExaminer(config, self._process, videos=videos)

    async def in_first_with_room(
        self, request: Request, work: Callable[[ThreadPoolExecutor, Examiner], Coroutine[Any, Any, _T]]
    ) -> _T:
        """The result of *work* on what *request* brought, which takes a place and may raise `CostlyError` in the first
        one. A crawl that is told to stop does not wait for the other: `RequestRefused`."""
        with suppress(CostlyError):
            return await work(*self._threads)
        downloader = self._crawler.engine.downloader
        if isinstance(downloader, Downloader):
            return await downloader.stop.in_time(request, work(*self._alone))
        return await work(*self._alone)

    def close(self) -> None:
        self._process.close()
        self._waiting.shutdown()
