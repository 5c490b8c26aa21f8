"""The sizes of one image that a page offers by links with words: "original", "1920 x 1080"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from math import inf
from typing import Any

from parsel import Selector

from imgcrawl.pages.candidates import is_file
from imgcrawl.possessive import compile_late
from imgcrawl.urls import absolute

_ORIGINAL = compile_late(
    r"\b(?:original|full[ _-]?(?:size|res\w*|image|view)|max(?:imum)?[ _-]?(?:size|res\w*)|highest|hi-?res)\b"
    r"|原图|原圖|原寸|オリジナル|원본|оригинал",
    re.IGNORECASE,
)
_SIZE = re.compile(r"\b([0-9]{3,5})\s*+(?:px\s*+)?[x×*]\s*+([0-9]{3,5})\b")
_MOST = 5_000  # links that are looked at
_FEW, _LONG = 50, 1_000  # elements in one of them, and characters


def _text_links(page: Selector) -> Iterator[Any]:
    """The first links of a page, of which none is around an image."""
    around: set[Any] = set()  # each element once, however deep they are in each other
    for image in page.root.iter("img"):
        element = image.getparent()
        while element is not None and element not in around:
            around.add(element)
            element = element.getparent()
    links = (link for link in page.root.iter("a") if "href" in link.attrib and link not in around)
    return islice(links, _MOST)


def _text(link: Any) -> str:
    """The beginning of what is written in *link*."""
    texts = [link.text or ""]
    for element in islice(link.iterdescendants(), _FEW):
        texts += ((element.text or "")[:_LONG] if isinstance(element.tag, str) else "", (element.tail or "")[:_LONG])
    return "".join(texts)[:_LONG]


def offered_versions(page: Selector, base: str, encoding: str) -> list[str]:
    """The image files that links of *page* offer by words in them or beside them, if one is the largest: that first.

    A link around an image is not meant: that is a copy of what it leads to.
    """
    offered: dict[str, float] = {}
    for link in _text_links(page):
        href = link.attrib["href"]
        if not is_file(href) and "download" not in link.attrib:
            continue
        words = " ".join([_text(link), *(link.attrib.get(name, "") for name in ("title", "class"))])
        size = _SIZE.search(words)
        pixels = float(int(size[1]) * int(size[2])) if size else 0.0
        address = absolute(base, href, encoding)
        if address and (pixels or _ORIGINAL.search(words)):
            offered[address] = max(offered.get(address, 0), inf if _ORIGINAL.search(words) else pixels)
    largest = sorted(offered, key=lambda address: -offered[address])
    if len(largest) > 1 and offered[largest[0]] == offered[largest[1]]:
        return []
    return largest
