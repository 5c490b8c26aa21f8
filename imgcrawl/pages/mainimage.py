"""The one image that a page is there to show: what a link to an image has led to in its place."""

from __future__ import annotations

import re

from parsel import Selector

from imgcrawl.pages.candidates import DECORATION, file_name
from imgcrawl.pages.facts import page_facts
from imgcrawl.pages.images import Originals, images_in
from imgcrawl.pages.sizes import size_of
from imgcrawl.pages.tags import base_of
from imgcrawl.possessive import compile_late
from imgcrawl.urls import host_of, without_query

_LARGE = 300  # pixels, of which a large image is declared to have as many across or along
_SHORTEST = 4  # characters of a name that tells images apart
_MISSING = compile_late(
    r"not found|404|removed|deleted|no longer|does(?:n't| not) exist|expired|error|unavailable|forbidden|denied|log ?in"
    r"|sign ?in",
    re.IGNORECASE,
)


def main_image(html: str, url: str, asked: str, encoding: str = "utf-8") -> str:
    """The address of the image that the page *html* at *url* is plainly there to show; empty if none is.

    *asked* is the address that led there. It is the only image that is named as that address is; or the one that the
    page both shows and names for itself (JSON-LD, Open Graph); or the only one, or the only one that is declared to be
    large. A start page, and one that says that something is not there, shows none.
    """
    facts = page_facts(html, url, encoding)
    if without_query(url).rstrip("/").endswith(host_of(url)) or _MISSING.search(facts.title):
        return ""
    base = base_of(html, url)
    shown: dict[str, str] = {}  # image → its address
    large: dict[str, str] = {}
    originals: Originals = {}
    for element in Selector(html).xpath("//img"):
        for address in images_in([element], url, base, encoding, originals):
            if not DECORATION.search(file_name(address)):
                image = size_of(address).image
                shown.setdefault(image, address)
                if any(_pixels(element.attrib.get(side, "")) >= _LARGE for side in ("width", "height")):
                    large.setdefault(image, address)
    name = file_name(asked).partition(".")[0]
    called = [address for address in shown.values() if len(name) >= _SHORTEST and file_name(address).startswith(name)]
    stated = [size_of(each).image for each in (facts.image, *facts.previews[:1]) if each]
    named = [shown[image] for image in stated if image in shown]
    for found in (called, list(dict.fromkeys(named)), list(shown.values()), list(large.values())):
        if len(found) == 1:
            return found[0]
    return ""


def _pixels(declared: str) -> int:
    number = re.match(r"\s*([0-9]{1,5})(?:px)?\s*$", declared)
    return int(number[1]) if number else 0
