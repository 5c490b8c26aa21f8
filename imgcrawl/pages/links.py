"""The links of a page."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from itertools import islice
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from parsel import Selector

from imgcrawl.pages.candidates import is_empty, is_file
from imgcrawl.pages.tags import base_of, tags, text_of
from imgcrawl.urls import WEB, absolute, host_of, origin_of

_FRAME = frozenset(("frame",))  # of <iframe> the tags are always told
_TINY = re.compile(r"\s*+0*[01](?:px)?\s*+", re.IGNORECASE)
MAX_FRAMES = 3
_MAX_SEEN = 1_000  # of a page
_IN_BASE64 = "aHR0c"  # what begins with "http"
_IN_SMALL = re.compile(r"thumb|preview|small|icon|avatar|poster", re.IGNORECASE)
_MAX_TOLD = 4_000  # characters of an address that tells where it leads to


class Frames(NamedTuple):
    """The addresses of the first pages that a page shows within itself: its *own* site's, and those of *others*."""

    own: list[str]
    others: list[str]


def frames_of(html: str | Selector, url: str, encoding: str = "utf-8") -> Frames:
    """What the page *url* has in frames, but for itself and what nobody sees."""
    base = base_of(html, url)
    frames = (tag.attributes for tag in tags(text_of(html), _FRAME) if tag.name in ("frame", "iframe"))
    seen = (each for each in frames if not any(_TINY.fullmatch(each.get(side, "")) for side in ("width", "height")))
    found = (absolute(base, each.get("src", ""), encoding) for each in seen if not is_empty(each.get("src", "")))
    origin, own, others = origin_of(url), list[str](), list[str]()
    for frame in dict.fromkeys(islice(found, _MAX_SEEN)):
        if frame and frame != url:
            (own if origin_of(frame) == origin else others).append(frame)
    return Frames(own[:MAX_FRAMES], others[:MAX_FRAMES])


def led_to(address: str, page: str) -> str:
    """The image file that *address*, of the site of *page*, is told to lead to, as a text or in base64: a page that
    asks first whether one wants to leave. Empty where there is none: of the site itself it may be as small as any."""
    if "?" not in address or len(address) > _MAX_TOLD or not ("http" in address or _IN_BASE64 in address):
        return ""
    query = urlsplit(address).query if host_of(address) == host_of(page) else ""
    parts = (part.partition("=") for part in query.split("&"))
    for told in (query, *(told for name, _, told in parts if not _IN_SMALL.search(name))):
        target = unquote(told)
        if target.startswith(_IN_BASE64):
            try:
                target = urlsafe_b64decode(target.replace("+", "-").replace("/", "_") + "===").decode()
            except ValueError:
                continue
        if target.startswith(WEB) and is_file(target) and host_of(target) != host_of(page):
            return target
    return ""


def count_links(html: str | Selector, url: str = "") -> int:
    """How many different http and https addresses the page links to, fragments aside.

    *url* is the page's own address; a selector of a response knows it. Links that cannot be resolved, for want
    of an address, are not counted.
    """
    if not url and isinstance(html, Selector):
        url = getattr(html.root, "base", None) or ""
    base = base_of(html, url)
    hrefs = (tag.attributes.get("href", "") for tag in tags(text_of(html)) if tag.name in ("a", "area"))
    return len({absolute(base, href) for href in hrefs if not is_empty(href)} - {None})
