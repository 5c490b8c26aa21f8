"""Where a body is examined: in the threads of the crawl, or in a process that can be ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from imgcrawl.images.process import DecoderProcess
from imgcrawl.images.room import CostlyError, set_pixel_limit
from imgcrawl.pipelines.examiners import IN_THREADS, Examiner, ImageExaminer, ProcessExaminer, VideoExaminer
from imgcrawl.pipelines.settings import PipelineSettings

_T = TypeVar("_T")


class Places:
    """*threads*; and, for what these have no room for, a process of its own, with a thread that waits for it: so what
    takes long there takes nothing from what does not."""

    def __init__(self, config: PipelineSettings, threads: ThreadPoolExecutor, *, videos: bool = False) -> None:
        set_pixel_limit(config.max_pixels, IN_THREADS)
        examiner: Examiner = VideoExaminer() if videos else ImageExaminer(config)
        self._process = DecoderProcess(config.max_pixels, config.memory)
        self._waiting = ThreadPoolExecutor(1, "costly")
        self._threads = threads, examiner
        self._alone = self._waiting, ProcessExaminer(config, self._process, videos=videos)

    async def in_first_with_room(self, work: Callable[[ThreadPoolExecutor, Examiner], Awaitable[_T]]) -> _T:
        """The result of *work*, which takes a place and may raise `CostlyError` in the first one."""
        with suppress(CostlyError):
            return await work(*self._threads)
        return await work(*self._alone)

    def close(self) -> None:
        self._process.close()
        self._waiting.shutdown()
