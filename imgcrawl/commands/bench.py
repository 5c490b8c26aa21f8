"""`scrapy bench`: Scrapy's, with an example in its help, and bad input in one sentence."""

from __future__ import annotations

import scrapy.commands.bench

from imgcrawl.commands.scrapys import ScrapysCommand


class Command(ScrapysCommand, scrapy.commands.bench.Command):
    """Scrapy's own command."""

    example = "scrapy bench"
