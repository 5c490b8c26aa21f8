"""The way of a page, as OpenTelemetry's spans: kept as bare times while it lasts, and told when it is over."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import time_ns
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from scrapy import Request, signals

from imgcrawl import __version__
from imgcrawl.engine import scheduler_in
from imgcrawl.lines import printable
from imgcrawl.urls import host_of, without_query

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

_LONGEST = 300  # characters of an address in an attribute
MOST_IMAGES = 100  # of a page that have spans
_SHORTEST = 100_000  # nanoseconds: what takes less has no span
_EXPORT = 3.0  # seconds that a collector may take, each time


@dataclass(eq=False, slots=True)
class Timing:
    """What took how long: a page, a part of it, an image. Times are of time_ns()."""

    name: str
    start: int = field(default_factory=time_ns)
    end: int = 0
    attributes: dict[str, str | int | float] = field(default_factory=dict)
    error: str = ""
    parts: list[Timing] = field(default_factory=list)

    def part(self, name: str, start: int | None = None, end: int = 0) -> Timing:
        made = Timing(name, start or time_ns(), end)
        self.parts.append(made)
        return made

    @contextmanager
    def timed(self, name: str) -> Iterator[Timing]:
        """A part that lasts as long as the block."""
        part = self.part(name)
        try:
            yield part
        except BaseException as error:
            part.error = type(error).__name__
            raise
        finally:
            part.end = time_ns()


@dataclass(eq=False, slots=True)
class PageTiming(Timing):
    """A page: how many of its items are under way, and which; whether all that its callback gives is there."""

    items: dict[int, Any] = field(default_factory=dict)  # by their ids, while they are under way
    parsed: bool = False
    feed_since: int = 0


# What the task works on, if it is traced.
current: ContextVar[Timing | None] = ContextVar("timing", default=None)


class Traces:
    """Sends a trace of TRACES_SAMPLED (default 0.02) of all pages to TRACES_ENDPOINT, an OTLP collector over HTTP.

    What the library reads from the environment (OTEL_EXPORTER_OTLP_HEADERS, OTEL_RESOURCE_ATTRIBUTES, …) holds. Spans
    have addresses without user, password, query and fragment, and no header of a request.
    """

    def __init__(self, crawler: Crawler) -> None:
        settings = crawler.settings
        self.crawler = crawler
        self._share = settings.getfloat("TRACES_SAMPLED", 0.02)
        self._queued: WeakKeyDictionary[Request, int] = WeakKeyDictionary()
        self._pages: WeakKeyDictionary[Request, PageTiming] = WeakKeyDictionary()
        self._of_items: dict[int, PageTiming] = {}
        exporter = OTLPSpanExporter(endpoint=str(settings["TRACES_ENDPOINT"]), timeout=_EXPORT)
        resource = Resource.create({"service.name": "imgcrawl", "service.version": __version__})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("imgcrawl", __version__)
        self._telling: set[asyncio.Future[None]] = set()
        connect = crawler.signals.connect
        connect(self._scheduled, signals.request_scheduled)
        connect(self._item_comes, signals.item_scraped)  # the first that hears of it, before feeds
        connect(self._spider_opened, signals.spider_opened)
        for signal in (signals.item_dropped, signals.item_error):
            connect(self.item_left, signal)
        connect(self._engine_stopped, signals.engine_stopped)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    # What begins

    def _spider_opened(self) -> None:
        self.crawler.signals.connect(self.item_left, signals.item_scraped)  # the last, behind feeds

    def _scheduled(self, request: Request) -> None:
        if random.random() < self._share:
            self._queued[request] = time_ns()

    def begin(self, request: Request) -> PageTiming | None:
        """The timing of *request*, if that is a page, whose way begins here, and it is traced."""
        since: int | None = self._queued.get(request)
        if since is None and (leases := getattr(scheduler_in(self.crawler), "leases", None)):
            held = leases.held_since(request)
            since = int(held * 1e9) if held and random.random() < self._share else None
        if since is None:
            return None
        page = self._pages[request] = PageTiming("page", since)
        page.part("queue", since, time_ns())
        callback = getattr(request.callback, "__name__", "") or "parse"
        page.attributes = {
            "imgcrawl.spider": self.crawler.spidercls.name,
            "imgcrawl.callback": callback[:100],
            "url.full": shown_url(request.url),
            "server.address": host_of(request.url)[:255],
            "http.request.resend_count": int(request.meta.get("retry_times", 0)),
        }
        return page

    def of_response(self, response: Any) -> PageTiming | None:
        request = getattr(response, "request", None)
        return self._pages.get(request) if request is not None else None

    # Items

    def item_begins(self, page: PageTiming, item: Any) -> None:
        page.items[id(item)] = item
        self._of_items[id(item)] = page

    def of_item(self, item: Any) -> PageTiming | None:
        page = self._of_items.get(id(item))
        return page if page is not None and page.items.get(id(item)) is item else None

    def _item_comes(self, response: Any) -> None:
        if page := self.of_response(response):
            page.feed_since = time_ns()

    def item_left(self, item: Any, response: Any) -> None:
        page = self.of_response(response)
        if page is None:
            return
        if page.feed_since:
            page.part("feed", page.feed_since, time_ns())
            page.feed_since = 0
        # A pipeline may have made another item of it.
        key = id(item) if id(item) in page.items else next(iter(page.items), None)
        if key is not None:
            del page.items[key]
            self._of_items.pop(key, None)
        self.end_if_done(response, page)

    # What ends

    def end_if_done(self, response: Any, page: PageTiming) -> None:
        """Tell of *page*, the one of *response*, if nothing of it is under way any more."""
        if page.parsed and not page.items and response.request in self._pages:
            del self._pages[response.request]
            self._tell(page)

    def failed(self, request: Request, error: BaseException | str) -> None:
        """The way of *request* ends here."""
        if page := self._pages.get(request):
            del self._pages[request]
            page.error = error if isinstance(error, str) else type(error).__name__
            for key in page.items:
                self._of_items.pop(key, None)
            self._tell(page)

    def _tell(self, page: PageTiming) -> None:
        page.end = time_ns()
        telling = asyncio.get_running_loop().run_in_executor(None, make_spans, self._tracer, page)
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def _engine_stopped(self) -> None:
        if self._telling:
            await asyncio.wait(self._telling)
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * _EXPORT):
                await asyncio.to_thread(self._provider.shutdown)


def make_spans(tracer: Tracer, timing: Timing, parent: Span | None = None) -> None:
    """Have *tracer* told of *timing*, and of its parts."""
    context = set_span_in_context(parent) if parent else None
    span = tracer.start_span(timing.name, context, SpanKind.INTERNAL, timing.attributes, start_time=timing.start)
    if timing.error:
        span.set_status(Status(StatusCode.ERROR, timing.error[:100]))
    for part in timing.parts:
        if part.end - part.start >= _SHORTEST:
            make_spans(tracer, part, span)
    span.end(timing.end or timing.start)


def traces_of(crawler: Crawler) -> Traces:
    """The extension of *crawler*, which is there where the classes are that take the time."""
    traces = crawler.get_extension(Traces)
    if traces is None:
        raise RuntimeError("EXTENSIONS has no Traces, and other settings name what needs it")
    return traces


def shown_url(url: str) -> str:
    """*url* as an attribute: nothing by which somebody could log in."""
    return printable(without_query(url).partition("#")[0])[:_LONGEST]
