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


@dataclass(frozen=True, slots=True)
class Walk:
    """What is known before a list page is read. It travels with the page's request, as JSON."""

    first: tuple[int, ...] = ()  # fingerprints of what the first page shows
    last: tuple[int, ...] = ()  # of what the last one did that showed something
    best: int = 0  # most that a page has brought
    barren: int = 0  # pages in a row that brought nothing, or next to nothing
    failed: int = 0  # pages in a row that could not be had, or that had nothing on them though there should be
    named: int = 0  # the largest page number that the site's own links name
    offset: int = 0  # galleries on the pages before
    known: int = 0  # galleries in a row, up to the last one, that an earlier crawl has brought home
    may_stop: bool = False  # an earlier walk reached the end, so that all behind what is known is known, too
    lacks: bool = False  # a page has been looked past

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Self:
        """What `to_wire` made. Raises TypeError for what it has not."""
        known = cls(**wire)
        return replace(known, first=tuple(known.first), last=tuple(known.last))

    def to_wire(self) -> dict[str, Any]:
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items() if value
        }

    def after(self, found: Iterable[str], named: int = 0, known: Iterable[bool] = ()) -> Step:
        """What is known after a page that shows *found* and links to page numbers up to *named*; *known* says of each
        of *found* whether an earlier crawl has brought it home."""
        in_order = [zlib.crc32(address.encode("utf-8", "surrogatepass")) for address in found]
        prints = tuple(sorted(set(in_order)))[:REMEMBERED]
        new = len(set(prints) - set(self.first) - set(self.last))
        little = new * NEXT_TO_NOTHING <= self.best and new * 2 < len(prints)
        walk = replace(
            self,
            first=self.first or prints,
            last=prints,
            best=max(self.best, new),
            barren=self.barren + 1 if little or not new else 0,
            failed=0,
            lacks=self.lacks or self.failed > 0,
            named=max(self.named, named),
            offset=self.offset + len(prints),
            known=self._in_a_row(zip(in_order, known, strict=False)),
        )
        return Step(walk, brings_new=bool(new))

    def _in_a_row(self, shown: Iterable[tuple[int, bool]]) -> int:
        count = self.known
        for fingerprint, is_known in shown:
            if fingerprint not in self.first and fingerprint not in self.last:  # what is pinned is on each page
                count = count + 1 if is_known else 0
        return count

    def without(self, named: int = 0) -> Walk:
        """What is known after a page that should have shown something, and did not."""
        return replace(self, failed=self.failed + 1, named=max(self.named, named))

    def ends_known(self, most: int | None) -> bool:
        """Whether what was shown ends with *most* in a row that are known, so that all behind it is taken for known."""
        return self.may_stop and most is not None and self.known >= most

    def patience(self, page: int) -> int:
        """Pages in a row that may bring nothing, as seen from *page*."""
        return LONG_PATIENCE if page < self.named else PATIENCE


@dataclass(frozen=True, slots=True)
class Step:
    """A page was read. *brings_new*: it shows something that neither the first page nor the one before showed."""

    walk: Walk
    brings_new: bool = field(default=True)

    def goes_on(self, page: int) -> bool:
        """Whether the page after *page* is worth asking for.

        A list repeats its first page, or its last, past its end: then the walk is over at once, unless the site's
        own links name a later page. Next to nothing new on several pages (an advertisement that changes) ends it, too.
        """
        if not self.brings_new and page >= self.walk.named:
            return False
        return self.walk.barren < self.walk.patience(page)
