"""Images that stand in the place of others: "this image was removed"."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from typing import cast

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
_ALONE = 3  # times as many as are enough, in one item: that needs no other image beside it


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

    def found_in(self, images: Sequence[Image]) -> list[int]:
        """Which of *images*, the outcomes of an item, are placeholders, after what these outcomes teach."""
        if self._enough:
            self._learn(images)
        return [index for index, image in enumerate(images) if self.is_one(image)]

    def _learn(self, images: Sequence[Image]) -> None:
        stored = [image for image in images if image["status"] in STORED]
        times = Counter(image["checksum"] for image in stored)
        many = _ALONE * self._enough
        often = {checksum for checksum, count in times.items() if count >= many}
        named = {(image["checksum"], _name(image["url"])) for image in stored if image["checksum"] in often}
        names = Counter(checksum for checksum, _ in named)
        alone = {checksum for checksum in often if names[checksum] >= many and times[checksum] * 2 > len(stored)}
        for image in stored:
            checksum, name, led_to = image["checksum"], _name(image["url"]), image.get("final_url", "")
            shown = self._shown.setdefault(host_of(image["url"]), Counter())
            if checksum in shown or len(shown) < _KINDS:
                shown[checksum] += 1
            if led_to != image["url"] and _name(led_to) != name:
                self._count(led_to, name, image)
            elif checksum in alone or (
                (times[checksum] >= _OF_ONE_ITEM or len(images) == 1) and _is_exception(checksum, shown)
            ):
                self._count(checksum, name, image)

    def _count(self, known_by: str, name: str, image: Image) -> None:
        names = self._names.setdefault(known_by, set())
        names.add(name)
        if len(names) < self._enough or known_by in self._known or image["checksum"] in self._never:
            return
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
