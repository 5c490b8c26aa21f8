"""Placeholders that are learned late: what was told of them before, and what an earlier crawl has learned."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from cachetools import LRUCache
from scrapy.crawler import Crawler

from imgcrawl.catalogue import Catalogue, GalleryVisit, LastOutcome
from imgcrawl.engine import scheduler_in
from imgcrawl.items import Image
from imgcrawl.pipelines.outcomes import tell_anew
from imgcrawl.pipelines.placeholders import Lesson, Placeholders, as_placeholder

logger = logging.getLogger(__name__)

_REMEMBERED = 2_000  # different images, and addresses that others lead to
_OF_ONE_IMAGE, _OF_ONE_ITEM = 100, 1_000  # addresses
_LOOKED_AT = 1_000  # placeholders of earlier crawls


@dataclass(slots=True)
class Witness:
    """What was told of one address: its *image* and the *outcome* in the catalogue."""

    image: Image
    outcome: LastOutcome
    media: str
    page: str
    is_late: bool = False


class Witnesses:
    """Remembers, of what may turn out to be a placeholder, what was told of it before that was known.

    *placeholders* gets those that an earlier crawl has learned, as *catalogue* has it, if *enough* (0: nothing is
    learned) addresses led to each.
    """

    def __init__(self, crawler: Crawler, catalogue: Catalogue, placeholders: Placeholders, enough: int) -> None:
        self._crawler = crawler
        self._placeholders = placeholders
        self._told: LRUCache[str, deque[Witness]] = LRUCache(_REMEMBERED)
        if enough and crawler.spider:
            placeholders.remember(_learned_before(catalogue, crawler.spider.name, enough))

    @property
    def _counts_alone(self) -> bool:
        """Whether what is counted here is counted nowhere else, by pages that are done or from the feed."""
        return getattr(scheduler_in(self._crawler), "shared_run", None) is None

    def hear(self, lesson: Lesson, images: Sequence[Image], visit: GalleryVisit) -> list[GalleryVisit]:
        """Remember those of *images* that *lesson* says may be placeholders, of which *visit* tells in the catalogue;
        count what was told of those that are known to be some now as such, and return their visits, for the catalogue,
        with *visit*: behind those of other galleries, as it may be complete then, and before those of its own.

        What a feed has of them stays there, and is said to.
        """
        told: dict[int, Witness] = {}
        for index, known_by in lesson.may_be[:_OF_ONE_ITEM]:
            if index not in told:
                told[index] = Witness(images[index], visit.outcomes[index], visit.media, visit.url)
            self._told.setdefault(known_by, deque(maxlen=_OF_ONE_IMAGE)).append(told[index])
        known = [*lesson.learned, *(known_by for _, known_by in lesson.may_be if self._placeholders.knows(known_by))]
        late = [each for known_by in dict.fromkeys(known) for each in self._tell_anew(known_by)]
        own = [each for each in late if each.outcomes[0].gallery == visit.outcomes[0].gallery]
        return [*(each for each in late if each not in own), visit, *own]

    def _tell_anew(self, known_by: str) -> Iterator[GalleryVisit]:
        witnesses = [witness for witness in self._told.pop(known_by, ()) if not witness.is_late]
        for witness in witnesses:
            witness.is_late = True
            if self._counts_alone:
                tell_anew(self._crawler, witness.image, as_placeholder(witness.image), witness.page)
            outcome = replace(witness.outcome, status="failed", reason="placeholder", tried=0)
            yield GalleryVisit(
                spider=outcome.spider,
                url=witness.page,
                title="",
                fields={},
                media=witness.media,
                outcomes=[outcome],
                seen_at=outcome.last_seen,
                complete=False,
                partial=True,
                key=outcome.gallery,
            )
        if witnesses:
            logger.warning(
                "%d addresses that lead to it are in the feed as downloaded, uptodate or duplicate; they are"
                " placeholders in the %scatalogue (%.500s)",
                len(witnesses),
                "summary and the " if self._counts_alone else "",
                known_by,
            )


def _learned_before(catalogue: Catalogue, spider: str, enough: int) -> list[str]:
    """The checksums that *spider* knows to be those of placeholders, as *catalogue* has it from earlier crawls: of
    *enough* addresses at least."""
    outcomes = islice(catalogue.not_had(spider, reason="placeholder"), _LOOKED_AT)
    records = catalogue.find_all([outcome.key for outcome in outcomes])
    times: dict[str, int] = {}
    for record in filter(None, records):
        times[record.checksum] = times.get(record.checksum, 0) + 1
    return [checksum for checksum, count in times.items() if checksum and count >= enough]
