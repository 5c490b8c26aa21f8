"""Arrays and objects as JavaScript and JSON write them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from imgcrawl.possessive import compile_late, compile_possessive

MAX_VALUE = 1_000_000  # characters that are read of one value

QUOTES = re.compile(r"\\{1,2}(?:u0022|x22)")  # as they stand in a text for JSON.parse
_NO_NAMES: Mapping[str, Any] = MappingProxyType({})
# A literal of JavaScript is made JSON: texts, names of keys, other names, comments, commas too many.
# What is not closed ends at the end: that keeps it linear.
_DOUBLE, _SINGLE = (rf"{quote}((?:[^{quote}\\]++|\\.?+)*+)(?:{quote}|\Z)" for quote in "\"'")
_COMMENT = r"//[^\n]*+|/\*.*?(?:\*/|\Z)"
_TOKEN = compile_late(
    rf"{_DOUBLE}|{_SINGLE}|`([^`\\$]*+)(?:`|\Z)|(void 0|[A-Za-z_$][\w$]*+)(\s*+:)?|{_COMMENT}|,(?=\s*+[}}\]])|![01]",
    re.DOTALL,
)
_BRACKET = compile_late(rf"[\[\]{{}}]|{_DOUBLE}|{_SINGLE}|`[^`]*+(?:`|\Z)|{_COMMENT}", re.DOTALL)

# What stands before a literal, read backwards: so it can begin in one place only.
_CALLED = compile_possessive(r"""(?:["'`]\s*+\(esrap\.NOSJ)?+\s*+[:=(]\s*+["']?+([\w$./-]{1,60}+)(?![\w$./-])""")


def literal(text: str, start: int = 0, limit: int = MAX_VALUE) -> Any:
    """The array or object of JavaScript or JSON that begins at *start*; None where none does within *limit*."""
    return literal_to(text, start, limit)[0]


def literal_to(text: str, start: int, limit: int) -> tuple[Any, int]:
    """As `literal`, and how many characters were looked at for it."""
    end = end_of(text, start, limit)
    return (parsed(text[start:end]), end - start) if end else (None, min(limit, len(text) - start))


def end_of(text: str, start: int, limit: int = MAX_VALUE) -> int:
    """Where what the bracket at *start* opens is closed, within *limit* characters; 0 where it is not."""
    depth = 0
    for match in _BRACKET.finditer(text, start, start + limit):
        depth += (match[0] in ("[", "{")) - (match[0] in ("]", "}"))
        if depth <= 0:
            return match.end()
    return 0


def parsed(text: str, names: Mapping[str, Any] = _NO_NAMES) -> Any:
    """The array or object that *text* is, with the values that *names* have in it; None where it is none."""
    for form in (str, lambda code: _TOKEN.sub(partial(_as_json, names), code)):
        try:
            return json.loads(form(text), strict=False)
        except (ValueError, RecursionError):
            continue
    return None


def _as_json(names: Mapping[str, Any], match: re.Match[str]) -> str:
    if match[4]:
        if match[5]:
            return f'"{match[4]}":'
        return match[4] if match[4] in ("true", "false", "null") else json.dumps(names.get(match[4]))
    if match[1] is not None:
        return match[0]
    if match[0][0] == "!":
        return "true" if match[0] == "!0" else "false"
    return "" if match[2] is match[3] else json.dumps((match[2] or match[3] or "").replace("\\/", "/"))


def name_before(before: str) -> str:
    """What the literal behind *before* is called there, as a variable, a key or what it is handed to; or nothing."""
    called = _CALLED.match(before[::-1])
    return called[1][::-1] if called else ""


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
