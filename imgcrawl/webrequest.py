"""Requests whose addresses are sent as browsers send them."""

from __future__ import annotations

import re
from typing import TypeVar
from urllib.parse import urlsplit

from scrapy import Request

from imgcrawl.urls import absolute, is_plain

# What Scrapy escapes or leaves out and browsers do not (https://url.spec.whatwg.org): here, as it is rare, they decide.
_SENT_OTHERWISE = re.compile(r"[|{}\[\]^`\\]|\?(?:#|$)")


_FOR_THE_MOMENT = (302, 303, 307)
_OF_REDIRECTS = ("redirect_urls", "redirect_reasons", "redirect_times", "redirect_ttl", "redirect_posted")
_Request = TypeVar("_Request", bound=Request)


class WebRequest(Request):
    """A request for a page or an image, as a link to it says it: with `[`, `]` and `|` as they are, and also with
    nothing behind its `?`. Scrapy's own has them escaped or left out, and there are servers that know no such address.

    Copies of it, for retries and redirects, are the same. What tells whether two requests are one task has both
    spellings for the same.
    """

    __slots__ = ()

    def _set_url(self, url: str) -> None:
        if isinstance(url, str) and is_plain(url):  # else a third of what it takes to make a request
            self._url = url
            return
        super()._set_url(url)
        if (
            _SENT_OTHERWISE.search(url)
            and not self._url_is_verbatim()
            and (address := absolute("", url, self.encoding))
        ):
            fragment = self._url.partition("#")[2]
            self._url = f"{address}#{fragment}" if fragment else address


def as_first_asked(request: _Request) -> _Request:
    """*request*, for the address that was asked for first, if redirects for the moment within one host are all that is
    between: where these lead to may be no more than what says that there is nothing yet. What was sent to a list is
    sent again (meta ``redirect_posted``: that, and its type); what was sent to something else may be done."""
    urls, reasons = request.meta.get("redirect_urls"), request.meta.get("redirect_reasons")
    posted = request.meta.get("redirect_posted")
    if not urls or not reasons or request.method != "GET" or any(reason not in _FOR_THE_MOMENT for reason in reasons):
        return request
    if posted == [] or any(urlsplit(url)[:2] != urlsplit(request.url)[:2] for url in urls):
        return request
    meta = {name: value for name, value in request.meta.items() if name not in _OF_REDIRECTS}
    if not posted:
        return request.replace(url=urls[0], meta=meta)
    headers = {**request.headers, "Content-Type": posted[1]}
    return request.replace(url=urls[0], meta=meta, method="POST", body=posted[0], headers=headers)
