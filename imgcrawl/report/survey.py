"""How much a report tells of, and what it can be searched by."""

from __future__ import annotations

from collections import defaultdict
from http.client import responses
from typing import Any, Final

from imgcrawl.items import PAGE_REASONS, REASONS
from imgcrawl.report.columns import facets
from imgcrawl.report.records import GalleryRecord

_MOST_VALUES: Final = 100_000  # of one kind that are counted


class Survey:
    """Counts galleries as they are added: `counts`, and for each of what they are searched by its values."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(("galleries", "pages_failed", "images", "stored", "files", "bytes"), 0)
        self._facets: dict[str, defaultdict[str, int]] = {
            kind: defaultdict(int) for kind in ("spider", "host", "label", "format", "status", "reason", "error")
        }
        self._files: set[int] = set()

    def add(self, gallery: GalleryRecord) -> None:
        self.counts["galleries"] += 1
        if gallery.error:
            self.counts["pages_failed"] += 1
            self._count("error", gallery.error, 1)
        self._count("spider", gallery.spider, len(gallery.images))
        for label in gallery.labels:
            self._count("label", label, len(gallery.images))
        for image in gallery.images:
            self.counts["images"] += 1
            for kind in ("host", "format", "status", "reason"):
                self._count(kind, getattr(image, kind), 1)
            if image.path:
                self.counts["stored"] += 1
                if image.identity not in self._files:
                    self._files.add(image.identity)
                    self.counts["files"] += 1
                    self.counts["bytes"] += image.bytes

    def as_json(self) -> dict[str, Any]:
        found = {kind: dict(values) for kind, values in self._facets.items()}
        meanings = {reason: text for reasons in REASONS.values() for reason, text in reasons.items()} | PAGE_REASONS
        told = found["reason"].keys() | found["error"].keys()
        meanings |= {f"http_{int(code)}": text for code, text in responses.items()}
        return {
            "counts": self.counts,
            "facets": facets(found),
            "meanings": {reason: text for reason, text in meanings.items() if reason in told},
        }

    def _count(self, kind: str, value: str, number: int) -> None:
        values = self._facets[kind]
        if value in values or len(values) < _MOST_VALUES:
            values[value] += number
