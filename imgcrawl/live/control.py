"""What a person asks of a crawl that runs: all its workers do it within about two seconds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from imgcrawl.exceptions import InputError
from imgcrawl.live.entries import look_at, newest_crawl
from imgcrawl.live.folder import LiveFolder
from imgcrawl.live.shared import reached
from imgcrawl.shared.address import redis_url

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

MOST = 1000.0  # times that a delay may be taken
REQUEUE = 60.0  # seconds that it may take to put pages back: a thousand and more, in all shards


async def ask(
    settings: BaseSettings,
    spider: str,
    *,
    paused: bool | None = None,
    delay_factor: float | None = None,
    stop: bool = False,
) -> None:
    """Have all workers of the crawl of *spider* do what is given, and nothing else.

    *paused*: nothing new is asked for, leases are kept, until it is asked with False. *delay_factor*: the delay of each
    host is taken so many times (1 to 1000). *stop*: as the first Ctrl-C does. What is asked is for the crawl that
    runs now, workers that join it included. Raises `InputError` for a factor that makes no sense, and if no crawl of
    *spider* runs.
    """
    if delay_factor is not None and not 1 <= delay_factor <= MOST:
        raise InputError(f"a delay factor of {delay_factor}: expected a number from 1 to {MOST:g}")
    changes: dict[str, Any] = {}
    if paused is not None:
        changes["paused"] = paused
    if delay_factor is not None:
        changes["delay_factor"] = float(delay_factor)
    if stop:  # what is under way is done first: a pause would keep it waiting
        changes |= {"stop": True, "paused": False}
    # Those that share a Redis are asked there: so one place says what holds, whichever machine it was said on.
    shared = await _ask_redis(settings, spider, changes)
    asked = await asyncio.to_thread(_ask_files, settings, spider, {} if shared else changes)
    if not shared and not asked:
        raise InputError(f"no crawl of {spider} runs here: expected one that does")


def _ask_files(settings: BaseSettings, spider: str, changes: dict[str, Any]) -> bool:
    """Ask by files; without *changes* take back what was asked so of the workers that were asked in Redis."""
    try:
        entries = LiveFolder.from_settings(settings).entries(spider)
    except InputError:
        if changes:
            raise
        return False
    crawl = newest_crawl([each for each in map(look_at, entries) if each[2]])
    try:
        for entry, said, _ in crawl:
            if changes:
                entry.ask(entry.asked() | changes)
            elif said["run"]:
                entry.control.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"the crawl of {spider} cannot be asked: {error}") from None
    return bool(crawl)


async def _ask_redis(settings: BaseSettings, spider: str, changes: dict[str, Any]) -> bool:
    url = redis_url(settings) or await asyncio.to_thread(own_server, settings, spider)  # which joins later hears, too
    if not url:
        return False
    # Nothing of Redis is loaded without REDIS_URL.
    from imgcrawl.frontier import inspect  # noqa: PLC0415 -- see above
    from imgcrawl.live.board import Board  # noqa: PLC0415 -- see above

    async with reached(settings, spider, url) as queue:
        counts = await inspect.counts(queue)
        if not counts["id"] or counts["state"] == "done" or not counts["workers"]:
            return False
        await Board(queue).ask(counts["id"], changes)
    return True


async def requeue(settings: BaseSettings, spider: str) -> int:
    """Put the pages that were given up back into the queue of *spider*, as `scrapy queue --requeue`; how many."""
    url = redis_url(settings) or await asyncio.to_thread(own_server, settings, spider)
    if not url:
        raise InputError(f"no queue of {spider} is known here: pages are given up only where workers share a queue")
    from imgcrawl.frontier.queues import queues_as_they_are  # noqa: PLC0415 -- nothing of Redis is loaded without it

    async with reached(settings, spider, url, REQUEUE) as queue:
        return await (await queues_as_they_are(queue)).requeue()


def own_server(settings: BaseSettings, spider: str) -> str:
    """The address of the Redis that a crawl of *spider* with --workers has for itself, if one runs; else ""."""
    try:
        folder = LiveFolder.from_settings(settings)
    except InputError:  # then nobody has left a word there
        return ""
    for entry in folder.entries(spider):
        said = entry.read()
        if said["redis"].startswith("unix:") and entry.is_alive():
            return str(said["redis"])
    return ""
