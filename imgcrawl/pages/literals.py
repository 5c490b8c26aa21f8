"""Arrays and objects as JavaScript and JSON write them."""

from __future__ import annotations

import json
import re
from typing import Any

from imgcrawl.possessive import compile_possessive

MAX_VALUE = 1_000_000  # characters that are read of one value

# A literal of JavaScript is made JSON: texts, names of keys, other names, comments, commas too many.
# What is not closed ends at the end: that keeps it linear.
_DOUBLE, _SINGLE = (rf"{quote}((?:[^{quote}\\]++|\\.?+)*+)(?:{quote}|\Z)" for quote in "\"'")
_COMMENT = r"//[^\n]*+|/\*.*?(?:\*/|\Z)"
_TOKEN = compile_possessive(
    rf"{_DOUBLE}|{_SINGLE}|`([^`\\$]*+)(?:`|\Z)|([A-Za-z_$][\w$]*+)(\s*+:)?|{_COMMENT}|,(?=\s*+[}}\]])", re.DOTALL
)
_BRACKET = compile_possessive(rf"[\[\]{{}}]|{_DOUBLE}|{_SINGLE}|`[^`]*+(?:`|\Z)|{_COMMENT}", re.DOTALL)


def literal(text: str, start: int = 0, limit: int = MAX_VALUE) -> Any:
    """The array or object of JavaScript or JSON that begins at *start*; None where none does within *limit*."""
    return literal_to(text, start, limit)[0]


def literal_to(text: str, start: int, limit: int) -> tuple[Any, int]:
    """As `literal`, and how many characters were looked at for it."""
    depth = 0
    for match in _BRACKET.finditer(text, start, start + limit):
        depth += (match[0] in ("[", "{")) - (match[0] in ("]", "}"))
        if depth <= 0:
            break
    else:
        return None, limit
    text = text[start : match.end()]
    for form in (str, lambda code: _TOKEN.sub(_as_json, code)):
        try:
            return json.loads(form(text), strict=False), len(text)
        except (ValueError, RecursionError):
            continue
    return None, len(text)


def _as_json(match: re.Match[str]) -> str:
    if match[4]:
        return f'"{match[4]}":' if match[5] else match[4] if match[4] in ("true", "false", "null") else "null"
    if match[1] is not None:
        return match[0]
    return "" if match[2] is match[3] else json.dumps((match[2] or match[3] or "").replace("\\/", "/"))


def markup_in(value: str) -> list[str]:
    """The texts with images' tags in *value*: those of the JSON that it is, else itself."""
    data = literal(value) if value[:1] in ("{", "[") else None
    left, found = [value if data is None else data], []
    while left:
        each = left.pop()
        if isinstance(each, str) and "<img" in each:
            found.append(each)
        elif isinstance(each, dict | list):
            left += reversed(list(each.values()) if isinstance(each, dict) else each)
    return found
