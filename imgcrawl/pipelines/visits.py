"""REMEMBER: what became of a gallery and of each of its addresses, in the catalogue."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any
from urllib.parse import quote

from itemadapter import ItemAdapter
from scrapy import Request
from scrapy.utils.request import RequestFingerprinterProtocol

from imgcrawl.catalogue import Catalogue, GalleryVisit, LastOutcome
from imgcrawl.catalogue.sql import gallery_key, is_complete
from imgcrawl.durability import GroupSync
from imgcrawl.items import Image
from imgcrawl.optouts import reason_of_opt_out
from imgcrawl.pipelines.media_requests import NO_ADDRESS

# Refusals before anything is asked for: by a setting, a limit or a slip of ours, they say nothing of the address. What
# its page says against the use of images (`opt_outs`) is another; of what an answer says, the failure before is over.
_NOT_ASKED = {"robots", "scheme", "invalid_url", "private_address", "title", "date", "range", "filtered", "budget"}


class Visits:
    """Notes galleries in the *catalogue*; those that come while others are written share the next transaction."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._waiting: deque[GalleryVisit] = deque()
        self._group = GroupSync(self._write)

    async def note(self, visit: GalleryVisit) -> None:
        """Return when *visit* is in the catalogue. Raises what the catalogue does."""
        self._waiting.append(visit)
        await self._group.wait()

    def _write(self) -> None:
        if visits := [self._waiting.popleft() for _ in range(len(self._waiting))]:
            self.catalogue.note(visits)


def known_requests(
    requests: Iterable[Request], asked: list[tuple[bytes, str]], fingerprinter: RequestFingerprinterProtocol
) -> Iterator[Request]:
    """*requests*, each with its fingerprint in its meta (``image_key``); *asked* has it then, too, with the page that
    shows the image."""
    for request in requests:
        known_as = request.meta.get("image_known_as")
        if request.url == NO_ADDRESS:
            known_as = f"{NO_ADDRESS}?{quote(str(request.meta['image_url']), errors='replace')}"
        key = fingerprinter.fingerprint(Request(known_as, meta=request.meta) if known_as else request)
        request.meta["image_key"] = key
        asked.append((key, str(request.meta.get("page_url") or "")))
        yield request


def visit_of(
    adapter: ItemAdapter,
    asked: Sequence[tuple[bytes, str]],
    images: Sequence[Image],
    fields: tuple[str, str],
    spider: str,
) -> GalleryVisit:
    """What an item, whose *images* became what they say, is for the catalogue. *asked*: fingerprint and page of each;
    *fields*: the item's fields with addresses and outcomes. An item that says why its images had *failed* has been made
    to try these again."""
    media = " ".join(fields)
    now = time.time()
    spider = _text(adapter.get("spider") or spider)
    url, title = _text(adapter.get("url")), _text(adapter.get("title"))
    known_as = url
    if "://" not in url and images and (url or not title):  # a place in a list, which another list may have, too
        known_as = f"{url}\0{_text(images[0]['url'])}"
    gallery = gallery_key(spider, known_as, media, title)
    of_pages = adapter.get("opt_outs_of_pages")
    said = chain(adapter.get("opt_outs") or (), *(of_pages.values() if isinstance(of_pages, dict) else ()))
    not_asked = _NOT_ASKED | {reason_of_opt_out(str(word)) for word in said}
    outcomes = [
        LastOutcome(
            key=key,
            url=_text(image["url"]),
            spider=spider,
            gallery=gallery,
            page=_text(page),
            status=image["status"],
            reason=image.get("reason", ""),
            requested_path=_text(image.get("requested_path")),
            opt_outs=" ".join(image.get("opt_outs", ())),
            tried=int(image["status"] != "uptodate" and image.get("reason") not in not_asked),
            first_seen=now,
            last_seen=now,
        )
        for (key, page), image in zip(asked, images, strict=True)
    ]
    failed = adapter.get("failed")
    return GalleryVisit(
        spider=spider,
        url=url,
        title=title,
        fields=ItemAdapter({name: value for name, value in adapter.items() if name not in fields}).asdict(),
        media=media,
        outcomes=outcomes,
        seen_at=now,
        # A page without any image may be one that the site shows in place of it.
        complete=bool(outcomes)
        and is_complete(outcomes)
        and not adapter.get("failed_pages")
        and not adapter.get("error"),
        error=_text(adapter.get("error")),
        partial=isinstance(failed, list) and len(failed) == len(outcomes),
        key=gallery,
    )


def _text(value: Any) -> str:
    """*value* as any database takes it: without NUL and without halves of characters."""
    text = "" if value is None else str(value)
    return text if text.isprintable() else text.replace("\0", "").encode("utf-8", "replace").decode()
