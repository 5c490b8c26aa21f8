"""What is exported: stored images, each with what is known of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from imgcrawl.exceptions import ImgcrawlError, describe
from imgcrawl.exports.conditions import Condition
from imgcrawl.items import image_rows
from imgcrawl.ownfiles import read_file
from imgcrawl.pipelines.objects import StoredObjects

Item = Mapping[str, Any]
_CAPTIONS = ("caption", "title")  # the fields that are one, best first


class UnreadableImageError(ImgcrawlError):
    """An image is not in the store, or no longer the one that was stored."""


class ImageReader(Protocol):
    """Where the bytes of images are."""

    def read(self, path: str, checksum: str) -> bytes:
        """The bytes of the stored file *path*. Raises `UnreadableImageError` if it is not there, or if *checksum*,
        where there is one, is not that of its bytes."""


class ImageFolder:
    """Reads images of the directory *root*."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str, checksum: str) -> bytes:
        if PurePosixPath(path).is_absolute() or ".." in path.split("/") or "\0" in path:
            raise UnreadableImageError(f"{path!r} is not a path below {self.root}")
        try:
            body = read_file(self.root / path, follow=False)
        except (OSError, ValueError) as error:  # ValueError: no name of a file, as with half a surrogate pair
            raise UnreadableImageError(f"{self.root / path}: {describe(error)}") from error
        if not is_checksum_of(body, checksum):
            raise UnreadableImageError(f"{self.root / path} is not the image that was stored: its checksum is another")
        return body


class ImageObjects:
    """Reads images of an object store."""

    def __init__(self, objects: StoredObjects) -> None:
        self.objects = objects

    def read(self, path: str, checksum: str) -> bytes:
        """As `ImageReader` says. Raises `LostStoreError` where the store does not answer."""
        body = self.objects.read(path)
        if body is None:
            raise UnreadableImageError(f"{self.objects.uri}{path}: there is no such object")
        if not is_checksum_of(body, checksum):
            raise UnreadableImageError(
                f"{self.objects.uri}{path} is not the image that was stored: its checksum is another"
            )
        return body


def is_checksum_of(body: bytes, checksum: str) -> bool:
    """Whether *checksum*, a sha256 or Scrapy's MD5 in hex, is that of *body*. One of another kind is not looked at."""
    kinds = {64: hashlib.sha256, 32: lambda data: hashlib.md5(data, usedforsecurity=False)}
    kind = kinds.get(len(checksum))
    return kind is None or kind(body).hexdigest() == checksum


@dataclass(frozen=True)
class Picture:
    """A stored image: the *row* of `items.image_rows` that it is, and the *item* that it is of."""

    row: Mapping[str, Any]
    item: Item
    caption_field: str = ""

    @property
    def path(self) -> str:
        return str(self.row["path"])

    @property
    def extension(self) -> str:
        return PurePosixPath(self.path).suffix.lower()

    @cached_property
    def caption(self) -> str:
        """What the image shows: the field that was asked for, or what its page says of it, or the gallery's caption,
        or else its title. One line."""
        facts = self.row.get("facts") or {}
        found = facts.get("caption") if not self.caption_field else None
        for name in (self.caption_field,) if self.caption_field else _CAPTIONS:
            found = found or self.row.get(name)
        return " ".join(as_text(found).split())


MOST_TOLD = 20  # images that cannot be had, which are told one by one


@dataclass
class Bodies:
    """The bytes of images. Those that cannot be had are counted as *missing*, and the first told in *problems*."""

    images: ImageReader
    count: int = 0
    size: int = 0
    missing: int = 0
    problems: list[str] = field(default_factory=list)

    def of(self, picture: Picture) -> bytes | None:
        """The bytes of *picture*, or None."""
        try:
            body = self.images.read(picture.path, str(picture.row.get("checksum") or ""))
        except UnreadableImageError as error:
            self.missing += 1
            if len(self.problems) < MOST_TOLD:
                self.problems.append(str(error))
            return None
        self.count += 1
        self.size += len(body)
        return body


@dataclass
class Pictures:
    """The stored images of *items*, which may be asked for several times, as far as they meet *where*."""

    items: Callable[[], Iterable[Item]]
    where: Condition | None = None
    caption_field: str = ""

    def galleries(self) -> Iterator[list[Picture]]:
        """Those of each item that has some."""
        for item in self.items():
            found = [
                Picture(row, item, self.caption_field)
                for row in image_rows({**item, "videos": None})
                if row.get("path") and (self.where is None or self.where(row))
            ]
            if found:
                yield found

    def __iter__(self) -> Iterator[Picture]:
        for gallery in self.galleries():
            yield from gallery


def as_text(value: Any) -> str:
    """*value* of a field for people: texts as they are, lists with commas, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def digest_of(*parts: Any) -> str:
    """A name for *parts*, JSON values, by which it is told whether they have changed."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
