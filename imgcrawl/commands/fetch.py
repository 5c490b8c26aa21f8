"""`scrapy fetch`: Scrapy's, with an example in its help, and bad input in one sentence."""

from __future__ import annotations

import scrapy.commands.fetch

from imgcrawl.commands.scrapys import ScrapysFetch


class Command(ScrapysFetch, scrapy.commands.fetch.Command):
    """Scrapy's own command."""

    example = "scrapy fetch --nolog https://example.org/albums"
