"""Images that other elements than `<img>` show, and those of authors."""

from __future__ import annotations

import re

from imgcrawl.pages.candidates import DECORATION, file_name
from imgcrawl.pages.values import linked_file

# A picture of who has written something, by the class of the image or of the link that it is in.
OF_AUTHOR = re.compile(
    r"(?<!\S)(?:(?:post-?)?(?:user|author|member|comment)[_-]?)?avatar(?:[_-]{1,2}"
    r"(?:img|image|photo|pic|picture|wrap(?:per)?|container|box|link|small|medium|large|x{0,2}[sml]|\d{1,3}|u\d{1,12}(?:-[a-z])?))?"
    r"(?!\S)",
    re.IGNORECASE,
)
_PHOTO = re.compile(r"\.(?:jpe?g|webp|avif)$", re.IGNORECASE)


def embedded(name: str, attributes: dict[str, str]) -> str:
    """The image that is shown in or by an element called *name*; empty where there is none."""
    if name == "video":
        return attributes.get("poster", "")
    if name == "area":
        return linked_file(attributes)
    if name == "image":
        return attributes.get("href") or attributes.get("xlink:href") or attributes.get("src", "")
    source = attributes.get("src", "")
    file = file_name(source)
    return source if _PHOTO.search(file) and not DECORATION.search(file) else ""  # other formats are buttons
