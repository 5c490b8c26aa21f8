"""Compressed feeds that are added to: what stands behind the cut of a kill can be read by nobody."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from scrapy.extensions.postprocessing import Bz2Plugin, GzipPlugin, LZMAPlugin
from scrapy.utils.misc import load_object

from imgcrawl.exceptions import InputError

PIECE = 1 << 16  # bytes
_SAID = 1 << 20  # bytes of what is said that are in memory at once
_NEW: Mapping[Any, Callable[[], Any]] = {
    GzipPlugin: partial(zlib.decompressobj, 16 + zlib.MAX_WBITS),
    Bz2Plugin: bz2.BZ2Decompressor,
    LZMAPlugin: lzma.LZMADecompressor,
}


def check_packed(path: Path, options: Mapping[str, Any]) -> None:
    """Raise `InputError` if the feed at *path*, which a plugin of Scrapy's compresses, ends before it was closed."""
    plugins = [load_object(plugin) for plugin in options.get("postprocessing") or ()]
    new = _NEW.get(plugins[-1]) if plugins else None
    if new is None:
        return
    status = path.stat()
    if not _ends_closed(path, new, (status.st_ino, status.st_size, status.st_mtime_ns)):
        raise InputError(
            f"Feed {path} ends before it was closed (a kill has cut it, or another crawl writes it): what is added "
            "to it could not be read; give another name, or -O to replace the file."
        )


@lru_cache(maxsize=8)  # a feed is looked at before its crawl begins, and again as it begins: gigabytes take seconds
def _ends_closed(path: Path, new: Callable[[], Any], _as_it_is: tuple[int, ...]) -> bool:
    decoder, is_closed = new(), True
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                while piece:
                    piece = _read(decoder, piece)
                    is_closed = decoder.eof
                    decoder = new() if is_closed else decoder
    except (zlib.error, lzma.LZMAError, OSError, EOFError):
        is_closed = False
    return is_closed


def _read(decoder: Any, piece: bytes) -> bytes:
    """What of *piece* stands behind the end of what *decoder* reads. Not all that it says is in memory at once: it may
    say ten thousand times as much."""
    if not hasattr(decoder, "needs_input"):  # zlib's
        while piece and not decoder.eof:
            decoder.decompress(piece, _SAID)
            piece = decoder.unconsumed_tail
    else:
        decoder.decompress(piece, _SAID)
        while not (decoder.needs_input or decoder.eof):
            decoder.decompress(b"", _SAID)
    return bytes(decoder.unused_data)
