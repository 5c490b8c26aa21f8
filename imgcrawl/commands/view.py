"""`scrapy view`: Scrapy's, with an example in its help, and bad input in one sentence."""

from __future__ import annotations

import scrapy.commands.view

from imgcrawl.commands.scrapys import ScrapysFetch


class Command(ScrapysFetch, scrapy.commands.view.Command):
    """Scrapy's own command."""

    example = "scrapy view https://example.org/albums"
