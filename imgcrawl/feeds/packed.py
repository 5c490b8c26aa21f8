"""Compressed feeds that are added to: what stands behind the cut of a kill can be read by nobody."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from scrapy.extensions.postprocessing import Bz2Plugin, GzipPlugin, LZMAPlugin
from scrapy.utils.misc import load_object

from imgcrawl.exceptions import InputError

PIECE = 1 << 16  # bytes
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
    decoder, is_closed = new(), True
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                while piece:
                    decoder.decompress(piece)
                    piece, is_closed = decoder.unused_data, decoder.eof
                    decoder = new() if is_closed else decoder
    except (zlib.error, lzma.LZMAError, OSError, EOFError):
        is_closed = False
    if not is_closed:
        raise InputError(
            f"Feed {path} ends before it was closed (a kill has cut it, or another crawl writes it): what is added "
            "to it could not be read; give another name, or -O to replace the file."
        )
