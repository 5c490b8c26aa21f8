"""ADDRESSES → DETAIL → ITEM: galleries that the user names himself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sized
from typing import Any, ClassVar

from scrapy import Request
from scrapy.http import Response
from twisted.python.failure import Failure

from imgcrawl.basespiders.base import request_of
from imgcrawl.basespiders.gallery import GallerySpider
from imgcrawl.exceptions import InputError
from imgcrawl.items import PAGE_FACTS, Gallery
from imgcrawl.pages import PageFacts
from imgcrawl.rows import BadRow, LocalList, RowReader, open_address_list
from imgcrawl.urls import absolute, rebase
from imgcrawl.webrequest import WebRequest

# Galleries that wait in this process before more of the list is read, and how often (seconds) they are counted.
GALLERIES_AHEAD = 500
PAUSE = 0.02
# Of several columns with addresses, the first of these.
_COLUMNS = ("gallery_url", "gallery", "album_url", "album", "page_url", "page", "url", "link", "href", "address")
# What a list may say of a gallery in the place of its page.
_SAID = {"title", *PAGE_FACTS} - {"tags", "image_facts"}


class NamedGallerySpider(GallerySpider):
    """Takes the addresses of galleries from the command line (`gallery`) or from a list (`file`), without list pages.

    A list is one of any format (`rows.open_address_list`), and is judged before anything is asked for: one that cannot
    be read raises `InputError`. Its other columns, those in `keep` or all small ones, are fields of the item; `title`
    and the like go before what the page says. A row without an address, or with one that is none, is told with its
    line and counted (`row/bad`), and what is no address is passed over. Addresses in a list are not trusted: they lead
    to public hosts only, unless `base` says whose they are.
    """

    options: ClassVar[dict[str, str]] = {
        "gallery": "the addresses of galleries, parted by commas, in place of list pages",
        "file": "a list of addresses of galleries, in place of list pages: a file, its http(s) address, or - for stdin",
        "column": "where in the list the address is: a number counted from 0, or a name; without it its rows tell",
        "keep": "columns of the list that become fields of the item, parted by commas; without it all that are small",
    }
    gallery: str | None = None
    file: str | None = None
    column: str | None = None
    keep: str | None = None

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._addresses: list[str] = []
        self._list: RowReader | None = None
        for given in re.split(r",(?=\s*[A-Za-z][A-Za-z0-9+.-]*://)", self.gallery or ""):
            if address := absolute("", given):
                self._addresses.append(address)
            elif given.strip():
                raise InputError(
                    f"-a gallery={given.strip()}: expected an address that begins with http:// or https://"
                )
        self.local_list = LocalList(self.file) if self.file else None
        if self.local_list:
            self._open_list(self.local_list)

    def _open_list(self, local: LocalList) -> None:
        try:
            self._list, fields = open_address_list(local.path, column=self.column, keep=self.keep, names=_COLUMNS)
        except InputError as error:
            local.close()
            raise InputError(local.told(str(error))) from error
        self.image_name_fields = {*self.item_class.fields, *map(_field, fields)}

    def closed(self, reason: str) -> None:
        if self.local_list:
            self.local_list.close()

    async def start(self) -> AsyncIterator[Any]:
        if not self._addresses and self._list is None:
            async for request in super().start():
                yield request
            return
        for number, request in enumerate(self.named_requests(), 1):
            if number > self.galleries_range.end:
                return
            if number not in self.galleries_range:
                continue
            yield request
            while self.is_ahead():  # noqa: ASYNC110 -- a scheduler tells nobody that it has become shorter
                await asyncio.sleep(PAUSE)

    def named_requests(self) -> Iterator[Request]:
        """A request for each gallery that is named."""
        given = [rebase(address, self.base) if self.base else address for address in self._addresses]
        for address in given:  # before one that leads to another is asked for
            self.ends.name(WebRequest(address).url)
        yield from map(self.gallery_request, given)
        place = self.local_list.name if self.local_list else ""
        for row in self._list or ():
            stated = [] if isinstance(row, BadRow) else row.values
            found = [_absolute(address) for address in stated]
            if None in found or not found:
                self.crawler.stats.inc_value("row/bad")
                bad = stated[found.index(None)] if found else ""
                said = row.reason if isinstance(row, BadRow) else f"no address: {bad[:80]!r}"
                self.logger.info("%s, line %d: %s", place, row.line, said)
            if isinstance(row, BadRow):
                continue
            for address in filter(None, found):
                request = self.gallery_request(rebase(address, self.base) if self.base else address)
                if row.fields:
                    request.meta["row_facts"] = dict(row.fields)
                if not self.base:
                    request.meta["page_url"] = f"{place}:{row.line}"
                yield request

    # What a list says of a gallery

    def gallery_item(self, response: Response) -> Gallery:
        return _with_facts(super().gallery_item(response), response.meta)

    def read_page(self, item: Gallery, response: Response, known: PageFacts | None = None) -> None:
        super().read_page(item, response, known)
        _with_facts(item, response.meta)

    def gallery_failed(self, failure: Failure) -> Iterator[Gallery]:
        for item in super().gallery_failed(failure):
            yield _with_facts(item, request_of(failure).meta)

    def is_ahead(self) -> bool:
        """Whether enough requests wait in this process. A scheduler without a length keeps them elsewhere."""
        scheduler = self.crawler.engine.scheduler
        return isinstance(scheduler, Sized) and len(scheduler) >= GALLERIES_AHEAD


def _absolute(stated: str) -> str | None:
    """The address in a list; one that begins with `//` is relative to the scheme of a page, which a list is not."""
    return absolute("", f"https:{stated}" if stated.startswith("//") else stated)


def _field(name: str) -> str:
    """What the item's field for the column *name* is called: what the crawl says itself is not the list's to say."""
    return f"row_{name}" if name in Gallery.fields and name not in _SAID else name


def _with_facts(item: Gallery, meta: dict[str, Any]) -> Gallery:
    """*item* with what a row of a list says, if *meta*, of its request, has that."""
    facts = meta.get("row_facts")
    for name, value in facts.items() if isinstance(facts, dict) else ():
        item[_field(str(name)) if isinstance(value, str) else f"row_{name}"] = value
    return item
