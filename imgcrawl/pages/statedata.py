"""Where the data stands that pages keep for their scripts: in scripts and attributes, among much else."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from imgcrawl.pages.bounds import leave_out
from imgcrawl.pages.frameworks import arguments_of, in_flight, plain, text_of_json
from imgcrawl.pages.literals import end_of, name_before, parsed
from imgcrawl.possessive import compile_possessive

_MOST_NAMES = 50  # of what the page shows
_MOST_SOUGHT = 100_000_000  # characters that are gone through, once for each of very many names
_MOST_STARTS, _MOST_READ = 2_000, 4_000_000  # places where data may begin, and characters that are read of a page
_START = compile_possessive(r"""(?:^|[=(,:&|?]|return)\s*+(?:([\[{])|(?=["'`](?:[\[{]|%[57]B)))""", re.IGNORECASE)
_TEXT = compile_possessive(r""""(?:[^"\\]++|\\.)*+"|'(?:[^'\\]++|\\.)*+'|`(?:[^`\\]++|\\.)*+`""", re.DOTALL)
_DECODER = json.JSONDecoder(strict=False)
_NAME = 64  # characters
_LONGEST = 2_000_000  # characters of data
_MOST_BRACKETS = 500_000  # of a text: each list takes fifty times what it is written in


def looked_for(names: list[str], texts: Iterable[str]) -> list[str]:
    """Those of *names* by which data is looked for in *texts*: of very many some that stand there."""
    if len(names) > _MOST_NAMES:
        length = sum(map(len, texts)) + 1
        looked = names[: _MOST_SOUGHT // length]
        there = [name for name in looked if any(name in text for text in texts)] + names[len(looked) :]
        names = there[:: len(there) // _MOST_NAMES + 1]
    return names


def data_in(texts: Iterable[str], names: Collection[str]) -> Iterator[tuple[str, str, Any]]:
    """The data in *texts* that has one of *names* in it, each with its text and what it is called."""
    left, starts = _MOST_READ, 0
    flight = ""
    for text in texts:
        if "__next_f" in text:
            flight += in_flight(text)
            continue
        position, last = 0, max((text.rfind(name) for name in names), default=-1)
        if last >= 0 and _has_too_much(text):
            continue
        while position <= last and (match := _START.search(text, position)):
            if left <= 0 or starts >= _MOST_STARTS:
                leave_out("images")
                break
            starts += 1
            data, end = _read(text, match, names, min(left, _LONGEST))
            left -= abs(end) - match.end()
            position = end if end > match.end() else match.end()
            if data is not None:
                called = name_before(text[max(0, match.start() - _NAME) : match.start() + 1])
                yield text, called.rpartition(".")[2], plain(data, abs(end) - match.start())
    if flight and _has(flight, names) and not _has_too_much(flight):
        yield flight, "", plain(flight, len(flight))


def _has_too_much(text: str) -> bool:
    if is_more := text.count("[") + text.count("{") > _MOST_BRACKETS:
        leave_out("images")
    return is_more


def _has(text: str, names: Collection[str], start: int = 0, end: int | None = None) -> bool:
    return any(text.find(name, start, end) >= 0 for name in names)


def _read(text: str, match: re.Match[str], names: Collection[str], limit: int) -> tuple[Any, int]:
    """The data that begins at *match*, if one of *names* is in it, and where it ends; where it is none how far was
    looked, as a negative number."""
    if match[1] is None:
        quoted = _TEXT.match(text, match.end(), match.end() + limit)
        if quoted is None:
            return None, -min(match.end() + limit, len(text))
        return (_in_text(quoted[0]) if _has(quoted[0], names) else None), quoted.end()
    start = match.end() - 1
    try:
        data, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        end = end_of(text, start, limit)
        if not end:
            return None, -min(start + limit, len(text))
        if not _has(text, names, start, end):
            return None, end
        data = parsed(text[start:end], arguments_of(text, match.start(), end))
        return data, -end if data is None else end
    return (data if _has(text, names, start, end) else None), end


def _in_text(quoted: str) -> Any:
    text = text_of_json(quoted)
    if text[:1] == "%":
        text = unquote(text)
    return parsed(text)
