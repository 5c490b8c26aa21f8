"""Videos, through the same outcomes as images: written to disk as they come, checked as containers."""

from __future__ import annotations

import os

from scrapy.crawler import Crawler

from imgcrawl.exceptions import InputError
from imgcrawl.pipelines.images import ImagesPipeline
from imgcrawl.pipelines.places import Places
from imgcrawl.pipelines.receivers import Receiver
from imgcrawl.pipelines.s3 import S3Store


class VideosPipeline(ImagesPipeline):
    """Stores every video of an item as it was served: `video_urls` goes in, `videos` comes out.

    As `ImagesPipeline`, and below the same IMAGES_STORE, but a video never is in memory as a whole, and it is
    verified by its container (`images.containers`), not decoded. It needs a directory or S3 as its store,
    and imgcrawl's download handler. Videos count as images in the stats.
    """

    DEFAULT_IMAGES_URLS_FIELD = "video_urls"
    DEFAULT_IMAGES_RESULT_FIELD = "videos"
    NAME_SETTING = "VIDEOS_NAME"
    NAMES_FIELD = "video_names"
    PAGES_FIELD = "video_pages"
    PATHS_FIELD = "video_paths"
    ACCEPT = "video/*,*/*;q=0.8"

    def __init__(self, store_uri: str | os.PathLike[str], *, crawler: Crawler) -> None:
        super().__init__(store_uri, crawler=crawler)
        if self.local is None and not isinstance(self.store, S3Store):
            raise InputError(
                f"IMAGES_STORE={store_uri}: videos are never in memory as a whole; expected a directory, or s3://"
            )
        self.receiver = Receiver(
            self.staging,
            in_memory=0,
            limits={
                "download_maxsize": crawler.settings.getint("VIDEOS_MAXSIZE", 4 * 1024**3),
                "download_timeout": crawler.settings.getfloat("VIDEOS_TIMEOUT", 3600),
            },
        )
        self.places = Places(self.config, self.threads, crawler, videos=True)
