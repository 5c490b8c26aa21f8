"""What a page names in its scripts or styles only: images that these put there, and the page that they lead on to."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator, Set
from itertools import count
from typing import NamedTuple

from imgcrawl.pages.bounds import MAX_IMAGES, bounded, leave_out, noted
from imgcrawl.pages.candidates import ORIGINAL, ORNAMENT, PHOTOGRAPH, PLACEHOLDER, Rank, file_name
from imgcrawl.pages.literals import QUOTES, literal_to, name_before
from imgcrawl.pages.packed import unpacked_in
from imgcrawl.pages.sizes import size_of
from imgcrawl.pages.states import lists_in_states
from imgcrawl.pages.values import Stated, images_listed, images_of
from imgcrawl.pages.written import parts_of
from imgcrawl.possessive import compile_late
from imgcrawl.urls import absolute

# In linear time: a tag has an end, and what is not closed goes on to the end of the page.
_SCRIPT = re.compile(r"<script\b([^<>]{0,2000}+)>(.*?)(?:</script|\Z)", re.DOTALL | re.IGNORECASE)
_ONLOAD = re.compile(r"""<body\b[^<>]{0,2000}?\sonload\s*+=\s*+(?:"([^"<>]*+)"|'([^'<>]*+)')""", re.IGNORECASE)
# What comes later, and what a page does only within the frame of another.
_NOT_AT_ONCE = re.compile(r"setTimeout|\b(?:top|parent)\s*+\.", re.IGNORECASE)
_MARKUP_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_STYLE = re.compile(r"<style\b[^<>]{0,2000}+>(.*?)(?:</style|\Z)", re.DOTALL | re.IGNORECASE)
_TEXT = re.compile(r"""["'`]([^"'`<>\s]{5,2000})(?=["'`])""")
# A list that is called a gallery, an album, the images of something; or the things in an object that is. One whose keys
# are numbers is a list, too.
_LIST = re.compile(r"""\[(?=\s*+["'{`])|\{(?=\s*+["']?[0-9]{1,12}["']?\s*+:\s*+["'{])""")
_GALLERY = compile_late(
    r"image|photo|picture|galler|slide|album|imgs|pics|fancybox|lightbox|dynamicEl$|dataSource$", re.IGNORECASE
)
_OF_VIEWERS = ("dynamicEl", "dataSource")
_HAS_PHOTOGRAPH = re.compile(r"\.(?:jpe?g|jfif|webp|avif|png)", re.IGNORECASE)
_WHOLE = re.compile(r"\{[^{}\[\]]*+\}|\[[^{}\[\]]*+\]")
_ITEMS = frozenset(("items", "list", "data", "entries", "media", "elements", "files", "results", "nodes", "content"))
# Things that have a small copy and something larger, or the type and the sides of a file, whatever they are called.
_PAIRS = compile_late(
    r"""\[\s*+\{(?=[^{}]{0,1000}?(?:thumb|msrc|small|mini|preview|mime_?type|height)\w{0,20}["']?\s*+:)"""
    r"""(?=[^{}]{0,1000}?(?<![\w])(?:src|url|image|img|photo|big|full|large|original|zoom)\w{0,20}["']?\s*+:)""",
    re.IGNORECASE,
)
_LEAST_NAME = 5  # characters of a file's name that tells images apart
_BEFORE, _NAME = 400, 64  # characters before a list: of the object that it is in, and of its name
_MAX_LISTS, _ALONE = 1_000, 3  # of a page; images of one that no other speaks for
_MAX_LOOKS = 20_000  # of a page: around lists that have a name as all things have
_MAX_READ = 6_000_000  # characters of all
# What is a list, an object or an address in base64.
_BASE64 = re.compile(r"""["'`]((?:W[3yw]|eyJ|aHR0c)[A-Za-z0-9+/]{40,}+={0,2})["'`]""")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
# A page that is there to lead on has next to nothing else: nothing to press, and few words.
_LEADS = compile_late(
    r"""(?<![\w.$])((?:var|let|const)\s++)?+(?:(?:window|document|self|top|parent)\.)*+location(?:\.href)?\s*+(?:=|\.(?:replace|assign)\()\s*+"""
    r"""["']([^"'<>\s]{1,2000})["']"""
)
_COMMENT_OR_TEXT = compile_late(
    r"""("(?:[^"\\\n]++|\\.)*+"?|'(?:[^'\\\n]++|\\.)*+'?)|/\*.*?(?:\*/|\Z)|//[^\n]*+""", re.DOTALL
)
_AT_ONCE = re.compile(r"(?:setTimeout)?\(\s*+(?:function\s*+\(\)\s*+\{|\(\)\s*+=>)")
_WAITS = compile_late(
    r"<(?:img|picture|form|button|input|video|audio|iframe|object|embed|svg|canvas)\b|url\(|\bon[a-z]{4,9}\s*+=|addEventListener|\bif\s*+\(|function|=>"
)
_TAGS = re.compile(r"<[^<>]*+>?")
_FEW_WORDS = 200  # characters


