"""What the files of an export are called: each name once, whatever titles say."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from itertools import count
from typing import Any

from imgcrawl.exports.pictures import Picture
from imgcrawl.images.names import check_template, path_for, strip_extension
from imgcrawl.items import IMAGE_FIELDS
from imgcrawl.pipelines.settings import PER_IMAGE
from imgcrawl.urls import host_of, last_part, slug_of

_MORE = {*PER_IMAGE, "extension", "slug"}


class Names:
    """Names made with *template*, whose fields are those of IMAGES_NAME, of `items.image_rows` and *fields*, and
    `extension`. Two are never the same, nor for file systems that ignore case: the later
    has a number. Raises `InputError` for a template that is none."""

    def __init__(self, template: str, fields: Collection[str]) -> None:
        check_template("--name", template, {*IMAGE_FIELDS, *_MORE, *fields})
        self.template = template
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}  # numbers, by names without one

    def of(self, picture: Picture, ending: str) -> str:
        """The name for *picture*, with *ending*."""
        return self.unused(path_for(self.template, fields_of(picture)), ending)

    def unused(self, stem: str, ending: str) -> str:
        """*stem* and *ending*, or the first that is free with a number between them."""
        first = _key(stem + ending)
        for number in count(self._next.get(first, 1)):
            name = f"{stem}{ending}" if number == 1 else f"{stem}-{number}{ending}"
            key = _key(name)
            if key not in self._taken:
                self._taken.add(key)
                if number > 1:
                    self._next[first] = number + 1
                return name
        raise AssertionError  # count() has no end


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def fields_of(picture: Picture) -> dict[str, Any]:
    """What a template may name, of *picture*."""
    row = picture.row
    url = str(row.get("url") or "")
    basename = strip_extension(last_part(url))
    return {
        "slug": slug_of(str(row.get("gallery_url") or "")),
        "host": host_of(url),
        **row,
        "name": strip_extension(str(row.get("image_name") or "")) or basename,
        "basename": basename,
        "filename": basename,
        "extension": picture.extension.lstrip("."),
    }
