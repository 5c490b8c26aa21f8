"""`scrapy runspider`: Scrapy's, with an example in its help, and bad input in one sentence."""

from __future__ import annotations

import scrapy.commands.runspider

from imgcrawl.commands.scrapys import ScrapysCommand


class Command(ScrapysCommand, scrapy.commands.runspider.Command):
    """Scrapy's own command."""

    example = "scrapy runspider birds.py -O birds.json"
