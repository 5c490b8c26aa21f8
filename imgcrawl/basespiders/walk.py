"""Where a list ends: what the pages of a walk have shown so far, and whether the next one is worth asking for."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

# Pages in a row that bring nothing, or next to nothing, before the walk ends; and the same where the site itself
# says that its list goes on.
PATIENCE, LONG_PATIENCE = 3, 10
# What is remembered of a page: of more than these, the smallest fingerprints, which are the same ones on every page.
REMEMBERED = 2_000
# A page shows next to nothing new if it brings so much less than the best page did.
NEXT_TO_NOTHING = 5
# Pages in a row that may bring next to nothing where a page before them has said that there are so many.
PROMISED_PATIENCE = 100
# Pages in a row of which at most half is new; and the same where the site itself says that its list goes on: to one
# that makes something up for each page there is no end.
LAST_PATIENCE, LONG_LAST_PATIENCE = 30, 500
# What is remembered of the pages before the last: advertisements that take turns come again.
_SEEN = 1_000


@dataclass(frozen=True, slots=True)
class Walk:
    """What is known before a list page is read. It travels with the page's request, as JSON."""

    first: tuple[int, ...] = ()  # fingerprints of what the first page shows
    last: tuple[int, ...] = ()  # of what the last one did that showed something
    seen: tuple[int, ...] = ()  # of what the pages before that one did, and not the first
    best: int = 0  # most that a page after the first has brought: on that, it is not known what each page shows
    barren: int = 0  # pages in a row that brought nothing, or next to nothing
    doubtful: int = 0  # of these, those that may be pages of a list with much on each page and little of their own
    sparse: int = 0  # pages in a row of which at most half was new
    failed: int = 0  # pages in a row that could not be had, or that had nothing on them though there should be
    named: int = 0  # the largest page number that the site's own links name
    promised: int = 0  # that on pages which brought something
    offset: int = 0  # galleries on the pages before
    counted: int = 0  # different ones of these
    known: int = 0  # galleries in a row, up to the last one, that an earlier crawl has brought home
    may_stop: bool = False  # an earlier walk reached the end, so that all behind what is known is known, too
    lacks: bool = False  # a page has been looked past
    asks: bool = False  # a page that showed something had a form to log in, too

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Self:
        """What `to_wire` made. Raises TypeError for what it has not."""
        known = cls(**wire)
        return replace(known, first=tuple(known.first), last=tuple(known.last), seen=tuple(known.seen))

    def to_wire(self) -> dict[str, Any]:
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items() if value
        }

    def after(self, found: Iterable[str], named: int = 0, known: Iterable[bool] = (), *, asks: bool = False) -> Step:
        """What is known after a page that shows *found* and links to page numbers up to *named*; *known* says of each
        of *found* whether an earlier crawl has brought it home, *asks* whether there is a form to log in."""
        in_order = _prints(found)
        prints = set(sorted(set(in_order))[:REMEMBERED])
        first, last, seen = set(self.first), set(self.last), set(self.seen)
        own, own_last = prints - first, last - first
        new = len(own - last)
        # All of the first page, but for an advertisement that has changed since.
        again = len(first - prints) <= (new < self.best)
        repeats = again or 2 * len(own_last & prints) > len(own_last) > 0 or not own - last - seen
        # A page with one that is pinned to each and one of its own looks like one with an advertisement that changes.
        few = new * NEXT_TO_NOTHING <= self.best or (new == 1 and len(prints) >= 4 and self.best <= 1)
        little = bool(self.first) and (not own - last - seen or (new * 2 < len(prints) and (repeats or few)))
        walk = replace(
            self,
            first=self.first or tuple(sorted(prints)),
            last=tuple(sorted(prints)),
            seen=(*self.seen, *sorted(own_last - seen))[-_SEEN:],
            best=max(self.best, new) if self.first else 0,
            barren=self.barren + 1 if little or not new else 0,
            doubtful=self.doubtful + 1 if little and new and not repeats else 0,
            sparse=self.sparse + 1 if self.first and new * 2 <= len(prints) else 0,
            failed=0,
            lacks=self.lacks or self.failed > 0,
            named=max(self.named, named),
            promised=self.promised if little else max(self.promised, named),
            offset=self.offset + len(prints),
            counted=self.counted + len(set(in_order) - first - last - seen),
            known=self._in_a_row(zip(in_order, known, strict=False)),
            asks=self.asks or asks,
        )
        return Step(walk, brings_new=bool(new))

    def numbers(self, found: Iterable[str]) -> list[int]:
        """The number of each gallery of *found*, on the page after what is known: its place among all that are
        different, from 1 on. 0 for one that was shown before."""
        numbers, count = dict.fromkeys((*self.first, *self.last, *self.seen), 0), self.counted
        in_order = _prints(found)
        for fingerprint in in_order:
            if fingerprint not in numbers:
                numbers[fingerprint] = count = count + 1
        return [numbers[fingerprint] for fingerprint in in_order]

    def _in_a_row(self, shown: Iterable[tuple[int, bool]]) -> int:
        count = self.known
        for fingerprint, is_known in shown:
            if fingerprint not in self.first and fingerprint not in self.last:  # what is pinned is on each page
                count = count + 1 if is_known else 0
        return count

    def without(self, named: int = 0) -> Walk:
        """What is known after a page that should have shown something, and did not: as much as the one before."""
        offset = self.offset + len(self.last)
        return replace(self, failed=self.failed + 1, named=max(self.named, named), offset=offset)

    def ends_known(self, most: int | None) -> bool:
        """Whether what was shown ends with *most* in a row that are known, so that all behind it is taken for known."""
        return self.may_stop and most is not None and self.known >= most

    def is_in_doubt(self, page: int) -> bool:
        """Whether a walk that ends behind *page* for what its pages show may have more pages."""
        return page != self.named and (self.doubtful > 0 or (self.sparse >= LAST_PATIENCE and not self.barren))

    def patience(self, page: int) -> int:
        """Pages in a row that may bring nothing, as seen from *page*."""
        return LONG_PATIENCE if page < self.named else PATIENCE


@dataclass(frozen=True, slots=True)
class Step:
    """A page was read. *brings_new*: it shows something that neither the first page nor the one before showed."""

    walk: Walk
    brings_new: bool = field(default=True)

    def goes_on(self, page: int, *, links_on: bool = False, first: int = 1) -> bool:
        """Whether the page after *page* is worth asking for.

        A list repeats its first page, or its last, past its end: then the walk is over at once, unless the site's
        own links name a later page, or this one *links_on*, or the *first* is page 0: some sites count from 1, and have
        page 1 there, too. Next to nothing new on several pages (an advertisement that changes) ends it, too, unless a
        page that brought something has named a later one, or this one *links_on*.
        """
        if not (self.brings_new or links_on or page < self.walk.named):
            return (first, page) == (0, 1)
        is_promised = self.brings_new and (links_on or page < self.walk.promised)
        patience = PROMISED_PATIENCE if is_promised else self.walk.patience(page)
        last_patience = LONG_LAST_PATIENCE if links_on or page < self.walk.named else LAST_PATIENCE
        return self.walk.barren < patience and self.walk.sparse < last_patience


def _prints(found: Iterable[str]) -> list[int]:
    return [zlib.crc32(address.encode("utf-8", "surrogatepass")) for address in found]
