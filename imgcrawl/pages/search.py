"""The search for images in the tags of a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache, partial

from imgcrawl.pages.backgrounds import Candidates
from imgcrawl.pages.candidates import (
    ORIGINAL,
    PIXEL,
    PLACEHOLDER,
    PLAIN,
    STAND_IN,
    UNFILLED,
    Rank,
    file_name,
    image_candidates,
    is_empty,
    is_no_picture,
    is_original,
    is_ornament,
    is_pixel,
    is_shown,
    source_candidates,
)
from imgcrawl.pages.embedded import OF_AUTHOR, embedded, held
from imgcrawl.pages.frameworks import is_state
from imgcrawl.pages.links import led_to, may_be_original
from imgcrawl.pages.literals import markup_in
from imgcrawl.pages.sizes import images_in, size_of
from imgcrawl.pages.tags import IMAGES, Tag, tags
from imgcrawl.pages.values import Stated, is_carrier, linked_file, stated_images
from imgcrawl.pages.within import refused_address
from imgcrawl.possessive import compile_possessive
from imgcrawl.urls import WEB, resolve

# What these state is looked at by name.
_ELSEWHERE_WORDS = """
    meta link base title h1 source picture noscript script a input /a /picture /noscript
"""
_STATES_ELSEWHERE = frozenset((*IMAGES, *_ELSEWHERE_WORDS.split()))
_EMBEDDED = frozenset(("video", "area", "image", "input", "object", "embed"))
_ONLY_TAGS = compile_possessive(r"\s*+(?:<[^<>]++>\s*+)*+")
_TAG_NAME = re.compile(r"<(/?[a-z][^\s/>]*+)")
_ENOUGH_OTHERS = 3  # beside which pictures of authors are no gallery: many write on a page of few images
_MAX_BETWEEN = 2_000  # characters between an element and the image in it, and from there to its end
_LISTS = ("{", "[")
_DEPTH = 2  # of markup in attributes
_Ranked = list[tuple[Rank, str]]
_Best = tuple[str, float, str]


class ImageSearch:
    """Takes the tags of a page one by one, and has the addresses of its images in the end."""

    def __init__(self, page: str, base: str, encoding: str, text: str = "", *, whole_page: bool = False) -> None:
        self._text = text
        self._whole_page = whole_page  # also what is around what it shows
        self._resolve = cache(partial(resolve, base, encoding=encoding))
        self._page = page
        self._found: dict[str, float] = {}
        self._stand_ins: set[str] = set()
        self._authors: set[str] = set()
        self._others: set[str] = set()  # also what is the picture of an author as well
        self._sources: _Ranked = []
        self._led_to: dict[str, _Best] = {}  # what is shown in links that are told to lead there
        self._unreplaced: str | None = None
        self._in_noscript = False
        self._in_link = False  # that leads to the image of which it shows a copy
        self._link: dict[str, str] = {}  # the attributes of the link that is open, before its first image
        self._carrier: Tag | None = None  # the last element that states which image it shows, or in large
        self._within = 0  # values of attributes that are markup, or templates
        self.scripts: list[str] = []
        self.states: dict[str, list[Candidates]] = {}  # data in attributes for scripts: which images these may show
        self.left_out: set[str] = set()  # pictures of authors
        self.copies: dict[str, str] = {}  # of what links lead to that may be a page

    def read(self, tag: Tag) -> None:
        name, attributes = tag.name, tag.attributes
        if name in ("picture", "/picture"):
            self._add(self._sources, refused=True)
            self._sources = [pair for image in stated_images(attributes).images for pair in image]
        elif name == "source":
            # Outside of <picture> it belongs to a video or a sound, and has no srcset.
            self._sources += source_candidates(attributes)
        elif name in ("noscript", "/noscript"):
            self._in_noscript = name == "noscript"
        elif name in IMAGES:
            self._read_image(tag)
        elif name in ("script", "textarea"):
            markup, scripts = held(name, attributes, self._text[tag.start : tag.end])
            self._read_markup(markup)
            self.scripts += scripts
        elif name in ("a", "/a"):
            self._read_anchor(tag)
        elif name == "link":
            self._read_link(attributes)
        elif name == "meta":
            self._read_data(attributes.get("content", ""))
        elif name in _EMBEDDED:
            self._add([(PLAIN, embedded(name, attributes))], refused=True)
            self._read_data(attributes.get("value", ""))
        if name not in _STATES_ELSEWHERE:
            self._read_data(attributes.get("content", ""))
            self._read_stated(tag)
            self._read_within(attributes)

    def _read_data(self, value: str) -> None:
        if value[:1] in _LISTS and "." in value:
            self.states[value] = stated_images({"value": value}).images

    def _read_anchor(self, tag: Tag) -> None:
        if not tag.attributes:  # the end of one, as half of them are
            self._in_link, self._link = False, tag.attributes
            return
        self._read_within(tag.attributes)
        stated = stated_images(tag.attributes)
        file = linked_file(tag.attributes, stated)
        # What shows in a link to an image file is a small copy of it.
        self._in_link = bool(file) and self._add([(PLAIN, file)], refused=True).startswith(WEB)
        self._link = {} if self._in_link else tag.attributes
        if not self._in_link or len(stated.images) > 1:
            self._take(stated)

    def _read_stated(self, tag: Tag) -> None:
        """Take what a script will show in an element that is no image, or in large, and what is behind it."""
        attributes = dict(tag.attributes)
        for name, value in tag.attributes.items():
            if is_state(name, value):
                self.states[attributes.pop(name)] = stated_images({name: value}).images
        if self._take(stated_images(attributes)) and is_carrier(attributes):
            self._carrier = tag

    def _take(self, stated: Stated) -> bool:
        """Take what is *stated*; returns whether it surely stands for what is shown in the element."""
        self._stand_ins.update(filter(None, map(self._resolve, stated.copies)))
        taken = [max(candidates)[0] for candidates in stated.images if self._add(candidates)]
        return len(taken) == 1 and taken[0][0] > 0

    def _read_within(self, attributes: dict[str, str]) -> None:
        for value in attributes.values():
            if "<img" in value or "\\u003cimg" in value:
                for markup in markup_in(value):
                    self._read_markup(markup)

    def _read_markup(self, text: str) -> None:
        """Take what is in a text that a script will make a part of the page."""
        if self._within < _DEPTH:
            self._within += 1
            around, self._text = self._text, text
            for tag in tags(text):
                self.read(tag)
            self._text = around
            self._within -= 1

    def _is_carried(self, tag: Tag) -> bool:
        """Whether an image is alone in the element that states its original, but for what is around it."""
        if self._carrier is None or self._within:
            return False
        carrier, self._carrier = self._carrier, None
        between = self._text[carrier.end : min(tag.end, carrier.end + _MAX_BETWEEN)].rpartition("<")[0]
        if _ONLY_TAGS.fullmatch(between) is None or f"</{carrier.name}" in between.lower():
            return False
        # To the end of the element, which may have others of its name in it.
        after = self._text[tag.end : tag.end + _MAX_BETWEEN].lower()
        depth = 1 + between.lower().count(f"<{carrier.name}")
        for match in _TAG_NAME.finditer(after):
            if match[1] in IMAGES:
                return False
            depth += (match[1] == carrier.name) - (match[1] == f"/{carrier.name}")
            if not depth:
                return True
        return len(after) < _MAX_BETWEEN

    def _read_link(self, attributes: dict[str, str]) -> None:
        said = attributes.get("rel", "").lower().split()
        if "image_src" in said or ("preload" in said and attributes.get("as", "").lower() == "image"):
            srcset = source_candidates({"srcset": attributes.get("imagesrcset", "")})
            self._add([*srcset, (PLAIN, attributes.get("href", ""))])

    def _read_image(self, tag: Tag) -> None:
        attributes = tag.attributes
        candidates = self._sources + image_candidates(attributes)
        if "onclick" in attributes or any(value[:1] in _LISTS for value in attributes.values()):
            candidates += self._listed(attributes)
        self._sources = []
        if "url(" in (style := attributes.get("style", "")):
            self._take(stated_images({"style": style}))
        if self._in_link or is_pixel(attributes) or (self._whole_page and is_ornament(attributes, candidates)):
            return
        author = bool(OF_AUTHOR.search(f"{attributes.get('class', '')} {self._link.get('class', '')}"[:_MAX_BETWEEN]))
        if self._carrier and self._is_carried(tag) and all(rank != ORIGINAL for rank, _ in candidates):
            return
        best = self._best(candidates)
        if "href" in self._link:  # its first image decides for all
            link, self._link = self._link, {}
            if original := self._add([(PLAIN, self._led_to_original(link, best, author))]):
                self._in_link = True
                if best[0]:
                    self.copies.setdefault(original, best[0])
                return
        address = self._add(candidates, refused=True, author=author, best=best)
        if not address:
            return
        src = (self._resolve(attributes.get("src", "")) if "srcset" in attributes else "") or ""
        if src not in ("", address) and size_of(src).image == size_of(address).image:
            self._add([(PLAIN, src)], author=author)  # the larger one counts
        for rank, candidate in candidates:
            if rank == STAND_IN and (stand_in := self._resolve(candidate)) not in (None, address):
                self._stand_ins.add(str(stand_in))
        if self._in_noscript and self._unreplaced is not None and address != self._unreplaced:
            self._stand_ins.add(self._unreplaced)
        self._unreplaced = address if PLACEHOLDER.fullmatch(file_name(address)) else None

    def _led_to_original(self, link: dict[str, str], best: _Best, author: bool) -> str:
        leads = self._led_out(href := link["href"], best) or (href if is_original(link) else "")
        shown = "" if leads or author else best[0]
        return href if shown and may_be_original(href, shown, self._resolve) else leads

    def _led_out(self, href: str, best: _Best) -> str:
        """The image that *href* is told to lead to, where it may be the *best* that is shown in large: not a smaller
        one, nor what the links around several are told, the page's own picture, to be shared. Else empty."""
        target = led_to(href, self._page, self._resolve)
        if not target:
            return ""
        first = self._led_to.setdefault(target, best)
        if first[0] != best[0]:
            self._add([], best=first)
            return ""
        stated, own = size_of(target), size_of(best[0])
        return "" if stated.image == own.image and stated.width < own.width else target

    def _listed(self, attributes: dict[str, str]) -> _Ranked:
        """What an image states in JSON or in a script: other candidates for it, or further images."""
        listed = {name: value for name, value in attributes.items() if name == "onclick" or value[:1] in _LISTS}
        images = stated_images(listed).images
        if "this.src" in listed.get("onclick", ""):  # which may be no larger than what it takes the place of
            for candidates in images:
                self._add(candidates)
            return []
        if len(images) == 1 or any("src" in name for name in listed):
            return [(ORIGINAL if "onclick" in listed else rank, address) for each in images for rank, address in each]
        for candidates in images:
            self._add(candidates)
        return []

    def _add(self, ranked: _Ranked, *, refused: bool = False, author: bool = False, best: _Best | None = None) -> str:
        """Take the *best* of *ranked* candidates that can be asked for, or with *refused* the best that cannot."""
        address, width, told = best or self._best(ranked)
        if address:
            self._found[address] = max(self._found.get(address, 0), width)
        elif refused and told:
            self._found[address := told] = 0
        if address:
            (self._authors if author else self._others).add(address)
        return address

    def _best(self, candidates: _Ranked) -> _Best:
        """The best of *candidates* that can be asked for, and its width; and the best that cannot."""
        told = ""
        for rank, candidate in sorted(candidates, key=lambda pair: pair[0], reverse=True):
            if is_empty(candidate) or UNFILLED.search(candidate):
                continue
            address = self._resolve(candidate)
            if address is not None and address.startswith(WEB):
                if address == self._page or PIXEL.fullmatch(file_name(address)):
                    continue
                if self._whole_page and is_no_picture(address):
                    continue
                return address, rank[2], told
            told = told or refused_address(address, candidate)
        return "", 0.0, told

    def shows_any(self) -> bool:
        """Whether an image was found that is not there for decoration, by its name."""
        return any(map(is_shown, self._found))

    def stated_by(self, states: Iterable[str]) -> Iterator[str]:
        """The addresses of the images that some of *states* may show."""
        return filter(None, (self._best(image)[0] for text in states for image in self.states[text]))

    def found(self, named: Iterable[str]) -> dict[str, float]:
        """All that was found, after what the page has *named*: address → width, 0 where that is not stated.

        Of a page that shows enough of something else, without the pictures of those who have written on it."""
        self._add(self._sources, refused=True)
        found = dict.fromkeys(named, 0.0)
        authors = self._authors - self._others - found.keys()
        others = set(filter(is_shown, self._others - self._stand_ins)) if self._whole_page and authors else set[str]()
        enough = min(_ENOUGH_OTHERS, len(images_in(authors)) / 5)
        self.left_out = authors if len(images_in(others)) >= enough else set()
        left_out = self._stand_ins | self.left_out
        for address, width in self._found.items():
            found[address] = max(found.get(address, 0), width)
        return {address: width for address, width in found.items() if address not in left_out}
