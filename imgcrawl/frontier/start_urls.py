"""What outsiders feed into `<spider>:start_urls`, on its way into the queue."""

from __future__ import annotations

import logging
from collections.abc import Callable

from scrapy import Request, Spider

from imgcrawl.frontier import codec
from imgcrawl.frontier.decode import decode_start
from imgcrawl.frontier.run import SharedRun
from imgcrawl.shared.session import one_line

logger = logging.getLogger(__name__)


class StartUrls:
    """Queues what outsiders feed. One worker of a run does it, so that it also knows when there is nothing more.

    *encode* gives a request as it travels, *fingerprint* by what it is known.
    """

    def __init__(
        self,
        run: SharedRun,
        spider: Spider,
        *,
        encode: Callable[[Request], bytes],
        fingerprint: Callable[[Request], bytes],
    ) -> None:
        self._run = run
        self._spider = spider
        self._encode = encode
        self._fingerprint = fingerprint

    async def feed(self) -> None:
        """Queue what there is, or wait for some."""
        run, queue = self._run, self._run.queue
        await run.is_feeder.wait()
        foreign, values = await queue.take()
        for value in foreign:
            run.report("foreign", "not taken from outside", value)
        for value in values:
            self._queue(value)
        if foreign or values:
            run.nothing_outside = False
            if await run.flushed():
                await queue.taken(values)
            return
        if not run.nothing_outside:
            run.nothing_outside = True
            run.session.wake()
        await queue.wait_outside(queue.settings.heartbeat_interval)

    def _queue(self, value: bytes) -> None:
        try:
            request = decode_start(value, self._spider)
            encoded = self._encode(request)
        except (codec.WireError, codec.CannotTravelError, ValueError) as error:
            key = self._run.queue.start_key
            logger.warning("A value in %s is no request and was set aside: %s", key, one_line(error))
            self._run.report("foreign", one_line(error), value)
            return
        kind = "u" if request.dont_filter else "c"
        self._run.report(kind, self._fingerprint(request), codec.bucket_of(request), encoded)