def scripted_target(text: str) -> str:
    """Where the scripts of a page, which shows nothing itself, lead to at once; empty if they do not."""
    code = [script[2] for script in _SCRIPT.finditer(text)]
    loaded = _ONLOAD.search(_MARKUP_COMMENT.sub(" ", _SCRIPT.sub(" ", text)))
    if loaded and not _NOT_AT_ONCE.search(does := loaded[1] or loaded[2] or ""):
        code.append(does)
        text = text.replace(loaded[0], f" {does}")
    scripts = (_COMMENT_OR_TEXT.sub(lambda found: found[1] or " ", each) for each in code)
    # A variable of that name leads nowhere.
    leads = (match for script in scripts for match in _LEADS.finditer(script) if not match[1])
    led_to = {_unescaped(match[2]) for match in leads}
    if len(led_to) != 1 or _WAITS.search(_AT_ONCE.sub("", text)):
        return ""
    words = " ".join(_TAGS.sub(" ", _SCRIPT.sub(" ", text)).split())
    return led_to.pop() if len(words) <= _FEW_WORDS else ""


def scripted_images(text: str, base: str, encoding: str = "utf-8") -> list[str]:
    """The addresses of photographs, by their names, that stand as texts in the scripts of a page, in order, none twice.

    What is stated in JSON-LD is not among them. Of an answer that is JSON, give it as a script.
    """
    found: dict[str, None] = {}
    for script in _SCRIPT.finditer(text):
        if "ld+json" in script[1].lower():
            continue
        code = QUOTES.sub('"', script[2])
        for match in _TEXT.finditer("\n".join((code, *map(_decoded, _BASE64.findall(code)), *unpacked_in(script[2])))):
            stated = _unescaped(match[1])
            name = file_name(stated)
            if "/" not in stated or not PHOTOGRAPH.search(name) or PLACEHOLDER.fullmatch(name) or parts_of(stated):
                continue
            if not ORNAMENT.search(name) and (address := absolute(base, stated, encoding)):
                found[address] = None
                if len(found) > MAX_IMAGES:
                    return list(bounded(found, MAX_IMAGES))
    return list(found)


def styled_images(text: str, base: str, encoding: str = "utf-8") -> list[str]:
    """The addresses of photographs, by their names, in the `<style>` elements of a page, in order, none twice."""
    images = (image for style in _STYLE.finditer(text) for image in images_of("style", style[1]))
    photographs = (address for _, address in map(max, images) if _is_photograph(address))
    addresses = dict.fromkeys(absolute(base, each, encoding) for each in photographs)
    return list(bounded(filter(None, addresses), MAX_IMAGES))


class Listed(NamedTuple):
    """The addresses of *images*, those of their small *copies*, of images of *others*, and the *texts* that list some
    as data."""

    images: list[str]
    copies: set[str]
    others: set[str]
    texts: set[str]


