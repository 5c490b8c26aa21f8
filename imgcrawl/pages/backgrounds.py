"""The photographs that a style has as backgrounds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

from imgcrawl.pages.candidates import PHOTOGRAPH, UNSAID, Rank, file_name
from imgcrawl.possessive import compile_late, compile_possessive

_URL = re.compile(r"""url\(\s*+(?:"([^"]*+)"|'([^']*+)'|([^'")\s]++))""", re.IGNORECASE | re.ASCII)
_IMAGE_SET = compile_possessive(r"image-set\(((?:[^()]++|\([^()]*+\))*+)\)", re.IGNORECASE)
_OF_SET = compile_late(
    r"""(?:url\(\s*+)?(?:"([^"]++)"|'([^']++)'|(?<=\()([^'")\s]++))\s*+\)?\s*+(?:type\([^)]*+\)\s*+)?([0-9]{1,9}(?:\.[0-9]{1,9})?)?"""
)
_SEPARATOR = re.compile(r",\s*+(?=(?:https?:)?/)")  # of several backgrounds, as lazy loaders have them
_ESCAPE = re.compile(r"\\(?:([0-9a-f]{1,6})\s?|(.))", re.IGNORECASE | re.DOTALL)  # CSS Syntax, 4.3.7
Candidates = list[tuple[Rank, str]]  # for one image


def backgrounds(value: str) -> Iterator[Candidates]:
    """The photographs of a background, or of several. Others are ornaments."""
    value = _ESCAPE.sub(_escaped, value) if "\\" in value else value
    images: list[Candidates] = [
        [((0, True, 0, 0, float(size[4] or 1)), size[1] or size[2] or size[3]) for size in _OF_SET.finditer(each[1])]
        for each in _IMAGE_SET.finditer(value)
    ]
    urls = [found[1] or found[2] or found[3] or "" for found in _URL.finditer(_IMAGE_SET.sub(" ", value))]
    images += [[(UNSAID, url.strip())] for url in (urls if "(" in value else _SEPARATOR.split(value))]
    for image in images:
        if kept := [pair for pair in image if PHOTOGRAPH.search(file_name(pair[1]))]:
            yield kept


def _escaped(match: re.Match[str]) -> str:
    code = int(match[1], 16) if match[1] else 0
    is_character = 0 < code < 0xD800 or 0xDFFF < code <= 0x10FFFF
    character = (chr(code) if is_character else "") if match[1] else match[2]
    return quote(character, errors="replace") if character in "()'\" \t" else character  # else it would end the address
