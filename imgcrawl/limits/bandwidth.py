"""How many bytes a second may be received."""

from __future__ import annotations

from time import monotonic


class Bandwidth:
    """Says when what has been received fits *rate* bytes a second; 0 for no limit."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self.is_limited = rate > 0
        self._paid_until = 0.0

    def received(self, nbytes: int, *, workers: int) -> None:
        """Count *nbytes* as received by one of that many *workers*, of which each has an equal part."""
        if self._rate:
            self._paid_until = max(self._paid_until, monotonic()) + nbytes * workers / self._rate

    def wait(self) -> float:
        """Seconds until more may be asked for; 0.0 for at once."""
        return max(0.0, self._paid_until - monotonic()) if self._rate else 0.0
