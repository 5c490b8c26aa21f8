"""Whether a crawl that goes on is in trouble: what somebody would want to hear before its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Any

from imgcrawl.items import STATUSES

INTERVAL = 20.0  # seconds between two looks
_LEAST = 50  # outcomes before a share of them says something
_SILENCE = 900.0  # seconds without an outcome of anything
_OUTCOMES = ("gallery/count", "gallery/failed", "list/count", *(f"image/{status}" for status in STATUSES))


class Troubles:
    """Looks at the stats of a crawl, of which *max_failed* (0 to 1) is the share that may fail."""

    def __init__(self, max_failed: float) -> None:
        self._max_failed = max_failed
        self._told: set[str] = set()
        self._outcomes: list[Any] = []
        self._since = monotonic()

    def look(self, stats: Mapping[str, Any]) -> list[str]:
        """A sentence for each trouble that *stats* tell of; no kind of it twice."""
        new = {kind: sentence for kind, sentence in self._found(stats) if kind not in self._told}
        self._told |= new.keys()
        return [*new.values()]

    def _found(self, stats: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        if error := stats.get("verdict/error"):
            yield "error", str(error)
        for what, total in (
            ("image", sum(stats.get(name, 0) for name in _OUTCOMES if name.startswith("image/"))),
            ("gallery", stats.get("gallery/count", 0) + stats.get("gallery/failed", 0)),
        ):
            failed = stats.get(f"{what}/failed", 0)
            if total >= _LEAST and failed > self._max_failed * total:
                yield what, f"{failed:,} of {total:,} {'images' if what == 'image' else 'galleries'} have failed so far"
        outcomes = [stats.get(name, 0) for name in _OUTCOMES]
        if outcomes != self._outcomes or stats.get("budget/waiting") or stats.get("live/paused"):
            self._outcomes, self._since = outcomes, monotonic()
        elif monotonic() - self._since > _SILENCE:
            yield "silence", f"nothing has come for {_SILENCE / 60:.0f} minutes"
