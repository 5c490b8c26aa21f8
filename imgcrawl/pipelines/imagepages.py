"""Pages that stand where an image was asked for: an image host's page around it."""

from __future__ import annotations

from cachetools import LRUCache
from scrapy import Request
from scrapy.http import HtmlResponse, Response, TextResponse

from imgcrawl.images.formats import is_page
from imgcrawl.pages.encodings import guessed_encoding, is_web_encoding
from imgcrawl.pages.mainimage import main_image
from imgcrawl.pages.markup import too_much
from imgcrawl.pages.outside import outside_loop
from imgcrawl.pipelines.media_requests import MediaRequests

_REMEMBERED = 10_000


class ImagePages:
    """Leads from a page that came in an image's place to the image that it shows, if that is plainly one.

    Once: what that leads to is not followed further. An image that several addresses' pages show is none of them.
    """

    def __init__(self, requests: MediaRequests) -> None:
        self._requests = requests
        self._led_from: LRUCache[str, str] = LRUCache(_REMEMBERED)

    async def request(self, response: Response, request: Request) -> Request | None:
        """The request for the image that *response* to *request* shows; None if it is no such page."""
        if request.meta.get("image_of_page") or not is_page(response.body):
            return None
        asked = str(request.meta["image_url"])
        address = await outside_loop(len(response.body), _main_image, response, asked)
        if not address or address in (asked, response.url) or self._led_from.setdefault(address, asked) != asked:
            return None
        return self._requests.of_page(request, response.url, address)


def _main_image(response: Response, asked: str) -> str:
    page = response if isinstance(response, TextResponse) else response.replace(cls=HtmlResponse)
    encoding = page.encoding if is_web_encoding(page.encoding) else guessed_encoding(page.body)
    text = page.body.decode(encoding, "replace")
    return "" if too_much(text) else main_image(text, page.url, asked, encoding)
