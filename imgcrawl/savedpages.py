"""Saved pages in the place of a site: for what a spider asks for while it reads one of them."""

from __future__ import annotations

from collections.abc import Mapping

from scrapy import Request
from scrapy.http import HtmlResponse


class SavedPages:
    """Answers as the engine of a crawl does, with *pages*: address → what was saved. What is not saved is not there.

    *headers* are those that each has.
    """

    def __init__(self, pages: Mapping[str, bytes], headers: Mapping[str, str]) -> None:
        self._pages = pages
        self._headers = headers

    async def download_async(self, request: Request) -> HtmlResponse:
        body = self._pages.get(request.url)
        status = 404 if body is None else 200
        return HtmlResponse(request.url, status, headers=dict(self._headers), body=body or b"", request=request)
