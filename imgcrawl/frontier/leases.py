"""The pages that this worker holds."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from scrapy import Request

from imgcrawl.followed import page_of

# A slow start: pages that a new worker begins at once, raised by one for each finished page. With CONCURRENT_REQUESTS
# far above, the first worker would have all galleries of a small crawl before others are there.
INITIAL_CONCURRENCY = 16

ENDS = ("done", "failed", "again", "reject")  # operations that end a lease


@dataclass(frozen=True)
class LeaseSettings:
    """What the settings say about leases and pages."""

    lease_timeout: float  # seconds after which the pages of a worker that is not heard of go back
    max_deliveries: int  # times that a page may fail or kill its worker
    max_request_size: int  # bytes of a request as JSON

    @property
    def heartbeat_interval(self) -> float:
        """Seconds between two reports of a worker that has nothing to say."""
        return self.lease_timeout / 6

    @property
    def expiry(self) -> int:
        """Milliseconds of silence after which a worker expires: the others look once a heartbeat."""
        return int((self.lease_timeout - self.heartbeat_interval) * 1000)

    @property
    def longest_step(self) -> int:
        """Milliseconds that the queue's clock may go at once: a server whose own jumps ahead expires nobody."""
        return int(2000 * self.heartbeat_interval)


@dataclass(eq=False)
class Page:
    """A page that this worker holds. *token* fences off whoever held it before."""

    token: bytes
    host: str
    fingerprint: bytes
    shard: int = 0  # of the queue that leased it
    started: bool = False
    failed: str = ""  # why its callback, its errback or one of its items failed
    retry: bytes | None = None  # "<priority>:<host>\n<request>" that takes its place
    since: float = field(default_factory=time.time)
    unfinished: bool = False  # this worker was stopped before all was tried, or could not write its feed
    counted: Counter[str] = field(default_factory=Counter)  # what it has added to the stats
    is_over: bool = False  # what is counted now comes too late to be told with its end
    is_told: bool = False  # its end is, with what it has counted
    is_lost: bool = False  # others do it again: the lease expired, or the server has lost it


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
    def is_enough(self) -> bool:
        """Whether so many are held that more can wait for a moment."""
        return len(self._pages) >= max(2, self.prefetch // 2)

    @property
    def wanted(self) -> int:
        """How many more there is room for."""
        return 0 if self._quarantined else max(0, self.prefetch - len(self._ready))

    @property
    def per_host(self) -> int:
        """How many of one host may be held: of the few that may be begun at first, a host that hangs must not have
        all, either."""
        return min(self._per_host, self._may_start // 2)

    def lose(self, shard: int) -> None:
        """Others do the pages of that shard again."""
        for page in self._pages.values():
            page.is_lost |= page.shard == shard

    def ready_of(self, shard: int) -> int:
        """How many of that shard are not begun."""
        return sum(self._pages[request].shard == shard for request in self._ready)

    def hosts(self, shard: int) -> Counter[str]:
        """How many pages of that shard are held of each host."""
        return Counter(page.host for page in self._pages.values() if page.shard == shard)

    def tokens(self, shard: int) -> list[bytes]:
        return [page.token for page in self._pages.values() if page.shard == shard]

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

    def pages(self) -> Collection[Page]:
        """All that this worker holds."""
        return self._pages.values()

    def page(self, request: Request) -> Page | None:
        """The page that *request*, as it was leased, asks for."""
        return self._pages.get(request)

    def held_since(self, request: Request) -> float | None:
        """When *request* was leased (a Unix time); None for what is no page from the queue."""
        page = self._pages.get(request)
        return page.since if page else None

    def of(self, response: Any) -> Page | None:
        """The page that *response* belongs to; None for what is no page from the queue."""
        request = getattr(response, "request", None)
        return self._pages.get(page_of(request)) if request is not None else None

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

    def drop_ready(self, shard: int | None = None) -> bool:
        """Let go of what was not begun, of one *shard* or of all. False if there was none."""
        dropped = [request for request in self._ready if shard in (None, self._pages[request].shard)]
        for request in dropped:
            self._ready.remove(request)
            page = self._pages.pop(request)
            self._by_fingerprint.pop(page.fingerprint, None)
            if page is self._quarantined:
                self._quarantined = None
        return bool(dropped)
