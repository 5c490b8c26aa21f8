"""Queries that a page may make slow are tried in a process first, which is ended when they take too long.

libxml2 finds some sets of elements in as long as their sizes multiplied (`a.g, a.h`, `div div a`, `a ~ a`), and nothing
can stop it. What is a single step, and more steps to children, takes as long as the page and is not tried.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

from parsel import Selector
from parsel.csstranslator import HTMLTranslator

from imgcrawl.children import import_path
from imgcrawl.exceptions import RequestRefused

if TYPE_CHECKING:
    from scrapy.http import Response, TextResponse

MAX_ELEMENTS: Final = 200_000  # and attributes, of a page that is tried: some 100 MB
_FEW: Final = 2_000  # elements, with which any query takes a second or two at the most
_SHORT: Final = 256 * 1024  # characters of them
_SECONDS: Final = 2.0  # of CPU time that a query may take
_WALL_CLOCK: Final = 60.0  # seconds, for a machine that is busy or has no clocks of CPU time

_TEXTS = re.compile(r"\"[^\"]*+\"|'[^']*+'")
# In brackets stands a child, or else nothing but functions, attributes and numbers: no other axis, and no text of what
# is within. What is asked of the element itself counts as an attribute.
_OF_ITSELF = re.compile(r"(?<![\w-])self::(?=[\w*])")
_TEST = r"\[(?:[\w-]++|(?:[^\[\]/.:|\w@-]++|@[\w*-]++|(?:re:)?+[\w-]++\(|(?:and|or|[0-9]++)\b|-)*+)\]"
_STEP = rf"(?:text\(\)|@?[\w*-]++)(?:{_TEST})*+"
_ONE_STEP = re.compile(rf"\(?(?:\.?//?|descendant-or-self::|descendant::)?+{_STEP}(?:/{_STEP})*+\)?(?:{_TEST})?")
_TEXT_OF_ALL = re.compile(r"\b(?:string|normalize-space|string-length|number)\(\s*+\)")


def check_time(page: Response | Selector, query: str) -> None:
    """Raises `RequestRefused` (``too_large``) where *query*, XPath or CSS, takes too long on *page*. Blocks."""
    if is_one_step(query):
        return
    kind = "html"
    if isinstance(page, Selector):
        root: Any = page.root
        if not hasattr(root, "iter") or sum(1 for _ in islice(root.iter(), _FEW + 1)) <= _FEW:
            return  # a text, or few elements
        text, kind = page.get(), page.type
    else:
        text = cast("TextResponse", page).text
        if text.count("<") - text.count("</") <= _FEW and len(text) <= _SHORT:
            return
        kind = cast("TextResponse", page).selector.type
    nodes = text.count("<") - text.count("</") + text.count("=")
    if nodes > MAX_ELEMENTS or not _is_quick(text, kind, query):
        why = f"{nodes} elements and attributes" if nodes > MAX_ELEMENTS else "it takes too long"
        raise RequestRefused("too_large", f"{query!r} is not searched for: {why}; one step would be, as a.x")


def is_css(query: str) -> bool:
    """Whether *query* is CSS, if it is not XPath."""
    return not query.startswith(("/", "./", "("))


@lru_cache(1000)
def is_one_step(query: str) -> bool:
    """Whether *query*, XPath or CSS, takes as long as the page at the most. False for what is neither."""
    if is_css(query):
        try:
            query = HTMLTranslator().css_to_xpath(query)
        except (ValueError, SyntaxError, RuntimeError):
            return True  # it is refused by who evaluates it
    bare = _OF_ITSELF.sub("@", _TEXTS.sub("''", query))
    return _ONE_STEP.fullmatch(bare) is not None and not _TEXT_OF_ALL.search(bare)


def _is_quick(text: str, kind: str, query: str) -> bool:
    task = {"kind": kind, "query": query, "is_css": is_css(query), "seconds": _SECONDS}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "imgcrawl.trial"],
            input=json.dumps(task).encode() + b"\n" + text.encode("utf-8", "replace"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_WALL_CLOCK,
            start_new_session=True,  # Ctrl-C is for the crawl
            env={**os.environ, **import_path()},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
