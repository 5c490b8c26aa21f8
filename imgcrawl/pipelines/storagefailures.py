"""What cannot be stored: an outcome, and the end of the crawl where the next image could not be stored either."""

from __future__ import annotations

import asyncio
import logging
import sqlite3

from scrapy.crawler import Crawler

from imgcrawl.catalogue import CatalogueError
from imgcrawl.exceptions import ImageError, record_fatal_error
from imgcrawl.items import Image
from imgcrawl.pipelines.loststores import is_lost
from imgcrawl.pipelines.outcomes import not_stored

logger = logging.getLogger(__name__)


class StorageFailures:
    """Tells of them, and stops the crawl of *crawler* in order: asking a site for images that cannot be kept would be
    no help to anybody."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._stopping: asyncio.Task[None] | None = None

    def outcome(self, error: ImageError | OSError | sqlite3.Error | CatalogueError, url: str) -> Image:
        """The outcome of the address *url*, which ended in *error*."""
        if isinstance(error, ImageError):
            logger.debug("%s at %.500s", error, url)
            return not_stored(error.reason)
        sentence = f"an image could not be stored in {self._crawler.settings['IMAGES_STORE']}: {error}"
        if isinstance(error, CatalogueError) or is_lost(error):
            self.stop(sentence)
        else:
            logger.error(sentence)
        return not_stored("storage")

    def stop(self, sentence: str) -> None:
        """Make *sentence* the verdict, and begin to stop; of those that follow each image's outcome is told."""
        logger.log(logging.DEBUG if self._stopping else logging.ERROR, sentence)
        if self._stopping is None:
            record_fatal_error(self._crawler.stats, sentence)
            self._stopping = asyncio.create_task(self._crawler.engine.close_spider_async(reason="storage"))
