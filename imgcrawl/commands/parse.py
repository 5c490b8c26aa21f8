"""`scrapy parse`: Scrapy's, with an example in its help, and bad input in one sentence."""

from __future__ import annotations

import scrapy.commands.parse

from imgcrawl.commands.scrapys import ScrapysFetch


class Command(ScrapysFetch, scrapy.commands.parse.Command):
    """Scrapy's own command."""

    example = "scrapy parse --spider pximg -c parse_gallery https://www.pximg.com/html/39211.html"

    def has_come(self) -> bool:
        return self.first_response is not None
