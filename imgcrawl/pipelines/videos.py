"""Videos, through the same outcomes as images: written to disk as they come, checked as containers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import Response

from imgcrawl.bodies import BodyFile, MediaRequest, body_file_of
from imgcrawl.exceptions import ImageError, InputError
from imgcrawl.images.containers import examine_video
from imgcrawl.images.verify import Facts
from imgcrawl.pipelines.images import ImagesPipeline
from imgcrawl.pipelines.stores import FileStore


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
    ACCEPT = "video/*,*/*;q=0.8"

    def __init__(self, store_uri: str | os.PathLike[str], *, crawler: Crawler) -> None:
        super().__init__(store_uri, crawler=crawler)
        if self.local is None:
            raise InputError(f"IMAGES_STORE={store_uri}: videos are written as they come, which needs a directory")
        self.directory: FileStore = self.local
        self.limits = {
            "download_maxsize": crawler.settings.getint("VIDEOS_MAXSIZE"),
            "download_timeout": crawler.settings.getfloat("VIDEOS_TIMEOUT"),
        }

    @contextmanager
    def _destination(self, request: Request) -> Iterator[Request]:
        with self.directory.staging() as path:
            meta = request.meta | self.limits
            yield request.replace(cls=MediaRequest, meta=meta, body_file=BodyFile(path, in_memory=0))

    def _facts(self, response: Response) -> tuple[Facts, str, int]:
        path = _received(response)
        with path.open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
        return examine_video(path), checksum, path.stat().st_size

    def _staged(self, store: FileStore, response: Response) -> nullcontext[Path]:
        return nullcontext(_received(response))

    def _thumbnails(self, *_: object) -> Iterator[tuple[str, bytes]]:
        return iter(())


def _received(response: Response) -> Path:
    file = body_file_of(response.request) if response.request else None
    if file is None:
        raise ImageError("error", f"{response.url} was not written to a file")
    return file.path
