"""The stored files of a report: which of them can be shown, and small copies of them."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from imgcrawl.catalogue.opening import local_store
from imgcrawl.exceptions import ImageError
from imgcrawl.images.process import DecoderProcess
from imgcrawl.pipelines.objects import StoredObjects
from imgcrawl.pipelines.stores import FileStore, is_plain

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

SIZE: Final = (160, 160)  # pixels
LARGEST: Final = 64 * 1024 * 1024  # bytes of an original that are read
# What is opened in a browser, or beside it, by the ending of its name; nothing in which scripts could be.
TYPES: Final = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "image/jpeg"),
    **dict.fromkeys((".tif", ".tiff"), "image/tiff"),
    ".png": "image/png", ".apng": "image/png", ".gif": "image/gif", ".webp": "image/webp", ".avif": "image/avif",
    ".bmp": "image/bmp", ".ico": "image/x-icon", ".heic": "image/heic", ".heif": "image/heif", ".jxl": "image/jxl",
    ".jp2": "image/jp2", ".mp4": "video/mp4", ".webm": "video/webm", ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
}  # fmt: skip
_VIDEOS: Final = {ending for ending, kind in TYPES.items() if kind.startswith("video/")}

SmallCopy = tuple[bytes, str]  # and the ending of its name


class ReportFiles:
    """The files of the store of *settings*, if that is a folder or `s3://`; else there are none. Of objects it is not
    asked whether they are there before one is shown: that would be a request for each."""

    def __init__(self, settings: BaseSettings) -> None:
        root = local_store(settings)
        folder = FileStore(root) if root is not None and root.is_dir() else None
        self._store = folder or StoredObjects.from_settings(settings)
        self.root = root.resolve() if folder and root else None
        sizes = {str(name): tuple(map(int, size)) for name, size in settings.getdict("IMAGES_THUMBS").items()}
        fitting = sorted(sizes, key=lambda name: (max(sizes[name]) < min(SIZE), max(sizes[name])))
        self.thumbs = f"thumbs/{fitting[0]}" if self._store and fitting else ""
        self.bounds = (  # pixels and bytes that an image may take
            settings.getint("IMAGES_MAX_PIXELS", 100_000_000),
            settings.getint("IMAGES_MAX_MEMORY", 160_000_000),
        )
        self._decoders: queue.SimpleQueue[DecoderProcess] = queue.SimpleQueue()
        self._all: list[DecoderProcess] = []
        for _ in range(os.cpu_count() or 1):
            self._all.append(DecoderProcess(*self.bounds))
            self._decoders.put(self._all[-1])

    def has(self, path: str) -> bool:
        """Whether *path*, which a stranger may have chosen, is a file of the store of a kind that is shown."""
        return (
            self._store is not None
            and PurePosixPath(path).suffix.lower() in TYPES
            and is_plain(path)
            and (self.root is None or self._store.stat(path) is not None)
        )

    def thumb_of(self, path: str) -> str:
        """The name of a small copy of *path* that a crawl has made (IMAGES_THUMBS), or ""."""
        if not self.thumbs or not isinstance(self._store, FileStore):
            return ""
        names = (name for name in self._store.thumbnails_of(path) if name.startswith(f"{self.thumbs}/"))
        return next((name for name in names if self._store.stat(name) is not None), "")

    def read(self, path: str) -> bytes:
        """The bytes of the file *path*, unless it is too large. Raises OSError and ValueError."""
        if self._store is None:
            raise FileNotFoundError(path)
        return self._store.body(path, LARGEST)

    def small(self, path: str) -> SmallCopy | None:
        """A small copy of the image *path*, drawn anew by a process with bounds; None if it cannot be made."""
        if PurePosixPath(path).suffix.lower() in _VIDEOS or not self.has(path):
            return None
        decoder = self._decoders.get()
        try:
            return decoder.thumbnail(self.read(self.thumb_of(path) or path), SIZE)
        except (ImageError, OSError, ValueError):
            return None
        finally:
            self._decoders.put(decoder)

    def small_copies(self, paths: Iterable[str]) -> Iterator[SmallCopy | None]:
        """Those of *paths*, in their order, several at a time."""
        with ThreadPoolExecutor(len(self._all)) as threads:
            yield from threads.map(self.small, paths)

    def close(self) -> None:
        """End the processes that decode."""
        for decoder in self._all:
            decoder.close()

    def address_from(self, folder: Path) -> str:
        """The relative address of the store, from a page in *folder*, with a slash at its end; "" without a store."""
        if self.root is None:
            return ""
        try:
            relative = os.path.relpath(self.root, folder.resolve())
        except ValueError:  # another drive
            return f"{self.root.as_uri()}/"
        return "".join(f"{quote(part, safe='')}/" for part in Path(relative).parts) or "./"
