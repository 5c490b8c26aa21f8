"""The pages that this worker holds."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

from scrapy import Request

# A slow start: pages that a new worker begins at once, raised by one for each finished page. With CONCURRENT_REQUESTS
# far above, the first worker would have all galleries of a small crawl before others are there.
INITIAL_CONCURRENCY = 16


@dataclass(eq=False)
class Page:
    """A page that this worker holds. *token* fences off whoever held it before."""

    token: bytes
    host: str
    fingerprint: bytes
    started: bool = False
    failed: str = ""  # why its callback, its errback or one of its items failed
    retry: bytes | None = None  # "<priority>:<host>\n<request>" that takes its place
    unfinished: bool = False  # this worker was stopped before all was tried, or could not write its feed


class Leases:
    """The requests that this worker holds: ready, or in the engine's hands.

    Up to *prefetch* are ready at a time, up to *per_host* of one host are held.
    """

    def __init__(self, prefetch: int, per_host: int) -> None:
        self.prefetch = prefetch
        self._per_host = per_host
        self._pages: dict[Request, Page] = {}
        self._by_fingerprint: dict[bytes, Page] = {}
        self._ready: deque[Request] = deque()
        self._started = 0  # in the engine's hands
        self._may_start = INITIAL_CONCURRENCY
        self._quarantined: Page | None = None  # a page that several workers died with: nothing is leased beside it

    def __len__(self) -> int:
        return len(self._pages)

    @property
    def ready(self) -> int:
        """How many are not begun."""
        return len(self._ready)

    @property
    def wanted(self) -> int:
        """How many more there is room for."""
        return 0 if self._quarantined else max(0, self.prefetch - len(self._ready))

    @property
    def per_host(self) -> int:
        """How many of one host may be held: of the few that may be begun at first, a host that hangs must not have
        all, either."""
        return min(self._per_host, self._may_start // 2)

    def hosts(self) -> Counter[str]:
        return Counter(page.host for page in self._pages.values())

    def tokens(self) -> list[bytes]:
        return [page.token for page in self._pages.values()]

    def add(self, request: Request, page: Page, *, quarantined: bool) -> None:
        self._pages[request] = page
        self._by_fingerprint[page.fingerprint] = page
        self._ready.append(request)
        if quarantined:
            self._quarantined = page

    def start_next(self) -> Request | None:
        """The next request to begin, None if there is none or enough are begun."""
        if not self._ready or self._started >= self._may_start:
            return None
        request = self._ready.popleft()
        self._pages[request].started = True
        self._started += 1
        return request

    def of(self, response: Any) -> Page | None:
        """The page that *response* belongs to; None for what is no page from the queue."""
        request = getattr(response, "request", None)
        return self._pages.get(request) if request is not None else None

    def begun(self, fingerprint: bytes) -> Page | None:
        """The page of that fingerprint, if it is in the engine's hands and nothing has taken its place yet."""
        page = self._by_fingerprint.get(fingerprint)
        return page if page is not None and page.started and page.retry is None else None

    def finish(self, request: Request) -> Page | None:
        """The engine is done with *request*. None for what is no page from the queue: an image, robots.txt."""
        page = self._pages.pop(request, None)
        if page is None:
            return None
        self._started -= page.started
        self._may_start += 1
        if self._by_fingerprint.get(page.fingerprint) is page:
            del self._by_fingerprint[page.fingerprint]
        if page is self._quarantined:
            self._quarantined = None
        return page

    def drop_ready(self) -> bool:
        """Let go of what was not begun. False if there was none."""
        had_some = bool(self._ready)
        while self._ready:
            page = self._pages.pop(self._ready.popleft())
            self._by_fingerprint.pop(page.fingerprint, None)
            if page is self._quarantined:
                self._quarantined = None
        return had_some
