"""What a query finds on a page, one after another."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, cast

from lxml import etree
from parsel import Selector
from parsel.csstranslator import GenericTranslator, HTMLTranslator
from scrapy.http import JsonResponse, Response, TextResponse

from imgcrawl.basespiders.trials import is_css
from imgcrawl.pages.links import may_lead, pressed_address, told_address
from imgcrawl.possessive import compile_late

_NO_ADDRESS = re.compile(r"\s*(?:#|javascript:|\Z)", re.IGNORECASE)
# A first step with conditions that are no numbers, as these would count children. What `//` finds is put in order by
# walking over siblings, one axis finds it in order.
_CONDITION = (
    r"""\[(?:@[\w-]++(?: ?= ?(?:"[^"]*+"|'[^']*+'))?|(?:contains|starts-with)\(@[\w-]++, ?(?:"[^"]*+"|'[^']*+')\))\]"""
)
_ANYWHERE = compile_late(rf"//(?=[\w*-]++(?:{_CONDITION})++(?:/|\Z))")
_MOST = 100  # elements in one, that are looked at for what a click leads to


def each(page: Response | Selector, query: str) -> Iterator[Selector]:
    """What *query*, XPath or CSS, finds on *page*, in order, as `page.xpath` and `page.css` do.

    These make a selector of each at once: of a page of 300,000 links that is 200 MB. Raises ValueError, and of CSS
    SyntaxError or RuntimeError.
    """
    top = page if isinstance(page, Selector) else cast("TextResponse", page).selector
    if top.type not in ("html", "xml") or not hasattr(top.root, "xpath"):
        yield from top.css(query) if is_css(query) else top.xpath(query)
        return
    if is_css(query):
        query = (HTMLTranslator() if top.type == "html" else GenericTranslator()).css_to_xpath(query)
    query = _ANYWHERE.sub("/descendant::", query, 1) if _ANYWHERE.match(query) else query
    try:
        found = etree.XPath(query, namespaces=top.namespaces, smart_strings=False)(top.root)
    except etree.XPathError as error:
        raise ValueError(f"XPath error: {error} in {query}") from error
    for node in found if isinstance(found, list) else [found]:
        yield top.__class__(root=node, type=top.type, namespaces=top.namespaces)


def said(node: Selector) -> str:
    """The text or attribute that *node* is; of an element its `href` or `src`, or else its text."""
    if isinstance(node.root, str):
        return node.root
    if node.type == "json":
        return str(node.root) if type(node.root) is int else ""  # no truth, which is an int, too
    attributes = node.root.items() if hasattr(node.root, "items") else ()  # of a number or a truth there are none
    return next((value for name, value in attributes if name in ("href", "src")), "") or node.xpath("string()").get("")


def links_in(found: Iterable[Selector], is_meant: Callable[[Any], bool] | None = None) -> Iterator[Selector]:
    """*found*, with the links in an element in its place, if it is none itself and has any: in a list's entry, around
    its title. Of several in one only those that are, as elements, meant, if *is_meant* says so of any. Where there is
    no link, what a click on it, or on what is in it, leads to (`pages.links.pressed_address`), or the address that is
    its text; what has words only, as an option that says "Choose", is passed over."""
    inside: dict[Any, bool] = {}
    for node in found:
        element = node.root
        if node.type != "html" or not hasattr(element, "iter") or "src" in element.attrib:
            yield node
        elif "href" in element.attrib:
            yield node if _is_live(element) else _pressed_in(node) or node
        elif not _is_in(inside, element.getparent()):
            links = [link for link in element.iter("a", "area") if (link.get("href") or "").strip()]
            inside[element] = bool(links)
            links = (is_meant and list(filter(is_meant, links))) or links
            pressed = None if any(map(_is_live, links)) else _pressed_in(node)
            if pressed or (not links and may_lead(node.xpath("string()").get(""))):
                yield pressed or node
            else:
                yield from (node.__class__(root=link, type="html") for link in links)


def _is_live(link: Any) -> bool:
    """Whether *link*, an element, has an address of another page."""
    return _NO_ADDRESS.match(link.get("href")) is None


def _pressed_in(node: Selector) -> Selector | None:
    """The address that a click on *node*, or on the first in it that has one, leads to; else what *node* tells."""
    pressed = (pressed_address(each, is_declared=True) for each in islice(node.root.iter("*"), _MOST))
    address = next(filter(None, pressed), "") or told_address(node.root)
    return node.__class__(root=address, type=node.type) if address else None


def _is_in(inside: dict[Any, bool], element: Any) -> bool:
    """Whether *element* or one around it is *inside* what was given its links; each is looked at once."""
    path = []
    while element is not None and element not in inside:
        path.append(element)
        element = element.getparent()
    inside.update(dict.fromkeys(path, element is not None and inside[element]))
    return element is not None and inside[element]


def is_broken(response: Response) -> bool:
    """Whether *response* is called JSON, and none can be read from it, or it is too deep to be read."""
    if isinstance(response, JsonResponse):
        try:
            response.json()
        except (ValueError, RecursionError):
            return True
    return False
