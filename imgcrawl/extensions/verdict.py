"""What the stats say at the end of a crawl: whether it did what it should."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from scrapy import signals
from scrapy.extensions.feedexport import FeedExporter

from imgcrawl.display import stored_images
from imgcrawl.exceptions import GalleryUnfinished, InputError
from imgcrawl.items import STATUSES

if TYPE_CHECKING:
    from typing import Self

    from scrapy.crawler import Crawler
    from scrapy.extensions.feedexport import FeedSlot

# Signals of ours. The first comes when all is judged, after engine_stopped; `speaks_for_all`: of workers that share a
# queue one tells others of the run. The second comes where a crawl is ended without any other, by a second Ctrl-C.
JUDGED, STOPPED_AT_ONCE = object(), object()

# What is found of a crawl that was told to stop; with the reason behind it, of one that stopped for another.
STOPPED = "stopped before the end"

GALLERIES = ("found", "scraped", "failed", "not_reached")

# Of Scrapy's limits these two are no goal that was reached: they say that something went wrong.
ALARMS = ("closespider_errorcount", "closespider_timeout_no_item")


class Verdict:
    """Judges a crawl when its spider closes.

    Sets the stat `verdict`: empty if the crawl did what it should, else one sentence, the most important of
    `findings()`, all of which are in the stat `verdict/findings`. VERDICT_MAX_FAILED (0 to 1) is the share
    of images, and of galleries, that may fail; VERDICT_IMAGES_EXPECTED says whether a crawl without images
    is a failure. Also counts `item/error` (items that broke a pipeline) and `feed/missing` (items that were
    scraped and are not in the feed; the feed that lacks most counts).
    """

    def __init__(self, crawler: Crawler, *, max_failed: float, images_expected: bool) -> None:
        self.crawler = crawler
        self.max_failed = max_failed
        self.images_expected = images_expected
        self.fed: Counter[str] = Counter()
        self.reason: str | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        value = crawler.settings.get("VERDICT_MAX_FAILED", 0.2)
        try:
            max_failed = float(value)
        except (TypeError, ValueError):
            max_failed = -1
        if not 0 <= max_failed <= 1:
            raise InputError(f"VERDICT_MAX_FAILED is {value!r}: expected a share from 0 to 1")
        images_expected = crawler.settings.getbool("VERDICT_IMAGES_EXPECTED", True)
        images_expected = images_expected and not crawler.settings.getbool("IMAGES_SIMULATE")
        verdict = cls(crawler, max_failed=max_failed, images_expected=images_expected)
        connect = crawler.signals.connect
        connect(verdict.item_error, signals.item_error)
        connect(verdict.item_dropped, signals.item_dropped)
        connect(verdict.feed_slot_closed, signals.feed_slot_closed)
        connect(verdict.spider_closed, signals.spider_closed)
        connect(verdict.engine_stopped, signals.engine_stopped)
        connect(verdict.feed_exporter_closed, signals.feed_exporter_closed)
        return verdict

    def item_error(self) -> None:
        self.crawler.stats.inc_value("item/error")

    def item_dropped(self, exception: Exception) -> None:
        # It was counted when its page was read, and is not scraped after all: its page is to be done again.
        if isinstance(exception, GalleryUnfinished) and self.crawler.stats.get_value("gallery/count", 0):
            self.crawler.stats.inc_value("gallery/count", -1)

    def feed_slot_closed(self, slot: FeedSlot) -> None:
        self.fed[slot.uri_template] += slot.itemcount

    def spider_closed(self, reason: str) -> None:
        self.reason = reason
        self._judge()

    def feed_exporter_closed(self) -> None:
        # Feeds close while spider_closed is being handled, after this extension has judged: judge again.
        if self.reason is not None:
            self._judge()

    async def engine_stopped(self) -> None:
        await self._tell_judged(speaks_for_all=True)

    async def _tell_judged(self, *, speaks_for_all: bool) -> None:
        await self.crawler.signals.send_catch_log_async(JUDGED, speaks_for_all=speaks_for_all)

    def _judge(self) -> None:
        stats = self.crawler.stats
        stats.set_value("feed/missing", self._missing())
        found = list(
            findings(
                stats.get_stats(),
                self.reason or "",
                max_failed=self.max_failed,
                images_expected=self.images_expected,
            )
        )
        stats.set_value("verdict/findings", found)
        stats.set_value("verdict", found[0] if found else "")

    def _missing(self) -> int:
        exporter = self.crawler.get_extension(FeedExporter)
        if exporter is None:
            return 0
        scraped: int = self.crawler.stats.get_value("item_scraped_count", 0)
        whole = [uri for uri, options in exporter.feeds.items() if not options.keys() & {"item_classes", "item_filter"}]
        return max((scraped - self.fed[uri] for uri in whole), default=0)


def findings(
    stats: Mapping[str, Any], reason: str, *, max_failed: float = 0.2, images_expected: bool = True
) -> Iterator[str]:
    """One sentence for each thing that did not go as it should, by importance; nothing if all is right.

    *stats* are those of a crawl that closed with *reason*; *max_failed* (0 to 1) is the share of the images,
    and of the galleries, that may fail.
    """

    def count(name: str) -> int:
        return int(stats.get(name, 0))

    if error := stats.get("verdict/error"):
        yield str(error)

    if reason in ALARMS or (reason != "finished" and not reason.startswith("closespider_")):
        yield STOPPED + ("" if reason == "shutdown" else f" ({reason})")

    if broken := count("spider_exceptions/count"):
        yield f"{_many(broken, 'page')} broke the spider: the log has the tracebacks"

    found = count("image/found")
    if images_expected and not stored_images(stats) and not known_already(stats):
        yield f"not one image: {found:,} found" + _most_often(stats, "image/failed", "image/refused")

    if lists := count("list/failed"):
        often = _most_often(stats, "list/failed")
        yield f"{_many(lists, 'list page')} could not be had, so galleries may be missing{often}"

    yield from _led_astray(stats)

    for name, total, one in (
        ("gallery/failed", count("gallery/count") + count("gallery/failed"), "gallery"),
        ("image/failed", found, "image"),
        ("subpage/failed", count("subpage/count"), "sub-page"),
        ("row/bad", count("row/count") + count("row/bad"), "row"),
    ):
        stopped = f"{name}/stopped"  # it was told to, and says so already
        failed = count(name) - count(stopped)
        if failed > max_failed * total:
            often = _most_often({reason: n for reason, n in stats.items() if reason != stopped}, name)
            yield f"{failed:,} of {_many(total, one)} failed, more than {max_failed:.0%}{often}"

    if errors := count("item/error"):
        yield f"{_many(errors, 'item')} broke an item pipeline and got lost: the log has the tracebacks"
    unfinished = f"item_dropped_reasons_count/{GalleryUnfinished.__name__}"  # its page is done again
    if dropped := count("item_dropped_count") - count(unfinished):
        often = _most_often({name: n for name, n in stats.items() if name != unfinished}, "item_dropped_reasons_count")
        yield f"{_many(dropped, 'item')} dropped by an item pipeline{often}"

    unsaved = sum(int(n) for name, n in stats.items() if name.startswith("feedexport/failed_count/"))
    if unsaved:
        yield f"{_many(unsaved, 'feed')} could not be stored: the log says why"
    if missing := count("feed/missing"):
        yield f"{_many(missing, 'item')} scraped but not in the feed: the log says why"

    outcomes = sum(count(f"image/{status}") for status in STATUSES)
    yield from _failed_commands(stats)
    if found != outcomes:
        yield f"imgcrawl's books are wrong, please report it: {found:,} images found, {outcomes:,} outcomes"


def _failed_commands(stats: Mapping[str, Any]) -> Iterator[str]:
    if failed := int(stats.get("command/failed", 0)):
        often = _most_often(stats, "command/failed")
        yield f"{failed:,} of {_many(int(stats.get('command/run', 0)), 'command')} failed{often}"


def _led_astray(stats: Mapping[str, Any]) -> Iterator[str]:
    if ended := int(stats.get("gallery/session_ended", 0)):
        yield f"{_many(ended, 'gallery')} asked to log in, though cookies are sent: the session has ended"
    for url, led in by_reason(stats, "gallery/led_to")[:1]:
        yield f"{led:,} galleries lead to one address, {url}: they are gone, or the site wants something first"
    if left := int(stats.get("gallery/left_out", 0)):
        often = _most_often(stats, "gallery/left_out")
        yield f"{_many(left, 'gallery')} {'has' if left == 1 else 'have'} more images than were found{often}"


def known_already(stats: Mapping[str, Any]) -> int:
    """How many pages were known from an earlier crawl, where there was nothing else: a night without anything new."""
    asked = ("gallery/count", "gallery/failed", "row/count", "row/bad", "list/failed", "image/found")
    if any(stats.get(name, 0) for name in asked):
        return 0
    return int(stats.get("dupefilter/filtered", 0)) + int(stats.get("gallery/known", 0))


def gallery_counts(stats: Mapping[str, Any]) -> dict[str, int]:
    """The `GALLERIES` that *stats* tell of. The first is the sum of the others."""
    scraped, failed = stats.get("gallery/count", 0), stats.get("gallery/failed", 0)
    found = max(scraped + failed, stats.get("gallery/found", 0))
    return dict(zip(GALLERIES, (found, scraped, failed, found - scraped - failed), strict=True))


def _many(count: int, one: str) -> str:
    if count == 1:
        return f"1 {one}"
    return f"{count:,} {one[:-1]}ies" if one.endswith("y") else f"{count:,} {one}s"


def by_reason(stats: Mapping[str, Any], prefix: str) -> list[tuple[str, int]]:
    """What the stats below *prefix* count, the most frequent first: reason and number."""
    start = f"{prefix}/"
    counts = [(name.removeprefix(start), int(n)) for name, n in stats.items() if name.startswith(start)]
    return sorted(counts, key=lambda reason: (-reason[1], reason[0]))


def _most_often(stats: Mapping[str, Any], *prefixes: str) -> str:
    counts = [reason for prefix in prefixes for reason in by_reason(stats, prefix)]
    if not counts:
        return ""
    reason, count = max(counts, key=lambda counted: counted[1])
    return f" ({reason}: {count:,})"
