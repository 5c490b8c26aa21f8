"""VERIFY: what has arrived, as the catalogue will have it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from scrapy.http import Response

from imgcrawl.catalogue import Record
from imgcrawl.images.thumbnails import thumbnail
from imgcrawl.images.verify import Facts, examine
from imgcrawl.pipelines.placeholders import Placeholders
from imgcrawl.pipelines.receivers import Arrival
from imgcrawl.pipelines.settings import PipelineSettings

LARGE = 512 * 1024  # bytes of an image whose decoding takes some milliseconds


@dataclass(frozen=True, slots=True)
class Examined:
    """A verified body: its record, in which the path is not known yet, the extension of its kind (".jpg"), and the
    path that it is to have, without that."""

    record: Record
    extension: str
    named_path: str


class Examiner(Protocol):
    """What decides whether a body is what the pipeline is for. For worker threads."""

    def facts(self, arrival: Arrival) -> Facts:
        """What the body is. Raises `ImageError` for what is not kept."""

    def thumbnails(self, arrival: Arrival) -> Iterator[tuple[str, bytes, str]]:
        """Small copies of it, each with its name in IMAGES_THUMBS and its extension."""


class ImageExaminer:
    """Decodes images, and makes their thumbnails."""

    def __init__(self, config: PipelineSettings) -> None:
        self._examine = partial(
            examine,
            min_width=config.min_width,
            min_height=config.min_height,
            strict=config.strict,
            keep=config.keep,
        )
        self.thumbs: Mapping[str, tuple[int, int]] = config.thumbs
        # A decoder that runs for long on every core would make the event loop late.
        self._long = threading.Semaphore(max(1, min(config.threads, os.cpu_count() or 1) - 1))
        self._reading = threading.Semaphore(1)  # of those that were written to a file, one is in memory at a time

    def facts(self, arrival: Arrival) -> Facts:
        with self._long if arrival.size >= LARGE else nullcontext(), self._body(arrival) as body:
            return self._examine(body)

    def thumbnails(self, arrival: Arrival) -> Iterator[tuple[str, bytes, str]]:
        with self._body(arrival) as body:
            for thumb_id, size in self.thumbs.items():
                yield (thumb_id, *thumbnail(body, size))

    @contextmanager
    def _body(self, arrival: Arrival) -> Iterator[bytes]:
        if arrival.file is None:
            yield arrival.response.body
        else:
            with self._reading:
                yield arrival.file.read_bytes()


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
        etag=_header(response, "ETag"),
        last_modified=_header(response, "Last-Modified"),
        fetched_at=datetime.now(UTC).isoformat(timespec="seconds"),
        checked_at=time.time(),
        warnings=" ".join(facts.warnings),
    )
    return Examined(record, facts.extension, arrival.named_path)


def _header(response: Response, name: str) -> str:
    value = (response.headers.get(name) or b"").decode("latin-1")
    return value if value.isprintable() and len(value) <= 1000 else ""
