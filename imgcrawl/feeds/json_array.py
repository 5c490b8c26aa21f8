"""Reads a JSON array in pieces, item by item, without holding more than one item or `CHUNK` bytes."""

from __future__ import annotations

import codecs
import functools
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from imgcrawl.exceptions import InputError

if TYPE_CHECKING:
    from imgcrawl.feeds.atomic import Signature

logger = logging.getLogger(__name__)

CHUNK = 1 << 20  # bytes
MAX_ITEM = 1 << 28  # bytes of an item, which may have a million images
_SPACE = re.compile(r"[ \t\r\n]*")


class ArrayItems:
    """The items of the JSON array in *file*: iterating gives the first byte of each and the one after it.

    The array begins at byte *start* with its bracket or, *inside*, after an item. Reading stops at the first thing that
    is no JSON, or (if *strict*) no UTF-8. When it is over, `end` is the byte after the last whole item, `count` their
    number, `closed` whether the array's end was found, and `whole` whether nothing follows it.
    """

    def __init__(self, file: io.FileIO, start: int = 0, *, inside: bool = False, strict: bool = True) -> None:
        self.end, self.count, self.closed, self.whole = start, 0, False, False
        self._file = file
        self._inside = inside
        self._decode = json.JSONDecoder().raw_decode
        self._utf8 = codecs.getincrementaldecoder("utf-8")("strict" if strict else "replace")
        # A window on the file, one character a byte (so that places in it are places in the file).
        self._text, self._offset, self._at = "", start, 0
        file.seek(start)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        try:
            yield from self._items()
        except (ValueError, RecursionError) as error:
            logger.debug("%s ends after %d items: %s", self._file.name, self.count, error)

    def read_all(self) -> ArrayItems:
        for _ in self:
            pass
        return self

    def _items(self) -> Iterator[tuple[int, int]]:
        if not self._inside:
            if self._next_character() != "[":
                return
            self._at += 1
            self.end = self._offset + self._at
        while character := self._next_character():
            if character == "]":
                self._at += 1
                self.closed = True
                self.whole = not self._next_character()
                return
            if self._inside or self.count:
                if character != ",":
                    return
                self._at += 1
                self._next_character()
            size = self._value_size()
            begin = self._offset + self._at
            self._at += size
            self.end = begin + size
            self.count += 1
            yield begin, self.end

    def _more(self) -> bool:
        data = self._file.read(max(CHUNK, len(self._text) - self._at))
        self._utf8.decode(data)
        self._text, self._offset, self._at = self._text[self._at :] + data.decode("latin-1"), self._offset + self._at, 0
        return bool(data)

    def _next_character(self) -> str:
        while True:
            self._at = cast("re.Match[str]", _SPACE.match(self._text, self._at)).end()
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def _value_size(self) -> int:
        while True:
            if len(self._text) - self._at > MAX_ITEM:
                raise ValueError(f"an item of more than {MAX_ITEM} bytes")
            try:
                _, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                cut = error.pos > len(self._text) - 16 or error.msg.startswith("Unterminated string")
                if not cut or not self._more():
                    raise
            else:
                size = end - self._at
                if end < len(self._text) or not self._more():  # a number may go on after the window
                    return size


@functools.lru_cache(maxsize=8)
def array_end(path: Path, signature: Signature) -> int:
    """The byte after the last item of the array in *path*, 1 if it has none. InputError if it is not an array."""
    if not signature[0]:
        return 1
    with path.open("rb", buffering=0) as file:
        items = ArrayItems(file).read_all()
    if not items.whole:
        raise InputError(
            f"Feed {path} holds no JSON array to add items to: give another name, or -O to replace the file."
        )
    return items.end if items.count else 1
