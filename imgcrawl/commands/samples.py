"""The pages that `scrapy newsite` looks at, and has looked at: a list page, some galleries, some pages of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

import scrapy
from scrapy import Request
from scrapy.http import HtmlResponse, JsonResponse, Response, TextResponse
from twisted.python.failure import Failure

from imgcrawl.basespiders.base import addresses, content_type, failed_reason, is_page
from imgcrawl.basespiders.imagepages import ImagePagesGallerySpider
from imgcrawl.webrequest import WebRequest

if TYPE_CHECKING:
    from imgcrawl.pages.proposals import GalleryImages, GalleryLinks

SAMPLE = 3  # galleries whose pages are looked at, and pages of images of the first


class _Galleries(ImagePagesGallerySpider):
    name = "galleries"


class PageSpider(scrapy.Spider):
    """Asks for a list page, some of its galleries, and some pages of a gallery's images or its next page, as politely
    as a crawl, or has *body* for the list page.

    `page` is the response of the list page; `reason` says why there is
    none, and `remedy` what helps. `links` are the galleries proposed for it,
    or None with `unsure` saying why; `galleries` the responses of some, `images` what is proposed for these, and
    `image_pages` the responses of some that the first leads to.
    """

    name = "newsite"
    custom_settings = {"ITEM_PIPELINES": {}, "VERDICT_IMAGES_EXPECTED": False}  # noqa: RUF012 -- never changed
    url = ""
    body: bytes | None = None
    page: TextResponse | None = None
    reason = "it was not asked for"
    remedy = "give a saved page with --page FILE"
    links: GalleryLinks | None = None
    unsure = ""
    images: GalleryImages | None = None
    finds_images = False  # without a declaration, on the pages of these galleries

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.galleries: list[TextResponse] = []
        self.image_pages: list[TextResponse] = []
        self._awaited = 0  # galleries

    async def start(self) -> AsyncIterator[Any]:
        if self.body is None:
            yield WebRequest(self.url, callback=self.had, errback=self.failed)
        else:
            list(self.had(HtmlResponse(self.url, body=self.body)))

    def had(self, response: Response) -> Iterator[Request]:
        from imgcrawl.pages.proposals import UnsureError, propose_galleries  # noqa: PLC0415 -- no crawl needs it
        from imgcrawl.pages.repeated import PagePlaces  # noqa: PLC0415 -- the same

        if isinstance(response, JsonResponse) or response.body.lstrip().startswith((b"{", b"[")):
            self.reason = "it is JSON, of which nothing is proposed"
            self.remedy = f"try scrapy crawl gallery -a list={self.url} -a galleries=JMESPATH, and declare what holds"
            return
        if not isinstance(response, TextResponse) or not is_page(response):
            self.reason = f"no page but {content_type(response)}"
            return
        self.page = response
        try:
            self.links = propose_galleries(PagePlaces(response.selector, response.url, response.encoding))
        except UnsureError as error:
            self.unsure = str(error)
            return
        sample = self.links.addresses[:SAMPLE]
        self._awaited = len(sample)
        for number, address in enumerate(sample):
            yield WebRequest(address, self.had_gallery, errback=self.gallery_failed, priority=-number, dont_filter=True)

    def had_gallery(self, response: Response) -> Iterator[Request]:
        if isinstance(response, TextResponse) and is_page(response):
            self.galleries.append(response)
        return self.after_gallery()

    def gallery_failed(self, failure: Failure) -> Iterator[Request]:
        self.failed(failure)
        return self.after_gallery()

    def after_gallery(self) -> Iterator[Request]:
        self._awaited -= 1
        if self._awaited or not self.galleries or not self.page or not self.links:
            return
        self.images = _proposed_images(self.page, self.galleries, self.links)
        self.finds_images = _finds_images(self.page, self.galleries)
        first = self.galleries[0]
        if self.images.image_pages:
            links = addresses(first, self.images.image_pages)
        else:
            links = _Galleries().next_of_gallery(first, 2, first.url)[:1]
        for link in links[:SAMPLE]:
            yield WebRequest(link, self.had_image_page, errback=self.failed, dont_filter=True)

    def had_image_page(self, response: Response) -> None:
        if isinstance(response, TextResponse) and is_page(response):
            self.image_pages.append(response)

    def failed(self, failure: Failure) -> None:
        self.reason = failed_reason(failure)


def _proposed_images(page: TextResponse, galleries: list[TextResponse], links: GalleryLinks) -> GalleryImages:
    from imgcrawl.pages import find_images  # noqa: PLC0415 -- no crawl needs it
    from imgcrawl.pages.proposals import propose_images  # noqa: PLC0415 -- the same
    from imgcrawl.pages.repeated import PagePlaces  # noqa: PLC0415 -- the same

    shown = find_images(page.text, page.url, page.encoding)
    sampled = [PagePlaces(each.selector, each.url, each.encoding) for each in galleries]
    return propose_images(sampled, links.addresses, shown)


def _finds_images(page: TextResponse, galleries: list[TextResponse]) -> bool:
    """Whether each gallery shows, without a declaration, what neither the list page nor another gallery does."""
    from imgcrawl.pages import find_images  # noqa: PLC0415 -- no crawl needs it

    shown = [set(find_images(each.text, each.url, each.encoding)) for each in (page, *galleries)]
    times = Counter(chain.from_iterable(shown))
    return all(any(times[image] == 1 for image in images) for images in shown[1:])


class SavedPages:
    """Stands in the place of a site for what a spider asks for while it reads a saved page.

    Answers as the engine of a crawl does, with *pages*: address → what was saved. What is not saved is not there.

    *headers* are those that each has.
    """

    def __init__(self, pages: Mapping[str, bytes], headers: Mapping[str, str]) -> None:
        self._pages = pages
        self._headers = headers

    async def download_async(self, request: Request) -> HtmlResponse:
        body = self._pages.get(request.url)
        status = 404 if body is None else 200
        return HtmlResponse(request.url, status, headers=dict(self._headers), body=body or b"", request=request)
