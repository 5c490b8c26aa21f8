"""VERIFY: what has arrived, as the catalogue will have it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from cachetools import LRUCache
from scrapy.http import Response

from imgcrawl.catalogue import Record
from imgcrawl.exceptions import ImageError
from imgcrawl.images.containers import examine_video
from imgcrawl.images.costs import LARGEST_IN_THREADS
from imgcrawl.images.process import DecoderProcess, OutOfTimeError
from imgcrawl.images.room import CostlyError
from imgcrawl.images.verify import Facts, examine
from imgcrawl.pipelines.placeholders import Placeholders
from imgcrawl.pipelines.receivers import Arrival
from imgcrawl.pipelines.settings import PipelineSettings
from imgcrawl.urls import host_of

LARGE = 512 * 1024  # bytes of an image whose decoding takes some milliseconds
_OUT_OF_TIME = 3  # files of a host that take too long, until others of it are refused
_HOSTS = 10_000
_PARTS = 20_000  # of a video, which threads walk in some hundredths of a second


@dataclass(frozen=True, slots=True)
class Examined:
    """A verified body: its record, in which the path is not known yet, the extension of its kind (".jpg"), and the
    path that it is to have, without that."""

    record: Record
    extension: str
    named_path: str


class Examiner(Protocol):
    """What decides whether a body is what the pipeline is for. For worker threads.

    Those for the threads of the crawl raise `CostlyError` for what takes too long, or too much memory, for these; those
    for a `DecoderProcess` do not.
    """

    def facts(self, arrival: Arrival) -> Facts:
        """What the body is. Raises `ImageError` for what is not kept."""

    def thumbnails(self, arrival: Arrival) -> Iterator[tuple[str, bytes, str]]:
        """Small copies of it, each with its name in IMAGES_THUMBS and its extension."""

    def look(self, arrival: Arrival) -> bytes | None:
        """What it looks like (IMAGES_SIMILAR); None of what cannot be told."""


def _options(config: PipelineSettings) -> dict[str, Any]:
    return {
        "min_width": config.filters.min_width,
        "min_height": config.filters.min_height,
        "strict": config.strict,
        "keep": sorted(config.keep),
        "depth": "decode" if config.thumbs else config.depth,  # thumbnails are decoded in any case
    }


class ImageExaminer:
    """Verifies images, and makes their thumbnails."""

    def __init__(self, config: PipelineSettings) -> None:
        self._options = _options(config)
        self._filters = config.filters
        self.thumbs: Mapping[str, tuple[int, int]] = config.thumbs
        # A decoder that runs for long on every core would make the event loop late.
        self._long = threading.Semaphore(max(1, min(config.threads, os.cpu_count() or 1) - 1))
        self._reading = threading.Semaphore(1)  # of those that were written to a file, one is in memory at a time

    def facts(self, arrival: Arrival) -> Facts:
        with self._long if arrival.size >= LARGE else nullcontext(), self._body(arrival) as body:
            facts = examine(body, **self._options)
            self._filters.check(facts.format, facts.width, facts.height)
            return facts

    def thumbnails(self, arrival: Arrival) -> Iterator[tuple[str, bytes, str]]:
        if not self.thumbs:
            return
        from imgcrawl.images.thumbnails import thumbnail  # noqa: PLC0415 -- few crawls make them

        with self._body(arrival) as body:
            for thumb_id, size in self.thumbs.items():
                yield (thumb_id, *thumbnail(body, size))

    def look(self, arrival: Arrival) -> bytes | None:
        from imgcrawl.images.lookalikes import hash_of  # noqa: PLC0415 -- few crawls ask

        with self._body(arrival) as body:
            return hash_of(body)

    @contextmanager
    def _body(self, arrival: Arrival) -> Iterator[bytes]:
        if arrival.file is None:
            yield arrival.response.body
        elif arrival.size > max(LARGEST_IN_THREADS.values()):
            raise CostlyError
        else:
            with self._reading:
                yield arrival.file.read_bytes()


class VideoExaminer:
    """Walks the containers of videos. There are no thumbnails."""

    def facts(self, arrival: Arrival) -> Facts:
        return examine_video(_file_of(arrival), _PARTS)

    def thumbnails(self, arrival: Arrival) -> Iterator[tuple[str, bytes, str]]:
        return iter(())

    def look(self, arrival: Arrival) -> bytes | None:
        return None


class ProcessExaminer:
    """Has images and videos examined in a *process*, which takes the time and the memory that they need or ends.

    A host of whose files some took more time than any should has no other costly ones examined.
    """

    def __init__(self, config: PipelineSettings, process: DecoderProcess, *, videos: bool) -> None:
        self._process = process
        self._options = _options(config)
        self._filters = config.filters
        self._thumbs = config.thumbs
        self._videos = videos
        self._out_of_time: LRUCache[str, int] = LRUCache(_HOSTS)

    def facts(self, arrival: Arrival) -> Facts:
        host = host_of(arrival.response.url)
        if self._out_of_time.get(host, 0) >= _OUT_OF_TIME:
            raise ImageError("too_many_pixels", f"others of {host} took too long")
        try:
            if self._videos:
                return self._process.examine_video(_file_of(arrival))
            facts = self._process.examine(arrival.file or arrival.response.body, **self._options)
            self._filters.check(facts.format, facts.width, facts.height)
            return facts
        except OutOfTimeError:
            self._out_of_time[host] = self._out_of_time.get(host, 0) + 1
            raise

    def thumbnails(self, arrival: Arrival) -> Iterator[tuple[str, bytes, str]]:
        for thumb_id, size in self._thumbs.items():
            yield (thumb_id, *self._process.thumbnail(arrival.file or arrival.response.body, size))

    def look(self, arrival: Arrival) -> bytes | None:
        from imgcrawl.images.lookalikes import hash_in  # noqa: PLC0415 -- few crawls ask

        return hash_in(self._process, arrival.file or arrival.response.body)


def _file_of(arrival: Arrival) -> Path:
    if arrival.file is None:
        raise ImageError("error" if arrival.size else "empty", "it was not written to a file")
    return arrival.file


def examined(arrival: Arrival, examiner: Examiner, placeholders: Placeholders) -> Examined:
    """What *arrival* is, for the catalogue. Raises `ImageError` for what is not kept."""
    placeholders.check(arrival)
    facts = examiner.facts(arrival)
    response = arrival.response
    record = Record(
        key=arrival.key,
        wanted=arrival.requested_path,
        path="",
        checksum=arrival.checksum,
        bytes=arrival.size,
        format=facts.format,
        width=facts.width,
        height=facts.height,
        frames=facts.frames,
        final_url=response.url,
        etag=_header(response, b"Etag"),
        last_modified=_header(response, b"Last-Modified"),
        fetched_at=datetime.now(UTC).isoformat(timespec="seconds"),
        checked_at=time.time(),
        warnings=" ".join((*facts.warnings, *arrival.warnings)),
        verified=facts.verified,
    )
    return Examined(record, facts.extension, arrival.named_path)


def _header(response: Response, name: bytes) -> str:
    values = dict.get(response.headers, name)  # as it is kept: it is looked at for each image
    value = values[-1].decode("latin-1") if values else ""
    return value if value.isprintable() and len(value) <= 1000 else ""
