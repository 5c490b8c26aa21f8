"""How much a crawl may take, and when."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from datetime import datetime
from math import inf
from time import monotonic
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from scrapy import Request, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.http import Response
from scrapy.http.request import NO_CALLBACK
from scrapy.settings import BaseSettings

from imgcrawl.bodies import received_bytes
from imgcrawl.downloader import downloader_of
from imgcrawl.exceptions import InputError, RequestRefused
from imgcrawl.followed import page_of
from imgcrawl.possessive import compile_late
from imgcrawl.stopping import cut_short, leave_undone

logger = logging.getLogger(__name__)

KINDS = ("pages", "images", "bytes")
_TELL = 0.5  # seconds between two talks with the other workers
_NEAR = 200  # this close to a limit each request asks what the others have spent: more is not under way at a time
_HOURS = compile_late(r"\s*(\d\d?)(?::([0-5]\d))?\s*-\s*(\d\d?)(?::([0-5]\d))?\s*")


class Hours(NamedTuple):
    """A part of the day, in minutes since midnight, local time; over midnight if *begin* is later than *end*."""

    begin: int
    end: int

    def wait(self, now: datetime) -> float:
        """Seconds from *now* until it begins; 0.0 if it has begun."""
        second = (now.hour * 60 + now.minute) * 60 + now.second
        begin, end = self.begin * 60, self.end * 60
        inside = begin <= second < end if begin <= end else second >= begin or second < end
        return 0.0 if inside else float((begin - second) % 86400)


class BudgetsMiddleware:
    """Ends what has had enough, and waits for the hours in which a host may be asked.

    Settings, 0 for no limit, for all workers of a run together, until all of them have ended: ``BUDGET_PAGES``,
    ``BUDGET_IMAGES``, ``BUDGET_BYTES`` for the crawl, which then closes (reason ``closespider_budget_…``, which is no
    error; what it has not done stays in its JOBDIR, or in the queue of its workers), and ``BUDGET_HOST_PAGES``,
    ``BUDGET_HOST_IMAGES``, ``BUDGET_HOST_BYTES`` for each host, of which nothing more is asked then. What is not asked
    for any more raises `RequestRefused` (``budget``; ``stopped`` for a page, where the crawl ends). Of bytes other
    workers hear within a second; what is under way is completed. Retries, redirects on the same host and robots.txt do
    not count.

    ``CRAWL_HOURS``: ``22-6`` or ``9:30-17:00``, local time; or a mapping of hosts to hours, with ``*`` for the others.
    The stat ``budget/waiting`` says which hosts wait for theirs.
    """

    def __init__(
        self, crawler: Crawler, *, crawl: dict[str, int], host: dict[str, int], hours: dict[str, Hours]
    ) -> None:
        self.crawler = crawler
        self._limits = {"": crawl, "host": host}
        self._hours = hours
        self._spent: Counter[str] = Counter()  # by all workers, as far as is known; keys "<kind> <host>"
        self._untold: Counter[str] = Counter()  # by this worker since it last told
        self._touched: set[str] = set()  # keys of which to hear when telling next
        self._heard: dict[str, float] = {}  # when the sum of all workers was heard
        self._reached: set[str] = set()
        self._waiting: Counter[str] = Counter()  # requests that wait for their host's hours
        self._one_by_one = asyncio.Lock()
        self._talking = asyncio.Lock()
        self._closing: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None
        self._over = asyncio.Event()

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        crawl, host = (_limits(crawler.settings, prefix) for prefix in ("BUDGET", "BUDGET_HOST"))
        hours = _hours(crawler.settings)
        if not any(crawl.values()) and not any(host.values()) and not hours:
            raise NotConfigured
        budgets = cls(crawler, crawl=crawl, host=host, hours=hours)
        crawler.signals.connect(budgets.spider_closed, signals.spider_closed)
        return budgets

    async def process_request(self, request: Request) -> None:
        host = urlsplit(request.url).hostname or ""
        if _is_robots(request):
            return
        if _is_counted(request, host):
            request.meta["budgeted"] = request.url
            return
        kind = "images" if request.meta.get("media") else "pages"
        self._refuse_if_spent(request, "bytes", host)
        self._refuse_if_spent(request, kind, host)
        await self._wait_for_hours(request, host)
        await self._admit(request, kind, host)
        request.meta["budgeted"] = request.url  # and no mere host: spiders copy meta to the pages they ask for next

    async def _wait_for_hours(self, request: Request, host: str) -> None:
        hours = self._hours.get(host, self._hours.get("*"))
        while hours and (seconds := hours.wait(datetime.now().astimezone())):
            self._tell_waiting(f"{host} until {hours.begin // 60}:{hours.begin % 60:02}", 1)
            try:
                if not await downloader_of(self.crawler).wait(seconds):
                    cut_short(request)
                    raise RequestRefused(_reason_at_end(request), f"{host} may be crawled later")
            finally:
                self._tell_waiting(f"{host} until {hours.begin // 60}:{hours.begin % 60:02}", -1)

    def _tell_waiting(self, what: str, requests: int) -> None:
        self._waiting[what] += requests
        self.crawler.stats.set_value("budget/waiting", ", ".join(sorted(+self._waiting)))  # which Progress shows

    def process_response(self, request: Request, response: Response) -> Response:
        if not _is_robots(request):
            host = urlsplit(request.url).hostname or ""
            self._spend("bytes", host, received_bytes(request, response))
            for limit, whose in self._limits_of("bytes", host):
                if self._total(f"bytes {whose}") >= limit:
                    self._has_reached("bytes", whose, limit)
        return response

    async def _admit(self, request: Request, kind: str, host: str) -> None:
        """Count one more. Raises `RequestRefused` if that is too many."""
        limits = self._limits_of(kind, host)
        if not self._must_ask(kind, limits):
            self._refuse_if_spent(request, kind, host)
            self._spend(kind, host, 1)
            return
        async with self._one_by_one:
            self._refuse_if_spent(request, kind, host)
            self._spend(kind, host, 1)
            if self._must_ask(kind, limits):  # not so if another request has asked meanwhile
                await self._tell_now()
            for limit, whose in limits:
                if self._total(f"{kind} {whose}") > limit:
                    self._spend(kind, host, -1)
                    raise self._refusal(request, kind, whose, limit)

    def _must_ask(self, kind: str, limits: list[tuple[int, str]]) -> bool:
        """Whether other workers may have spent what matters now."""
        if downloader_of(self.crawler).host_notes is None:
            return False
        heard_since = monotonic() - 2 * _TELL
        return any(
            self._total(f"{kind} {whose}") >= limit - _NEAR or self._heard.get(f"{kind} {whose}", -inf) < heard_since
            for limit, whose in limits
        )

    def _limits_of(self, kind: str, host: str) -> list[tuple[int, str]]:
        both = ((self._limits[""][kind], ""), (self._limits["host"][kind], host))
        return [(limit, whose) for limit, whose in both if limit]

    def _refuse_if_spent(self, request: Request, kind: str, host: str) -> None:
        for limit, whose in self._limits_of(kind, host):
            if self._total(f"{kind} {whose}") >= limit:
                raise self._refusal(request, kind, whose, limit)

    def _refusal(self, request: Request, kind: str, host: str, limit: int) -> RequestRefused:
        self._has_reached(kind, host, limit)
        if host:
            return RequestRefused("budget", f"{kind} of {host}: {limit}")
        # The crawl ends: who goes on with it has the page again, or that of the image.
        leave_undone(request)
        return RequestRefused(_reason_at_end(request), f"{kind} of the crawl: {limit}")

    def _total(self, key: str) -> int:
        return self._spent[key] + self._untold[key]

    def _spend(self, kind: str, host: str, amount: int) -> None:
        for _, whose in self._limits_of(kind, host):
            self._untold[f"{kind} {whose}"] += amount
            self._touched.add(f"{kind} {whose}")
        if self._telling is None and downloader_of(self.crawler).host_notes is not None:
            self._telling = asyncio.create_task(self._tell())

    def _has_reached(self, kind: str, host: str, limit: int) -> None:
        if f"{kind} {host}" in self._reached:
            return
        self._reached.add(f"{kind} {host}")
        self.crawler.stats.inc_value(f"budget/reached/{kind}")
        if host:
            logger.info("Nothing more is asked of %s: its budget of %d %s is used up", host, limit, kind)
        elif self._closing is None:
            logger.info("The crawl ends: its budget of %d %s is used up", limit, kind)
            self._closing = asyncio.create_task(
                self.crawler.engine.close_spider_async(reason=f"closespider_budget_{kind}")
            )

    async def _tell(self) -> None:
        while not self._over.is_set():
            await self._tell_now()
            with suppress(TimeoutError):
                async with asyncio.timeout(_TELL):
                    await self._over.wait()
        await self._tell_now()

    async def _tell_now(self) -> None:
        notes = downloader_of(self.crawler).host_notes
        if notes is None:
            return
        async with self._talking:  # what is on its way must not be told twice
            # Of those hosts only that this worker asks: there may be a million others.
            told = {key: self._untold[key] for key in self._touched}
            self._touched.clear()
            if not told:
                return
            scheduler = self.crawler.engine.scheduler
            since = getattr(getattr(scheduler, "queues", None), "resumed", "")  # what is spent belongs to a start
            totals: dict[str, int] | None = None
            try:
                totals = await notes.spend(f"{getattr(scheduler, 'run', '')}{since}", told)
            finally:
                if totals is None:
                    self._touched |= told.keys()
            for key, total in (totals or {}).items():
                self._untold[key] -= told[key]
                if not self._untold[key]:
                    del self._untold[key]
                self._spent[key], self._heard[key] = total, monotonic()

    async def spider_closed(self) -> None:
        # Not cancelled: what was on its way to the others would be told twice, and redis-py can swallow a cancellation.
        self._over.set()
        if self._telling:
            await self._telling


def _is_counted(request: Request, host: str) -> bool:
    """Whether *request* is one that counts already, on *host*, once more, or where that leads to."""
    before = request.meta.get("redirect_urls") if page_of(request) is not request else None
    counted: str = request.meta.get("budgeted", "")
    return counted in (request.url, *(before or ())[-1:]) and urlsplit(counted).hostname == host


def _reason_at_end(request: Request) -> str:
    """Why *request* is given up as the crawl ends: a page is no loss, as the same crawl goes on with it."""
    is_page = request.callback is not NO_CALLBACK and not request.meta.get("media")
    return "stopped" if is_page else "budget"


def _is_robots(request: Request) -> bool:
    return bool(request.meta.get("dont_obey_robotstxt")) and urlsplit(request.url).path == "/robots.txt"


def _limits(settings: BaseSettings, prefix: str) -> dict[str, int]:
    limits = {}
    for kind in KINDS:
        name = f"{prefix}_{kind.upper()}"
        value: Any = settings.get(name, 0)
        try:
            limits[kind] = int(float(value or 0))
        except (ValueError, OverflowError):
            limits[kind] = -1
        if limits[kind] < 0:
            raise InputError(f"{name}={value!r}: expected a whole number, 0 for no limit")
    return limits


def _hours(settings: BaseSettings) -> dict[str, Hours]:
    value = settings.get("CRAWL_HOURS")
    if not value:
        return {}
    if isinstance(value, str) and not value.lstrip().startswith("{"):
        return {"*": _parsed(value)}
    try:
        hours = settings.getdict("CRAWL_HOURS")
    except (TypeError, ValueError):
        raise InputError(f'CRAWL_HOURS={value!r:.60}: expected 22-6, or {{"example.org": "22-6"}}') from None
    return {host: _parsed(text) for host, text in hours.items()}


def _parsed(text: str) -> Hours:
    match = _HOURS.fullmatch(str(text))
    if match:
        begin, end = (int(match[at]) * 60 + int(match[at + 1] or 0) for at in (1, 3))
        if max(begin, end) <= 24 * 60 and begin != end:
            return Hours(begin, end)
    raise InputError(f"CRAWL_HOURS={text!r}: expected hours of the day as in 22-6 or 9:30-17:00")
