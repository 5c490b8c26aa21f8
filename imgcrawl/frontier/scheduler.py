"""Scrapy's side of the queue that workers share: a scheduler that never waits."""

from __future__ import annotations

import asyncio
import logging
from typing import Self

from scrapy import Request, Spider, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import CloseSpider, DontCloseSpider
from scrapy.extensions.feedexport import FeedExporter
from scrapy.http import Response
from scrapy.settings import BaseSettings
from scrapy.utils.defer import deferred_from_coro
from scrapy_redis import defaults
from scrapy_redis.scheduler import Scheduler as StockScheduler
from twisted.internet.defer import Deferred

from imgcrawl.engine import is_stopping, on_request_finished, start_again, tell_failed, wake
from imgcrawl.exceptions import InputError
from imgcrawl.frontier import codec
from imgcrawl.frontier.border import kept_here
from imgcrawl.frontier.compatibility import has_worked, idles_as_stock, lend_fetching
from imgcrawl.frontier.decode import decode
from imgcrawl.frontier.ends import SharedEnds
from imgcrawl.frontier.known_pages import KnownPages
from imgcrawl.frontier.leases import Leases, Page
from imgcrawl.frontier.lessons import SharedLessons
from imgcrawl.frontier.membership import join, leave, start
from imgcrawl.frontier.options import leases_from_settings, run_options_from_settings
from imgcrawl.frontier.page_results import PageResults
from imgcrawl.frontier.queues import Queues, queues_from_settings
from imgcrawl.frontier.run import RunOptions, RunState, SharedRun, is_waiting
from imgcrawl.frontier.seeding import Seeding
from imgcrawl.frontier.start_urls import Feeder
from imgcrawl.shared.connection import hash_tag
from imgcrawl.shared.session import one_line
from imgcrawl.stopping import leave_within, was_given_up

logger = logging.getLogger(__name__)


