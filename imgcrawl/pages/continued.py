"""Whether an address is that of a further page of what another address begins."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

_EXTENSION = re.compile(r"\.(?:html?|php|aspx?|jsp)$", re.IGNORECASE)
_WORD = r"(?:page|pages|paged|pg|p|seite|pagina|página|trang|strona|sida)"
_NUMBER_IN_PATH = re.compile(rf"/?(?:[/_.-]{_WORD}[/_=-]?|[/_.-])0*([0-9]{{1,4}})", re.IGNORECASE)
_NUMBER_BY_WORD = re.compile(rf"/?[/_.-]{_WORD}[/_=-]?0*([0-9]{{1,4}})", re.IGNORECASE)
_OFFSET = re.compile(r"[0-9]{1,6}")
_NUMBER_IN_QUERY = re.compile(rf"{_WORD}|(?=[a-z_-]*+\Z).*page.*", re.IGNORECASE)


def goes_on(address: str, other: str, number: int) -> bool:
    """Whether *other*, which a link that says "next" leads to, is page *number* of *address*, and not the next gallery:
    by that number or, where a site counts its pages from 0, the one before, or by how many images were before it."""
    if continues(address, other, number) or (number > 1 and continues(address, other, number - 1)):
        return True
    one, two = (parts._replace(query="", fragment="") for parts in (urlsplit(address), urlsplit(other)))
    said, asked = (dict(parse_qsl(urlsplit(each).query)) for each in (address, other))
    more = [value for name, value in asked.items() if name not in said]
    kept = all(asked.get(name) == value for name, value in said.items())
    return one == two and kept and len(more) == 1 and _OFFSET.fullmatch(more[0]) is not None


def continues(address: str, other: str, number: int, *, by_word: bool = False) -> bool:
    """Whether *other* is *address* with *number*, that of a page, behind its path or in its query.

    /album/7 goes on with /album/7/2, /album/7/page/2, /album/7?page=2; /album/7.html with /album/7_2.html; not with
    /album/8, and not with /album/72. *by_word*: only where a word stands with the number that says so.
    """
    one, two = urlsplit(address), urlsplit(other)
    if (one.scheme, one.netloc) != (two.scheme, two.netloc):
        return False
    path, other_path = (_EXTENSION.sub("", parts.path).rstrip("/") for parts in (one, two))
    if path == other_path:
        asked = dict(parse_qsl(two.query))
        said = dict(parse_qsl(one.query))
        changed = [name for name in asked if asked[name] != said.get(name)]
        same = all(asked.get(name) == value for name, value in said.items() if not _NUMBER_IN_QUERY.fullmatch(name))
        return same and [asked[name] for name in changed if _NUMBER_IN_QUERY.fullmatch(name)] == [str(number)]
    pattern = _NUMBER_BY_WORD if by_word else _NUMBER_IN_PATH
    found = pattern.fullmatch(other_path.removeprefix(path)) if other_path.startswith(path) else None
    return one.query == two.query and found is not None and int(found[1]) == number
