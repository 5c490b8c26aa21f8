"""A crawl in figures, as Prometheus reads them: made of its stats when somebody asks, so that a crawl pays nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from imgcrawl import __version__
from imgcrawl.downloader import Downloader
from imgcrawl.engine import downloader_in, scheduler_in
from imgcrawl.items import PAGE_REASONS, REASONS, STATUSES

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

_KNOWN_REASONS = {*REASONS["refused"], *REASONS["failed"], *PAGE_REASONS}
_HTTP = re.compile(r"http_[1-5][0-9]{2}|[1-5][0-9]{2}")
OTHER = "other"  # what has no label of its own


class CrawlMetrics(Collector):
    """The metrics of *crawler*, for whoever asks in its event loop.

    Labels are of closed lists, but for those of hosts: the first *hosts* that the crawl asks have one, all others are
    "other". No address and no title is in any.
    """

    def __init__(self, crawler: Crawler, hosts: int) -> None:
        self._crawler = crawler
        self._spider = crawler.spidercls.name
        self._most_hosts = hosts
        self._hosts: set[str] = set()
        self._highest: dict[tuple[str, ...], float] = {}

    def collect(self) -> Iterator[Metric]:
        stats = self._crawler.stats.get_stats()
        info = GaugeMetricFamily("imgcrawl_info", "What crawls.", labels=["spider", "version"])
        info.add_metric([self._spider, __version__], 1)
        yield info
        yield from self._outcomes(stats)
        yield from self._counters(stats)
        yield from self._now(stats)

    # What is counted

    def _outcomes(self, stats: Mapping[str, Any]) -> Iterator[Metric]:
        images = self._counter("images", "Addresses of images that have an outcome.", ["status", "reason"])
        for status in STATUSES:
            reasons = _by_reason(stats, f"image/{status}")
            for reason, count in reasons.items():
                self._add(images, [status, reason], count)
            if status not in REASONS:
                self._add(images, [status, ""], stats.get(f"image/{status}", 0))
        yield images
        galleries = self._counter("galleries", "Galleries that have an outcome.", ["outcome", "reason"])
        self._add(galleries, ["scraped", ""], stats.get("gallery/count", 0))
        for reason, count in _by_reason(stats, "gallery/failed").items():
            self._add(galleries, ["failed", reason], count)
        yield galleries
        answers = self._counter("responses", "Answers, by their status.", ["code"])
        for code, count in _by_reason(stats, "downloader/response_status_count").items():
            self._add(answers, [code], count)
        yield answers

    def _counters(self, stats: Mapping[str, Any]) -> Iterator[Metric]:
        for name, stat, meaning in (
            ("image_bytes", "image/bytes", "Bytes of the images that were downloaded."),
            ("received_bytes", "downloader/response_bytes", "Bytes of all answers."),
            ("requests", "downloader/request_count", "Requests that were sent."),
            ("retries", "retry/count", "Requests that were tried again."),
            ("list_pages", "list/count", "List pages that were read."),
            ("list_pages_failed", "list/failed", "List pages that could not be had."),
            ("images_found", "image/found", "Addresses of images that were found."),
            ("commands", "command/run", "Commands that have ended."),
            ("commands_failed", "command/failed", "Commands that have failed."),
            ("spider_errors", "spider_exceptions/count", "Pages that broke the spider."),
        ):
            counter = self._counter(name, meaning, [])
            self._add(counter, [], stats.get(stat, 0))
            yield counter

    def _counter(self, name: str, meaning: str, labels: list[str]) -> CounterMetricFamily:
        return CounterMetricFamily(f"imgcrawl_{name}", meaning, labels=["spider", *labels])

    def _add(self, metric: CounterMetricFamily, labels: list[str], value: Any) -> None:
        # An outcome may be told anew, and a counter that falls would be one that began again.
        key = (metric.name, *labels)
        number = self._highest[key] = max(self._highest.get(key, 0.0), float(value))
        metric.add_metric([self._spider, *labels], number)

    # What is there now

    def _now(self, stats: Mapping[str, Any]) -> Iterator[Metric]:
        pages = self._gauge("pages", "Pages, by where they are; with a shared queue those of all workers.", ["state"])
        for state, number in queue_depth(self._crawler).items():
            pages.add_metric([self._spider, state], number)
        yield pages
        downloader = downloader_in(self._crawler)
        slots = getattr(downloader, "slots", {})
        requests = self._gauge("requests_now", "Requests, by what becomes of them.", ["state"])
        requests.add_metric([self._spider, "transferring"], sum(len(slot.transferring) for slot in slots.values()))
        requests.add_metric([self._spider, "waiting"], sum(len(slot.queue) for slot in slots.values()))
        yield requests
        blocked, buffered = 0, 0
        if isinstance(downloader, Downloader):
            blocked = sum(downloader.limits.blocked(name) > 0 for name in slots)
            buffered = downloader.backpressure.nbytes
        hosts = self._gauge("hosts", "Hosts that this worker has something to ask.", ["state"])
        hosts.add_metric([self._spider, "blocked"], blocked)
        hosts.add_metric([self._spider, "free"], len(slots) - blocked)
        yield hosts
        in_memory = self._gauge("buffered_bytes", "Bytes of answers that are in memory.", [])
        in_memory.add_metric([self._spider], buffered)
        yield in_memory
        yield from self._by_host(slots)

    def _by_host(self, slots: Mapping[str, Any]) -> Iterator[Metric]:
        waiting: dict[str, float] = {}
        delays: dict[str, float] = {}
        for name, slot in slots.items():
            label = self._host(name)
            waiting[label] = waiting.get(label, 0) + len(slot.queue)
            delays[label] = max(delays.get(label, 0.0), slot.delay)
        for metric, values, meaning in (
            ("host_requests_waiting", waiting, "Requests that wait for their turn, by host."),
            ("host_delay_seconds", delays, "Seconds between two requests to a host; of others the longest."),
        ):
            gauge = self._gauge(metric, meaning, ["host"])
            for label, value in values.items():
                gauge.add_metric([self._spider, label], value)
            yield gauge

    def _host(self, name: str) -> str:
        if name not in self._hosts and len(self._hosts) >= self._most_hosts:
            return OTHER
        self._hosts.add(name)
        return name[:255]  # as long as the name of a host may be

    def _gauge(self, name: str, meaning: str, labels: Iterable[str]) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"imgcrawl_{name}", meaning, labels=["spider", *labels])


def queue_depth(crawler: Crawler) -> dict[str, int]:
    """Pages by state: those that wait here, or those of the shared queue, as the last exchange with it told."""
    scheduler: Any = scheduler_in(crawler)
    run = getattr(scheduler, "shared_run", None)
    if run is None:
        return {"queued": len(scheduler)} if hasattr(scheduler, "__len__") else {}
    replies = [shard.reply for shard in run.shards]
    return {
        **{name: sum(getattr(reply, name) for reply in replies) for name in ("queued", "done", "dead")},
        "leased_here": len(scheduler.leases),
    }


def _by_reason(stats: Mapping[str, Any], prefix: str) -> dict[str, int]:
    """What *stats* count below *prefix*, by reasons of a closed list: all others together are "other"."""
    start = f"{prefix}/"
    counts: dict[str, int] = {}
    for name, count in stats.items():
        if name.startswith(start):
            reason = name.removeprefix(start)
            known = reason if reason in _KNOWN_REASONS or _HTTP.fullmatch(reason) else OTHER
            counts[known] = counts.get(known, 0) + int(count)
    return counts
