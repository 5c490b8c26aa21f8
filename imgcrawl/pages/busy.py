"""What a page says that would rather not have been asked."""

from __future__ import annotations

import re

# It is short, and it has nothing else to say.
_BUSY = re.compile(
    r"too many requests|rate.?limit|slow(ing)? down|try again (later|in)|temporarily (unavailable|blocked)|captcha|"
    r"unusual traffic|are you (a )?human|server is busy|bandwidth limit|访问(过于)?频繁|稍后(再|重)试|アクセスが集中",
    re.IGNORECASE,
)
# Names in JSON tell what there is ("captcha": false), unless it is true; and a form may have its guard named below it.
_BESIDE = re.compile(
    r'"[^"\\]*+(?:\\.[^"\\]*+)*+" ?:(?! ?true\b)|protected by (?:google |invisible )*(?:re|h)?captcha', re.IGNORECASE
)
_BUSY_TEXT = 2_000  # characters


def says_busy(text: str) -> bool:
    """Whether the *text* of a page, or what stands in the place of an image, says that there were too many requests."""
    text = " ".join(text.split())
    return len(text) <= _BUSY_TEXT and _BUSY.search(_BESIDE.sub(" ", text)) is not None
