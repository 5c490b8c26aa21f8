"""`scrapy edit`: Scrapy's, with an example in its help, and bad input in one sentence."""

from __future__ import annotations

import scrapy.commands.edit

from imgcrawl.commands.scrapys import ScrapysCommand


class Command(ScrapysCommand, scrapy.commands.edit.Command):
    """Scrapy's own command."""

    example = "scrapy edit pximg"
