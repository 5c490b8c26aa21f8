"""Whether an address is that of a further page of what another address begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import parse_qsl, urlsplit

from imgcrawl.possessive import compile_late

_EXTENSION = re.compile(r"\.(?:html?|php|aspx?|jsp)$", re.IGNORECASE)
_WORD = r"(?:page|pages|paged|pg|p|seite|pagina|página|trang|strona|sida)"
_NUMBER_IN_PATH = compile_late(rf"/?(?:[/_.-]{_WORD}[/_=-]?|[/_.-])0*([0-9]{{1,4}})", re.IGNORECASE)
_NUMBER_BY_WORD = compile_late(rf"/?[/_.-]{_WORD}[/_=-]?0*([0-9]{{1,4}})", re.IGNORECASE)
_OFFSET = re.compile(r"[0-9]{1,6}")
_START = compile_late(r"[/?&;_.-]+(?:start|offset|from|skip|begin|st|o|s)[-_/=]?([0-9]{1,6})/?", re.IGNORECASE)
_NUMBERS = re.compile(r"([0-9]+)")
_NUMBER_IN_QUERY = compile_late(rf"{_WORD}|(?=[a-z_-]*+\Z).*page.*", re.IGNORECASE)
_OF_OTHERS = re.compile(r"c-?page|.*comment.*", re.IGNORECASE)  # pages of comments
_PAGE_NAME = compile_late(
    rf"(?!.*(?:per|size|limit|count))(?:{_WORD}|start|offset|from|skip|(?=[a-z_-]*+\Z).*page.*)", re.IGNORECASE
)
_FEW = 40  # characters of a name
_LONGEST = 2_000  # characters of an address that is looked at


def is_page_name(name: str) -> bool:
    """Whether a part of a form that is called *name* says which page of a list is meant."""
    return len(name) <= _FEW and not _OF_OTHERS.fullmatch(name) and _PAGE_NAME.fullmatch(name) is not None


def goes_on(address: str, other: str, number: int) -> bool:
    """Whether *other*, which a link that says "next" leads to, is page *number* of *address*, and not the next gallery:
    by that number or, where a site counts its pages from 0 and says that they are pages, the one before."""
    return continues(address, other, number) or continues(address, other, number - 1, by_word=True)


def offset_in(address: str, other: str) -> int:
    """How many images *other* says are before those that it shows, where it goes on with *address*; 0 where it says
    nothing, or just 1, as a switch does."""
    if max(len(address), len(other)) > _LONGEST:
        return 0
    start = address.rstrip("/")
    if other.startswith(start) and (found := _START.fullmatch(other, len(start))):
        return int(found[1])  # /category/7/start-15
    one, two, count = urlsplit(address), urlsplit(other), ""
    said, asked = _parameters(one.query), _parameters(two.query)
    more = [name for name in asked if name not in said]
    changed = [(value, asked.get(name, "")) for name, value in said.items() if asked.get(name) != value]
    if not more and len(changed) == 1:  # topic=7.0, topic=7.15
        (before, _, first), (after, _, count) = (value.rpartition(".") for value in changed[0])
        count = count if before == after != "" and first == "0" else ""
    elif not changed and len(more) == 1 and not _NUMBER_IN_QUERY.fullmatch(more[0]):
        count = asked[more[0]]
    return int(count) if one[:3] == two[:3] and count != "1" and _OFFSET.fullmatch(count) else 0


def renumbers(address: str, other: str, number: int) -> bool:
    """Whether *other* is *address*, of page *number* - 1 of something that has another number, with *number* in the
    place of its own: thread-7-1-1.html goes on with thread-7-2-1.html."""
    if max(len(address), len(other)) > _LONGEST:
        return False
    one, two = (
        _NUMBERS.split(address.partition("//")[2].partition("/")[2]),
        _NUMBERS.split(other.partition("//")[2].partition("/")[2]),
    )
    differ = [pair for pair in zip(one, two, strict=False) if pair[0] != pair[1]]
    return len(one) == len(two) >= 5 and differ == [(str(number - 1), str(number))]


def continues(address: str, other: str, number: int, *, by_word: bool = False) -> bool:
    """Whether *other* is *address* with *number*, that of a page, behind its path or in its query.

    /album/7 goes on with /album/7/2, /album/7/page/2, /album/7?page=2; /album/7.html with /album/7_2.html; not with
    /album/8, and not with /album/72. *by_word*: only where a word stands with the number that says so.
    """
    if max(len(address), len(other)) > _LONGEST:
        return False
    one, two = urlsplit(address), urlsplit(other)
    if (one.scheme, one.netloc) != (two.scheme, two.netloc):
        return False
    path, other_path = (_EXTENSION.sub("", parts.path).rstrip("/") for parts in (one, two))
    if path == other_path:
        said, asked = _parameters(one.query), _parameters(two.query)
        changed = [name for name in asked if asked[name] != said.get(name)]
        same = all(asked.get(name) == value for name, value in said.items() if not _NUMBER_IN_QUERY.fullmatch(name))
        return same and [asked[name] for name in changed if _NUMBER_IN_QUERY.fullmatch(name)] == [str(number)]
    pattern = _NUMBER_BY_WORD if by_word else _NUMBER_IN_PATH
    found = pattern.fullmatch(other_path.removeprefix(path)) if other_path.startswith(path) else None
    return one.query == two.query and found is not None and int(found[1]) == number


@lru_cache(64)  # each link of a page is compared with one address
def _parameters(query: str) -> Mapping[str, str]:
    return {name: value for name, value in parse_qsl(query) if not _OF_OTHERS.fullmatch(name)}
