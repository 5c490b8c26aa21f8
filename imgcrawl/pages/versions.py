"""The sizes of one image that a page offers by links with words: "original", "1920 x 1080"."""

from __future__ import annotations

import re
from math import inf

from parsel import Selector

from imgcrawl.pages.candidates import is_file
from imgcrawl.urls import absolute

_ORIGINAL = re.compile(
    r"\b(?:original|full[ _-]?(?:size|res\w*|image|view)|max(?:imum)?[ _-]?(?:size|res\w*)|highest|hi-?res)\b"
    r"|原图|原圖|原寸|オリジナル|원본|оригинал",
    re.IGNORECASE,
)
_SIZE = re.compile(r"\b([0-9]{3,5})\s*+(?:px\s*+)?[x×*]\s*+([0-9]{3,5})\b")
_MOST = 200  # links that are looked at


def offered_versions(page: Selector, base: str, encoding: str) -> list[str]:
    """The image files that links of *page* offer by words in them or beside them, if one is the largest: that first.

    A link around an image is not meant: that is a copy of what it leads to.
    """
    offered: dict[str, float] = {}
    for link in page.xpath(f"(//a[@href][not(.//img)])[position() <= {_MOST}]"):
        href = link.attrib["href"]
        if not is_file(href) and "download" not in link.attrib:
            continue
        words = " ".join([link.xpath("string()").get(""), *(link.attrib.get(name, "") for name in ("title", "class"))])
        size = _SIZE.search(words)
        pixels = float(int(size[1]) * int(size[2])) if size else 0.0
        address = absolute(base, href, encoding)
        if address and (pixels or _ORIGINAL.search(words)):
            offered[address] = max(offered.get(address, 0), inf if _ORIGINAL.search(words) else pixels)
    largest = sorted(offered, key=lambda address: -offered[address])
    if len(largest) > 1 and offered[largest[0]] == offered[largest[1]]:
        return []
    return largest
