"""What the data that a page keeps for its scripts says of the next page of a list: its address, or that it exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from parsel import Selector

from imgcrawl.digits import whole
from imgcrawl.pages.bounds import both_ends
from imgcrawl.possessive import compile_late

_TEXTS, _FOUND = 200, 20  # of a page that are looked at
_AROUND, _LONGEST = 300, 2_000  # characters around what is found, and of an address
# Data may stand in a text within a script, where its quotation marks are escaped.
_NEXT = compile_late(
    r'"next(?:(?:_?page)?(?:_?(?:url|link|href))?)\\?"\s*+:\s*+(?:\{\s*+\\?"(?:href|url)\\?"\s*+:\s*+)?\\?"([^"<>\s]{1,2000})"',
    re.IGNORECASE,
)
_LAST = compile_late(
    r'"(total_?pages?|last_?page|num_?pages|page_?count|max_?pages?)\\?"\s*+:\s*+(?:\\?")?([0-9]{1,6})\b', re.IGNORECASE
)
_HERE = compile_late(
    r'"(?:(?:current_?)?page(?:_?(?:number|index|no))?|current|number|(next_?page))\\?"\s*+:\s*+(?:\\?")?([0-9]{1,6})\b',
    re.IGNORECASE,
)
_MORE = compile_late(
    r'"(?:pagination|paginator|paging|pager|page_?info)\\?"\s*+:\s*+\{[^{}]{0,300}?"(has_?(?:next(?:_?page)?|more))\\?"\s*+:\s*+true\b',
    re.IGNORECASE,
)
_OF_OTHERS = compile_late(
    r'(?:comment|repl(?:y|ies)|review|related|similar|recommend|notification|message|search|popular|trending)\w{0,20}\\?"\s*+:\s*+[\[{]',
    re.IGNORECASE,
)
_ESCAPED = re.compile(r"\\+u00([0-9a-f]{2})", re.IGNORECASE)
_UNFINISHED = re.compile(r"[{}:=&?]$|[{}]|%7[bd]|/:[a-z]|\bnull\b", re.IGNORECASE)  # a script puts a number into it


def next_in_data(page: Selector, *, attributes: bool = False) -> Iterator[str]:
    """The addresses that the data in the scripts of *page*, and in its *attributes*, calls the next one."""
    for text in _data_of(page, "next", attributes=attributes):
        for found in islice(_NEXT.finditer(text), _FOUND):
            address = _ESCAPED.sub(lambda code: chr(int(code[1], 16)), found[1]).replace("\\", "")
            if not _UNFINISHED.search(address) and not _is_of_others(text, found.start()):
                yield address


def more_in_data(page: Selector) -> str:
    """What the data of *page*, the first one of a list, says by which there are more; empty where it says nothing."""
    for text in _data_of(page, "age", attributes=True):
        for found in islice(_LAST.finditer(text), _FOUND):
            around = text[max(0, found.start() - _AROUND) : found.end() + _AROUND]
            here = ((whole(each[2], 999_999), bool(each[1])) for each in islice(_HERE.finditer(around), _FOUND))
            is_first = any(number == 2 if is_next else number in (0, 1) for number, is_next in here)
            if is_first and (whole(found[2], 999_999) or 0) > 1 and not _is_of_others(text, found.start()):
                return f"{found[1]}: {found[2]}"
        more = list(islice(_MORE.finditer(text), 2))  # of several it is not known which is the list's
        if len(more) == 1 and not _is_of_others(text, more[0].start()):
            return f"{more[0][1]}: true"
    return ""


def _is_of_others(text: str, start: int) -> bool:
    return _OF_OTHERS.search(text, max(0, start - _AROUND), start) is not None


def _data_of(page: Selector, word: str, *, attributes: bool) -> Iterator[str]:
    """The texts on *page* with *word* in them that may hold data: of scripts, and of *attributes* in JSON."""
    scripts = both_ends(page.root.iter("script"), _TEXTS)
    texts = [script.text or "" for script in scripts if "ld+json" not in (script.get("type") or "")[:_AROUND]]
    if attributes:
        texts += both_ends(map(str, page.xpath("//@*[starts-with(., '{')]").getall()), _TEXTS)
    return (text for text in texts if word in text)
