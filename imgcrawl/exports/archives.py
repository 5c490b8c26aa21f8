"""ZIP and CBZ: an archive for each gallery, as readers of comics and people open them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Iterator
from functools import partial
from typing import IO

from lxml import etree

from imgcrawl.exports.names import Names
from imgcrawl.exports.options import ExportOptions
from imgcrawl.exports.pictures import Bodies, Picture, Pictures, as_text, digest_of
from imgcrawl.exports.sidecars import xml_text
from imgcrawl.exports.target import Part, left_empty

_NAME = "{spider}/{title}"
# What ComicInfo.xml calls what we know of a gallery.
_COMIC_INFO = {"Title": "title", "Summary": "caption", "Writer": "author", "Tags": "tags", "Web": "gallery_url"}


def parts(
    kind: str, fields: Collection[str], pictures: Pictures, bodies: Bodies, options: ExportOptions
) -> Iterator[Part]:
    """One of *kind* (`zip` or `cbz`) for each gallery. In it are `001.jpg`, `002.jpg` … in its order, and what
    is known of it: `gallery.json`, or `ComicInfo.xml` in a CBZ."""
    names = Names(options.name or _NAME, fields)
    for gallery in pictures.galleries():
        members = [(f"{number:03}{picture.extension}", picture) for number, picture in enumerate(gallery, 1)]
        about = ("ComicInfo.xml", _comic_info(gallery)) if kind == "cbz" else ("gallery.json", _json(gallery))
        digest = digest_of(
            about[1].decode(), [[name, picture.row.get("checksum"), picture.path] for name, picture in members]
        )
        yield Part(names.of(gallery[0], f".{kind}"), digest, partial(_write, members, about, bodies))


def _write(members: list[tuple[str, Picture]], about: tuple[str, bytes], bodies: Bodies, file: IO[bytes]) -> bool:
    complete, before = True, bodies.count
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # images are compressed already
        for name, picture in members:
            body = bodies.of(picture)
            if body is None:
                complete = False
                continue
            archive.writestr(_member(name), body)
        archive.writestr(_member(about[0]), about[1], zipfile.ZIP_DEFLATED)
    return complete if bodies.count > before else left_empty(file)


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)  # always of 1980: the same images make the same file
    member.external_attr = 0o644 << 16
    return member


def _json(gallery: list[Picture]) -> bytes:
    known = {name: value for name, value in gallery[0].item.items() if name not in ("images", "videos")}
    known["images"] = [dict(picture.row) for picture in gallery]
    return json.dumps(known, indent=1).encode()


def _comic_info(gallery: list[Picture]) -> bytes:
    row = gallery[0].row
    known = {tag: as_text(row.get(field)) for tag, field in _COMIC_INFO.items()}
    known["PageCount"] = str(len(gallery))
    root = etree.Element("ComicInfo")
    for tag, text in known.items():
        if text:
            etree.SubElement(root, tag).text = xml_text(text)
    return etree.tostring(root, xml_declaration=True, encoding="utf-8", pretty_print=True)
