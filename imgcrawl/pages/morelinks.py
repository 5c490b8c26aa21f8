"""Links to more images of a gallery, at an address that says no number."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from parsel import Selector

from imgcrawl.pages.bounds import both_ends
from imgcrawl.pages.pagination import words_of
from imgcrawl.urls import absolute, host_of

_MOST = 5_000  # links of a page that are looked at
_MORE = re.compile(
    r"\W*(?:load|show|view|see)(?: [0-9]{1,4})? more(?: (?:images?|photos?|pictures?|pics|items))?\W*", re.IGNORECASE
)
_OF_OTHERS = re.compile(r"comment|repl(?:y|ies)|review|related|similar", re.IGNORECASE)
_LONGEST = 40


def more_linked(page: Selector, url: str, gallery: str, base: str, encoding: str) -> list[str]:
    """Where a link on *page*, which is at *url*, leads that says "Load more", below the address of its *gallery*."""
    below, found = f"{urlsplit(gallery).path.rstrip('/')}/", list[str]()
    for link in both_ends(page.root.iter("a"), _MOST):
        named = link.get("href") or ""
        if not named or (named[:1] == "/" != named[1:2] and not named.startswith(below)):  # as most are
            continue
        if _OF_OTHERS.search(named) or not _MORE.fullmatch(words_of(link)[:_LONGEST]):
            continue
        address = absolute(base, named, encoding)
        if address and address != url and host_of(address) == host_of(gallery):
            path = urlsplit(address).path
            if len(below) > 1 and path.startswith(below) and len(path) > len(below):
                found.append(address)
    return found if len(set(found)) == 1 else []
