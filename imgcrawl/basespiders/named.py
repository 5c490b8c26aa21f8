"""ADDRESSES → DETAIL → ITEM: galleries that the user names himself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sized
from typing import Any, ClassVar

from scrapy import Request

from imgcrawl.basespiders.gallery import GallerySpider
from imgcrawl.exceptions import InputError
from imgcrawl.rows import BadRow, RowReader, open_rows
from imgcrawl.urls import absolute, rebase

# Galleries that wait in this process before more of the list is read, and how often (seconds) they are counted.
GALLERIES_AHEAD = 500
PAUSE = 0.02


class NamedGallerySpider(GallerySpider):
    """Takes the addresses of galleries from the command line (`gallery`) or from a list (`file`), without list pages.

    A list is judged before anything is asked for: one that cannot be read raises `InputError`. A row without an address
    is told with its line, counted (`row/bad`) and passed over. Addresses in a list are not trusted: they lead to public
    hosts only, unless `base` says whose they are.
    """

    options: ClassVar[dict[str, str]] = {
        "gallery": "the addresses of galleries, parted by commas, in place of list pages",
        "file": "a list of addresses of galleries, plain, in gzip or in zip, in place of list pages",
        "column": "where in the list the address is: a number counted from 0, a name of the header row",
    }
    gallery: str | None = None
    file: str | None = None
    column: str | None = None

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
        if self.file:
            self._list = open_rows(self.file, columns=[self.column] if self.column else None)

    async def start(self) -> AsyncIterator[Any]:
        if not self._addresses and self._list is None:
            async for request in super().start():
                yield request
            return
        for request in self.named_requests():
            yield request
            while self.is_ahead():  # noqa: ASYNC110 -- a scheduler tells nobody that it has become shorter
                await asyncio.sleep(PAUSE)

    def named_requests(self) -> Iterator[Request]:
        """A request for each gallery that is named."""
        given = [rebase(address, self.base) if self.base else address for address in self._addresses]
        for address in given:  # before one that leads to another is asked for
            self._named[Request(address).url] = None
        yield from map(self.gallery_request, given)
        for row in self._list or ():
            found = None if isinstance(row, BadRow) else absolute("", row.values[0])
            if found and self.base:
                yield self.gallery_request(rebase(found, self.base))
            elif found:
                request = self.gallery_request(found)
                request.meta["page_url"] = f"{self.file}:{row.line}"
                yield request
            else:
                self.crawler.stats.inc_value("row/bad")
                said = row.reason if isinstance(row, BadRow) else f"no address: {row.values[0][:80]!r}"
                self.logger.warning("%s, line %d: %s", self.file, row.line, said)

    def is_ahead(self) -> bool:
        """Whether enough requests wait in this process. A scheduler without a length keeps them elsewhere."""
        scheduler = self.crawler.engine.scheduler
        return isinstance(scheduler, Sized) and len(scheduler) >= GALLERIES_AHEAD
