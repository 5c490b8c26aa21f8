"""The newest images, small: made when a page asks for one, by the process that decodes with bounds."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from cachetools import LRUCache

from imgcrawl.catalogue.opening import CATALOGUE_NAME
from imgcrawl.exceptions import ImageError
from imgcrawl.images.process import DecoderProcess
from imgcrawl.lines import printable
from imgcrawl.ownfiles import is_of_a_stranger
from imgcrawl.pipelines.objects import StoredObjects
from imgcrawl.pipelines.stores import FileStore, full_address, is_plain

SHOWN: Final = 24  # at once
NEW: Final = 4  # a look: nobody sees more, and each takes some ms of CPU time
SIZE: Final = (224, 224)  # pixels; shown at half of that, on telephones too
LARGEST: Final = 64 * 1024 * 1024  # bytes of an original
_CACHE: Final = 4 * 1024 * 1024  # bytes of small ones
_KNOWN: Final = 400  # addresses of small ones that are answered
_TYPES: Final = {".jpg": "image/jpeg", ".png": "image/png"}

Store = FileStore | StoredObjects
Small = tuple[bytes, str]  # of an image, and its content type


class Thumbnails:
    """Which of the newest images of a crawl are shown, and small copies of these.

    *store* is where a crawl with the settings of the command keeps its images, if that is a folder. The overview of a
    crawl may name another; it is believed if a catalogue of ours is in it. Nothing is read but regular files below the
    store, of names that the overview has shown, and nothing leaves but what was decoded and drawn anew. *objects* are
    those of the settings' store, if that is `s3://`.
    """

    def __init__(self, store: Path | None, max_pixels: int, memory: int, objects: StoredObjects | None = None) -> None:
        self._own = store.absolute() if store else None
        self._objects = objects
        self._decoder = DecoderProcess(max_pixels, memory)
        self._thread = ThreadPoolExecutor(1, "thumbnails")
        self._turn = asyncio.Lock()
        self._secret = secrets.token_bytes(32)
        self._stores: LRUCache[str, FileStore] = LRUCache(8)
        self._files: LRUCache[str, tuple[Store, str]] = LRUCache(_KNOWN)
        self._made: LRUCache[str, Small] = LRUCache(_CACHE, getsizeof=lambda small: len(small[0]))
        self._shown: list[dict[str, Any]] = []

    def choose(self, overview: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What is shown, newest first, each with the `key` of its small copy, now that *overview* is known: at most NEW
        that were not shown before."""
        store = self._store(overview)
        known = {image["key"] for image in self._shown}
        new = []
        for image in overview.get("newest") or ():
            path = image.get("path")
            if store and isinstance(path, str) and is_plain(path) and not path.startswith("."):
                key = self._key(f"{path}\n{image.get('at')}")
                if key in known:
                    break  # what is older was shown, or passed over
                new.append({name: image.get(name) for name in ("url", "page", "title", "at")} | {"key": key})
                self._files[key] = (store, path)
            if len(new) == NEW and self._shown:
                break
        if new:
            self._shown = [*new, *self._shown][:SHOWN]
        return self._shown

    def forget(self) -> None:
        """Show none of those before: another run has begun."""
        self._shown = []

    async def small(self, key: str) -> Small | None:
        """The small copy that is called *key*; None if there is no such, or the image cannot be read."""
        if key not in self._files:
            return None
        store, path = self._files[key]
        async with self._turn:
            if (made := self._made.get(key)) is None:
                made = await asyncio.get_running_loop().run_in_executor(self._thread, self._make, store, path)
                self._made[key] = made
        return made if made[0] else None

    def close(self) -> None:
        self._decoder.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _make(self, store: Store, path: str) -> Small:
        try:
            body, extension = self._decoder.thumbnail(store.body(path, LARGEST), SIZE)
        except (ImageError, OSError, ValueError):  # ValueError: no name of a file
            return b"", ""
        return body, _TYPES[extension]

    def _store(self, overview: Mapping[str, Any]) -> Store | None:
        name = str(overview.get("store") or "").removeprefix("file://")
        if self._objects and full_address(name) == printable(self._objects.uri):
            return self._objects
        if not name or "://" in name:
            return None
        if name not in self._stores and self._is_believed(Path(name)):
            self._stores[name] = FileStore(name)
        return self._stores.get(name)

    def _is_believed(self, folder: Path) -> bool:
        try:
            if not folder.is_absolute() or not folder.is_dir():
                return False
            catalogue = folder / CATALOGUE_NAME
            return folder == self._own or (catalogue.is_file() and not is_of_a_stranger(catalogue))
        except (OSError, ValueError):  # ValueError: no name of a folder
            return False

    def _key(self, text: str) -> str:
        return hmac.new(self._secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]
