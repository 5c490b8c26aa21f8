"""A site whose pages take very long to be read."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

from scrapy.http import Response

from imgcrawl.basespiders import GallerySpider


class Slow(GallerySpider):
    """Reads its *what* pages, "list" or "gallery", for minutes, unless there is a file `quick`."""

    name = "slow"
    options: ClassVar[dict[str, str]] = {"what": "which pages", "seconds": "how long"}
    what = ""
    seconds = "120"
    list_url = "http://slow.example/list"
    gallery_links = "a.g"

    def found_on(self, response: Response) -> list[str]:
        self.read_slowly("list")
        return super().found_on(response)

    def fill(self, item: Any, response: Response) -> None:
        if response.url.endswith("/1"):
            self.read_slowly("gallery")

    def read_slowly(self, what: str) -> None:
        if what == self.what and not Path("quick").exists():
            Path("begun").touch()
            end = time.monotonic() + float(self.seconds)
            while time.monotonic() < end:  # as any loop, of any library
                pass
