"""ROWS → ITEMS: lists of addresses of images, whatever else their rows tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar

from imgcrawl.basespiders.rows import ROWS_PER_PAGE, RowsSpider
from imgcrawl.exceptions import InputError
from imgcrawl.items import Gallery
from imgcrawl.rows import RowsPage, open_address_list


class AddressesSpider(RowsSpider):
    """Reads a list of addresses, in any format, or takes addresses from the command line.

    Text holds an address a line, `#` begins a comment. Of other formats the address is in `column`, or where the
    list's first rows have it (`rows.open_address_list`); a cell may hold a printed list of them. The other columns,
    those in `keep` or all small ones, are fields of the item and may name its files. In `referer` is the page that
    shows the image.

    A row with a column `image_urls` is an item, as in the list that `scrapy failed` prints: what it tells of itself
    stays as it is.
    """

    options: ClassVar[dict[str, str]] = {
        "url": "addresses, parted by commas, in place of a list",
        "column": "where the address is: a number counted from 0, or a name; without it the list's rows tell",
        "keep": "columns that become fields of the item, parted by commas; without it all that are small, with '' none",
        "referer": "the column with the address of the page that shows the image, sent as Referer",
        "format": "text, csv, tsv, jsonl, json or parquet, where name and content of the list do not tell",
        "delimiter": "what parts the columns of a CSV list",
    }
    required = ()
    given: frozenset[str] = frozenset()  # the addresses in `url`
    image_name_fields: frozenset[str] = frozenset()  # what IMAGES_NAME may name besides the pipeline's own fields
    url: str | None = None
    column: str | None = None
    keep: str | None = None
    referer: str = "referer"
    format: str | None = None
    delimiter: str | None = None

    def open_list(self) -> Callable[[], Iterator[RowsPage]]:
        if bool(self.url) == bool(self.file):
            raise InputError(f"{self.name} needs either -a file=FILE or -a url=ADDRESS,ADDRESS,…")
        self.image_name_fields = frozenset({"spider", "url", "title"})
        if self.url:
            addresses = [address.strip() for address in re.split(r",(?=\s*[A-Za-z][A-Za-z0-9+.-]*://)", self.url)]
            self.given = frozenset(addresses)
            return partial(pages_of, addresses)
        reader, fields = open_address_list(
            self.list_path,
            column=self.column,
            keep=self.keep,
            format=self.format,
            encoding=self.encoding,
            delimiter=self.delimiter,
        )
        self.image_name_fields |= fields
        return partial(reader.pages, ROWS_PER_PAGE)

    def fill(self, item: Gallery, row: dict[Any, str]) -> None:
        for address in row.values():
            self.add(item, address)

    def is_trusted(self, url: str) -> bool:
        return url in self.given or super().is_trusted(url)


def pages_of(addresses: list[str]) -> Iterator[RowsPage]:
    """Pages of rows of one value each."""
    for start in range(0, len(addresses), ROWS_PER_PAGE):
        rows: list[list[Any]] = [
            [number, [address]] for number, address in enumerate(addresses[start : start + ROWS_PER_PAGE], start + 1)
        ]
        yield RowsPage(start + 1, start + len(rows), rows, [])
