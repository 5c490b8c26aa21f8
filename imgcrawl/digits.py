"""Whole numbers that others have written in digits, which may be more than Python makes a number of."""

from __future__ import annotations

_LONGEST = 18  # digits: what has more is none that is meant


def whole(text: str | bytes, most: int = 10**15) -> int | None:
    """The number that *text* writes in ASCII digits, and nothing else, if it is no more than *most*; else None."""
    if len(text) > _LONGEST or not text.isascii() or not text.isdigit():
        return None
    number = int(text)
    return number if number <= most else None
