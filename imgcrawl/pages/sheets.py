"""Photographs that an element shows by its class, as a style sheet of the page says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from html import unescape
from itertools import chain

from imgcrawl.pages.backgrounds import backgrounds
from imgcrawl.pages.bounds import bounded
from imgcrawl.pages.candidates import ORNAMENT, PLACEHOLDER, file_name
from imgcrawl.pages.tags import tags
from imgcrawl.possessive import compile_late, compile_possessive
from imgcrawl.urls import absolute

MAX_SHEETS = 30  # of a page, and imported by these
_MOST_RULES = 1_000  # of a sheet that import: each is an address to be read
_LINKS = frozenset(("link",))
_NAMED = compile_late(r"""[\s"'](?:class|id)\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++))""", re.IGNORECASE)
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_STYLE = re.compile(r"<style\b[^<>]{0,2000}+>(.*?)(?:</style|\Z)", re.DOTALL | re.IGNORECASE)
_IMPORT = compile_late(
    r"""@import\s++(?:url\(\s*+)?(?:"([^"\n]{1,2000}+)"|'([^'\n]{1,2000}+)'|([^"'()\s;]{1,2000}+))\s*+\)?([^;{}]{0,200})""",
    re.IGNORECASE,
)
_SELECTED = compile_possessive(r"[.#]((?:[\w-]|[^\x00-\x7f]|\\.)++)")
_PART = compile_late(
    r"(?:^|[^a-z])(?:bg|back(?:ground|drop)?|pattern|texture|tile|shadow|gradient|line|ui)(?:[^a-z]|$)", re.IGNORECASE
)


def sheets_of(html: str, base: str, encoding: str) -> list[str]:
    """The addresses of the style sheets that the page links to or imports, but for those for print, and others to
    choose from."""
    links = (tag.attributes for tag in tags(html, _LINKS) if tag.name == "link")
    used = (each for each in links if each.get("rel", "").lower().split() == ["stylesheet"])
    hrefs = (each.get("href", "") for each in used if "print" not in each.get("media", "").lower())
    linked = filter(None, (absolute(base, href, encoding) for href in hrefs if href))
    imported = (sheet for style in _STYLE.finditer(html) for sheet in imported_by(style[1], base))
    return list(dict.fromkeys(chain(linked, imported)))


def imported_by(css: str, url: str) -> list[str]:
    """The addresses of the style sheets that *css*, of one at *url*, imports, but for those for print."""
    rules = bounded(_IMPORT.finditer(_COMMENT.sub(" ", css)), _MOST_RULES) if "@import" in css else ()
    used = (match[1] or match[2] or match[3] for match in rules if "print" not in match[4].lower())
    return list(dict.fromkeys(filter(None, (absolute(url, sheet) for sheet in used))))


def names_in(html: str) -> set[str]:
    """The classes and ids that the elements of a page have."""
    stated = (match[1] or match[2] or match[3] or "" for match in _NAMED.finditer(html))
    return {name for value in stated for name in unescape(value).split()}


def images_in_sheet(css: str, url: str, names: Set[str]) -> list[str]:
    """The addresses of photographs, by their names, that the style sheet *css* at *url* shows behind elements with
    classes or ids of *names*, in order, none twice."""
    found: dict[str, None] = {}
    for rule in _COMMENT.sub(" ", css).split("}"):
        selectors, _, style = rule.rpartition("{")
        if "url(" not in style.lower() or not any(
            _is_used(each, names) for each in selectors.rpartition("{")[2].rpartition(";")[2].split(",")
        ):
            continue
        found |= dict.fromkeys(_photographs(style))
    return list(dict.fromkeys(filter(None, (absolute(url, each) for each in found))))


def _is_used(selector: str, names: Set[str]) -> bool:
    selected = _SELECTED.findall(selector)
    return bool(selected) and ":hover" not in selector and names >= set(selected)


def _photographs(style: str) -> Iterator[str]:
    for image in backgrounds(style):
        name = file_name(address := max(image)[1])
        if not (ORNAMENT.search(name) or PLACEHOLDER.fullmatch(name) or _PART.search(name)):
            yield address
