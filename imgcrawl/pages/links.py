"""The links of a page."""

from __future__ import annotations

import re
from itertools import islice
from typing import NamedTuple

from parsel import Selector

from imgcrawl.pages.candidates import is_empty
from imgcrawl.pages.tags import base_of, tags, text_of
from imgcrawl.urls import absolute, origin_of

_FRAME = frozenset(("frame",))  # of <iframe> the tags are always told
_TINY = re.compile(r"\s*+0*[01](?:px)?\s*+", re.IGNORECASE)
MAX_FRAMES = 3
_MAX_SEEN = 1_000  # of a page


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
