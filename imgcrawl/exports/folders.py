"""A folder tree by another template than that of the store."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial
from typing import IO

from imgcrawl.exports.names import Names
from imgcrawl.exports.options import ExportOptions
from imgcrawl.exports.pictures import Bodies, Picture, Pictures, digest_of
from imgcrawl.exports.sidecars import beside
from imgcrawl.exports.target import Part

_NAME = "{spider}/{title}/{index:03}"


def parts(fields: Collection[str], pictures: Pictures, bodies: Bodies, options: ExportOptions) -> Iterator[Part]:
    """A copy of each image under the name that the template makes, and its sidecars."""
    names = Names(options.name or _NAME, fields)
    for picture in pictures:
        name = names.of(picture, picture.extension)
        yield Part(name, digest_of(picture.path, picture.row.get("checksum")), partial(_write, picture, bodies))
        yield from beside(picture, name.removesuffix(picture.extension), names, options)


def _write(picture: Picture, bodies: Bodies, file: IO[bytes]) -> bool:
    body = bodies.of(picture)
    if body is None:
        return False
    file.write(body)
    return True
