"""Placeholders that are learned late: what was told of them before, and what an earlier crawl has learned."""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import compress, islice
from operator import not_
from typing import Any

from cachetools import LRUCache
from scrapy.crawler import Crawler

from imgcrawl.catalogue import Catalogue, CatalogueError, GalleryVisit, LastOutcome
from imgcrawl.engine import scheduler_in
from imgcrawl.exceptions import record_fatal_error
from imgcrawl.items import STORED, Image
from imgcrawl.pipelines.outcomes import tell_anew
from imgcrawl.pipelines.placeholders import Learned, Lesson, Placeholders, as_placeholder

logger = logging.getLogger(__name__)

_REMEMBERED = 2_000  # different images, and addresses that others lead to
_OF_ONE_IMAGE, _OF_ONE_ITEM = 100, 1_000  # addresses
_GALLERIES = 200  # the newest, at the end of a run: what they show is what its host does
_LEARNED = 1_000  # of which is told; a hostile site teaches as many as one likes, with long addresses
_LOOKED_AT = 1_000  # placeholders of earlier crawls; images that may be some at the end of a run, addresses of each


@dataclass(slots=True)
class Witness:
    """What was told of one address: its *image* and the *outcome* in the catalogue; where workers share a run, for
    which page that was *counted*."""

    image: Image
    outcome: LastOutcome
    media: str
    page: str
    counted: Any = None
    is_late: bool = False


