"""Lists of images that pages hold as plain text for their scripts: in elements that nobody sees, in hidden fields, in
texts of scripts that are split there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

from imgcrawl.pages.candidates import is_address, is_name
from imgcrawl.pages.literals import name_before
from imgcrawl.pages.tags import EXTENSION
from imgcrawl.pages.values import SAYS_OTHER, SAYS_SMALL, words_of
from imgcrawl.possessive import compile_late, compile_possessive

# Where two of them meet.
_MEET = compile_possessive(
    rf"""\.{EXTENSION}(?:\?[^\s"'`<>,|;]{{0,500}}+)?+(?:[\s,|;]++(?=[\w/.%])(?![0-9.]++[wx]\b)|%(?:2C|7C|3B))""",
    re.IGNORECASE | re.ASCII,
)
_REST = compile_possessive(r"""[^"'`<>]*+""")
_DELIMITER = re.compile(r"""["'`<>]""")
_SEPARATOR = re.compile(r"[\s,|;]+")
_CLOSES = {">": "<", '"': '"', "'": "'", "`": "`"}
_BEFORE, _LONGEST = 300, 2_000  # characters: of what says what a list is, and of an address
_CALLED = re.compile(r"""\s(?:id|name)\s*=\s*["']?([\w-]{1,60})""", re.IGNORECASE)
_IS_SET = re.compile(r"""set\s*=\s*["']\s*$""", re.IGNORECASE)
_UNSEEN = re.compile(r"<(?:textarea|script|template)\b|\shidden\b|display\s*:\s*none", re.IGNORECASE)
_OF_IMAGES = re.compile(r"image|photo|picture|galler|slide|album|imgs|pics|pages", re.IGNORECASE)
# Lists of texts, each percent-encoded, that a script decodes.
_ENCODED = compile_late(
    r"""\[\s*+((?:["'](?:https?(?:%3A|:))?%2F[^"'\s<>]{1,2000}+["']\s*+,?\s*+){2,})\]""", re.IGNORECASE
)


class Written(NamedTuple):
    """The *images* of a list, and what it is *called*; whether it is there for a script to show (*is_sure*), by its
    name and its place."""

    images: list[str]
    called: str
    is_sure: bool

    def as_data(self) -> str:
        """It as JSON."""
        return json.dumps({self.called: self.images})


def written_lists(text: str) -> Iterator[Written]:
    """The lists in *text*, of a page, of nothing but addresses, or names, of image files, in one element, attribute or
    text of a script. Linear in its length."""
    position = 0
    while meet := _MEET.search(text, position):
        found = _listed(text, meet, position)
        rest = _REST.match(text, meet.end())
        position = max(meet.end(), rest.end() if rest else 0)
        if found:
            yield found
    if "%2F" in text or "%2f" in text:
        for match in _ENCODED.finditer(text):
            images = re.findall(r"""["']([^"']+)["']""", unquote(match[1]))
            if all(map(is_address, images)):
                yield Written(images, name_before(text[max(0, match.start() - _BEFORE) : match.start()]), is_sure=False)


def parts_of(stated: str) -> list[str]:
    """The addresses, or names, of image files of which *stated* is a list; none where it is one, or something else."""
    parts = [part for part in _SEPARATOR.split(stated) if part]
    return parts if len(parts) > 1 and all(is_address(part) or is_name(part) for part in parts) else []


def _listed(text: str, meet: re.Match[str], position: int) -> Written | None:
    before = max(position - 1, meet.start() - _LONGEST, 0)
    opened = next(iter(_DELIMITER.finditer(text[before : meet.start()][::-1])), None)
    if opened is None or opened[0] not in _CLOSES:
        return None
    start = meet.start() - opened.start()
    end = _REST.match(text, meet.end()).end()  # type: ignore[union-attr] # it matches nothing, too
    if text[end : end + 1] != _CLOSES[opened[0]]:
        return None
    stated = text[start:end].strip()
    if not (parts := parts_of(unquote(stated) if "%2" in stated else stated)):
        return None
    said = text[max(0, start - _BEFORE) : start]
    if _IS_SET.search(said):  # sizes of one image
        return None
    said = said[said.rfind("<") :] if "<" in said else said
    called = _CALLED.search(said)
    name = called[1] if called else name_before(said[:-1]) if opened[0] != ">" else ""
    is_other = SAYS_OTHER.search(words_of(name)) or SAYS_SMALL.search(words_of(name))
    is_sure = not is_other and (_UNSEEN.search(said) is not None or _OF_IMAGES.search(name) is not None)
    return Written(parts, name, is_sure)
