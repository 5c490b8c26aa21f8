"""The forms in which frameworks write data into pages, as plain lists and objects."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from imgcrawl.pages.bounds import leave_out
from imgcrawl.pages.candidates import Rank, is_file
from imgcrawl.pages.literals import parsed
from imgcrawl.pages.tags import EXTENSION
from imgcrawl.possessive import compile_late, compile_possessive

_MOST_NODES, _DEEPEST, _MOST_REFERENCES = 200_000, 100, 3
# Next.js: texts that are pushed one after the other, together rows with a number in front, and `$` and that in others.
_FLIGHT = compile_possessive(r"""__next_f\.push\(\s*+\[\s*+1\s*+,\s*+("(?:[^"\\]++|\\.)*+")""", re.DOTALL)
_ROW = compile_possessive(r"^([0-9a-f]{1,6}):(?=[\[{\"])", re.MULTILINE)
_REFERENCE = re.compile(r"\$[L@]?([0-9a-f]{1,6})(?::([\w:-]{1,200}))?")
# Nuxt 3, SvelteKit and React Router: a list of all values, in which numbers stand for them.
_WRAPPERS = frozenset(("Reactive", "ShallowReactive", "Ref", "ShallowRef", "EmptyRef", "Set"))
_INDEX = re.compile(r"_[0-9]{1,7}")
# Nuxt 2: a function whose arguments are the values that occur more than once.
_FILLED = compile_possessive(r"function\s*+\(([\w$,\s]{1,50000}+)\)\s*+\{(?:[^{}]{0,20000}?[;\s])?return\s*+\Z")
_ARGUMENTS = compile_late(
    r"""[;\s]*+\}\s*+\)?\s*+\(((?:"(?:[^"\\]++|\\.)*+"|'(?:[^'\\]++|\\.)*+'|[^()"'`]++|\([^()]*+\))*+)\)""", re.DOTALL
)
_BEFORE = 60_000
_ESCAPED = re.compile(r"\\x([0-9a-fA-F]{2})|\\(.)|\"", re.DOTALL)
_ESCAPES = frozenset('"\\/bfnrtu')
_OF_IMAGE = compile_late(rf"\.{EXTENSION}", re.IGNORECASE)
# Data for scripts: surely; where it is an object, or a list.
_STATES = re.compile(r"(wire:.*|props|items|value|x-data|x-init|ng-init|data-bind)|(?:data-|:|v-bind:).*")
_BEGINS = re.compile(r"\s*+\{\s*+[\"'\w]")
_BASE64 = compile_possessive(r"""["'`]((?:W[3yw]|eyJ|aHR0c|L[2y])[A-Za-z0-9+/]{40,}+={0,2})["'`]""")
_SEPARATED, _MOST_DECODED = re.compile(r"[,|;\s]++(?=/|https?:)"), 100
_INTERCHANGED = re.compile(r"""\[\s*+([^\s,\[\]"'`{}]{1,2000}+)\s*+,""")
_DECODER = json.JSONDecoder(strict=False)


def is_state(name: str, value: str) -> bool:
    """Whether an attribute holds data for scripts, in which much may be that they do not show here."""
    match = _STATES.fullmatch(name)
    return match is not None and (match[1] is not None or _BEGINS.match(value) is not None)


def interchanged(value: str) -> list[tuple[Rank, str]]:
    """What Foundation has of an image, ranked, of which the last is the largest: `[/a.jpg, small], [/b.jpg, large]`."""
    sizes = enumerate(_INTERCHANGED.findall(value), 2)
    return [((1, True, 0, 0, place), size) for place, size in sizes if is_file(size)]


def text_of_json(quoted: str) -> str:
    """The text that a literal of JavaScript or JSON stands for, with its quotes."""
    try:
        return str(json.loads(f'"{_ESCAPED.sub(_as_json, quoted[1:-1])}"', strict=False))
    except ValueError:
        return ""


def _as_json(match: re.Match[str]) -> str:
    if match[1]:
        return f"\\u00{match[1]}"
    escaped = match[2] or match[0]
    return f"\\{escaped}" if escaped in _ESCAPES else escaped.strip("\n")


def decoded_in(script: str) -> Iterator[str]:
    """The lists and objects, as JSON, that *script* has in base64; of several addresses one list."""
    for match in islice(_BASE64.finditer(script), _MOST_DECODED):
        try:
            decoded = b64decode(match[1]).decode()
        except ValueError:
            continue
        if decoded[0] in "[{":
            yield decoded
        elif _OF_IMAGE.search(decoded) and _SEPARATED.search(decoded):
            yield json.dumps(_SEPARATED.split(decoded))


def in_flight(script: str) -> str:
    """What a script of Next.js pushes of the page's data."""
    return "".join(map(text_of_json, _FLIGHT.findall(script)))


def arguments_of(text: str, start: int, end: int) -> Mapping[str, Any]:
    """What the names in the object `text[start:end]` are, where a function returns it that is called at once."""
    names = _FILLED.search(text, max(0, start - _BEFORE), start + len("return "))
    values = _ARGUMENTS.match(text, end) if names else None
    stated = parsed(f"[{values[1]}]") if values else None
    return dict(zip(map(str.strip, names[1].split(",")), stated, strict=False)) if names and stated else {}