class Witnesses:
    """Remembers, of what may turn out to be a placeholder, what was told of it before that was known.

    *placeholders* gets those that an earlier crawl has learned, as *catalogue* has it, if *enough* (0: nothing is
    learned) addresses led to each.

    What the workers of a run learn they tell each other, by the stats `placeholder/…`. What none of them remembers, as
    those are no more that told it, or knows alone, is settled when the run is done, by the catalogue.
    """

    def __init__(self, crawler: Crawler, catalogue: Catalogue, placeholders: Placeholders, enough: int) -> None:
        self._crawler = crawler
        self._catalogue = catalogue
        self._placeholders = placeholders
        self._enough = enough
        self._told: LRUCache[str, deque[Witness]] = LRUCache(_REMEMBERED)
        self._learned: dict[Learned, None] = {}  # in this run
        self._heard = 0  # of what others have learned
        if enough and crawler.spider:
            placeholders.remember(_learned_before(catalogue, crawler.spider.name, enough))

    @property
    def _run(self) -> Any:
        """What the workers learn with whom this one shares a run (`imgcrawl.frontier.lessons`); None if it is alone."""
        return getattr(scheduler_in(self._crawler), "lessons", None)

    def hear(self, lesson: Lesson, images: Sequence[Image], visit: GalleryVisit) -> list[GalleryVisit]:
        """Remember those of *images* that *lesson* says may be placeholders, of which *visit* tells in the catalogue;
        count what was told of those that are known to be some now as such, and return their visits, for the catalogue,
        with *visit*: behind those of other galleries, as it may be complete then, and before those of its own.

        What a feed has of them stays there, and is said to.
        """
        run = self._run
        told: dict[int, Witness] = {}
        for index, known_by in lesson.may_be[:_OF_ONE_ITEM]:
            if index not in told:
                counted = run.page if run else None
                told[index] = Witness(images[index], visit.outcomes[index], visit.media, visit.url, counted)
            self._told.setdefault(known_by, deque(maxlen=_OF_ONE_IMAGE)).append(told[index])
        self._have(lesson.learned)
        learned = [each.known_by for each in (*lesson.learned, *self._hear_others(run))]
        known = [*learned, *(known_by for _, known_by in lesson.may_be if self._placeholders.knows(known_by))]
        late = [each for known_by in dict.fromkeys(known) for each in self._tell_anew(known_by, run)]
        is_own = [each.outcomes[0].gallery == visit.outcomes[0].gallery for each in late]
        return [*compress(late, map(not_, is_own)), visit, *compress(late, is_own)]

    def settle(self) -> None:
        """At the end of the crawl: count as it is now what was told before it was learned. Where several workers share
        a run, each that sees all of it done looks; what was told is counted anew by the first."""
        try:
            if (run := self._run) is None:
                self._have(self._learn_at_last())
                if late := [each for known_by, _ in self._learned for each in self._tell_anew(known_by, None)]:
                    self._catalogue.note(late)
            elif (since := run.since_if_done) is not None and self._crawler.spider is not None:
                self._settle_run(run, self._crawler.spider.name, since)
        except (CatalogueError, sqlite3.Error) as error:
            record_fatal_error(self._crawler.stats, f"placeholders could not be noted in the catalogue: {error}")

    def _learn_at_last(self) -> list[Learned]:
        """What was not evident as the last of it came."""
        told = ((suspect, self._told.get(suspect)) for suspect in self._placeholders.suspects(_LOOKED_AT))
        return [each for by, images in told if images for each in self._placeholders.judge(by, images[-1].image)]

    def _settle_run(self, run: Any, spider: str, since: float) -> None:
        self._hear_others(run)
        if self._enough:
            self._have(list(self._learn_from_all(spider, since)))
        if not self._learned:
            return
        places = [
            (each, "" if known_by == checksum else known_by)
            for known_by, checksum in self._learned
            for each in {checksum, *self._checksums(known_by)}
        ]
        mine = [witness for known_by, _ in self._learned for witness in self._take(known_by, run)]
        others: Counter[str] = Counter()
        with self._catalogue.transaction():
            rows = self._catalogue.outcomes(witness.outcome.key for witness in mine)
            # Another worker has counted what stands as it was told here, but for what it says.
            swept = (each for each, row in zip(mine, rows, strict=True) if row and _is_as_told(each, row))
            counted = {each.outcome.key: each.image["status"] for each in swept}
            self._catalogue.note([_late_visit(witness) for witness in mine])
            for checksum, led_to in places:
                others.update(self._catalogue.note_placeholders(checksum, spider, since, led_to))
        run.count_beside(_corrections(others), _corrections(Counter(counted.values())))
        if late := len(mine) + others.total() - len(counted):
            logger.warning(
                "%d addresses that lead to placeholders are in the feeds of this run as downloaded, uptodate or"
                " duplicate; they are placeholders in the verdict and the catalogue",
                late,
            )

    def _hear_others(self, run: Any) -> list[Learned]:
        if run is None or len(run.learned) == self._heard:
            return []
        told = Learned.of_stats(islice(run.learned, self._heard, None))
        self._heard = len(run.learned)
        if new := self._placeholders.remember(told):
            self._learned.update(dict.fromkeys(new))
            logger.info("Another worker has taken for a placeholder: %.500s", ", ".join(each.known_by for each in new))
        return new

    def _have(self, learned: Iterable[Learned]) -> None:
        for each in learned:
            if len(self._learned) >= _LEARNED:
                return
            self._learned[each] = None
            self._crawler.stats.inc_value(f"placeholder/{each.told}")

    def _learn_from_all(self, spider: str, since: float) -> Iterator[Learned]:
        """What the outcomes of all workers teach together, and none of them alone."""
        suspects = self._placeholders.suspects(_LOOKED_AT)
        checksums = dict.fromkeys(checksum for suspect in suspects for checksum in self._checksums(suspect))
        # What workers have seen that left, or were killed, nobody remembers.
        keys = self._catalogue.latest(spider, _GALLERIES)
        both = zip(self._catalogue.outcomes(keys), self._catalogue.find_all(keys), strict=True)
        seen: list[Image] = [
            {"url": told.url, "checksum": had.checksum} for told, had in both if told and had and told.status in STORED
        ]
        self._placeholders.see(seen)
        checksums |= dict.fromkeys(
            each for each, times in Counter(image["checksum"] for image in seen).items() if times > 1
        )
        for checksum in self._catalogue.often(list(checksums)[:_LOOKED_AT], self._enough):
            items: dict[bytes, list[Image]] = defaultdict(list)
            sizes: dict[bytes, int] = {}
            for url, led_to, gallery, size in self._catalogue.same_bytes(checksum, spider, since, _LOOKED_AT):
                items[gallery].append({"url": url, "checksum": checksum, "final_url": led_to})
                sizes[gallery] = size
            for gallery, images in items.items():
                yield from self._placeholders.learn_from(images, max(sizes[gallery], len(images)))

    def _checksums(self, known_by: str) -> set[str]:
        """Those of what is *known_by* this, as far as they are remembered."""
        told = {witness.image["checksum"] for witness in self._told.get(known_by, ())}
        return told or {known_by}

    def _take(self, known_by: str, run: Any) -> list[Witness]:
        """Those that led to what is *known_by* this, told anew; in a *run*, in the place of what was told for all."""
        witnesses = [witness for witness in self._told.pop(known_by, ()) if not witness.is_late]
        for witness in witnesses:
            witness.is_late = True
            with run.anew(witness.counted) if run else nullcontext():
                tell_anew(self._crawler, witness.image, as_placeholder(witness.image), witness.page)
        return witnesses

    def _tell_anew(self, known_by: str, run: Any) -> list[GalleryVisit]:
        if witnesses := self._take(known_by, run):
            logger.warning(
                "%d addresses that lead to it are in the feed as downloaded, uptodate or duplicate; they are"
                " placeholders in the summary and the catalogue (%.500s)",
                len(witnesses),
                known_by,
            )
        return [_late_visit(witness) for witness in witnesses]


def _late_visit(witness: Witness) -> GalleryVisit:
    outcome = replace(witness.outcome, status="failed", reason="placeholder", tried=0)
    return GalleryVisit(
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


def _is_as_told(witness: Witness, row: LastOutcome) -> bool:
    told = witness.outcome
    return row.reason == "placeholder" and (row.gallery, row.last_seen) == (told.gallery, told.last_seen)


def _corrections(told: Counter[str]) -> Counter[str]:
    """What is to be added to the stats where as many outcomes as *told*, by status, are placeholders."""
    stored = {f"image/{status}": -count for status, count in told.items()}
    return Counter({**stored, "image/failed": told.total(), "image/failed/placeholder": told.total()})


def _learned_before(catalogue: Catalogue, spider: str, enough: int) -> list[Learned]:
    """What *spider* knows to be a placeholder, as *catalogue* has it from earlier crawls: of *enough* addresses at
    least."""
    outcomes = islice(catalogue.not_had(spider, reason="placeholder"), _LOOKED_AT)
    records = catalogue.find_all([outcome.key for outcome in outcomes])
    times: dict[str, int] = {}
    for record in filter(None, records):
        times[record.checksum] = times.get(record.checksum, 0) + 1
    return [Learned(checksum, checksum) for checksum, count in times.items() if checksum and count >= enough]
