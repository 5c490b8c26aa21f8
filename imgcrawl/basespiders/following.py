"""LIST: what an answer itself says the next page is, on the page, in its headers or in JSON."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import islice
from typing import Any, cast

import jmespath
from scrapy import Request
from scrapy.http import JsonResponse, Response, TextResponse

from imgcrawl.basespiders.base import addresses, base_and_encoding, is_page, is_readable, text_of
from imgcrawl.basespiders.queries import is_broken
from imgcrawl.digits import whole
from imgcrawl.pages.pagerforms import Posted, next_posted
from imgcrawl.pages.pagination import NEXT_LINKS
from imgcrawl.pages.saidnext import next_pressed, next_said
from imgcrawl.pages.statednext import more_in_data
from imgcrawl.possessive import compile_late
from imgcrawl.urls import absolute, host_of

_NEXT_IN_HEADER = compile_late(
    r"<([^<>]{1,2000})>(?:[^,<\"]|\"[^<>\"]{0,200}\"){0,200}?;\s*+rel\s*+=\s*+[\"']?+\s*+"
    r"(?:(?!next\b)[^\"',;\s]++\s++)*+next\b",
    re.IGNORECASE,
)
# The names under which JSON answers have the address of the next page.
_NEXT_IN_JSON = jmespath.compile(
    """[next, next_url, next_page_url, next_page, nextLink, nextPage, "@odata.nextLink", links.next, links.next.href,
    _links.next.href, _links.next, paging.next, pagination.next, pagination.next_url, meta.next, meta.next_url,
    meta.pagination.links.next]"""
)
# Where they say that there is a next one, or how many there are, and under which names.
_IN_JSON = "[@, data, meta, meta.pagination, pagination, paging, page_info, pageInfo, data.pageInfo] | [*].[{}] | []"
_MORE_IN_JSON = jmespath.compile(
    _IN_JSON.format("has_more, hasMore, has_next, hasNext, has_next_page, hasNextPage, more_available")
)
_PAGES_IN_JSON = jmespath.compile(
    _IN_JSON.format(
        "total_pages, totalPages, last_page, lastPage, num_pages, page_count, pageCount, page && pages, "
        "current_page && pages"
    )
)
_MANY = 10_000_000
_COUNTED = compile_late(
    r"\b1\s?(?:[-–—]|to|bis|a|à)\s?([0-9]{1,4})\s(?:of|von|de|sur|di|van|из)\s([0-9](?:[.,\s]?[0-9]){0,8})\b",
    re.IGNORECASE,
)
_FEW_COUNTS = 20  # of a page
_ADDRESS = re.compile(r"https?://|[/?]")


def next_on(response: Response, number: int, shown: Collection[str] = ()) -> list[str]:
    """What list page *number*, counted from 1, which has *shown* something, names as its next one: by `rel="next"`, in
    its headers or its JSON, or else as it says so in words, for a script, by a form, or by that number."""
    found = [*(addresses(response, NEXT_LINKS) if is_readable(response) else ()), *next_stated(response)]
    if found or not is_page(response):
        return found
    page, place = cast("TextResponse", response).selector, (response.url, *base_and_encoding(response))
    return next_said(page, *place, number, shown) or [*next_posted(page, *place, number + 1)]


def sent_to(url: str) -> dict[str, Any]:
    """How *url* is asked for: the arguments of its request."""
    if not isinstance(url, Posted):
        return {}
    kind = "json" if url.body.lstrip()[:1] in ("{", "[") else "x-www-form-urlencoded"
    return {"method": "POST", "body": url.body, "headers": {"Content-Type": f"application/{kind}"}}


def asked_for(request: Request) -> str:
    """The address of *request*, as `sent_to` takes it."""
    return Posted(request.url, request.body.decode("utf-8", "replace")) if request.method == "POST" else request.url


def next_unnamed(response: Response, shown: int) -> str:
    """Why a list page that has *shown* so many names no next one though it has one, as a sentence; empty where it does
    not say so, by what is pressed or by a count: "1-24 of 360"."""
    if not is_page(response):
        return ""
    remedy = "if its pages have addresses, say -a list= with {page}; if one page is meant, -a pages=1"
    if words := next_pressed(cast("TextResponse", response).selector):
        return f"{words!r} is for a script alone there; {remedy}"
    for counted in islice(_COUNTED.finditer(text_of(response, "//body")), _FEW_COUNTS):
        if int(counted[1]) == shown < (whole(re.sub(r"\D", "", counted[2]), _MANY) or 0):
            return f"it says {counted[0]!r}, and names no page with the others; {remedy}"
    said = more_in_data(cast("TextResponse", response).selector)
    return f"its data says {said!r}, and names no address of the next page; {remedy}" if said else ""


def next_stated(response: Response) -> list[str]:
    """What the header `Link` (RFC 8288) names as the next page, or an answer of JSON by a usual name."""
    said = b",".join(response.headers.getlist("Link")).decode("utf-8", "replace")
    found = [absolute(response.url, link) for link in _NEXT_IN_HEADER.findall(said)]
    if isinstance(response, JsonResponse) and not is_broken(response):
        stated = _NEXT_IN_JSON.search(response.json()) or ()
        # Others are numbers, or tokens that belong into an address; what is elsewhere is no page of this list.
        links = (absolute(response.url, link) for link in stated if isinstance(link, str) and _ADDRESS.match(link))
        found += [link for link in links if link and host_of(link) == host_of(response.url)]
    return list(filter(None, found))


def last_stated(response: Response, page: int, first: int) -> int:
    """The number of the last list page, counted from *first*, as far as an answer of JSON says that there is one behind
    *page*, or how many there are; 0 where it does not."""
    if not isinstance(response, JsonResponse) or is_broken(response):
        return 0
    data = response.json()
    counts = [first - 1 + count for count in _PAGES_IN_JSON.search(data) or () if type(count) is int and count < _MANY]
    more = next_stated(response) or any(said is True for said in _MORE_IN_JSON.search(data) or ())
    return max(*counts, page + 1 if more else 0, 0)


def is_last_stated(response: Response) -> bool:
    """Whether an answer of JSON says that there is no page behind it (`"has_more": false`), whatever cursor it has."""
    if not isinstance(response, JsonResponse) or is_broken(response):
        return False
    said = [each for each in _MORE_IN_JSON.search(response.json()) or () if isinstance(each, bool)]
    return bool(said) and not any(said)
