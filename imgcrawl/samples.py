"""What a crawl has just brought home, what it could not have, and an example of each reason."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from imgcrawl.lines import printable

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

NEWEST, FAILURES = 24, 50  # that are kept
_REASONS = 200  # a site may answer with any status


class Samples:
    """The NEWEST images that were stored, the last FAILURES, and the first address of each outcome that was not.

    `of_reason` has `image/failed/http_404` and the like, as the stats do: an address, and the page it is on if there is
    one.
    """

    def __init__(self) -> None:
        self.newest: deque[dict[str, Any]] = deque(maxlen=NEWEST)
        self.failures: deque[dict[str, Any]] = deque(maxlen=FAILURES)
        self.of_reason: dict[str, tuple[str, str]] = {}
        self.stored = 0  # images that were added to `newest`, and failures, ever
        self.failed = 0

    def add_image(self, image: Mapping[str, Any], page: object, title: object = "") -> None:
        """*image* is an outcome, on *page*, in a gallery of that *title*."""
        if image["status"] == "downloaded":
            self.stored += 1
            self.newest.append(
                {
                    "url": _shown(image["url"]),
                    "path": image.get("path", ""),
                    "page": _shown(page),
                    "title": str(title or "")[:300],
                    "at": time.time(),
                }
            )
        elif "reason" in image:
            self.add(f"image/{image['status']}/{image['reason']}", image["url"], page)

    def add(self, stat: str, url: object, page: object = "") -> None:
        """*url*, which may be anything, on *page*, has ended in the outcome that *stat* counts: its last part is the
        reason."""
        if stat not in self.of_reason and len(self.of_reason) < _REASONS:
            self.of_reason[stat] = (_shown(str(url)), _shown(page))
        if "/failed/" in stat:
            self.failed += 1
            reason = stat.rpartition("/")[2]
            self.failures.append({"url": _shown(str(url)), "reason": reason, "page": _shown(page), "at": time.time()})


def _shown(address: object) -> str:
    """*address*, if there is one, without user and password: it goes to files and to Redis, where others read it."""
    text = str(address or "")[:2000]
    return printable(text) if "@" in text else text


_of: WeakKeyDictionary[Crawler, Samples] = WeakKeyDictionary()


def samples_of(crawler: Crawler) -> Samples:
    """Those of *crawler*."""
    return _of.setdefault(crawler, Samples())
