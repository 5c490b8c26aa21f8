"""What of a page its readers see, before scripts change that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from lxml import etree
from parsel import Selector

_LONGEST_STYLE = 500  # characters
_MOST_ELEMENTS = 20_000
_UNSEEN = frozenset(("script", "style", "noscript", "template"))


def is_hidden(element: Any) -> bool:
    """Whether *element* is not shown, or cannot be used, until a script lets it."""
    style = (element.get("style") or "").replace(" ", "").lower()[:_LONGEST_STYLE]
    return (
        "display:none" in style
        or not {"hidden", "disabled"}.isdisjoint(element.attrib)
        or element.get("aria-hidden") == "true"
    )


def is_unseen(element: Any) -> bool:
    return not isinstance(element.tag, str) or element.tag in _UNSEEN or is_hidden(element)


def texts_of(page: Selector, longest: int, is_left_out: Callable[[Any], bool] = is_unseen) -> list[str]:
    """The texts of *page* outside of elements that are left out, each on one line, until they have more than
    *longest* characters together."""
    return list(filter(None, _texts(page, longest, is_left_out)))


def _texts(page: Selector, longest: int, is_left_out: Callable[[Any], bool]) -> Iterator[str]:
    length = 0
    for body in page.xpath("//body"):
        walk: Any = etree.iterwalk(body.root, events=("start", "end"))
        for event, element in islice(walk, _MOST_ELEMENTS):
            text = ""
            if event == "end":
                text = element.tail if element is not body.root else ""
            elif is_left_out(element):
                walk.skip_subtree()
            else:
                text = element.text
            yield (line := " ".join((text or "").split()))
            length += len(line)
            if length > longest:
                return
