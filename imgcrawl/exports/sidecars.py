"""Files beside images that say what is known of them: `.json`, `.txt` with the caption, `.xmp` with standard names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import IO

from lxml import etree

from imgcrawl.exports.names import Names
from imgcrawl.exports.options import ExportOptions
from imgcrawl.exports.pictures import Bodies, Picture, Pictures, as_text, digest_of
from imgcrawl.exports.target import Part
from imgcrawl.images.names import strip_extension

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DC = "http://purl.org/dc/elements/1.1/"
_RIGHTS = "http://ns.adobe.com/xap/1.0/rights/"
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_NAMESPACES = {"x": "adobe:ns:meta/", "rdf": _RDF, "dc": _DC, "xmpRights": _RIGHTS, "photoshop": _PHOTOSHOP}


def parts(fields: Collection[str], pictures: Pictures, bodies: Bodies, options: ExportOptions) -> Iterator[Part]:
    """The sidecars of each file alone, in the folders of the store: with the store as target they stand beside it. A
    file that is several images' has those of the first."""
    names = Names("{path}", fields)
    had = set()
    for picture in pictures:
        if picture.path in had:
            continue
        had.add(picture.path)
        yield from beside(picture, strip_extension(picture.path), names, options)


def beside(picture: Picture, stem: str, names: Names, options: ExportOptions) -> Iterator[Part]:
    """Those of one image whose name without its extension is *stem*."""
    for kind in options.sidecars:
        body = KINDS[kind](picture)
        yield Part(names.unused(stem, f".{kind}"), digest_of(body.decode()), partial(_write, body))


def _write(body: bytes, file: IO[bytes]) -> bool:
    file.write(body)
    return True


def _json(picture: Picture) -> bytes:
    return json.dumps(dict(picture.row), indent=1).encode() + b"\n"


def _caption(picture: Picture) -> bytes:
    return picture.caption.encode("utf-8", "replace")


def xml_text(text: str) -> str:
    """*text* without the characters that XML has no way to say."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def xmp(picture: Picture) -> bytes:
    """An XMP packet (ISO 16684-1): Dublin Core, rights and credit, as the page states them."""
    row = {name: value for name, value in picture.row.items() if value}
    row |= row.get("facts") or {}
    packet = etree.Element("{adobe:ns:meta/}xmpmeta", nsmap=_NAMESPACES)
    description = etree.SubElement(etree.SubElement(packet, f"{{{_RDF}}}RDF"), f"{{{_RDF}}}Description")
    description.set(f"{{{_RDF}}}about", "")

    def add(namespace: str, name: str, field: str | None, container: str = "") -> None:
        value = picture.caption if field is None else row.get(field)
        texts = value if isinstance(value, list) else [value]
        texts = [xml_text(as_text(text)) for text in texts if text]
        if not texts:
            return
        element = etree.SubElement(description, f"{{{namespace}}}{name}")
        if not container:
            element.text = texts[0]
            return
        items = etree.SubElement(element, f"{{{_RDF}}}{container}")
        for text in texts:
            item = etree.SubElement(items, f"{{{_RDF}}}li")
            item.text = text
            if container == "Alt":
                item.set(_LANG, "x-default")

    add(_DC, "title", "title", "Alt")
    add(_DC, "description", None, "Alt")
    add(_DC, "creator", "author", "Seq")
    add(_DC, "subject", "tags", "Bag")
    add(_DC, "rights", "license", "Alt")
    add(_DC, "source", "url")
    add(_RIGHTS, "WebStatement", "license")
    add(_PHOTOSHOP, "Credit", "credit_text")
    return etree.tostring(packet, encoding="utf-8", pretty_print=True)


KINDS: dict[str, Callable[[Picture], bytes]] = {"json": _json, "txt": _caption, "xmp": xmp}
