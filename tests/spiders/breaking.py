from scrapy.http import Response

from imgcrawl.basespiders import Gallery, GallerySpider


class BreakingSpider(GallerySpider):
    """A spider whose own hook fails on one gallery."""

    name = "breaking"
    list_url = "http://breaking.example/list/{page}"
    gallery_links = "a.g::attr(href)"
    image_links = "img::attr(src)"

    def fill(self, item: Gallery, response: Response) -> None:
        if item["url"].endswith("2"):
            raise RuntimeError("a hook that fails")
