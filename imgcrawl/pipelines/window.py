"""Many addresses of one item, some at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, TypeVarTuple

from scrapy import Request

from imgcrawl.cancelling import cancel_all
from imgcrawl.exceptions import GalleryUnfinished
from imgcrawl.items import Image
from imgcrawl.longwork import WorkGivenUp, in_thread, while_wanted
from imgcrawl.pipelines.futures import turn

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")

# Addresses of one item that are worked on at once: pages with a hundred thousand exist. Items that have more are given
# up when the crawl is stopped.
WINDOW = 256
_AT_ONCE = 4  # requests that are made without a turn for others: a millisecond or two
_STOP_CHECK = 0.5  # seconds: Scrapy sends no signal when a stop begins


async def for_many(threads: Executor, images: int, function: Callable[[*_Args], _T], *args: *_Args) -> _T:
    """What *function* makes of an item of so many *images*: in one of *threads* where the event loop would be late."""
    return await in_thread(threads, partial(function, *args)) if images > WINDOW else function(*args)


async def unless_stopped(threads: Executor, function: Callable[[], _T], is_stopping: Callable[[], bool]) -> _T:
    """What *function* makes of an item of many images, in one of *threads*. Raises `GalleryUnfinished` if the crawl is
    stopped before it is done: with 300,000 images that takes seconds."""
    try:
        return await while_wanted(threads, function, is_stopping)
    except WorkGivenUp:
        raise GalleryUnfinished("stopped before images of it were asked for", log_level="DEBUG") from None


async def outcomes(
    requests: Iterable[Request], outcome: Callable[[Request], Awaitable[Image]], is_stopping: Callable[[], bool]
) -> list[Image]:
    """The *outcome* of each of *requests*, in their order.

    Raises `GalleryUnfinished` if the crawl is stopped before all have begun; what is under way is cancelled then.
    """
    images: list[Any] = []
    underway: set[asyncio.Task[None]] = set()
    room = asyncio.Event()

    async def add(index: int, request: Request) -> None:
        images[index] = await outcome(request)

    def ended(task: asyncio.Task[None]) -> None:
        underway.discard(task)
        room.set()

    for index, request in enumerate(requests):
        if index % _AT_ONCE == _AT_ONCE - 1:
            await turn()
        while len(underway) >= WINDOW and not is_stopping():
            room.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_CHECK):
                    await room.wait()
        if index >= WINDOW and is_stopping():
            told = f"stopped after {index - len(underway):,} images of it"
            await cancel_all(*underway)
            had = [image for image in images if image]
            raise GalleryUnfinished(told, had, log_level="DEBUG")  # Scrapy would tell all of the item
        images.append(None)
        task = asyncio.create_task(add(index, request))
        underway.add(task)
        task.add_done_callback(ended)
    await asyncio.gather(*underway)
    return images