def listed_images(scripts: list[str], states: Iterable[str], base: str, encoding: str, shown: Set[str]) -> Listed:
    """The images that *scripts* list as a gallery of which the page shows one (*shown*, as `sizes.size_of` has it), or
    as the only gallery of the page; and those that data for scripts, there and in the attributes *states*, has in a
    list with such a one (`states`)."""
    found: list[str] = []
    copies: list[str] = []
    with noted() as left_out:
        lists = list(_lists_in(scripts))
    names = {name for image in shown if len((name := file_name(image)).partition(".")[0]) >= _LEAST_NAME}
    in_states = lists_in_states((*scripts, *states), base, encoding, shown)

    def whole(addresses: Iterable[str]) -> list[str]:
        return list(filter(None, (absolute(base, address, encoding) for address in addresses)))

    for (images, small), is_gallery in (*lists, *((stated, False) for stated in in_states.lists)):
        stated = whole((*(address for image in images for _, address in image), *small))
        listed = [size_of(address).image for address in stated]
        called = set(map(file_name, listed))
        is_shown = any(image in shown for image in listed) or (len(called) > 1 and not called.isdisjoint(names))
        if is_shown or (is_gallery and len(lists) == 1 and len(images) >= _ALONE):
            found += whole(max(image)[1] for image in images)
            copies += whole(_smaller_in(Stated(images, small)))
    if not found:  # else the page's own is among those that were read
        for what in left_out:
            leave_out(what)
    own = set(whole(max(image)[1] for images, _ in in_states.lists for image in images))
    others = set(whole(in_states.others)) - own
    smaller = {address for stated in in_states.lists for address in whole(_smaller_in(stated))} - own
    found = [each for each in found if each not in others and each not in smaller]
    return Listed(found, set(copies), others, in_states.texts)


def _smaller_in(stated: Stated) -> Iterator[str]:
    """Small copies of what is *stated*. What is said to be large is so beside what is not."""
    yield from stated.copies
    for image in stated.images:
        yield from (address for rank, address in image if _is_smaller(rank, max(image)[0]))


def _is_smaller(one: Rank, best: Rank) -> bool:
    return one < best and (best[0] == ORIGINAL[0] or 0 < one[2] < best[2])


def _lists_in(scripts: Iterable[str]) -> Iterator[tuple[Stated, bool]]:
    """The lists of images, and whether they are called a gallery."""
    tried, left, looks = 0, _MAX_READ, count()
    for script in filter(_HAS_PHOTOGRAPH.search, scripts):
        plain = QUOTES.sub('"', script).replace('\\"', '"')
        for code in (script, plain) if plain != script else (script,):
            for found in _LIST.finditer(code):
                called, is_gallery = _called(code, found.start(), looks)
                if not called:
                    continue
                tried += 1
                data, length = literal_to(code, found.start(), left)
                left -= length
                if tried > _MAX_LISTS or left <= 0:
                    leave_out("images")
                    return
                stated = images_listed(data, called) if data is not None else Stated([], set())
                images = [each for each in stated.images if _is_photograph(max(each)[1]) and "/" in max(each)[1]]
                if len(images) > 1:
                    yield Stated(images, stated.copies), is_gallery


def _called(code: str, start: int, looks: Iterator[int]) -> tuple[str, bool]:
    """The name of the list at *start*, where it or the object that it is in is called a gallery, or has small copies of
    what is in it; else nothing. And whether it is called so.

    Of *looks* one is taken for each object that is looked for."""
    called = name_before(code[max(0, start - _NAME) : start])
    last = called.rpartition(".")[2]
    has_copies = False
    if last in _ITEMS and last == called and _may_look(looks):
        has_copies = _PAIRS.match(code, start) is not None
        before = _WHOLE.sub("", _WHOLE.sub("", code[max(0, start - _BEFORE) : start]))
        opened = before.rfind("{")
        called = name_before(before[:opened][-_NAME:]) if before.rfind("}") < opened > before.rfind("]") else ""
        last = called.rpartition(".")[2]
    if not _GALLERY.search(called) or "preload" in called.lower():  # before they are shown, if they are: buttons
        return (last or "images", False) if has_copies else ("", False)
    return "images" if last in _OF_VIEWERS else called if last in _ITEMS else last, True


def _may_look(looks: Iterator[int]) -> bool:
    if (look := next(looks)) == _MAX_LOOKS:
        leave_out("images")
    return look < _MAX_LOOKS


def _decoded(text: str) -> str:
    try:
        decoded = b64decode(text).decode()
    except ValueError:
        return ""
    return decoded if decoded[0] in "[{" else f'"{decoded}"'


def _is_photograph(address: str) -> bool:
    name = file_name(address)
    return PHOTOGRAPH.search(name) is not None and not ORNAMENT.search(name)


def _unescaped(text: str) -> str:
    """A text of JavaScript or JSON as it is meant, also where that stands in another one."""
    if "\\" not in text:
        return text
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text).replace("\\", "")
