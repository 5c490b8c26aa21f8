"""`scrapy shell`: Scrapy's, with an example in its help, and bad input in one sentence."""

from __future__ import annotations

import scrapy.commands.shell

from imgcrawl.commands.scrapys import ScrapysCommand


class Command(ScrapysCommand, scrapy.commands.shell.Command):
    """Scrapy's own command."""

    example = "scrapy shell https://example.org/albums"