def plain(data: Any, size: int) -> Any:
    """*data*, which is written in *size* characters, without what Livewire, Astro, Apollo, Flickr and others wrap its
    values in, and with what it refers to; of a text of Next.js what its rows say."""
    if isinstance(data, str):
        rows = _rows(data)
        return _Plain(rows, size).of(list(rows.values()))
    if isinstance(data, list) and _is_indexed(data):
        data = _Indexed(data).of(0)
    elif isinstance(data, dict) and data and all(map(_is_astro, data.values())):
        return {key: _of_astro(value) for key, value in data.items()}
    return _Plain(data if isinstance(data, dict) else {}, size).of(data)


def _rows(text: str) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for row in _ROW.finditer(text):
        try:
            rows[f"${row[1]}"] = _DECODER.raw_decode(text, row.end())[0]
        except (ValueError, RecursionError):
            continue
    return rows


class _Plain:
    def __init__(self, root: dict[str, Any], size: int) -> None:
        self._root = root
        self._left = min(_MOST_NODES, 1_000 + size // 2)  # what is referred to is read again
        self._open: list[str] = []  # what is referred to, and is being read
        self._in_texts: dict[str, Any] = {}  # JSON in texts, each of which may be referred to thousands of times

    def of(self, data: Any, depth: int = 0) -> Any:
        self._left -= 1
        if self._left == -1:
            leave_out("images")
        if depth > _DEEPEST or self._left < 0:
            return None
        if isinstance(data, str):
            return self._text(data, depth) if data[:1] in ("$", "{", "[") else data
        if isinstance(data, list):
            is_livewire = len(data) == 2 and isinstance(data[1], dict) and isinstance(data[1].get("s"), str)
            return self.of(data[0], depth + 1) if is_livewire else [self.of(each, depth + 1) for each in data]
        return self._object(data, depth) if isinstance(data, dict) else data

    def _object(self, data: dict[str, Any], depth: int) -> Any:
        reference = data.get("__ref") or (data.get("id") if data.get("type") == "id" else None)
        if isinstance(reference, str) and reference in self._root:
            return self._referred(reference, depth)
        if isinstance(data.get("data"), dict) and all(key == "data" or key[:1] == "_" for key in data):
            return self.of(data["data"], depth + 1)  # Flickr
        return {key: self.of(value, depth + 1) for key, value in data.items()}

    def _text(self, text: str, depth: int) -> Any:
        if text[0] == "$":
            match = _REFERENCE.fullmatch(text)
            if match is None or f"${match[1]}" not in self._root:
                return text
            return self._referred(f"${match[1]}", depth)
        if len(text) > 9:
            if text not in self._in_texts:
                self._in_texts[text] = _json_in(text)
            return self.of(self._in_texts[text], depth + 1) or text
        return text

    def _referred(self, reference: str, depth: int) -> Any:
        if reference in self._open or len(self._open) >= _MOST_REFERENCES:
            return None
        self._open.append(reference)
        found = self.of(self._root[reference], depth + 1)
        self._open.pop()
        return found


def _json_in(text: str) -> Any:
    """What *text* is as JSON, if it may have images in it; else None."""
    try:
        return json.loads(text, strict=False) if _OF_IMAGE.search(text) else None
    except (ValueError, RecursionError):
        return None


def _is_astro(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and type(value[0]) is int and 0 <= value[0] < 12


def _of_astro(value: Any, depth: int = 0) -> Any:
    """Astro: each value with its type in front."""
    if depth > _DEEPEST or not _is_astro(value):
        return None
    of, inner = value
    if isinstance(inner, list) and of:
        return [_of_astro(each, depth + 1) for each in inner]
    if isinstance(inner, dict):
        return {key: _of_astro(each, depth + 1) for key, each in inner.items()}
    return inner


def _is_indexed(data: list[Any]) -> bool:
    first = data[0] if data else None
    if isinstance(first, list):
        return len(first) == 2 and first[0] in _WRAPPERS
    return isinstance(first, dict) and bool(first) and all(type(value) is int for value in first.values())


class _Indexed:
    def __init__(self, values: list[Any]) -> None:
        self._values = values
        self._left = min(_MOST_NODES, 1_000 + 5 * len(values))  # what is shared is read again

    def of(self, index: Any, depth: int = 0) -> Any:
        self._left -= 1
        if self._left == -1:
            leave_out("images")
        if type(index) is not int or not 0 <= index < len(self._values) or depth > _DEEPEST or self._left < 0:
            return None
        value = self._values[index]
        if isinstance(value, dict):
            return {self._key(key): self.of(each, depth + 1) for key, each in value.items()}
        if isinstance(value, list):
            if value and isinstance(value[0], str):
                return self.of(value[1], depth + 1) if len(value) == 2 and value[0] in _WRAPPERS else None
            return [self.of(each, depth + 1) for each in value]
        return value

    def _key(self, key: str) -> str:
        if not _INDEX.fullmatch(key):
            return key
        name = self._values[int(key[1:])] if int(key[1:]) < len(self._values) else key
        return name if isinstance(name, str) else key
