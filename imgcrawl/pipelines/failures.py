"""The addresses that failed in this run, so that each gallery that names one does not try it anew."""

from __future__ import annotations

from time import monotonic

from cachetools import TLRUCache

from imgcrawl.items import Image

_MAX = 10_000
# What may be over by and by is not tried anew for this many seconds; it has had its retries.
_TRANSIENT = 3600.0
# What was said about the address, and not about the moment or about us.
_FINAL = {
    *("http_404", "http_410", "empty", "not_an_image", "not_a_video", "unsupported_format", "truncated", "corrupt"),
    *("too_large", "too_many_pixels", "too_small", "too_many_redirects"),
}
# Others depend on the page that named the address (Referer, whether it may name private addresses), on a rule, or are
# faults of ours, and cost one request at the most.
_PASSING = {"timeout", "dns", "connection", "tls", "retry_after"}


class FailedAddresses:
    """The outcomes of the last 10,000 addresses, by fingerprint, that failed in a way that others will meet, too."""

    def __init__(self) -> None:
        self._outcomes: TLRUCache[bytes, Image] = TLRUCache(_MAX, _forgotten_at, monotonic)

    def get(self, key: bytes) -> Image | None:
        return self._outcomes.get(key)

    def add(self, key: bytes, outcome: Image) -> None:
        """Remember *outcome* if it is one of those."""
        reason = outcome.get("reason", "")
        if reason in _FINAL or _is_passing(reason):
            self._outcomes[key] = outcome


def _forgotten_at(key: bytes, outcome: Image, now: float) -> float:
    return now + _TRANSIENT if _is_passing(outcome["reason"]) else float("inf")


def _is_passing(reason: str) -> bool:
    return reason in _PASSING or reason == "http_429" or reason.startswith("http_5")
