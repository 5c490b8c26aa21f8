"""What makes two requests the same task."""

from __future__ import annotations

from hashlib import sha1
from typing import Self

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.utils.request import RequestFingerprinter

from imgcrawl.identity import SESSIONS, Identity
from imgcrawl.urls import is_plain


class Fingerprinter(RequestFingerprinter):
    """Knows a request by its address and, where there is one, by what is to be done with the answer (meta ``task``).

    So one page may be asked for as a list page and as a gallery, and a domain ends in an outcome of its own where
    another domain links or leads to it, too. Parameters that tell no page from another do not count
    (``PAGES_QUERY_IGNORED``, `imgcrawl.identity`).
    """

    def __init__(self, crawler: Crawler | None = None) -> None:
        super().__init__(crawler)
        self._identity = Identity.of_pages(crawler.settings) if crawler else Identity(SESSIONS)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    def fingerprint(self, request: Request) -> bytes:
        if (identity := self._identity.of(request.url)) != request.url:
            request = request.replace(url=identity)
        known = _of_plain(request) or super().fingerprint(request)
        task = request.meta.get("task")
        return super().fingerprint(Request(f"task://{known.hex()}/", body=str(task))) if task else known


def _of_plain(request: Request) -> bytes | None:
    """The fingerprint of a *request* like that for most images, which is Scrapy's, at a fifth of the price."""
    if request.method != "GET" or request.body or "verbatim_url" in request.meta or not is_plain(request.url):
        return None
    said = f'{{"body": "", "headers": {{}}, "method": "GET", "url": "{request.url}"}}'
    return sha1(said.encode(), usedforsecurity=False).digest()
