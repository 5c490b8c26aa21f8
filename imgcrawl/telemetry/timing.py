"""The classes that take the time of what a page and its images pass through. Only where there are traces."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from time import time_ns
from typing import Any, Self, TypeVar

from itemadapter import ItemAdapter, is_item
from scrapy import Request, Spider
from scrapy.core.downloader import Slot
from scrapy.crawler import Crawler
from scrapy.http import Response

from imgcrawl.downloader import Downloader
from imgcrawl.images.verify import Facts
from imgcrawl.items import Image
from imgcrawl.pipelines import ImagesPipeline, VideosPipeline
from imgcrawl.pipelines.examiners import Examiner
from imgcrawl.pipelines.places import Places
from imgcrawl.pipelines.receivers import Arrival
from imgcrawl.telemetry.traces import MOST_IMAGES, PageTiming, Timing, current, shown_url, traces_of

_T = TypeVar("_T")


class TimedDownloader(Downloader):
    """Takes the time of what asks before a request (robots.txt, budgets, hours), of its wait for its turn (limits), and
    of its download: of pages, and of images whose pipeline does."""

    async def _through_middlewares(self, request: Request) -> Response | Request:
        if request.meta.get("media"):
            return await super()._through_middlewares(request)
        traces = traces_of(self.crawler)
        page = traces.begin(request)
        token = current.set(page)  # None, too: a robots.txt is not of the image that waits for it
        try:
            result = await super()._through_middlewares(request)
        except BaseException as error:
            traces.failed(request, getattr(error, "reason", None) or error)
            raise
        finally:
            current.reset(token)
        if isinstance(result, Request):
            traces.failed(request, "asked again")
        elif page:
            page.attributes["http.response.status_code"] = result.status
        return result

    async def _enqueue_request(self, request: Request) -> Response:
        if (timing := current.get()) is None:
            return await super()._enqueue_request(request)
        asked = timing.parts[-1].end if timing.parts else timing.start
        timing.part("ask", asked, time_ns())
        waiting = timing.part("limits")
        try:
            return await super()._enqueue_request(request)
        finally:
            waiting.end = waiting.end or time_ns()

    async def _download_in_turn(self, slot: Slot, request: Request) -> Response:
        if (timing := current.get()) is None:
            return await super()._download_in_turn(slot, request)
        timing.parts[-1].end = time_ns()
        with timing.timed("download"):
            return await super()._download_in_turn(slot, request)


class TimingDownloaderMiddleware:
    """Takes the time of a page's download, waits included, where the downloader is not ours."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    def process_request(self, request: Request) -> None:
        if not request.meta.get("media") and (page := traces_of(self.crawler).begin(request)):
            page.part("download")

    def process_response(self, request: Request, response: Response) -> Response:
        response.request = response.request or request
        if page := traces_of(self.crawler).of_response(response):
            page.parts[-1].end = time_ns()
            page.attributes["http.response.status_code"] = response.status
        return response

    def process_exception(self, request: Request, exception: Exception) -> None:
        traces_of(self.crawler).failed(request, exception)


class TimingSpiderMiddleware:
    """Takes the time of a page's callback, and knows which items are of which page."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    def process_spider_input(self, response: Response) -> None:
        if page := traces_of(self.crawler).of_response(response):
            page.part("parse")

    async def process_spider_output(self, response: Response, result: AsyncIterator[Any]) -> AsyncIterator[Any]:
        traces = traces_of(self.crawler)
        page = traces.of_response(response)
        if page is None:
            async for each in result:
                yield each
            return
        parse = next((part for part in reversed(page.parts) if part.name == "parse"), page)
        try:
            async for each in result:
                if is_item(each):
                    traces.item_begins(page, each)
                yield each
        finally:
            parse.end = time_ns()
            page.parsed = True
            traces.end_if_done(response, page)

    def process_spider_exception(self, response: Response, exception: Exception) -> None:
        if response.request:
            traces_of(self.crawler).failed(response.request, exception)


class _Timed(ImagesPipeline):
    """Takes the time of an item's images, and of what is done for each."""

    def __init__(self, store_uri: str | os.PathLike[str], *, crawler: Crawler) -> None:
        super().__init__(store_uri, crawler=crawler)
        self.places = _TimedPlaces(self.places)

    async def process_item(self, item: Any, spider: Spider | None = None) -> Any:
        page: PageTiming | None = traces_of(self.crawler).of_item(item)
        if page is None:
            return await super().process_item(item, spider)
        with page.timed("images") as images:
            token = current.set(images)
            try:
                done = await super().process_item(item, spider)
            finally:
                current.reset(token)
            images.attributes["imgcrawl.images"] = len(ItemAdapter(done).get(self.images_result_field) or ())
            return done

    async def _outcome(self, request: Request, item: Any) -> Image:
        images = current.get()
        if images is None or len(images.parts) >= MOST_IMAGES:
            current.set(None)  # in the task of this image
            return await super()._outcome(request, item)
        with images.timed("image") as image:
            token = current.set(image)
            try:
                outcome = await super()._outcome(request, item)
            finally:
                current.reset(token)
            image.attributes = {"url.full": shown_url(request.url), "imgcrawl.status": str(outcome["status"])}
            image.attributes |= {f"imgcrawl.{name}": outcome[name] for name in ("reason", "bytes") if name in outcome}
            return outcome


class TimedImagesPipeline(_Timed):
    """`ImagesPipeline`, with the times of what it does."""


class TimedVideosPipeline(_Timed, VideosPipeline):
    """`VideosPipeline`, with the times of what it does."""


class _TimedPlaces(Places):
    """*places*, of which the work is timed: what is verified, and what is stored then."""

    def __init__(self, places: Places) -> None:
        self._places = places

    async def in_first_with_room(
        self, request: Request, work: Callable[[ThreadPoolExecutor, Examiner], Coroutine[Any, Any, _T]]
    ) -> _T:
        if (image := current.get()) is None:
            return await self._places.in_first_with_room(request, work)
        timed = image

        def verified(threads: ThreadPoolExecutor, examiner: Examiner) -> Coroutine[Any, Any, _T]:
            return work(threads, _TimedExaminer(examiner, timed))

        done = await self._places.in_first_with_room(request, verified)
        if timed.parts and timed.parts[-1].name == "verify":
            timed.part("store", timed.parts[-1].end, time_ns())
        return done

    def close(self) -> None:
        self._places.close()


class _TimedExaminer:
    """*examiner*, of which the time is a part of *timing*."""

    def __init__(self, examiner: Examiner, timing: Timing) -> None:
        self._timing = timing
        self._examiner = examiner
        self.thumbnails = examiner.thumbnails
        self.look = examiner.look

    def facts(self, arrival: Arrival) -> Facts:
        with self._timing.timed("verify"):
            return self._examiner.facts(arrival)
