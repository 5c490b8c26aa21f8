"""Images that stand in the place of others: "this image was removed"."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from heapq import nlargest
from typing import TYPE_CHECKING, NamedTuple, cast
from urllib.parse import unquote

from cachetools import LRUCache

from imgcrawl.exceptions import ImageError, InputError
from imgcrawl.items import STORED, Image
from imgcrawl.patterns import UserPattern
from imgcrawl.possessive import compile_late
from imgcrawl.urls import host_of, without_query

if TYPE_CHECKING:
    from imgcrawl.pipelines.receivers import Arrival

logger = logging.getLogger(__name__)

_CHECKSUM = re.compile(r"!?[0-9a-f]{64}", re.ASCII)
_TOLD = re.compile(r"placeholder/([0-9a-f]{64})(?: (\S{1,8192}))?", re.ASCII)
_HOSTS, _KINDS = 1_000, 1_000  # that are remembered, and different images of each
_OF_ONE_ITEM = 3  # addresses of one gallery that show the same: what it shows for decoration stands there once or twice
_FEW = 50  # images of an item: each may turn out to be one
_LONGEST = 200  # characters of a name
_ALONE = 3  # times as many as are enough, in one item: that needs no other image beside it


# The whole name of a file that stands for one which is not there: `image_removed.png`, `default-cover.9943b5.png`.
_THING = (
    "(?:images?|img|photos?|pics?|pictures?|files?|thumb(?:nail)?s?|covers?|this|has|been|is|was|error|small|large)"
)
_SAYS_GONE = compile_late(
    rf"(?:{_THING}[-_. ]?)*+(?:removed|deleted|missing|unavailable|placeholder|forbidden|blocked|40[34]"
    rf"|(?:ajax[-_. ]?)?loading|ajax-?loader|spinner|please[-_. ]?wait|coming[-_. ]?soon"
    rf"|hot-?link(?:ing|ed)?|not?[-_. ]?(?:longer[-_. ]?)?(?:found|available|{_THING})|default[-_. ]?{_THING})"
    rf"(?:[-_. ]?(?:{_THING}|available|found)|[-_. ][0-9a-fx]{{1,64}})*+\.\w{{3,4}}",
    re.IGNORECASE,
)


class Learned(NamedTuple):
    """A placeholder: the *checksum* of its bytes, and what it is *known_by*: that, or the address that others lead
    to. As it is `told`, a stat `placeholder/…` has it."""

    known_by: str
    checksum: str

    @property
    def told(self) -> str:
        return self.checksum if self.known_by == self.checksum else f"{self.checksum} {self.known_by}"

    @classmethod
    def of_stats(cls, names: Iterable[str]) -> list[Learned]:
        """Those of which stats with these *names* tell."""
        told = filter(None, map(_TOLD.fullmatch, names))
        return [cls(each[2] or each[1], each[1]) for each in told]


class Lesson(NamedTuple):
    """What the outcomes of an item teach: which of them *are* placeholders; which others *may be*, each by what it is
    known by; and what was *learned* from them."""

    are: list[int]
    may_be: list[tuple[int, str]]
    learned: list[Learned]


class Placeholders:
    """Knows placeholders: those that are declared, and those that it learns.

    *declared* are checksums (sha256 in hex) and regular expressions, of which one is found in the address that is asked
    for or that it leads to. An image whose checksum stands there after a `!` is none.

    Learned is what *enough* (0: nothing is) addresses with different file names of one host lead to: by redirects to
    one address of another name; or by the same bytes, if at least three of one item or items of one image each have
    them, and if the host's other images differ from each other, or one item has some times as many and few others. So a
    logo or a banner that each gallery has once is none, wherever it is stored. What is learned is told. Unless nothing
    is learned, one redirect is enough to a file whose name says so (`removed.png`), where that asked for does not.

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
        self._shown_to_others: dict[str, Counter[str]] = {}  # host → checksums

    def has_address(self, url: str) -> bool:
        """Whether *url* is declared to be that of a placeholder."""
        return any(pattern.is_in(url) for pattern in self._addresses)

    def check(self, arrival: Arrival) -> None:
        """Raise `ImageError` for an answer that is known to be a placeholder."""
        if arrival.checksum in self._known or arrival.response.url in self._known:
            raise ImageError("placeholder")
        if self.has_address(arrival.response.url) or (self._enough and self._is_told(arrival)):
            raise ImageError("placeholder")

    def _is_told(self, arrival: Arrival) -> bool:
        request = arrival.response.request
        asked = request.meta.get("image_url", request.url) if request else arrival.response.url
        if asked == arrival.response.url:
            return False
        led_to = _name(arrival.response.url)
        return (
            led_to != _name(asked)
            and _SAYS_GONE.fullmatch(unquote(led_to)[:_LONGEST]) is not None
            and _SAYS_GONE.fullmatch(unquote(_name(asked))[:_LONGEST]) is None
            and arrival.checksum not in self._never
        )

    def remember(self, learned: Iterable[Learned]) -> list[Learned]:
        """Know what was *learned* before, or by others. What of that is new here."""
        new = [each for each in learned if each.known_by not in self._known and each.checksum not in self._never]
        self._known.update(each.known_by for each in new)
        return new

    def knows(self, known_by: str) -> bool:
        """Whether what is *known_by* this checksum or address is known to be a placeholder."""
        return known_by in self._known

    def found_in(self, images: Sequence[Image]) -> Lesson:
        """What *images*, the outcomes of an item, teach, and which of them are placeholders then."""
        may_be: list[tuple[int, str]] = []
        learned: list[Learned] = []
        if self._enough:
            self._learn(images, may_be, learned)
        are = [index for index, image in enumerate(images) if self.is_one(image)]
        told = set(are)
        return Lesson(are, [each for each in may_be if each[0] not in told], learned)

    def see(self, images: Iterable[Image]) -> None:
        """Know that others have seen *images*."""
        for image in images:
            self._shown_to_others.setdefault(host_of(image["url"]), Counter())[image["checksum"]] += 1

    def suspects(self, most: int) -> list[str]:
        """What several addresses lead to, though it is no placeholder yet; at most so many, the likeliest first."""
        led = ((len(names), known_by) for known_by, names in self._names.items() if len(names) > 1)
        return [known_by for _, known_by in nlargest(most, (each for each in led if each[1] not in self._known))]

    def learn_from(self, images: Sequence[Image], of: int) -> list[Learned]:
        """What *images* teach, which are of one item of *of* images, perhaps another worker's, and have the same
        bytes."""
        many = _ALONE * self._enough
        names = {_name(image["url"]) for image in images}
        is_alone = min(len(images), len(names)) >= many and len(images) * 2 > of
        is_often = len(images) >= _OF_ONE_ITEM or of == 1
        return [each for image in images for each in self._hear(image, is_often=is_often, is_alone=is_alone)]

    def _learn(self, images: Sequence[Image], may_be: list[tuple[int, str]], learned: list[Learned]) -> None:
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
            checksum = image["checksum"]
            shown = self._shown.setdefault(host_of(image["url"]), Counter())
            if checksum in shown or len(shown) < _KINDS:
                shown[checksum] += 1
            led_to = _led_to(image)
            is_often = times[checksum] >= _OF_ONE_ITEM or len(images) == 1
            if led_to or is_often or len(images) <= _FEW:
                may_be += [(index, known_by) for known_by in (led_to, checksum) if known_by]
            learned += self._hear(image, is_often=is_often, is_alone=checksum in alone)

    def _hear(self, image: Image, *, is_often: bool, is_alone: bool) -> list[Learned]:
        """What is learned now that *image* is one more that leads where it does: whether its bytes are those of others
        of its item *is_often* so, or needs no other evidence, as it *is_alone*."""
        led_to, checksum = _led_to(image), image["checksum"]
        if not (led_to or is_often or is_alone):
            return []
        known_by = led_to or checksum
        names = self._names.setdefault(known_by, set())
        if len(names) < self._enough:
            names.add(_name(image["url"]))
        return self.judge(known_by, image, is_evident=bool(led_to) or is_alone)

    def judge(self, known_by: str, image: Image, *, is_evident: bool = False) -> list[Learned]:
        """What is learned now of all that leads to what is *known_by* this, as *image* does: its host may have shown
        others since, by which it *is_evident*."""
        names, checksum = self._names.get(known_by, set[str]()), image["checksum"]
        if not 0 < self._enough <= len(names) or known_by in self._known or checksum in self._never:
            return []
        shown = [each.get(host_of(image["url"]), Counter[str]()) for each in (self._shown, self._shown_to_others)]
        if not (is_evident or any(_is_exception(checksum, each) for each in shown)):
            return []
        self._known.add(known_by)
        names.clear()
        logger.warning(
            "Taken for a placeholder, since %d addresses lead to it: %.500s of %.500s (%s). What leads there is failed;"
            " if it is none, set IMAGES_PLACEHOLDERS to !%s, or IMAGES_PLACEHOLDERS_LEARNED to 0",
            self._enough,
            known_by,
            image["url"],
            image.get("path"),
            checksum,
        )
        return [Learned(known_by, checksum)]

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
    kinds = len(shown) - (checksum in shown)
    return kinds > 1 and shown.total() - shown[checksum] <= 2 * kinds


def _led_to(image: Image) -> str:
    """The address with another file name that *image* was found at; empty if there is none."""
    url = image["url"]
    led_to = image.get("final_url") or url
    return led_to if led_to != url and _name(led_to) != _name(url) else ""


def _name(url: str) -> str:
    return without_query(url).rpartition("/")[2]
