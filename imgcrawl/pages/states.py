"""What pages keep as data for their scripts: the lists in it of whose images the page shows one.

Frameworks write the state of a page into a script or an attribute, most in a form of their own (`frameworks`), and show
the first of its images. A list counts by what is in it, whatever it is called; but not the teasers of other pages, nor
what is said to be related, the author's or an advertisement.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from typing import Any, NamedTuple
from urllib.parse import quote

from imgcrawl.pages.bounds import leave_out
from imgcrawl.pages.candidates import ORNAMENT, PLAIN, file_name, is_address, is_file, is_name
from imgcrawl.pages.frameworks import decoded_in
from imgcrawl.pages.sizes import IIIF_NAMES, size_of
from imgcrawl.pages.statedata import data_in, looked_for
from imgcrawl.pages.values import SAYS_OTHER, SAYS_SMALL, Stated, images_listed, words_of
from imgcrawl.possessive import compile_late
from imgcrawl.urls import absolute

_OF_ICONS = (".png", ".gif", ".svg")
_MOST_LOOKS = 500_000  # at what is in lists in lists
_LONGEST_ADDRESS = 2_000  # characters
_LEAST_NAME, _DEEPEST, _NAME = 4, 100, 64  # characters of names, at most of those of keys
_SEVERAL, _MANY = 2, 10
_HAS_MORE = re.compile(r"[%?#\s]")  # than the name of a file at its end
_NEAR = 3  # names above a list that say what it is for
# The images of a site are called so, of which a page shows some; and those of one gallery.
_LIBRARY = compile_late(
    r"(?:^|[^a-z])(?:librar(?:y|ies)|assets|all-(?:media|images|photos|files)|uploads|stock)(?![a-z])"
)
_OF_GALLERY = re.compile(r"image|photo|picture|galler|slide|album|imgs|pics", re.IGNORECASE)
# What a list of images is called, and none of galleries; and what leads to a page of its own.
_OF_IMAGES = re.compile(r"image|photo|picture|imgs|pics|media|attachment|slide|files", re.IGNORECASE)
_COVER = re.compile(r"(?:^|[^a-z])cover(?![a-z])")
_LEADS = compile_late(r"(?:.*[^a-z])?(?:slug|permalink|href|uri|link|url|path|route|price)", re.IGNORECASE)
_OF_PAGES = compile_late(
    r"(?:.*-)?(?:posts|articles|stories|products|albums|galleries|collections|projects|news|events|episodes|categories|tags"
    r"|teasers|users|members|authors|channels|videos|playlists|shops|stores|offers|deals|recipes|reviews)"
)
_ARE_NUMBERED = re.compile(r".*[0-9]")
_Keys = tuple[str | int, ...]


class _Found(NamedTuple):
    """Below what an image that is shown is named, by *keys*; and whether a list with it has been taken."""

    keys: _Keys
    taken: bool


class InStates(NamedTuple):
    """The *lists* of images that are those of the page; the addresses of images that are those of *others*; and the
    *texts* that have such a list."""

    lists: list[Stated]
    others: list[str]
    texts: set[str]


def lists_in_states(texts: Sequence[str], base: str, encoding: str, shown: Set[str]) -> InStates:
    """The lists in *texts*, of scripts and attributes, of which one image is *shown*, as `sizes.size_of` has it."""
    images = ((file_name(image), image) for image in shown)
    known = [(name, image) for name, image in images if len(name) >= _LEAST_NAME and not ORNAMENT.search(name)]
    known.sort(key=lambda each: each[0].lower().endswith(_OF_ICONS))  # they may be many
    names = dict(known)
    found, doubtful = InStates([], [], set()), list[Stated]()
    every = [*texts, *(decoded for text in texts for decoded in decoded_in(text))] if names else []
    for text, called, data in data_in(every, looked_for(list(names), every)):
        lists = _Lists(base, encoding, shown, names)
        if not (called and isinstance(data, list) and all(isinstance(each, str) and "/" in each for each in data)):
            lists.look(data, (called,), 0)  # such a list may be of anything: `series`
        found.lists.extend(lists.taken)
        doubtful.extend(lists.doubtful)
        found.others.extend(lists.others)
        if lists.taken or lists.doubtful:
            found.texts.add(text)
    # Beside a list whose first image is shown, or that is called a gallery, it is the site's stock of images.
    return found if found.lists else found._replace(lists=doubtful)


class _Lists:
    """Looks for lists of images in data, and has those with one that the page shows in *taken*."""

    def __init__(self, base: str, encoding: str, shown: Set[str], names: dict[str, str]) -> None:
        self._base, self._encoding, self._shown, self._names = base, encoding, shown, names
        self._folder = ""  # of an image that is named only
        self._images: dict[str, str] = {}
        self._looked, self._left = 0, _MOST_LOOKS
        self.taken: list[Stated] = []
        self.doubtful: list[Stated] = []  # of many images, of which one is shown, and not the first
        self.others: list[str] = []

    def look(self, data: Any, names: tuple[str, ...], depth: int) -> _Found | None:
        """Look through *data*, which *names* lead to, for what is shown: of lists in lists the innermost counts."""
        self._looked += 1
        before = self._looked
        if isinstance(data, str):
            return _Found((), taken=False) if self._is_shown(data) else None
        if depth > _DEEPEST or not isinstance(data, list | dict) or not data:
            return None
        first: _Found | None = None
        for key, value in enumerate(data) if isinstance(data, list) else data.items():
            found = self.look(value, (*names, key[:_NAME]) if isinstance(key, str) else names, depth + 1)
            if found and (first is None or found.taken or (not first.taken and len(found.keys) < len(first.keys) - 1)):
                first = _Found((key, *found.keys), found.taken)
        self._left -= self._looked - before if first and not first.taken else 0
        if first is None or first.taken:
            return first
        return _Found(first.keys, self._is_taken(data, names, first.keys))

    def _is_taken(self, data: Any, names: tuple[str, ...], keys: _Keys) -> bool:
        if self._left < 0:
            leave_out("images")
            return False
        if isinstance(data, list) or _is_numbered(data):
            return self._take(data if isinstance(data, list) else list(data.values()), names, keys[1:])
        return isinstance(data.get(keys[0]), list) and self._take_beside(data, str(keys[0]))

    def _take_beside(self, data: dict[str, Any], name: str) -> bool:
        """Take the list beside that called *name*, which is one of small copies."""
        lists = {key: value for key, value in data.items() if isinstance(value, list) and len(value) == len(data[name])}
        small = images_listed({key: value for key, value in lists.items() if key == name}, "images")
        stated = [images_listed(value, key) for key, value in lists.items() if key != name]
        found = next((each for each in stated if len(each.images) == len(data[name]) > 1), None)
        if small.images or found is None:
            return False
        self.taken.append(found)
        return True

    def _take(self, listed: list[Any], names: tuple[str, ...], keys: _Keys) -> bool:
        """Take the images of what is *listed*, if they are those of one gallery: one that is shown is at *keys* in one
        of the things."""
        name = names[-1] if names else ""
        things = [each for each in listed if _at(each, keys)]
        if len(things) < _SEVERAL:
            return False
        shown = next(filter(self._is_shown, (_at(each, keys) for each in things)), "")
        stated = images_listed(listed, name if isinstance(things[0], str) else "images")
        may_be = is_file if is_file(shown) else bool  # what is no file beside one is a page: <meta> as data, say
        stated = Stated([image for image in stated.images if all(may_be(each) for _, each in image)], stated.copies)
        if "/" not in shown or not self._has_several(stated, shown):
            if isinstance(things[0], str) and SAYS_SMALL.search(words_of(name)):
                return False
            alike = dict.fromkeys(map(self._beside, (_at(each, keys) for each in things)))
            stated = Stated([[(PLAIN, each)] for each in alike if may_be(each)], set())
            if not self._has_several(stated, self._beside(shown)):
                return False
        if _is_of_others(names, things, keys):
            self.others += [address for image in stated.images for _, address in image]
            return False
        marks = [self._is_shown(_at(each, keys)) for each in things]
        is_one = sum(marks) == 1 and not marks[0]
        if is_one and _LIBRARY.search(words_of(".".join(names[-_NEAR:]))):
            return True  # it is known what it is, and that it is none of the page's
        is_doubtful = is_one and len(marks) >= _MANY and not _OF_GALLERY.search(name)
        (self.doubtful if is_doubtful else self.taken).append(stated)
        return True

    def _has_several(self, stated: Stated, shown: str) -> bool:
        """Whether several images are *stated*, of which one is *shown*."""
        if shown not in stated.copies and not any(shown == address for image in stated.images for _, address in image):
            return False
        images = (self._image(max(image)[1]) for image in stated.images)
        first = next(images, "")
        return any(image != first for image in images)

    def _beside(self, text: str) -> str:
        """The address that *text* is, or that of a file of this name in the folder of what is shown."""
        if "/" in text or not text:
            return text if " " not in text else ""
        return self._names.get(text) or (f"{self._folder}{quote(text)}" if self._folder else "")

    def _is_shown(self, text: str) -> bool:
        if len(text) >= _LONGEST_ADDRESS:
            return False
        end = text[text.rfind("/") + 1 :]  # most are what they seem to be, and none of these
        if end not in self._names and not _HAS_MORE.search(text) and not end.startswith(IIIF_NAMES):
            return False
        image = self._names.get(file_name(text))
        if image is None or "/" in text:
            return image is not None and self._image(text) in self._shown
        self._folder = image.rpartition("/")[0] + "/"
        return is_name(text)

    def _image(self, address: str) -> str:
        if address not in self._images:
            self._images[address] = size_of(absolute(self._base, address, self._encoding) or "").image
        return self._images[address]


def _is_numbered(data: dict[str, Any]) -> bool:
    """Whether an object is a list of things by their numbers, or by names with numbers."""
    return len(data) > 1 and all(map(_ARE_NUMBERED.match, data))


def _is_of_others(names: tuple[str, ...], things: list[Any], keys: _Keys) -> bool:
    """Whether a list, which *names* lead to, has the images of other pages or people, at *keys* in its *things*."""
    name = names[-1] if names else ""
    if any(SAYS_OTHER.search(words_of(each)) for each in names[-_NEAR:]) or _OF_PAGES.fullmatch(words_of(name)):
        return True
    if _OF_IMAGES.search(name):
        return False
    of_covers = isinstance(keys[-1] if keys else 0, str) and any(_COVER.search(words_of(str(key))) for key in keys)
    return of_covers or any(_leads_on(each, keys) for each in things)


def _leads_on(thing: Any, keys: _Keys) -> bool:
    """Whether a thing, whose image is at *keys* in it, is the teaser of a page."""
    if not isinstance(thing, dict):
        return False
    leads = (value for key, value in thing.items() if (key,) != keys and _LEADS.fullmatch(words_of(key)))
    return any(isinstance(value, str | int) and value and not is_address(value) for value in leads)


def _at(data: Any, keys: _Keys) -> str:
    for key in keys:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return ""
    return data if isinstance(data, str) else ""
