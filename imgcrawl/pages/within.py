"""Images that a page states to be where nobody can ask for them: of other schemes, or within it (`data:`, RFC 2397)."""

from __future__ import annotations

import binascii
import re
from collections import OrderedDict
from collections.abc import Iterator
from hashlib import sha256
from threading import Lock
from urllib.parse import unquote_to_bytes

from imgcrawl.pages.candidates import STAND_INS

MAX_REFUSED = 200  # characters kept of an address that will not be asked for
# What is shorter keeps the place of an image, or is an icon.
_PHOTOGRAPH = re.compile(r"data:(image/(?:jpe?g|png|webp|avif|gif))((?:;[\w=-]{1,40}){0,3}),[^<>]{8000}", re.IGNORECASE)
_ABSOLUTE = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//|[a-z][a-z0-9+.-]*:", re.IGNORECASE | re.ASCII)
_PIECE = 64 * 1024  # characters
MAX_KEPT = 32 * 1024 * 1024  # bytes of photographs whose pages have been read, and which are not yet stored


class _Kept:
    """The bytes of photographs within pages, by what they are called, until they are taken: the newest ones."""

    def __init__(self) -> None:
        self._lock = Lock()  # large pages are read in a thread
        self._bodies: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def keep(self, name: str, body: bytes) -> None:
        with self._lock:
            if name in self._bodies:
                self._bodies.move_to_end(name)
                return
            self._bodies[name] = body
            self._size += len(body)
            while self._size > MAX_KEPT:
                self._size -= len(self._bodies.popitem(last=False)[1])

    def take(self, name: str) -> bytes | None:
        with self._lock:
            body = self._bodies.pop(name, None)
            self._size -= len(body or b"")
            return body


_kept = _Kept()


def refused_address(address: str | None, stated: str) -> str:
    """What is told of an image that is *stated* to be where nobody can ask for it: *address*, of another scheme, or
    what is no address. Empty for what only keeps its place. A photograph within the page is called
    `data:image/jpeg;sha256=…`, by its type and the checksum of its bytes, which `photograph_within` has then."""
    told = address or stated.strip()
    if photograph := _PHOTOGRAPH.match(told):
        return _called(photograph)
    return told[:MAX_REFUSED] if _ABSOLUTE.match(told) and not told.startswith(STAND_INS) else ""


def photograph_within(name: str) -> bytes | None:
    """The bytes of the photograph that `refused_address` has called *name*, once; None where they are not known."""
    return _kept.take(name)


def _pieces(text: str, start: int) -> Iterator[str]:
    """What *text* has from *start* on, without a cut in an escape: all at once would take eighty times its length."""
    while start < len(text):
        end = start + _PIECE
        cut = text.find("%", end - 2, end)
        yield text[start : (end := end if cut < 0 else cut)]
        start = end


def _called(photograph: re.Match[str]) -> str:
    body = b"".join(
        map(unquote_to_bytes, _pieces(photograph.string, photograph.string.index(",", photograph.end(2)) + 1))
    )
    if photograph[2].lower().endswith(";base64"):
        try:
            body = binascii.a2b_base64(body + b"===")  # some leave the padding out
        except binascii.Error:
            body = b""
    name = f"data:{photograph[1].lower()};sha256={sha256(body).hexdigest()}"
    _kept.keep(name, body)
    return name
