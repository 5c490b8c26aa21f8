"""Videos, through the same outcomes as images: written to disk as they come, checked as containers."""

from __future__ import annotations

import os
from collections.abc import Iterator

from scrapy.crawler import Crawler

from imgcrawl.exceptions import ImageError, InputError
from imgcrawl.images.containers import examine_video
from imgcrawl.images.verify import Facts
from imgcrawl.pipelines.images import ImagesPipeline
from imgcrawl.pipelines.receivers import Arrival, Receiver


class VideosPipeline(ImagesPipeline):
    """Stores every video of an item as it was served: `video_urls` goes in, `videos` comes out.

    As `ImagesPipeline`, and below the same IMAGES_STORE, but a video never is in memory as a whole, and it is
    verified by its container (`images.containers`), not decoded. It needs a directory as its store, and
    imgcrawl's download handler. Videos count as images in the stats.
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
        if self.local is None:
            raise InputError(f"IMAGES_STORE={store_uri}: videos are written as they come, which needs a directory")
        self.receiver = Receiver(
            self.staging,
            in_memory=0,
            limits={
                "download_maxsize": crawler.settings.getint("VIDEOS_MAXSIZE", 4 * 1024**3),
                "download_timeout": crawler.settings.getfloat("VIDEOS_TIMEOUT", 3600),
            },
        )
        self.examiner = VideoExaminer()


class VideoExaminer:
    """Walks the containers of videos. There are no thumbnails."""

    def facts(self, arrival: Arrival) -> Facts:
        if arrival.file is None:
            raise ImageError("error" if arrival.size else "empty", "it was not written to a file")
        return examine_video(arrival.file)

    def thumbnails(self, arrival: Arrival) -> Iterator[tuple[str, bytes, str]]:
        return iter(())
