"""`scrapy startproject`: Scrapy's, with an example in its help, and bad input in one sentence."""

from __future__ import annotations

import scrapy.commands.startproject

from imgcrawl.commands.scrapys import ScrapysCommand


class Command(ScrapysCommand, scrapy.commands.startproject.Command):
    """Scrapy's own command."""

    example = "scrapy startproject birds"