class Scheduler(StockScheduler):  # type: ignore[misc] # scrapy-redis has no types
    """scrapy-redis' scheduler, made safe: shares a crawl's requests with all workers of its spider on the same Redis.

    A request that the engine takes from here is leased, and acknowledged when the engine is done with it: its
    callback, its items and their pipelines. What it led to is queued before. If this process ends first, others do
    the page; if it fails or ends its workers FRONTIER_MAX_DELIVERIES times, it is set aside. The engine sees pending
    requests until the whole crawl is done, so that all workers leave together.

    `enqueue_request` raises `CannotTravelError` for a request that is no JSON. All workers of a run have the same
    arguments (`-a`); one that has others is ended by an `InputError`.

    Settings as in scrapy-redis: REDIS_URL, REDIS_HOST, REDIS_PORT, REDIS_DB, REDIS_ENCODING, REDIS_PARAMS (of redis-py;
    also `cluster`, `sentinels` and `service_name`), SCHEDULER_PERSIST, SCHEDULER_FLUSH_ON_START,
    SCHEDULER_IDLE_BEFORE_CLOSE, MAX_IDLE_TIME_BEFORE_CLOSE (for every spider; 0, if it is set: wait for ever),
    SCHEDULER_QUEUE_KEY, SCHEDULER_DUPEFILTER_KEY (default: beside the queue), REDIS_START_URLS_KEY (a list, a set or a
    sorted set, as it is). Ours: FRONTIER_LEASE_TIMEOUT, FRONTIER_MAX_DELIVERIES, FRONTIER_PREFETCH,
    FRONTIER_PER_HOST, FRONTIER_MAX_REQUEST_SIZE, FRONTIER_RUN, FRONTIER_SHARDS (hash tags over which a queue is
    spread by host), FRONTIER_META_ALLOWED (meta keys that may come from Redis besides those in `frontier.border`).
    """

    def __init__(self, crawler: Crawler, queues: Queues, leases: Leases, options: RunOptions) -> None:
        super().__init__(
            server=None,
            persist=options.persist,
            flush_on_start=options.flush_on_start,
            queue_key=queues.key,
            dupefilter_key=queues.seen_key,
            idle_before_close=options.idle_before_close,
        )
        self.crawler = crawler
        self.queues = queues
        self.leases = leases
        self.shared_run = SharedRun(
            queues,
            leases,
            options,
            crawler.stats,
            accept=self._accept,
            wake_engine=lambda: wake(crawler.engine),
            is_stopping=lambda: is_stopping(crawler.engine),
            start_again=lambda: start_again(crawler.engine),
        )
        self.seeding = Seeding(self.shared_run, self.check, lambda request: tell_failed(crawler.engine, request))
        self.meta_allowed = frozenset(crawler.settings.getlist("FRONTIER_META_ALLOWED"))
        self.results = PageResults(crawler, leases)
        self._known = KnownPages(crawler, self.shared_run)
        self.ends = SharedEnds(self.shared_run, self._known)
        self.lessons = SharedLessons(self.shared_run)
        self._refusal: InputError | None = None
        self._tells_idle = False  # to a spider of scrapy-redis, whose own code may want to end it then

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        settings = crawler.settings
        return cls(
            crawler,
            queues_from_settings(settings, crawler.spidercls.name),
            leases_from_settings(settings),
            run_options_from_settings(settings, crawler.spider),
        )

    @classmethod
    def from_settings(cls, settings: BaseSettings) -> Self:
        raise InputError(f"{cls.__name__} is made by from_crawler only: it needs to know its spider")

    __len__ = None  # RowsSpider asks for it to read no further ahead than needed, which is not for one worker to say

    def flush(self) -> None:
        raise InputError("nobody clears what others may use: scrapy queue SPIDER --clear does it where no worker is")

    @property
    def worker(self) -> str:
        """The name of this worker."""
        return self.shared_run.worker

    @property
    def run(self) -> str:
        """The id of the run; empty before it was joined."""
        return self.shared_run.id

    @property
    def is_behind(self) -> bool:
        """Whether so much is to be reported to Redis that what makes more should wait."""
        return self.shared_run.is_open and not all(shard.outbox.has_room() for shard in self.shared_run.shards)

    # What the engine calls

    def open(self, spider: Spider) -> Deferred[None]:
        self.spider = spider
        return deferred_from_coro(self._open())

    def close(self, reason: str) -> Deferred[None]:
        seconds = leave_within(self.crawler.settings, reason, self.shared_run.queues.settings.lease_timeout)
        return deferred_from_coro(leave(self.shared_run, self.spider.name, seconds))

    def has_pending_requests(self) -> bool:
        run = self.shared_run
        if self._tells_idle and is_waiting(run):
            return False
        is_over = run.is_over if run.state is RunState.DONE else run.state not in (RunState.RUNNING, RunState.CLOSING)
        return not is_over or run.has_reports or bool(self.leases.ready)

    def next_request(self) -> Request | None:
        request = self.leases.start_next()
        if request is not None:
            self._count("scheduler/dequeued")
            if self.leases.ready <= self.leases.prefetch // 2:
                self.shared_run.look_for_more()
        return request

    def enqueue_request(self, request: Request) -> bool:
        encoded = self.encode(request)
        fingerprint = self._known.fingerprint(request)
        enqueue = self.shared_run.enqueue
        # What earlier runs have seen is kept (SCHEDULER_PERSIST); where a walk begins and goes on it is walked again.
        again = self.persist and (self.seeding.is_start(request) or request.meta.get("once_a_run"))
        if not request.dont_filter and not again:
            if self._known.is_recent(fingerprint):
                self._count("dupefilter/filtered")
                return False
            enqueue("c", fingerprint, request, encoded)
            return True
        page = self.leases.begun(fingerprint)
        if self.seeding.is_start(request):
            enqueue("s", self._known.start_in_run(request, fingerprint) + fingerprint, request, encoded)
        elif page is not None:  # a retry: it takes the place of the page whose lease it has, in one step
            page.retry = codec.bucket_of(request).encode() + b"\n" + encoded
        elif request.meta.get("is_start_request"):  # where a start page redirected to
            enqueue("s", self._known.start_in_run(request, fingerprint) + fingerprint, request, encoded)
        elif not request.dont_filter:
            enqueue("s", self._known.once_a_run(fingerprint) + fingerprint, request, encoded)
        else:
            enqueue("u", b"", request, encoded)
        return True

    # What the middleware calls

    def encode(self, request: Request) -> bytes:
        """*request* as it travels. Raises `CannotTravelError`."""
        return codec.encode(request, self.spider, self.queues.settings.max_request_size, self.meta_allowed)

    def check(self, request: Request, response: Response | None = None) -> None:
        """Raises `CannotTravelError` for a *request* of the spider that others could not make as it is."""
        inherited = response.request.meta if response is not None and response.request is not None else None
        if what := kept_here(request, self.spider, self.meta_allowed, inherited):
            raise codec.CannotTravelError(
                f"{request}: {what} is an instruction that cannot travel to other workers, as anybody who can write to"
                " Redis could give it; expected a downloader middleware that sets it, or the key in"
                " FRONTIER_META_ALLOWED"
            )
        self.encode(request)

    # What Scrapy tells

    async def _open(self) -> None:
        crawler, run = self.crawler, self.shared_run
        on_request_finished(crawler.engine, self._request_finished)
        connect = crawler.signals.connect
        try:
            if key := lend_fetching(self.spider, crawler.settings):
                self.queues.home.start_key = key
                self.queues.home.moving_key = f"{{{hash_tag(key)}}}:moving"
                self._tells_idle = self.seeding.once = True
            list_here = getattr(self.spider, "local_list", None)  # imgcrawl.rows.LocalList
            list_digest = await asyncio.to_thread(list_here.digest) if list_here else b""
            await join(run, crawler.settings["REDIS_URL"], self.spider.name, list_digest)
        except InputError as error:
            # The engine cannot close in order before everything is open.
            run.state = RunState.DONE
            self._refusal = error
            connect(self._refuse, signals.spider_opened)
            if exporter := crawler.get_extension(FeedExporter):
                exporter.feeds.clear()  # they keep what they have: this crawl does not take place
            return
        self.results.listen()
        run.counted.listen(crawler.engine)
        connect(self._spider_idle, signals.spider_idle)
        encoding = crawler.settings.get("REDIS_ENCODING") or defaults.REDIS_ENCODING
        known_by = self._known.fingerprint
        feeder = Feeder(run, self.spider, encode=self.encode, check=self.check, fingerprint=known_by, encoding=encoding)
        run.when_done = feeder.look_again
        start(run, feeder.feed)

    def _request_finished(self, request: Request) -> None:
        page = self.leases.finish(request)
        run = self.shared_run
        if page is None:
            return
        if self._tells_idle:
            has_worked(self.spider)
        is_given_back = page.retry is None and (page.unfinished or was_given_up(request))
        is_failed = page.retry is None and bool(page.failed)
        counts = run.counted.settle(page, is_done=not is_given_back and not is_failed)
        if page.retry is not None:
            run.end_page(page, "again", page.retry, counts)
        elif is_given_back:
            run.shards[page.shard].give_back()
        elif is_failed:
            self._count("frontier/failed")
            run.end_page(page, "failed", page.failed, counts)
        else:
            run.end_page(page, "done", counts=counts)

    def _refuse(self) -> None:
        if self._refusal:
            raise self._refusal

    def _spider_idle(self) -> None:
        if reason := self.shared_run.close_reason:
            raise CloseSpider(reason)
        if self.shared_run.state is RunState.LOST:
            raise CloseSpider("frontier_gone")
        if self.shared_run.home.reply.error:
            raise CloseSpider("start_error")
        if is_waiting(self.shared_run) and idles_as_stock(self.spider):
            raise DontCloseSpider

    # Leases and fingerprints

    def _accept(self, shard: int, token: bytes, priority: bytes, value: bytes, quarantined: bool) -> None:
        try:
            request = decode(value, self.spider, int(priority), self.meta_allowed)
            page = Page(token, codec.slot_of(request), self._known.fingerprint(request), shard)
        except Exception as error:  # a project's own parts may raise anything, and others wait for their turn
            logger.warning("A value in the queue is no request of ours and was set aside: %s", one_line(error))
            self.shared_run.end_page(Page(token, "", b"", shard), "reject", one_line(error))
            return
        # By this an item is known, whoever does the page: retries and redirects keep it.
        request.meta.setdefault("lease", page.fingerprint.hex())
        self.leases.add(request, page, quarantined=quarantined)

    def _count(self, stat: str) -> None:
        self.crawler.stats.inc_value(stat)
