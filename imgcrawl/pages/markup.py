"""How much there is in a page, counted before a parser sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

MAX_ATTRIBUTES = 500  # of one tag: libxml2 compares each with all before it, 40,000 take it 6 s
MAX_NODES = 1_000_000  # elements and attributes: some 200 bytes of memory each

# Tags as the HTML standard reads them (13.2.5), and what looks like tags and is none, each to its end. All that repeats
# is possessive and what has no end goes to that of the page: so each character is looked at a few times at the most.
_SPACE = r"[ \t\n\f\r]"
_VALUE = r"""(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^ \t\n\f\r>"'][^ \t\n\f\r>]*+)"""
_ATTRIBUTE = rf"(?:=[^ \t\n\f\r/>=]*+|[^ \t\n\f\r/>=]++)(?:{_SPACE}*+={_SPACE}*+{_VALUE}?+)?+"
_ATTRIBUTES = rf"(?:[ \t\n\f\r/]++|{_ATTRIBUTE})*+"
_RAW = "script|style|xmp|iframe|noembed|noframes|textarea|title"
_TAG = re.compile(
    "|".join((
        r"<!--(?:-?>|.*?(?:--!?>|\Z))",
        rf"<(?P<raw>{_RAW})(?=[ \t\n\f\r/>])(?P<its>{_ATTRIBUTES})(?:(?<!/)>.*?(?=</(?P=raw)[ \t\n\f\r/>]|\Z)|/?>|\Z)",
        rf"</?[a-z][^ \t\n\f\r/>]*+(?P<attributes>{_ATTRIBUTES})",
        r"<[!?/][^>]*+",
    )),
    re.IGNORECASE | re.DOTALL,
)  # fmt: skip
_ONE = re.compile(_ATTRIBUTE)
_BEGINS_TAG = re.compile(r"<[a-z][a-z0-9-]*[\s/>]", re.IGNORECASE)


def too_much(text: str) -> str:
    """What the page *text* has too much of for a parser, in words; or ""."""
    nodes = text.count("<") - text.count("</") + text.count("=")
    if nodes > MAX_NODES:
        return f"{nodes} elements and attributes, limit {MAX_NODES}"
    most = most_attributes(text, MAX_ATTRIBUTES)
    return f"{most} attributes in one tag, limit {MAX_ATTRIBUTES}" if most > MAX_ATTRIBUTES else ""


def most_attributes(text: str, few: int = 0) -> int:
    """The largest number of attributes that one tag in *text* has; 0 if it is surely no more than *few*."""
    most = 0
    for tag in _TAG.finditer(text):
        attributes = tag["attributes"] or tag["its"]
        if attributes and len(attributes) > 2 * max(few, most):
            most = max(most, sum(1 for _ in _ONE.finditer(attributes)))
    return most


def html_in(data: Any) -> Iterator[str]:
    """The texts with tags in them that *data*, a value from JSON, holds, in order."""
    stack = [data]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            if "<" in value and _BEGINS_TAG.search(value) and not too_much(value):
                yield value
        elif isinstance(value, dict | list):
            stack += reversed(list(value.values()) if isinstance(value, dict) else value)
