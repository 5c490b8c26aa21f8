"""What could not be had, counted: the summary tells how much that is, and shows one of each kind."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, cast

from imgcrawl.failures import reason_of
from imgcrawl.items import Gallery
from imgcrawl.pages.bounds import LEFT_OUT
from imgcrawl.samples import samples_of

if TYPE_CHECKING:
    from scrapy import Request, Spider
    from twisted.python.failure import Failure


def was_stopped(failure: Failure) -> bool:
    """Whether a page was given up because the crawl is being stopped: nothing is wrong with it, and the same crawl goes
    on with it where it can."""
    return reason_of(cast("BaseException", failure.value))[1] == "stopped"


def times_asked(request: Request) -> int:
    """How often *request* was asked for again."""
    times: int = request.meta.get("retry_wait") or request.meta.get("retry_times", 0)
    return times


def lost_gallery(spider: Spider, url: str, reason: str) -> None:
    """The gallery at *url* could not be had."""
    stats = spider.crawler.stats
    stats.inc_value("gallery/failed")
    stats.inc_value(f"gallery/failed/{reason}")
    samples_of(spider.crawler).add(f"gallery/failed/{reason}", url)
    if reason == "login" and (spider.settings.getbool("COOKIES_ENABLED") or spider.settings.get("COOKIES_FILE")):
        stats.inc_value("gallery/session_ended")
    spider.logger.info("Gallery failed (%s): %.500s", reason, url)


def lost_list(spider: Spider, url: str, reason: str, sentence: str = "") -> None:
    """The list page at *url* could not be had, or lacks what it should show; *sentence* says more for the log."""
    spider.crawler.stats.inc_value("list/failed")
    if reason.isidentifier():  # else it is a sentence, with what a stranger says in it
        spider.crawler.stats.inc_value(f"list/failed/{reason}")
    samples_of(spider.crawler).add(f"list/failed/{reason}", url)
    if sentence:
        spider.logger.info("%.1000s", sentence)


def left_out_of(spider: Spider, item: Gallery, reasons: Collection[str]) -> None:
    """The gallery *item* has more than was looked at, for *reasons* (`LEFT_OUT`)."""
    if not reasons:
        return
    item["left_out"] = sorted(reasons)
    spider.crawler.stats.inc_value("gallery/left_out")
    for reason in item["left_out"]:
        spider.crawler.stats.inc_value(f"gallery/left_out/{reason}")
        samples_of(spider.crawler).add(f"gallery/left_out/{reason}", item["url"])
        spider.logger.info("%.500s: %s", item["url"], LEFT_OUT[reason])
