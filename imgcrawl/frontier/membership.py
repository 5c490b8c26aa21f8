"""How a worker joins its run, and how it leaves."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from imgcrawl.exceptions import InputError
from imgcrawl.frontier.known_pages import once_a_run
from imgcrawl.frontier.queue import ForeignKeyError, OtherArgumentsError
from imgcrawl.frontier.run import RunState, SharedRun
from imgcrawl.frontier.run_arguments import shown
from imgcrawl.frontier.shard import tell_error
from imgcrawl.lines import shown_address
from imgcrawl.shared.connection import OUTAGES, check_server, unreachable
from imgcrawl.shared.session import one_line

logger = logging.getLogger(__name__)


async def join(run: SharedRun, url: str, spider: str, list_digest: bytes = b"") -> None:
    """*list_digest* is that of the list which start() reads, if it does.

    Raises `InputError` if the server cannot be reached or used, or the run has other arguments or shards."""
    queues, options = run.queues, run.options
    patience = time.monotonic() + queues.settings.lease_timeout
    told = False
    while True:
        try:
            async with asyncio.timeout(5):
                await check_server(queues, url)
            async with asyncio.timeout(5):
                run.id, state = await queues.join(
                    run.worker,
                    options.name,
                    persist=options.persist,
                    flush=options.flush_on_start,
                    arguments=options.arguments,
                )
            break
        except OtherArgumentsError as error:
            raise InputError(
                f"the queue {queues.key} has a crawl of {spider} with {shown(error.theirs)} that is not at its"
                f" end, and this worker has {shown(options.arguments)}: expected the same arguments, to join it or"
                f" go on with it; or wait for its end, or have another queue (SCHEDULER_QUEUE_KEY), or give it up"
                f" (scrapy queue {spider} --clear)"
            ) from None
        except OUTAGES as error:
            if time.monotonic() > patience:
                raise unreachable(url, one_line(error)) from None
            if not told:
                logger.warning("Redis at %s cannot be reached (%s); trying", shown_address(url), one_line(error))
                told = True
            await asyncio.sleep(0.5)
    if state == "done" and not list_digest:  # a list may be none of those that were read: the first exchange tells
        run.state = RunState.DONE
    if list_digest:
        run.list = once_a_run(list_digest, run.id)
    logger.info("Worker %s of run %s on %s", run.worker, run.id, shown_address(url))


def start(run: SharedRun, feed: Callable[[], Awaitable[None]]) -> None:
    """Begin to talk; *feed* is done again and again beside it."""
    for shard in run.shards:
        shard.session.start(shard.listen, *([feed] if shard.is_home else []))


async def leave(run: SharedRun, spider: str, patience: float) -> None:
    """Report what is left, give back what is held, and leave; wait *patience* seconds for a Redis that is away."""
    if run.is_open:
        run.state = RunState.CLOSING
    if run.home.session.is_started:
        run.exchanged.set()
        end = time.monotonic() + patience
        await asyncio.gather(*(shard.session.stop(patience / 2) for shard in run.shards))
        run.leaving = True
        left = False
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.1, end - time.monotonic())):
                while not left and run.state is not RunState.LOST and time.monotonic() < end:
                    left = all(await asyncio.gather(*(shard.leave() for shard in run.shards)))
        if run.state is not RunState.LOST:
            await _after_leaving(run, spider, left=left)
    await _try(run, run.queues.client.aclose)


async def _after_leaving(run: SharedRun, spider: str, *, left: bool) -> None:
    settings = run.queues.settings
    if left:
        await _try(run, run.queues.sweep)
    else:
        logger.warning(
            "Redis does not answer: the pages of this worker go back to the others after %g s", settings.lease_timeout
        )
    if dead := sum(shard.reply.dead for shard in run.shards):
        tell_error(
            run.stats,
            f"{dead} pages failed {settings.max_deliveries} times and were set aside;"
            f" scrapy queue {spider} --dead shows them",
        )


async def _try(run: SharedRun, work: Callable[[], Awaitable[Any]]) -> None:
    try:
        async with asyncio.timeout(run.queues.settings.heartbeat_interval):
            await work()
    except (*OUTAGES, ForeignKeyError) as error:
        logger.debug("Left undone in Redis: %s", one_line(error))
