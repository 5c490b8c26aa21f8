"""Images that other elements than `<img>` show, or hold, and those of authors."""

from __future__ import annotations

import re

from imgcrawl.pages.candidates import DECORATION, file_name
from imgcrawl.pages.packed import unpacked_in
from imgcrawl.pages.values import linked_file

# A picture of who has written something, by the class of the image or of the link that it is in.
OF_AUTHOR = re.compile(
    r"(?<!\S)(?:(?:post-?)?(?:user|author|member|comment)[_-]?)?avatar(?:[_-]{1,2}"
    r"(?:img|image|photo|pic|picture|wrap(?:per)?|container|box|link|small|medium|large|x{0,2}[sml]|\d{1,3}|u\d{1,12}(?:-[a-z])?))?"
    r"(?!\S)",
    re.IGNORECASE,
)
_TEMPLATE_TYPE = re.compile(r"template|html|handlebars|tmpl|mustache", re.IGNORECASE)
_LAZY = re.compile(r"lazy|defer", re.IGNORECASE)  # of a <textarea>; what others hold is to be copied
_IMAGE_TYPE = re.compile(r"\s*image/(?!svg)", re.IGNORECASE)  # of an <object>; in SVG there are icons
_PHOTO = re.compile(r"\.(?:jpe?g|webp|avif)$", re.IGNORECASE)


def embedded(name: str, attributes: dict[str, str]) -> str:
    """The image that is shown in or by an element called *name*; empty where there is none."""
    if name == "video":
        return attributes.get("poster", "")
    if name == "area":
        return linked_file(attributes)
    if name == "image":
        return attributes.get("href") or attributes.get("xlink:href") or attributes.get("src", "")
    if name in ("object", "embed"):
        is_image = _IMAGE_TYPE.match(attributes.get("type", "")) is not None
        return (attributes.get("data") or attributes.get("src", "")) if is_image else ""
    source = attributes.get("src", "")
    file = file_name(source)
    return source if _PHOTO.search(file) and not DECORATION.search(file) else ""  # other formats are buttons


def held(name: str, attributes: dict[str, str], text: str) -> tuple[str, list[str]]:
    """What an element called *name*, a script or a `<textarea>`, holds as *text*: markup that a script will make a part
    of the page, or scripts."""
    kind = attributes.get("type", "").lower()
    if name == "textarea":
        return (text if _LAZY.search(" ".join(attributes.values())) else ""), []
    if _TEMPLATE_TYPE.search(kind):
        return text, []
    return "", [] if "ld+json" in kind else [text, *unpacked_in(text)]
