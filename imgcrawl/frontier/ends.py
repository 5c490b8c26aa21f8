"""Where galleries have led to, as all workers of a run know it."""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import urlsplit

from scrapy import Request

from imgcrawl.exceptions import InputError
from imgcrawl.frontier.known_pages import KnownPages
from imgcrawl.frontier.queues import shard_of
from imgcrawl.frontier.run import SharedRun
from imgcrawl.shared.connection import OUTAGES


class End(NamedTuple):
    """What is known of a page that galleries have led to."""

    is_named: bool  # it is a gallery that the crawl has queued
    is_first: bool  # no gallery has led there before this one
    galleries: int  # that have, up to this one; 4 for all after the third


class SharedEnds:
    """The ends of the galleries of *run*; *pages* says by what its queue knows a page."""

    def __init__(self, run: SharedRun, pages: KnownPages) -> None:
        self._run = run
        self._pages = pages

    async def arrive(self, url: str, gallery: str) -> End | None:
        """Note that the address *gallery* has led to the page *url*, and say what is known of that; None if nobody can
        say it, so that this worker knows as much as it has seen."""
        queues = self._run.queues
        queue = queues[shard_of(urlsplit(url).hostname or "", len(queues))]
        known = self._pages.fingerprint(Request(url, meta={"task": "gallery"}))
        names = [_digest(url), _digest(gallery)]
        try:
            async with asyncio.timeout(queues.settings.heartbeat_interval):
                is_named, first, count = await queue.call("arrive", self._run.id, known, *names)
        except (*OUTAGES, InputError):  # which whoever asks for pages tells
            return None
        return End(bool(is_named), first.decode("ascii", "replace") == names[1], count) if count else None


def _digest(address: str) -> str:
    return blake2b(address.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
