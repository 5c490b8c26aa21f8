"""`scrapy check`: Scrapy's, with an example in its help, and bad input in one sentence."""

from __future__ import annotations

import scrapy.commands.check

from imgcrawl.commands.scrapys import ScrapysCommand


class Command(ScrapysCommand, scrapy.commands.check.Command):
    """Scrapy's own command."""

    example = "scrapy check pximg"
