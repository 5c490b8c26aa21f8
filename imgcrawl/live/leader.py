"""How a crawl with several workers (`--workers`) is, as the process says it that has started them."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from imgcrawl.exceptions import InputError
from imgcrawl.extensions.counts import counts_of
from imgcrawl.live.aside import Aside
from imgcrawl.live.border import QUEUE
from imgcrawl.live.folder import OwnEntry, open_entry
from imgcrawl.live.process import group_of, store_of, working_folder

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

logger = logging.getLogger(__name__)


class Leader:
    """The entry in LIVE_FOLDER of the process that leads the workers of a crawl of *spider*.

    *redis* is the address of their own Redis, "" for one that others share: that may have a password in it. Nothing
    here raises: a crawl does not end because nobody can watch it.
    """

    def __init__(self, settings: BaseSettings, spider: str, redis: str) -> None:
        self.settings = settings
        self.started = time.time()
        self._said: dict[str, Any] = {}
        self._aside = Aside()
        self._entry: OwnEntry | None = None
        self._fixed = {
            "spider": spider,
            "group": group_of(os.getpid()),
            "kind": "workers",
            "started": self.started,
            "folder": working_folder(),
            "redis": redis,
            "store": store_of(settings),
        }
        if not settings.getbool("LIVE_ENABLED", True):
            return
        name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"  # in containers each may be number 1
        try:
            self._entry = self._aside.wait_for(open_entry, settings, spider, name)
        except (OSError, InputError) as error:
            logger.info("scrapy status cannot find this crawl by itself: %s", error)

    def say(self, counts: Mapping[str, Any], stats: Mapping[str, Any], control: Mapping[str, Any]) -> bool:
        """The crawl is so: *counts* of its queue, *stats* of its workers, and what a person asks of it. Returns whether
        somebody asks it here to stop."""
        self._said = {
            "run": counts["id"],
            "queue": {name: counts[name] for name in QUEUE},
            "control": dict(control),
            **counts_of({**stats, "gallery/found": counts["galleries"]}),
        }
        self._write({})
        with suppress(TimeoutError):
            return bool(self._entry and self._aside.wait_for(self._entry.asked)["stop"])
        return False

    def remember(self, newest: Sequence[Mapping[str, Any]], failures: Sequence[Mapping[str, Any]]) -> None:
        """What the workers told last: they say no more."""
        self._said |= {"newest": list(newest), "failures": list(failures)}

    def close(self, stats: Mapping[str, Any], how: str, verdict: str) -> None:
        """The crawl has ended, with *stats*."""
        self._said |= counts_of(stats)
        self._write({"ended": time.time(), "how": how, "verdict": verdict})
        self.leave()

    def leave(self) -> None:
        """This process ends, whether the crawl has come to its end or not. Does nothing after `close`."""
        if self._entry:
            entry, self._entry = self._entry, None
            with suppress(TimeoutError):
                self._aside.wait_for(entry.close, remove=not self._said)

    def _write(self, end: Mapping[str, Any]) -> None:
        if self._entry:
            now = time.time()
            with suppress(OSError):  # a full disk
                said = {**self._fixed, **self._said, "at": now, "seconds": now - self.started, **end}
                self._aside.wait_for(self._entry.write, said)
