"""A file that says that a crawl lives, for whoever starts it again if it does not: containers, systemd, Kubernetes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from scrapy import signals
from scrapy.exceptions import NotConfigured

from imgcrawl.exceptions import InputError
from imgcrawl.ownfiles import touch_own, whose

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

INTERVAL = 5.0  # seconds


class Heartbeat:
    """Touches HEARTBEAT_FILE (default: none) every five seconds, from the event loop, while the spider is open.

    The directory has to be there. `imgcrawl health` looks at the file. Workers of one command may share it: it is then
    young as long as one of them lives. Raises `InputError` if the file cannot be written, or if something else stands
    there: a link is not followed.
    """

    def __init__(self, crawler: Crawler, file: Path) -> None:
        self.file = file
        self._beating: asyncio.Task[None] | None = None
        try:
            if why := whose(file):
                raise InputError(f"HEARTBEAT_FILE={file} is {why}; expected a file of ours, or a name that is free")
            touch_own(file)
        except OSError as error:
            raise InputError(f"HEARTBEAT_FILE={file}: cannot be written: {error.strerror}") from error
        crawler.signals.connect(self._spider_opened, signals.spider_opened)
        crawler.signals.connect(self._spider_closed, signals.spider_closed)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        if not (file := crawler.settings.get("HEARTBEAT_FILE")):
            raise NotConfigured
        return cls(crawler, Path(file))

    def _spider_opened(self) -> None:
        self._beating = asyncio.get_running_loop().create_task(self._beat())

    def _spider_closed(self) -> None:
        if self._beating:
            self._beating.cancel()

    async def _beat(self) -> None:
        while True:
            # A full or vanished disk, or something else in its place: the file grows old, and that tells it.
            with suppress(OSError, InputError):
                touch_own(self.file)
            await asyncio.sleep(INTERVAL)
