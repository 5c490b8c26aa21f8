"""The tags of a page that images and facts stand in.

Text is read by a tokenizer of our own, because libxml2 drops whatever lies deeper than 2,048 elements and is slow for
an element with a few hundred thousand attributes; this one is linear in the length of the page, whatever it is. No
single match takes more than some milliseconds: threads take turns between matches only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html import escape, unescape
from html.entities import html5
from typing import Any, NamedTuple

from lxml import etree
from parsel import Selector

from imgcrawl.possessive import compile_late, compile_possessive
from imgcrawl.urls import resolve

IMAGES = ("img", "amp-img")
# Also <image> of SVG, and what stands for a video until it runs.
KEPT = frozenset(
    (
        *IMAGES,
        "image",
        "video",
        "picture",
        "source",
        "noscript",
        "meta",
        "link",
        "a",
        "area",
        "base",
        "h1",
        "title",
        "object",
        "embed",
    )
)
OF_FACTS = frozenset(("meta", "link", "h1", "title"))
_RAW_TEXT = ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes")
_RAW_END = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE | re.ASCII) for name in _RAW_TEXT}

_COMMENT_END = re.compile("--!?>")
_TAG = re.compile(r"<(?:(!--)|(/?[a-zA-Z][^\s/>]*+)|[/!?])", re.ASCII)
_ONE = r"""[\s/]*+([^\s/>][^\s/>=]*+)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|["']?([^\s>]*+)))?+"""
_ATTRIBUTE = compile_possessive(_ONE, re.ASCII)
_UNNAMED = re.sub(r"\((?!\?)", "(?:", _ONE)
_ATTRIBUTES = compile_possessive(rf"(?:{_UNNAMED})*+[\s/]*+(>?)", re.ASCII)
# Microdata and RDFa name a property of the thing that the page is about, on any element.
_PROPERTY = r"(?:itemprop|property|itemscope|typeof|resource)(?=[\s/>=])"
# What a script will show, or a style does, is stated on any element: by an attribute of such a name, with the name of
# an image file in its value.
_MAY_STATE = (
    r"(?:(?:data-|[:@\[]|v-|x-|ng-|wire:)[^\s/>=]*+|onclick|style|rel|src(?:set|doc)?|data|poster|background|original|full|large|zoomfile"
    r"|(?:images?|photos?|pictures?|gallery|slides)(?:-[^\s/>=]*+)?|props|items|value)"
)
MAY_STATE = compile_late(_MAY_STATE)
EXTENSION = r"(?:jpe?g|jpe|jfif|pjpeg|png|apng|gif|webp|avif|heic|heif|jxl|bmp|tiff?|jp2)"
_QUOTES = (('"', '"'), ("'", "'"), ("", r"\s>\"'"))
_VALUE = "|".join(rf"{quote}(?:[^.{end}]++|\.(?!{EXTENSION})){{0,2000}}+\." for quote, end in _QUOTES)
_STATES = rf"{_MAY_STATE}\s*+=\s*+(?:{_VALUE})|content\s*+=\s*+[\"']\s*+[\[{{]"
# What one look at each attribute tells, before each of these is tried: how they begin, that a value is there.
_MAY_BE, _HAS_VALUE = r"(?=[bdfgilnoprstvwxz:@\[]|con)", r"(?=[^\s/>=]++\s*+=)"
PROPERTY_WORDS = ("itemprop", "property", "itemscope", "typeof", "resource")
_MANY = 500  # texts and tags that are passed over at a time
_VOID_WORDS = """
    img meta link source base area input br hr col embed param track wbr
"""
_VOID = frozenset(_VOID_WORDS.split())
# What describes a thing by the properties within it is one of these, in practice.
_SCOPES_WORDS = """
    html body main article section div span p li ul ol figure header footer td tr table a h1 h2 h3
"""
_SCOPES = frozenset(_SCOPES_WORDS.split())


@cache
def _uninteresting(kept: frozenset[str], scope: str) -> re.Pattern[str]:
    """Up to `_MANY` texts and tags that nothing stands in. Interesting are those named *scope*, and those with
    properties or images."""
    names = "|".join((*sorted(kept), *_RAW_TEXT, *([scope] if scope else [])))
    some = f"{_PROPERTY}|{_STATES}" if "img" in kept else _PROPERTY
    attribute = _UNNAMED.replace(r"[\s/]*+", rf"[\s/]*+(?!{_MAY_BE}(?:{some}))", 1)
    tag = rf"</?+(?!(?:{names})[\s/>])[a-z][^\s/>]*+(?:{attribute})*+[\s/]*+>"
    return compile_possessive(rf"(?:[^<]++|{tag}|<(?![a-z/!?])){{0,{_MANY}}}+", re.ASCII | re.IGNORECASE)


_REFERENCE = re.compile(r"&(?:#(?:[0-9]{1,7}|[xX][0-9a-fA-F]{1,6});?|[a-zA-Z]\w*+(?:;|(?!=)))", re.ASCII)


class Scope:
    """A thing that a part of the page describes: an element with `itemscope` or `typeof`, of the type *kind*."""

    __slots__ = ("depth", "kind", "name", "outer", "role")

    def __init__(self, name: str, attributes: dict[str, str], outer: Scope | None) -> None:
        self.name = name
        self.kind = (attributes.get("itemtype") or attributes.get("typeof") or "").rpartition("/")[2]
        self.role = attributes.get("itemprop") or attributes.get("property") or ""
        self.outer = outer
        self.depth = 1


class Tag(NamedTuple):
    """A tag. *name* is in lower case, with a slash before it for an end tag; `text[start:end]` is what a script holds.

    *scope* is the thing that a property belongs to.
    """

    name: str
    attributes: dict[str, str]
    start: int
    end: int
    scope: Scope | None


def text_of(html: str | Selector) -> str:
    """The text of a page, or of the part of one that a selector is. Empty for selectors of texts, comments and JSON."""
    if isinstance(html, str):
        return html
    root: Any = html.root
    if not (etree.iselement(root) and isinstance(root.tag, str)):
        return ""
    return "".join(_markup(root))


def _markup(root: Any) -> Iterator[str]:
    """The tags of an element as text. libxml2's own way of writing HTML changes addresses."""
    for event, element in etree.iterwalk(root, events=("start", "end")):
        name = element.tag.rpartition("}")[2]  # QName refuses names that the parser of HTML takes
        if event == "start":
            yield f"<{name}"
            for attribute, value in element.items():
                yield f' {attribute}="{escape(value)}"'
            text = element.text or ""
            yield f">{text if name in _RAW_TEXT else escape(text)}"
        else:
            yield f"{'' if name in _VOID else f'</{name}>'}{escape(element.tail or '') if element is not root else ''}"


_BASE = re.compile("<base", re.IGNORECASE)
_LONGEST_BASE = 10_000  # characters


def base_of(html: str | Selector, url: str) -> str:
    """The address that the addresses on the page *url* are relative to: its first `<base href>`, wherever it stands.

    As in HTML, a base of `data:` or `javascript:` does not count, and none that is very much longer than any server
    takes: each address on the page would be as long. Of a selector the whole page counts.
    """
    href: str | None
    if isinstance(html, Selector):
        bases = html.root.getroottree().iter("{*}base") if etree.iselement(html.root) else ()
        href = next((base.get("href") for base in bases if base.get("href") is not None), None)
    elif _BASE.search(html):
        href = next(
            (tag.attributes["href"] for tag in tags(html) if tag.name == "base" and "href" in tag.attributes), None
        )
    else:
        href = None
    base = resolve(url, href) if href else None
    return url if base is None or len(base) > _LONGEST_BASE or base.startswith(("data:", "javascript:")) else base


def property_of(attributes: dict[str, str]) -> str:
    """The names of the properties of a thing that an element has, in microdata or RDFa."""
    rel = attributes.get("rel", "")
    of_rdfa = "resource" in attributes or ":" in rel
    return attributes.get("itemprop") or attributes.get("property") or (rel if of_rdfa else "")


def text_after(html: str, tag: Tag, limit: int = 1_000) -> str:
    """The text on one line that the element of *tag* holds, up to *limit* characters of markup."""
    inside = html[tag.start : tag.start + limit]
    inside = re.split(rf"</{re.escape(tag.name)}", inside, maxsplit=1, flags=re.IGNORECASE)[0]
    inside = re.sub(r"<[^>]*+>?", " ", inside)
    return " ".join(unescape(inside).split())


def tags(text: str, kept: frozenset[str] = KEPT) -> Iterator[Tag]:
    """The tags named *kept*, those with properties or images, scripts and frames, in document order."""
    position = 0
    unclosed: set[str] = set()  # what is searched for once in vain is not searched for again: that keeps it linear
    scope: Scope | None = None
    skipped = plain = _uninteresting(kept, "")
    while tag := _TAG.search(text, _end(skipped, text, position)):
        position = tag.end()
        if tag[1]:
            position = _after_comment(text, position, unclosed)
            continue
        if not tag[2]:
            position = text.find(">", position) + 1
            if not position:
                return
            continue
        name = tag[2].lower()
        begin = position
        whole = _ATTRIBUTES.match(text, begin)
        if whole is None or not whole[1]:
            return
        end = position = whole.end()
        if scope is not None:
            scope = _closed(scope, name)
            skipped = _uninteresting(kept, scope.name) if scope else plain
        if name in _RAW_END:
            position = _raw_text_end(text, name, end, unclosed)
            if name in ("title", "iframe", "script", "textarea"):
                yield Tag(name, _attributes(text, begin, end), end, position, scope)
        elif name[0] != "/" or name[1:] in kept:
            attributes = _attributes(text, begin, end) if end - begin > 1 else {}
            yield Tag(name, attributes, end, end, scope)
            if name in _SCOPES and ("itemscope" in attributes or "typeof" in attributes):
                scope = Scope(name, attributes, scope)
                skipped = _uninteresting(kept, name)


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    while match := pattern.match(text, position):
        few = match.end() - position < _MANY
        position = match.end()
        if few:
            break
    return position


def _raw_text_end(text: str, name: str, position: int, unclosed: set[str]) -> int:
    """Where the text of an element that holds no tags ends; *position* if it does not."""
    end = -1 if name in unclosed else text.find("</", position)
    while end >= 0:
        if _RAW_END[name].match(text, end):
            return end
        end = text.find("</", end + 2)
    unclosed.add(name)
    return position


def _closed(scope: Scope, name: str) -> Scope | None:
    """The innermost thing that is described after the tag *name*."""
    if name == scope.name:
        scope.depth += 1
    elif name[0] == "/" and name[1:] == scope.name:
        scope.depth -= 1
        if not scope.depth:
            return scope.outer
    return scope


def _after_comment(text: str, position: int, unclosed: set[str]) -> int:
    end = None if "--" in unclosed else _COMMENT_END.search(text, position - 2)
    if end:
        return end.end()
    unclosed.add("--")
    return position


def _attributes(text: str, begin: int, end: int) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for found in _ATTRIBUTE.finditer(text, begin, end):
        value = found[2] or found[3] or found[4] or ""
        if "&" in value:
            value = _REFERENCE.sub(_character, value)
        attributes.setdefault(found[1].lower(), value)
    return attributes


def _character(match: re.Match[str]) -> str:
    # Only whole names: `&region=` in an address is no registered sign.
    reference = match[0]
    return unescape(reference) if reference[1] == "#" else html5.get(reference[1:], reference)
