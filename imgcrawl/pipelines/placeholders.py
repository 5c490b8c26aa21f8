"""Images that stand in the place of others: "this image was removed"."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

from cachetools import LRUCache

from imgcrawl.exceptions import ImageError, InputError
from imgcrawl.items import STORED, Image
from imgcrawl.patterns import UserPattern
from imgcrawl.pipelines.receivers import Arrival
from imgcrawl.urls import host_of, without_query

logger = logging.getLogger(__name__)

_CHECKSUM = re.compile(r"!?[0-9a-f]{64}", re.ASCII)
_HOSTS, _KINDS = 1_000, 1_000  # that are remembered, and different images of each
_OF_ONE_ITEM = 3  # addresses of one gallery that show the same: what it shows for decoration stands there once or twice
_FEW = 50  # images of an item: each may turn out to be one
_ALONE = 3  # times as many as are enough, in one item: that needs no other image beside it


class Lesson(NamedTuple):
    """What the outcomes of an item teach: which of them *are* placeholders; which others *may be*, each by what it is
    known by; and what was *learned* from them."""

    are: list[int]
    may_be: list[tuple[int, str]]
    learned: list[str]


class Placeholders:
    """Knows placeholders: those that are declared, and those that it learns.

    *declared* are checksums (sha256 in hex) and regular expressions, of which one is found in the address that is asked
    for or that it leads to. An image whose checksum stands there after a `!` is none.

    Learned is what *enough* (0: nothing is) addresses with different file names of one host lead to: by redirects to
    one address of another name; or by the same bytes, if at least three of one item or items of one image each have
    them, and if the host's other images differ from each other, or one item has some times as many and few others. So a
    logo or a banner that each gallery has once is none, wherever it is stored. What is learned is told.

    Raises `InputError` for what is neither a checksum nor a regular expression.
    """

    def __init__(self, declared: Sequence[str], enough: int) -> None:
        checksums = {entry for entry in declared if _CHECKSUM.fullmatch(entry)}
        self._never = {entry[1:] for entry in checksums if entry[0] == "!"}
        self._known: set[str] = checksums - {f"!{entry}" for entry in self._never}  # checksums and addresses
        try:
            patterns = [entry for entry in declared if entry not in checksums]
            self._addresses = [UserPattern(entry, "IMAGES_PLACEHOLDERS: ", late=False) for entry in patterns]
        except (re.error, TypeError) as error:
            raise InputError(
                f"IMAGES_PLACEHOLDERS={declared!r}: expected sha256 in hex and regular expressions ({error})"
            ) from error
        self._enough = enough
        self._names: LRUCache[str, set[str]] = LRUCache(10_000)  # what led to a checksum or an address
        self._shown: LRUCache[str, Counter[str]] = LRUCache(_HOSTS)  # host → checksums

    def has_address(self, url: str) -> bool:
        """Whether *url* is declared to be that of a placeholder."""
        return any(pattern.is_in(url) for pattern in self._addresses)

    def check(self, arrival: Arrival) -> None:
        """Raise `ImageError` for an answer that is known to be a placeholder."""
        if arrival.checksum in self._known or arrival.response.url in self._known:
            raise ImageError("placeholder")
        if self.has_address(arrival.response.url):
            raise ImageError("placeholder")

    def remember(self, checksums: Iterable[str]) -> None:
        """Know *checksums*, which were learned before, to be those of placeholders."""
        self._known.update(set(checksums) - self._never)

    def knows(self, known_by: str) -> bool:
        """Whether what is *known_by* this checksum or address is known to be a placeholder."""
        return known_by in self._known

    def found_in(self, images: Sequence[Image]) -> Lesson:
        """What *images*, the outcomes of an item, teach, and which of them are placeholders then."""
        may_be: list[tuple[int, str]] = []
        learned: list[str] = []
        if self._enough:
            self._learn(images, may_be, learned)
        are = [index for index, image in enumerate(images) if self.is_one(image)]
        told = set(are)
        return Lesson(are, [each for each in may_be if each[0] not in told], learned)

    def _learn(self, images: Sequence[Image], may_be: list[tuple[int, str]], learned: list[str]) -> None:
        stored = [image for image in images if image["status"] in STORED]
        times = Counter(image["checksum"] for image in stored)
        many = _ALONE * self._enough
        often = {checksum for checksum, count in times.items() if count >= many}
        named = {(image["checksum"], _name(image["url"])) for image in stored if image["checksum"] in often}
        names = Counter(checksum for checksum, _ in named)
        alone = {checksum for checksum in often if names[checksum] >= many and times[checksum] * 2 > len(stored)}
        for index, image in enumerate(images):
            if image["status"] not in STORED:
                continue
            checksum, name, led_to = image["checksum"], _name(image["url"]), image.get("final_url", "")
            shown = self._shown.setdefault(host_of(image["url"]), Counter())
            if checksum in shown or len(shown) < _KINDS:
                shown[checksum] += 1
            is_led = led_to != image["url"] and _name(led_to) != name
            is_often = times[checksum] >= _OF_ONE_ITEM or len(images) == 1
            if is_led or is_often or len(images) <= _FEW:
                may_be += [(index, known_by) for known_by in ((led_to, checksum) if is_led else (checksum,))]
            known_by = led_to if is_led else checksum
            if is_led or is_often or checksum in alone:
                is_evident = is_led or checksum in alone or _is_exception(checksum, shown)
                learned += [known_by] * self._count(known_by, name, image, is_evident=is_evident)

    def _count(self, known_by: str, name: str, image: Image, *, is_evident: bool) -> bool:
        """Whether it is learned now that what is *known_by* this is a placeholder; only where that *is_evident*."""
        names = self._names.setdefault(known_by, set())
        if len(names) < self._enough:
            names.add(name)
        if not is_evident:
            return False
        if len(names) < self._enough or known_by in self._known or image["checksum"] in self._never:
            return False
        self._known.add(known_by)
        names.clear()
        logger.warning(
            "Taken for a placeholder, since %d addresses lead to it: %.500s of %.500s (%s). What leads there is failed;"
            " if it is none, set IMAGES_PLACEHOLDERS to !%s, or IMAGES_PLACEHOLDERS_LEARNED to 0",
            self._enough,
            known_by,
            image["url"],
            image.get("path"),
            image["checksum"],
        )
        return True

    def is_one(self, image: Image) -> bool:
        """Whether the file of *image* is known to be a placeholder."""
        if image["status"] not in STORED or image["checksum"] in self._never:
            return False
        led_to = image.get("final_url", "")
        return image["checksum"] in self._known or led_to in self._known or self.has_address(led_to)


def as_placeholder(image: Image) -> Image:
    """The outcome of an address that has led to a placeholder, which may be in the store all the same."""
    return cast("Image", {**image, "status": "failed", "reason": "placeholder"})


def _is_exception(checksum: str, shown: Counter[str]) -> bool:
    """Whether the host's images but for this one differ from each other, by and large."""
    kinds = len(shown) - 1
    return kinds > 1 and shown.total() - shown[checksum] <= 2 * kinds


def _name(url: str) -> str:
    return without_query(url).rpartition("/")[2]
