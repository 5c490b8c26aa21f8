"""Pages that stand where an image was asked for: an image host's page around it."""

from __future__ import annotations

from cachetools import LRUCache
from scrapy import Request
from scrapy.http import HtmlResponse, Response, TextResponse

from imgcrawl.images.formats import is_page
from imgcrawl.items import Image
from imgcrawl.longwork import WorkGivenUp
from imgcrawl.pages.encodings import guessed_encoding, is_web_encoding
from imgcrawl.pages.mainimage import main_image
from imgcrawl.pages.markup import too_much
from imgcrawl.pages.outside import outside_loop
from imgcrawl.pipelines.media_requests import MediaRequests
from imgcrawl.stopping import given_up

_REMEMBERED = 10_000
# What becomes of a link that may be to an image and is to a page; besides these, answers of 4xx.
_NO_IMAGE = ("html", "robots", "empty")


class ImagePages:
    """Leads from a page that came in an image's place to the image that it shows, if that is plainly one.

    Once: what that leads to is not followed further. An image that several addresses' pages show is none of them.

    What has led to no image at all is, unless *strict*, the copy of it that the gallery's page shows (`copy_of`).
    """

    def __init__(self, requests: MediaRequests, *, strict: bool = False) -> None:
        self._requests = requests
        self._strict = strict
        self._led_from: LRUCache[str, str] = LRUCache(_REMEMBERED)

    async def request(self, response: Response, request: Request) -> Request | None:
        """The request for the image that *response* to *request* shows; None if it is no such page. Raises
        `RequestRefused` where the crawl is being stopped."""
        if request.meta.get("image_of_page") or not is_page(response.body):
            return None
        asked = str(request.meta["image_url"])
        try:
            address = await outside_loop(len(response.body), _main_image, response, asked)
        except WorkGivenUp:
            raise given_up(request) from None
        if not address or address in (asked, response.url) or self._led_from.setdefault(address, asked) != asked:
            return None
        return self._requests.of_page(request, response.url, address)

    def copy_of(self, request: Request, image: Image) -> Request | None:
        """The request for what the gallery's page shows of *image*, the outcome of *request*, if that was a link which
        has led to no image; else None."""
        reason, address = image.get("reason", ""), request.meta.get("image_copy")
        is_none = reason in _NO_IMAGE or (reason.startswith("http_4") and reason != "http_429")
        if self._strict or not isinstance(address, str) or not is_none or "path" in image:
            return None
        copy = self._requests.of_page(request, request.meta.get("page_url"), address)
        copy.meta["image_is_copy"] = True
        return copy


def _main_image(response: Response, asked: str) -> str:
    page = response if isinstance(response, TextResponse) else response.replace(cls=HtmlResponse)
    encoding = page.encoding if is_web_encoding(page.encoding) else guessed_encoding(page.body)
    text = page.body.decode(encoding, "replace")
    return "" if too_much(text) else main_image(text, page.url, asked, encoding)
