"""Images that a page names in its scripts only: for what puts them there as the page is shown."""

from __future__ import annotations

import re

from imgcrawl.pages.candidates import DECORATION, PHOTOGRAPH, PLACEHOLDER, file_name
from imgcrawl.urls import absolute

MAX_SCRIPTED = 1_000  # images of a page
# In linear time: a tag has an end, and what is not closed goes on to the end of the page.
_SCRIPT = re.compile(r"<script\b([^<>]{0,2000}+)>(.*?)(?:</script|\Z)", re.DOTALL | re.IGNORECASE)
_TEXT = re.compile(r"""["'`]([^"'`<>\s]{5,2000})(?=["'`])""")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")


def scripted_images(text: str, base: str, encoding: str = "utf-8") -> list[str]:
    """The addresses of photographs, by their names, that stand as texts in the scripts of a page, in order, none twice.

    What is stated in JSON-LD is not among them. Of an answer that is JSON, give it as a script.
    """
    found: dict[str, None] = {}
    for script in _SCRIPT.finditer(text):
        if "ld+json" in script[1].lower():
            continue
        for match in _TEXT.finditer(script[2]):
            stated = _unescaped(match[1])
            name = file_name(stated)
            if "/" not in stated or not PHOTOGRAPH.search(name) or PLACEHOLDER.fullmatch(name):
                continue
            if not DECORATION.search(name) and (address := absolute(base, stated, encoding)):
                found[address] = None
                if len(found) >= MAX_SCRIPTED:
                    return list(found)
    return list(found)


def _unescaped(text: str) -> str:
    """A text of JavaScript or JSON as it is meant, also where that stands in another one."""
    if "\\" not in text:
        return text
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text).replace("\\", "")
