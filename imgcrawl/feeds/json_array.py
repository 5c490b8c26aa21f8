"""Reads a JSON array in pieces."""

from __future__ import annotations

import codecs
import functools
import io
import json
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, cast

from imgcrawl.exceptions import InputError

if TYPE_CHECKING:
    from imgcrawl.feeds.atomic import Signature

logger = logging.getLogger(__name__)

CHUNK = 1 << 20  # bytes
_SPACE = re.compile(r"[ \t\r\n]*")


def read_items(file: io.FileIO, start: int, *, inside: bool) -> tuple[int, int, bool]:
    """Read a JSON array from byte *start* on: from its bracket or, *inside*, from after an item.

    Returns the byte after the last whole item, the number of items, and whether the array then closes and nothing
    follows. Holds one item or `CHUNK` in memory.
    """
    decode = json.JSONDecoder().raw_decode
    utf8 = codecs.getincrementaldecoder("utf-8")()
    # A window on the file, one character a byte (so that places in it are places in the file).
    text, offset, at = "", start, 0

    def more() -> bool:
        nonlocal text, offset, at
        data = file.read(max(CHUNK, len(text) - at))
        utf8.decode(data)
        text, offset, at = text[at:] + data.decode("latin-1"), offset + at, 0
        return bool(data)

    def next_character() -> str:
        nonlocal at
        while True:
            at = cast("re.Match[str]", _SPACE.match(text, at)).end()
            if at < len(text) or not more():
                return text[at : at + 1]

    def skip_value() -> None:
        nonlocal at
        while True:
            try:
                _, end = decode(text, at)
            except json.JSONDecodeError as error:
                cut = error.pos > len(text) - 16 or error.msg.startswith("Unterminated string")
                if not cut or not more():
                    raise
            else:
                size = end - at
                if end < len(text) or not more():  # a number may go on after the window
                    at += size
                    return

    file.seek(start)
    end, items = start, 0
    try:
        if not inside:
            if next_character() != "[":
                return end, items, False
            at += 1
            end = offset + at
        while character := next_character():
            if character == "]":
                at += 1
                return end, items, not next_character()
            if inside or items:
                if character != ",":
                    break
                at += 1
                next_character()
            skip_value()
            end = offset + at
            items += 1
    except (ValueError, RecursionError) as error:
        logger.debug("%s ends after %d items: %s", file.name, items, error)
    return end, items, False


@functools.lru_cache(maxsize=8)
def array_end(path: Path, signature: Signature) -> int:
    """The byte after the last item of the array in *path*, 1 if it has none. InputError if it is not an array."""
    if not signature[0]:
        return 1
    with path.open("rb", buffering=0) as file:
        end, items, whole = read_items(file, 0, inside=False)
    if not whole:
        raise InputError(
            f"Feed {path} holds no JSON array to add items to: give another name, or -O to replace the file."
        )
    return end if items else 1
