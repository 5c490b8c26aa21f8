"""What the pages of a worker count: it counts for all workers when the page is done."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from scrapy import Request
from scrapy.core.engine import ExecutionEngine

from imgcrawl.digits import whole
from imgcrawl.engine import before_scraping, on_count
from imgcrawl.frontier.leases import Leases, Page
from imgcrawl.items import STATUSES

# The stats that pages add to: their callbacks, items, pipelines, and who hears of these.
OF_PAGES = (
    "image/", "gallery/", "subpage/", "list/", "row/", "video/", "item/", "item_", "spider_exceptions/", "command/",
)  # fmt: skip

# Of them those that are told of a page before it is done; lua/counts.lua has the same.
_SHOWN = ("image/", "gallery/count", "gallery/empty", "gallery/failed", "item_scraped_count")

# The stats that count items which have left the pipelines.
_LEFT = ("item_scraped_count", "item_dropped_count")

LONGEST = 65_536  # bytes of counts as they travel
_LONGEST_NAME = 2_000

# The page whose callback, items or pipelines run.
_page: ContextVar[Page | None] = ContextVar("page", default=None)


class Counted:
    """What the pages that this worker holds, in *leases*, count.

    `settled`, by shard: of pages that are done, which the shard is told with their counts. `by_pages`: of all pages
    there were, whatever became of them; what else stands in the stats belongs to no page.
    """

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self.settled: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self.by_pages: Counter[str] = Counter()

    def listen(self, engine: ExecutionEngine) -> None:
        """Note from now on what adds to the stats of *engine*'s crawl, and for which page."""
        before_scraping(engine, self.enter)
        on_count(engine.crawler.stats, self.count)

    def enter(self, request: Request) -> None:
        """What is counted in this context from now on is counted for the page that *request* asks for."""
        _page.set(self._leases.page(request))

    def count(self, name: str, by: int) -> None:
        """*by* was added to the stat *name*."""
        page = _page.get()
        if page is not None and not page.is_over and name.startswith(OF_PAGES):
            page.counted[name] += by
            self.by_pages[name] += by

    @property
    def page(self) -> Page | None:
        """The page that is counted for here."""
        return _page.get()

    @contextmanager
    def anew(self, page: Page | None) -> Iterator[None]:
        """What is counted inside is of what was counted for *page* before: with its end, beside it if that is told, or
        here only, where others do it again."""
        if page is not None and page.is_over:
            page = None if page.is_told else Page(b"", "", b"")
        token = _page.set(page)
        try:
            yield
        finally:
            _page.reset(token)

    async def counting(self, page: Page, outputs: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """*outputs*; what is counted while they are made is of *page*."""
        iterator = aiter(outputs)
        while True:
            token = _page.set(page)
            try:
                output = await anext(iterator)
            except StopAsyncIteration:
                return
            finally:
                _page.reset(token)
            yield output

    def settle(self, page: Page, *, is_done: bool) -> str:
        """This worker is done with *page*. Returns what is to be counted of it with its end.

        If not *is_done*, others may do it again, and count it again.
        """
        page.is_over = True
        counts = _without_unfinished(page.counted)
        page.is_told = is_done and not page.is_lost
        if page.is_told:
            self.settled[page.shard].update(counts)
        return as_text(counts)

    def lose(self, shard: int) -> None:
        """That *shard* has forgotten what it was told, or given our pages to others."""
        self.settled.pop(shard, None)
        self._leases.lose(shard)

    def so_far(self) -> dict[str, int]:
        """What pages have counted that are done, or under way here: of images those with an outcome."""
        counts: Counter[str] = Counter()
        for settled in self.settled.values():
            counts.update(settled)
        for page in self._leases.pages():
            if not page.is_lost:
                counts.update(_without_unfinished(page.counted))
        counts["image/found"] = sum(counts[f"image/{status}"] for status in STATUSES)
        return {name: value for name, value in counts.items() if value > 0 and name.startswith(_SHOWN)}


def _without_unfinished(counts: Counter[str]) -> Counter[str]:
    """*counts* of a page without galleries that are not scraped yet, or never: their items have not left the
    pipelines."""
    scraped = counts["gallery/count"]
    inside = scraped + counts["gallery/failed"] - sum(counts[name] for name in _LEFT)
    if scraped <= 0 or inside <= 0:
        return counts
    return Counter({**counts, "gallery/count": scraped - min(inside, scraped)})


def as_text(counts: Mapping[str, int]) -> str:
    """*counts* as they travel: lua/verdict.lua says how."""
    return "".join(
        f"{name[:_LONGEST_NAME].translate(_ONE_LINE)}\n{number}\n" for name, number in counts.items() if number > 0
    )


_ONE_LINE = dict.fromkeys(map(ord, "\t\n"), " ")  # names may have in them what strangers say


def from_text(value: bytes) -> Counter[str]:
    """The counts that `as_text` wrote and that are told of pages under way; of what it did not write nothing."""
    counts: Counter[str] = Counter()
    parts = value[:LONGEST].decode("utf-8", "replace").split("\n")
    for name, text in zip(parts[::2], parts[1::2], strict=False):
        if name.startswith(_SHOWN) and (number := whole(text)) is not None:
            counts[name] += number
    return counts
