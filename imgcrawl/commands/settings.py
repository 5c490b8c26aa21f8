"""`scrapy settings`: Scrapy's, with an example in its help, and bad input in one sentence."""

from __future__ import annotations

import scrapy.commands.settings

from imgcrawl.commands.scrapys import ScrapysCommand


class Command(ScrapysCommand, scrapy.commands.settings.Command):
    """Scrapy's own command."""

    example = "scrapy settings --get DOWNLOAD_DELAY"
