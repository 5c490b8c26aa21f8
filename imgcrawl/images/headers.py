"""What a file of an image or a video says of itself in its first bytes; its pixels are not decoded."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import IO

from PIL import Image

from imgcrawl.imageerrors import ImageError
from imgcrawl.images.containers import examine_video
from imgcrawl.images.formats import FOREIGN_EXTENSIONS, extension_of, foreign_format
from imgcrawl.images.opening import formats
from imgcrawl.images.verify import Facts
from imgcrawl.regularfiles import descriptor_of

_HEAD = 4096  # bytes by which a format is recognised
_BEGINNING = 1_000_000  # bytes of an image in which its header is read
_PARTS = 20_000  # of a video, which are walked in some hundredths of a second


def facts_of_header(path: Path) -> Facts:
    """The facts of the file at *path*, as its header tells them. A format that is not decoded has sizes of 0, and the
    warning "unverified". Raises `ImageError` for what is neither an image nor a video, and OSError."""
    with os.fdopen(descriptor_of(path), "rb") as file:
        head = file.read(_HEAD)
        if not head:
            raise ImageError("empty")
        file.seek(0)
        if facts := _of_image(file, head):
            return facts
    if (name := foreign_format(head)) and name not in {"MP4", "WebM"}:
        return Facts(name, 0, 0, 0, FOREIGN_EXTENSIONS[name], ("unverified",))
    return examine_video(path, _PARTS)


def pixels_of(image: bytes) -> int:
    """How many pixels *image* has, as its header tells them; 0 where it is none."""
    try:
        facts = _of_image(io.BytesIO(image[:_BEGINNING]), image[:_HEAD])
    except (ImageError, OSError):
        return 0
    return facts.width * facts.height if facts else 0


def _of_image(file: IO[bytes], head: bytes) -> Facts | None:
    try:
        with Image.open(file, formats=list(formats())) as image:
            name = image.format or ""
            return Facts(name, *image.size, getattr(image, "n_frames", 1), extension_of(head, name), (), "bytes")
    except OSError as error:
        if error.errno is not None:
            raise
    except Exception as error:  # Pillow's plugins raise anything for hostile bytes
        raise ImageError("corrupt", type(error).__name__) from error
    return None
