"""How a crawl is, by what its workers say in the Redis that they share."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from scrapy.spiderloader import get_spider_loader

from imgcrawl.exceptions import InputError
from imgcrawl.extensions.counts import counts_of
from imgcrawl.live import border
from imgcrawl.live.folder import LiveFolder
from imgcrawl.live.view import ALIVE, nothing, shown, state_of, whole_state
from imgcrawl.shared.address import redis_url

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

    from imgcrawl.frontier.queue import Queue
    from imgcrawl.live.board import Said


async def of_redis(settings: BaseSettings, spider: str) -> dict[str, Any] | None:
    """What the workers say that share a Redis; None without one, or if no crawl of *spider* ever began there."""
    url = redis_url(settings)
    if not url:
        return None
    settings = settings_of(settings, spider, url)
    async with reached(settings, spider, url) as home:
        return await of_queue(settings, spider, home)


async def spiders_of_redis(settings: BaseSettings, names: Iterable[str]) -> set[str]:
    """Those of the spiders *names* that a crawl of is, or was, in the Redis of *settings*: by one connection."""
    url, names = redis_url(settings), sorted(names)
    if not url or not names:
        return set()
    from imgcrawl.frontier.queue import queue_from_settings  # noqa: PLC0415 -- see `reached`

    prefixes = [queue_from_settings(settings_of(settings, name, url), name).prefix for name in names]
    async with reached(settings, names[0], url) as home, home.client.pipeline(transaction=False) as pipe:
        for prefix in prefixes:
            pipe.exists(f"{prefix}run")
        found = await pipe.execute()
    return {name for name, exists in zip(names, found, strict=True) if exists}


@asynccontextmanager
async def reached(settings: BaseSettings, spider: str, url: str, seconds: float = 10) -> AsyncIterator[Queue]:
    """The queue of *spider* in the Redis at *url*, for so many *seconds*. Raises `InputError` if it does not answer."""
    # Nothing of Redis is loaded without REDIS_URL.
    from imgcrawl.frontier.queue import queue_from_settings  # noqa: PLC0415 -- see above
    from imgcrawl.shared.connection import OUTAGES, check_server, unreachable  # noqa: PLC0415 -- see above
    from imgcrawl.shared.session import one_line  # noqa: PLC0415 -- see above

    home = queue_from_settings(settings_of(settings, spider, url), spider)
    try:
        async with asyncio.timeout(seconds):
            await check_server(home, url)
            yield home
    except OUTAGES as error:
        raise unreachable(url, one_line(error)) from None
    finally:
        await home.client.aclose()


async def of_queue(settings: BaseSettings, spider: str, home: Queue) -> dict[str, Any] | None:
    """What those say that share the queue with that *home*."""
    from imgcrawl.frontier import inspect  # noqa: PLC0415 -- see above
    from imgcrawl.frontier.queues import queues_as_they_are  # noqa: PLC0415 -- see above
    from imgcrawl.frontier.verdict import last_reason, run_stats  # noqa: PLC0415 -- see above
    from imgcrawl.live.board import Board  # noqa: PLC0415 -- see above

    queues = await queues_as_they_are(home)
    counts = await inspect.counts(queues)
    if not counts["id"]:
        return None
    stats = await run_stats(queues, counts["id"])
    said = await Board(home).read()
    dead = await asyncio.to_thread(_dead_here, settings, spider, said.workers)
    lease = home.settings.lease_timeout
    return shown(_of_board(spider, counts, stats, said, dead, lease, last_reason(stats)))


def settings_of(settings: BaseSettings, spider: str, url: str) -> BaseSettings:
    """*settings* as a crawl of *spider* at *url* has them."""
    settings = settings.copy()
    try:
        get_spider_loader(settings).load(spider).update_settings(settings)
    except KeyError:
        raise InputError(f"no spider {spider!r}: expected one that `scrapy list` names") from None
    settings.set("REDIS_URL", url, "cmdline")
    return settings


def _dead_here(settings: BaseSettings, spider: str, workers: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Of *workers*, those whose processes were of this machine and are no more: known at once, by their locks."""
    try:
        entries = [*LiveFolder.from_settings(settings).entries(spider)]
    except InputError:
        return set()
    here = {name for name, row in workers.items() if row["host"] == socket.gethostname() and row["state"] != "ended"}
    return {name for entry in entries if (name := entry.name) in here and not entry.is_alive()}


def _of_board(
    spider: str, counts: Mapping[str, Any], stats: Mapping[str, Any], said: Said, dead: set[str], lease: float, how: str
) -> dict[str, Any]:
    rows = []
    now = time.time()
    for name, row in said.workers.items():
        age = said.ages[name]
        alive = name not in dead and age <= lease
        rows.append(row | {"age": age, "state": state_of(row["state"], age, alive=alive)})
    mine = [row for row in rows if row["run"] == counts["id"]]
    stop = said.control.run == counts["id"] and said.control.stop > 0
    over = counts["state"] == "done"
    # Without rows these are workers that say nothing (LIVE_ENABLED).
    alive = not over and any(row["state"] in ALIVE for row in mine) if mine else counts["workers"] > 0 and not over
    closed = not mine and any(name.startswith("reason/") for name in stats)
    state = whole_state(mine, alive=alive, ended=over or closed, stopping=stop)
    hows = [row["how"] for row in mine if row["how"]]
    started = min((row["started"] for row in mine if row["started"]), default=counts["started"] / 1000)
    youngest = min((row["age"] for row in mine), default=0.0)
    over_at = counts["ended"] / 1000 if over else now - youngest
    is_asked = said.control.run == counts["id"]
    view = nothing(spider) | counts_of({**stats, "gallery/found": counts["galleries"]})
    return {
        **view,
        "state": state,
        "run": counts["id"],
        "started": started,
        "ended": None if state in ALIVE else over_at,
        "how": "" if state in ALIVE else "killed" if state == "killed" else "finished" if over else ([*hows, how])[0],
        "verdict": border.text(stats.get("verdict/error"), 1000),
        "seconds": max(0.0, (now if state in ALIVE else over_at) - started),
        "workers": mine,
        "queue": {name: counts[name] for name in border.QUEUE},
        "newest": list(said.newest),
        "failures": list(said.failures),
        "store": next((row["store"] for row in mine if row["store"]), ""),
        "control": {
            "paused": is_asked and said.control.paused,
            "delay_factor": said.control.delay_factor if is_asked else 1.0,
            "stop": stop,
        },
    }
