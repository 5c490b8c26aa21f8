"""What a list page without `rel="next"` says its next one is: by words, by a class, for a script, in a form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any
from urllib.parse import urlencode, urlsplit

from parsel import Selector

from imgcrawl.pages.pagination import leads_on, pressed_in, says_next
from imgcrawl.urls import absolute, host_of

_MOST = 5_000  # links, or parts of forms, of a page that are looked at
_NUMBERS = re.compile("[0-9]+")
_PAGE = re.compile("page|页|頁|ページ|страниц|seite", re.IGNORECASE)


def next_said(page: Selector, url: str, base: str, encoding: str) -> list[str]:
    """The addresses that *page*, which is at *url*, says its next one has. What "next" and "more" say may stand on
    any link, so that only addresses which look like another page of the same list count."""
    found = (
        absolute(base, address, encoding)
        for address in chain(
            (link.get("href") or "" for link in islice(page.root.iter("a"), _MOST) if leads_on(link)),
            (element.get(name) for element, name in pressed_in(page)),
            _submitted(page, url, encoding),
        )
    )
    return [address for address in dict.fromkeys(found) if address and _is_of_the_list(url, address)]


def _is_of_the_list(url: str, other: str) -> bool:
    """Whether *other* is *url* with another query, or other numbers, or has a word for a page in it."""
    one, two = urlsplit(url), urlsplit(other)
    if host_of(url) != host_of(other) or one[1:4] == two[1:4]:
        return False
    if one.path == two.path:
        return bool(two.query)
    return _NUMBERS.sub("0", one.path) == _NUMBERS.sub("0", two.path) or bool(
        _PAGE.search(two.path) and _NUMBERS.search(two.path)
    )


def _submitted(page: Selector, url: str, encoding: str) -> Iterator[str]:
    """What the forms lead to whose button says that it is for the next page."""
    for form in islice(page.root.iter("form"), 100):
        if (form.get("method") or "get").strip().lower() != "get":
            continue
        parts = list(islice(form.iter("input", "button"), 100))
        button = next((part for part in parts if _is_button(part) and _says_next(part)), None)
        if button is None:
            continue
        sent = [part for part in parts if part is button or not _is_button(part)]
        values = [(part.get("name"), part.get("value") or "") for part in sent if _is_sent(part)]
        action = (form.get("action") or url).partition("#")[0].partition("?")[0]
        yield f"{action}?{urlencode(values, encoding=encoding, errors='xmlcharrefreplace')}"


def _is_button(part: Any) -> bool:
    kind = (part.get("type") or "").lower()
    return kind in ("submit", "image", "button", "reset") or (part.tag == "button" and not kind)


def _is_sent(part: Any) -> bool:
    ticked = (part.get("type") or "").lower() not in ("checkbox", "radio") or "checked" in part.attrib
    return bool(part.get("name")) and ticked and "disabled" not in part.attrib


def _says_next(button: Any) -> bool:
    kind = (button.get("type") or "").lower()
    if kind in ("button", "reset", "image") or "disabled" in button.attrib:
        return False
    return leads_on(button) or (button.tag == "input" and says_next(button.get("value") or ""))
