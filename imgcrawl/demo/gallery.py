"""A site that nobody has written a spider for: pximg, crawled with declarations on the command line."""

from __future__ import annotations

from typing import Any, ClassVar

from imgcrawl.demo.pximg import Pximg


class Declared(Pximg):
    """The replica of pximg, whose originals are what the images link to."""

    name = "gallery"
    defaults: ClassVar[dict[str, Any]] = {"galleries": 30, "per_page": 12}

    def arguments(self) -> dict[str, str]:
        return {
            "list": f"{self.hosts.page}/topic/nvshen/page/{{page}}",
            "galleries": "//div[contains(@class, 'camLiTitleC')]/p/a",
            "images": "li > a:has(img)",
            "title": "//h2 | //title[not(//h2)]",
        }
