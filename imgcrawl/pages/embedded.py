"""Images that other elements than `<img>` show."""

from __future__ import annotations

import re

from imgcrawl.pages.candidates import DECORATION, file_name
from imgcrawl.pages.values import linked_file

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
