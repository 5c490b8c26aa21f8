"""`scrapy list`: Scrapy's, with an example in its help, and bad input in one sentence."""

from __future__ import annotations

import scrapy.commands.list

from imgcrawl.commands.scrapys import ScrapysCommand


class Command(ScrapysCommand, scrapy.commands.list.Command):
    """Scrapy's own command."""

    example = "scrapy list"
