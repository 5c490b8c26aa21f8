"""ROWS → ITEMS: lists of addresses in a file, of any length."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sized
from functools import partial
from hashlib import sha1
from pathlib import Path
from typing import Any, ClassVar

from scrapy import Request
from scrapy.http import Response
from twisted.python.failure import Failure

from imgcrawl.basespiders.base import BaseSpider, failed_reason
from imgcrawl.basespiders.losses import was_stopped
from imgcrawl.exceptions import InputError
from imgcrawl.items import Gallery, Row, VideoRow
from imgcrawl.rows import BROKEN, BadRow, LocalList, RowsPage, open_item_list, open_rows
from imgcrawl.samples import samples_of
from imgcrawl.urls import OUTSIDE, absolute, rebase, stem

ROWS_PER_PAGE = 100
# Pages of rows that are read ahead of the crawl, and how often (seconds) it is asked whether it has come closer.
PAGES_AHEAD = 8
PAUSE = 0.02
# Bad rows that are told with WARNING; the rest with DEBUG, and counted in one line at the end.
MAX_TOLD = 100


class RowsSpider(BaseSpider):
    """Reads the list in `file`, of any length, and yields an item for each row.

    A list declares:

    - `columns`: what its rows hold: a name for each column and where it is, a number counted from 0, a name of
      the header row or a field of JSON Lines;

    and fills the item in one hook, `fill`. The item's `url` is `<file>:<line>`. The list may also be one that
    `scrapy failed` prints: its lines become the items that they were.

    The list is judged before anything is asked for: what cannot be read at all raises `InputError`. Its rows
    travel in pages of rows, each a request that carries its rows, and are read as the crawl gets there. A bad
    row is told with its line and reason, counted (`row/bad`, `row/bad/<reason>`) and passed over; the others
    are counted in `row/count`.

    Addresses in a list are not trusted: they lead to public hosts only, unless `base` says whose they are.
    """

    options: ClassVar[dict[str, str]] = {
        "file": "the list: a file of rows, plain, in gzip or in zip; its http(s) address; or - for standard input",
        "encoding": "the encoding of the list, where it has no byte order mark",
    }
    required: ClassVar[tuple[str, ...]] = ("file",)
    # A page of rows is answered at once: only so many (5, of the 1,024 bytes that Scrapy takes each for) may be
    # turned into items at a time.
    custom_settings = {"SCRAPER_SLOT_MAX_ACTIVE_SIZE": 4096}  # noqa: RUF012 -- never changed
    file: str | None = None
    encoding = "utf-8"

    item_class: type[Gallery] = Row
    columns: ClassVar[dict[str, int | str]] = {}
    referer = "referer"  # the column with the page that shows the image

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.bad_rows = 0
        self.local_list = LocalList(self.file) if self.file else None
        self.list_path = self.local_list.path if self.local_list else Path()
        try:
            self._pages = self.open_list()
        except InputError as error:
            sentence = self.local_list.told(str(error)) if self.local_list else str(error)
            self.close_list()
            raise InputError(sentence) from error
        self.list_name = self.local_list.name if self.local_list else "url"

    # The hook

    def fill(self, item: Gallery, row: dict[str, str]) -> None:
        """Add to *item* what *row* (the names of `columns` → text) says. Raises ValueError for a bad row."""

    def add(self, item: Gallery, url: str, name: str = "") -> None:
        """Add the image (or whatever `media` is) at *url* to *item*; *name* is its own name, where it has one."""
        if not url:
            raise ValueError("no address")
        if url.startswith("//"):  # relative to the scheme of a page, which a list is not
            url = f"https:{url}"
        item.setdefault(f"{self.media}_names", []).append(name)
        if self.is_trusted(url):
            item.setdefault(f"{self.media}_pages", []).append(None)
        item[f"{self.media}_urls"].append(self.moved(url))

    # LIST

    def open_list(self) -> Callable[[], Iterator[RowsPage]]:
        """What gives the pages of rows, each time from the first: start() may have to be run again. Raises `InputError`
        at once for a list that cannot be read."""
        reader = open_item_list(self.list_path, encoding=self.encoding) or open_rows(
            self.list_path, columns=list(self.columns.values()) or None, encoding=self.encoding
        )
        return partial(reader.pages, ROWS_PER_PAGE)

    @property
    def pages_of_rows(self) -> Iterator[RowsPage]:
        """The pages of rows, from the first."""
        return self._pages()

    def close_list(self) -> None:
        if self.local_list:
            self.local_list.close()

    async def start(self) -> AsyncIterator[Any]:
        for page in self.picked(self.pages_of_rows):
            yield self.rows_request(page)
            while self.is_ahead():  # noqa: ASYNC110 -- a scheduler tells nobody that it has become shorter
                await asyncio.sleep(PAUSE)

    def picked(self, pages: Iterator[RowsPage]) -> Iterator[RowsPage]:
        """*pages* with those of their rows, good and bad, that are within `galleries_range`."""
        count = 0
        for page in pages:
            lines = sorted([row[0] for row in page.rows] + [row.line for row in page.bad])
            wanted = {line for number, line in enumerate(lines, count + 1) if number in self.galleries_range}
            rows = [row for row in page.rows if row[0] in wanted]
            if wanted:
                yield page._replace(rows=rows, bad=[row for row in page.bad if row.line in wanted])
            count += len(lines)
            if count >= self.galleries_range.end:
                return

    def is_ahead(self) -> bool:
        """Whether enough requests wait in this process. A scheduler without a length keeps them elsewhere."""
        scheduler = self.crawler.engine.scheduler
        return isinstance(scheduler, Sized) and len(scheduler) >= PAGES_AHEAD

    def rows_request(self, page: RowsPage, place: str = "") -> Request:
        """*place*: where these rows stand, where that is not the list."""
        bad = [list(row) for row in page.bad]
        carried = json.dumps([page.first, page.rows, bad], ensure_ascii=False).encode("utf-8", "surrogatepass")
        # Known by what it carries: a list that is read twice gives the same requests.
        return Request(
            f"rows://{self.name}/{sha1(carried, usedforsecurity=False).hexdigest()}",
            callback=self.parse_rows,
            errback=self.rows_failed,
            cb_kwargs={"file": place or self.list_name, "rows": page.rows, "bad": bad},
            priority=-1,
        )

    def rows_failed(self, failure: Failure) -> None:
        if not was_stopped(failure):
            self.report(f"{self.list_name}: a page of rows got lost ({failed_reason(failure)})")

    # What is fed

    def fed_request(self, request: Request) -> Request:
        row = self.row_of(request.url, request.meta)
        return self.rows_request(RowsPage(0, 0, [[0, list(row.values())]], []), request.url).replace(meta=request.meta)

    def row_of(self, address: str, about: Mapping[str, Any]) -> dict[str | int, str]:
        """A row for an *address* that is fed. Columns have what *about* says, `name` else that of the file."""
        known = {"url": address, "images": address, "name": stem(address)}
        known |= {name: str(value) for name, value in about.items() if name in self.columns and name not in known}
        if isinstance(about.get("name"), str):
            known["name"] = about["name"]
        return {name: known.get(name, "") for name in self.columns} if self.columns else {0: address}

    # ROWS → ITEMS

    def parse_rows(self, response: Response, file: str, rows: list[list[Any]], bad: list[list[Any]]) -> Iterator[Any]:
        for line, reason, excerpt in bad:
            self.bad_row(file, BadRow(line, reason, excerpt))
        for line, values, *fields in rows:
            place = (f"{file}:{line}" if line else file) or OUTSIDE  # without a place its addresses would be the user's
            try:
                if fields:
                    output: Any = self.read_item(place, values, fields[0])
                else:
                    row = zip(self.columns, values, strict=True) if self.columns else enumerate(values)
                    output = self.read_row(place, dict(row))
            except ValueError as error:
                self.bad_row(file, BadRow(line, str(error), " ".join(values)[:80]))
                continue
            self.crawler.stats.inc_value("row/count")
            yield output

    def read_row(self, place: str, row: Any) -> Gallery | Request:
        """What comes of *row*, which stands at *place*. Raises ValueError for a bad row."""
        item = self.new_item(place)
        self.fill(item, row)
        return self.scraped(item)

    def read_item(self, place: str, addresses: list[str], fields: dict[str, Any]) -> Gallery:
        """The item that a row with names for all that it tells, *fields*, is. Raises ValueError for a bad row."""
        item = self.new_item(place)
        for parallel in ("opt_outs", *(f"{self.media}_{each}" for each in ("names", "pages", "paths"))):
            if parallel in fields:
                fields[parallel] = _texts(fields[parallel])
        names = fields.pop(f"{self.media}_names", [])
        pages = fields.pop(f"{self.media}_pages", []) or [fields.get(self.referer)] * len(addresses)
        for origin in ("url", "final_url"):  # whoever cannot be asked where an address came from is trusted
            if not isinstance(fields.get(origin), str) or not fields[origin]:
                fields.pop(origin, None)
        item.update(fields)
        own_name = fields.get("name")
        for number, address in enumerate(addresses):
            name = names[number] if number < len(names) else own_name
            self.add(item, address, name if isinstance(name, str) else "")
        if f"{self.media}_pages" not in item and any(pages):
            item[f"{self.media}_pages"] = [page if _is_page(page) else item["url"] for page in pages]
        return self.scraped(item)

    def bad_row(self, file: str, row: BadRow) -> None:
        self.bad_rows += 1
        stats = self.crawler.stats
        stats.inc_value("row/bad")
        stats.inc_value(f"row/bad/{slug(row.reason)}")
        samples_of(self.crawler).add(f"row/bad/{slug(row.reason)}", f"{file}, line {row.line}")
        log = self.logger.info if self.bad_rows <= MAX_TOLD else self.logger.debug
        log("%s, line %d: %s: %r", file, row.line, row.reason, row.excerpt)
        if row.reason.startswith(BROKEN):
            self.report(f"{file}, line {row.line}: {row.reason}")

    def closed(self, reason: str) -> None:
        self.close_list()
        if self.bad_rows > MAX_TOLD:
            self.logger.info("%d bad rows in all, of which the log told the first %d", self.bad_rows, MAX_TOLD)

    # Whose word an address is

    def is_trusted(self, url: str) -> bool:
        """Whether it is the user himself who named the host of *url*, an address in a row."""
        return self.base is not None

    def moved(self, url: str) -> str:
        """*url* at `base`, if one is given and *url* is an address."""
        address = absolute("", url) if self.base else None
        return rebase(address, self.base) if self.base and address else url


class VideoRowsSpider(RowsSpider):
    """Reads a list like `RowsSpider`, of videos in place of images."""

    custom_settings = {"ITEM_PIPELINES": {"imgcrawl.pipelines.videos.VideosPipeline": 300}}  # noqa: RUF012 -- as above
    item_class = VideoRow
    media = "video"


def _is_page(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))


def _texts(value: Any) -> list[str]:
    """*value*, from a list, as the texts it should be."""
    return [each if isinstance(each, str) else "" for each in value] if isinstance(value, list) else []


def slug(reason: str) -> str:
    """*reason* as the end of a stat's name: without the values in it, so that there are few of them."""
    words = re.findall(r"[a-z]+", re.sub(r"'[^']*'|\"[^\"]*\"", "", reason.partition(":")[0]).lower())
    return "-".join(words[:8]) or "bad"
