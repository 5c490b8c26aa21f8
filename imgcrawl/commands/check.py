"""`scrapy check`: Scrapy's, with an example in its help, and bad input in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import scrapy.commands.check

from imgcrawl.commands.scrapys import ScrapysCommand

if TYPE_CHECKING:
    import argparse


class Command(ScrapysCommand, scrapy.commands.check.Command):
    """Scrapy's own command."""

    example = "scrapy check pximg"

    def begin(self, args: list[str], opts: argparse.Namespace) -> None:
        for name in args:
            self.check_spider("scrapy check ", name)
