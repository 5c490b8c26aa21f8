"""`scrapy parse`: Scrapy's, with an example in its help, and bad input in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import scrapy.commands.parse
from scrapy import Spider

from imgcrawl.commands.scrapys import ScrapysFetch
from imgcrawl.exceptions import InputError

if TYPE_CHECKING:
    import argparse


class Command(ScrapysFetch, scrapy.commands.parse.Command):
    """Scrapy's own command."""

    example = "scrapy parse --spider pximg -c parse_gallery https://www.pximg.com/html/39211.html"

    def set_spidercls(self, url: str, opts: argparse.Namespace) -> None:
        """Find the spider. Raises `InputError` for an address of none, and for a callback that it has not."""
        super().set_spidercls(url, opts)
        if not (spider := self.spidercls):
            raise InputError(f"{url} is of no spider here: expected --spider NAME, as `scrapy list` names them")
        known = [name for name in dir(spider) if name.startswith("parse") and _has(spider, name)]
        if not opts.rules and not _has(spider, name := opts.callback or "parse"):
            raise InputError(f"{spider.name} has no callback {name!r}: expected -c with one of {', '.join(known)}")

    def has_come(self) -> bool:
        return self.first_response is not None


def _has(spidercls: type[Spider], name: str) -> bool:
    method = getattr(spidercls, name, None)
    return callable(method) and method is not Spider.parse
