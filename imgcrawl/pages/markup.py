"""How much there is in a page, counted before a parser sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from imgcrawl.possessive import compile_late, compile_possessive

MAX_ATTRIBUTES = 500  # of one tag: libxml2 compares each with all before it, 40,000 take it 6 s
MAX_NODES = 1_000_000  # elements and attributes: some 200 bytes of memory each

# Tags as the HTML standard reads them (13.2.5), and what looks like tags and is none, each to its end but for comments
# and the texts of scripts. All that repeats is possessive and what has no end goes to that of the page: so each
# character is looked at a few times at the most.
_SPACE = r"[ \t\n\f\r]"
_VALUE = r"""(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^ \t\n\f\r>"'][^ \t\n\f\r>]*+)"""
_ATTRIBUTE = rf"(?:=[^ \t\n\f\r/>=]*+|[^ \t\n\f\r/>=]++)(?:{_SPACE}*+={_SPACE}*+{_VALUE}?+)?+"
_ATTRIBUTES = rf"(?:[ \t\n\f\r/]++|{_ATTRIBUTE})*+"
_RAW = "script|style|xmp|iframe|noembed|noframes|textarea|title"
_TAG = compile_possessive(
    "|".join((
        r"<!--(?:-?>|(?P<comment>))",
        rf"<(?P<raw>{_RAW})(?=[ \t\n\f\r/>])(?P<its>{_ATTRIBUTES})(?P<text>(?<!/)>)?+",
        rf"</?[a-z][^ \t\n\f\r/>]*+(?P<attributes>{_ATTRIBUTES})",
        r"<[!?/][^>]*+",
    )),
    re.IGNORECASE | re.DOTALL,
)  # fmt: skip
_ONE = compile_late(_ATTRIBUTE)
# Tags that have not too many attributes, as nearly all: hundreds of them at a time, for others have no turn meanwhile.
_FEW_EACH = compile_possessive(
    r"(?:[^<]*+<(?:/[a-zA-Z][^ \t\n\f\r/>]*+>"
    rf"|(?!(?=[intsxINTSX])(?i:{_RAW})[ \t\n\f\r/>])[a-zA-Z][^ \t\n\f\r/>]*+"
    rf"(?:[ \t\n\f\r/]++|{_ATTRIBUTE}){{0,{MAX_ATTRIBUTES}}}+>)){{0,200}}+"
)
_BEGINS_TAG = compile_late(r"<[a-z][a-z0-9-]*[\s/>]", re.IGNORECASE)


def too_much(text: str) -> str:
    """What the page *text* has too much of for a parser, in words; or ""."""
    elements = text.count("<") - text.count("</")
    nodes = elements + text.count("=")
    if nodes <= MAX_NODES < nodes + len(text) // 2:  # there may be as many attributes without a value
        nodes = max(nodes, elements + sum(1 for each in _attributes_of_tags(text) for _ in _ONE.finditer(each)))
    if nodes > MAX_NODES:
        return f"{nodes} elements and attributes, limit {MAX_NODES}"
    most = most_attributes(text, MAX_ATTRIBUTES)
    return f"{most} attributes in one tag, limit {MAX_ATTRIBUTES}" if most > MAX_ATTRIBUTES else ""


def most_attributes(text: str, few: int = 0) -> int:
    """The largest number of attributes that one tag in *text* has; 0 if it is surely no more than *few*."""
    most = 0
    for attributes in _attributes_of_tags(text, few):
        if len(attributes) > 2 * max(few, most):
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


def _attributes_of_tags(text: str, few: int = 0) -> Iterator[str]:
    """What stands behind the name of each tag, or of those that may have more than *few* attributes."""
    position = 0
    ends = dict.fromkeys(("-->", "--!>"), 0)  # of comments: where the next one is, as far as that is known
    while tag := _TAG.search(text, _behind_few_each(text, position) if few >= MAX_ATTRIBUTES else position):
        position = tag.end()
        if attributes := tag["attributes"] or tag["its"]:
            yield attributes
        if tag["comment"] is not None:
            for end, known in ends.items():
                if known < position:
                    found = text.find(end, position)
                    ends[end] = len(text) if found < 0 else found
            position = min(ends.values())
        elif tag["text"]:
            position = _raw_text_end(text, tag["raw"], position)


def _behind_few_each(text: str, position: int) -> int:
    passed = _FEW_EACH.match(text, position)
    return passed.end() if passed else position


def _raw_text_end(text: str, name: str, position: int) -> int:
    """Where the text of an element that holds no tags ends: at its end tag, or with the page."""
    is_end = re.compile(rf"</{name}[ \t\n\f\r/>]", re.IGNORECASE).match
    end = text.find("</", position)
    while end >= 0 and not is_end(text, end):
        end = text.find("</", end + 2)
    return end if end >= 0 else len(text)
