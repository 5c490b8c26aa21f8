"""What became of an address, as the item tells it."""

from __future__ import annotations

import logging
from dataclasses import replace
from hashlib import sha1
from typing import TYPE_CHECKING, Any, cast

from imgcrawl.catalogue import Record
from imgcrawl.failures import reason_of
from imgcrawl.items import REASONS, Image
from imgcrawl.samples import samples_of

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.statscollectors import StatsCollector

logger = logging.getLogger(__name__)


def stored(status: str, record: Record) -> Image:
    """The outcome of an address whose bytes are in the store."""
    image = {"status": status} if status else {}
    return cast("Image", image | record.facts())


def known(record: Record, requested_path: str) -> Image:
    """The outcome of an address that needs no download: `duplicate` where another name was asked for first."""
    return stored("uptodate" if record.wanted == requested_path else "duplicate", record)


def same_bytes(record: Record, path: str, before: Record | None) -> tuple[Record, str]:
    """What to note of bytes that are in the store as *path*, and their status; *before*: what the address had."""
    record = replace(record, path=path)
    if before is None or before.path != path:
        return record, "duplicate"
    # Another worker may have stored this address under another gallery's name in the meantime: the first name stays.
    return replace(record, wanted=before.wanted), "uptodate" if before.wanted == record.wanted else "duplicate"


def left_beside(before: Record | None, record: Record) -> Record | None:
    """What to note of the file that an address had *before*, where *record* is of other bytes in another: it stays, and
    is known by itself."""
    if before is None or before.path in ("", record.path):
        return None
    key = sha1(f"{before.path}\0{before.checksum}".encode(), usedforsecurity=False).digest()
    return replace(before, key=key)


def still_stored(image: Image, record: Record | None) -> Image:
    """*image*, an outcome without a file, with the file that the address had before, as *record* has it."""
    return cast("Image", {**stored("", record), **image}) if record and "path" not in image else image


def not_stored(reason: str) -> Image:
    """The outcome of an address that nothing was stored of, for *reason* (`imgcrawl.items.REASONS`)."""
    status = "refused" if reason in REASONS["refused"] else "failed"
    return {"status": status, "reason": reason}


def with_facts(images: list[Image], facts: Any) -> list[Image]:
    """*images* with what their page states about each (`Gallery`'s `image_facts`): address → fact → value."""
    if isinstance(facts, dict):
        for image in images:
            if isinstance(image["url"], str) and (about := facts.get(image["url"])):
                image["facts"] = about
    return images


def failure_of(error: Exception, url: str) -> Image:
    """The outcome of an address for an *error* that its download has ended in. What nobody foresaw is logged."""
    status, reason = reason_of(error)
    if reason == "error":
        logger.error("%s: %.300s at %.500s", type(error).__name__, error, url)
        logger.debug("Where it came from", exc_info=error)
    return {"status": status, "reason": reason}


def tell(crawler: Crawler, image: Image, page: str | None, title: object = "") -> None:
    """Count *image*, which is on *page*, in a gallery of that *title*; log what is not in the store."""
    _count(crawler.stats, image, 1)
    samples_of(crawler).add_image(image, page, title)
    if "reason" in image:
        logger.info(
            "Image %s (%s): %.500s on %.500s",
            image["status"],
            image["reason"],
            image["url"],
            page,
            extra={"spider": crawler.spider},
        )


def tell_anew(crawler: Crawler, before: Image, image: Image, page: str | None) -> Image:
    """*image*, told in the place of *before*."""
    _count(crawler.stats, before, -1)
    tell(crawler, image, page)
    return image


def _count(stats: StatsCollector, image: Image, by: int) -> None:
    stats.inc_value(f"image/{image['status']}", by)
    if "reason" in image:
        stats.inc_value(f"image/{image['status']}/{image['reason']}", by)
