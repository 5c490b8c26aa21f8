"""What a page names in its scripts only: images that they put there, and the page that they lead on to."""

from __future__ import annotations

import re

from imgcrawl.pages.candidates import ORNAMENT, PHOTOGRAPH, PLACEHOLDER, file_name
from imgcrawl.urls import absolute

MAX_SCRIPTED = 1_000  # images of a page
# In linear time: a tag has an end, and what is not closed goes on to the end of the page.
_SCRIPT = re.compile(r"<script\b([^<>]{0,2000}+)>(.*?)(?:</script|\Z)", re.DOTALL | re.IGNORECASE)
_TEXT = re.compile(r"""["'`]([^"'`<>\s]{5,2000})(?=["'`])""")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
# A page that is there to lead on has next to nothing else: nothing to press, and few words.
_LEADS = re.compile(
    r"""(?<![\w.$])((?:var|let|const)\s++)?+(?:(?:window|document|self|top|parent)\.)*+location(?:\.href)?\s*+(?:=|\.(?:replace|assign)\()\s*+"""
    r"""["']([^"'<>\s]{1,2000})["']"""
)
_COMMENT_OR_TEXT = re.compile(
    r"""("(?:[^"\\\n]++|\\.)*+"?|'(?:[^'\\\n]++|\\.)*+'?)|/\*.*?(?:\*/|\Z)|//[^\n]*+""", re.DOTALL
)
_AT_ONCE = re.compile(r"(?:setTimeout)?\(\s*+(?:function\s*+\(\)\s*+\{|\(\)\s*+=>)")
_WAITS = re.compile(
    r"<(?:img|picture|form|button|input|video|audio|iframe|object|embed|svg|canvas)\b|url\(|\bon[a-z]{4,9}\s*+=|addEventListener|\bif\s*+\(|function|=>"
)
_TAGS = re.compile(r"<[^<>]*+>?")
_FEW_WORDS = 200  # characters


def scripted_target(text: str) -> str:
    """Where the scripts of a page, which shows nothing itself, lead to at once; empty if they do not."""
    scripts = (_COMMENT_OR_TEXT.sub(lambda found: found[1] or " ", script[2]) for script in _SCRIPT.finditer(text))
    # A variable of that name leads nowhere.
    leads = (match for script in scripts for match in _LEADS.finditer(script) if not match[1])
    led_to = {_unescaped(match[2]) for match in leads}
    if len(led_to) != 1 or _WAITS.search(_AT_ONCE.sub("", text)):
        return ""
    words = " ".join(_TAGS.sub(" ", _SCRIPT.sub(" ", text)).split())
    return led_to.pop() if len(words) <= _FEW_WORDS else ""


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
            if not ORNAMENT.search(name) and (address := absolute(base, stated, encoding)):
                found[address] = None
                if len(found) >= MAX_SCRIPTED:
                    return list(found)
    return list(found)


def _unescaped(text: str) -> str:
    """A text of JavaScript or JSON as it is meant, also where that stands in another one."""
    if "\\" not in text:
        return text
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text).replace("\\", "")
