"""Scripts that are packed: a text in which words stand for numbers, as Dean Edwards's packer writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from imgcrawl.pages.bounds import leave_out
from imgcrawl.pages.frameworks import text_of_json
from imgcrawl.possessive import compile_late

_SAID = re.compile(r"function\s*\(\s*p\s*,\s*a\s*,\s*c\s*,\s*k\b")
_QUOTED = r""""(?:[^"\\]++|\\.)*+"|'(?:[^'\\]++|\\.)*+'"""
_PACKED = compile_late(
    rf"\}}\s*+\(\s*+({_QUOTED})\s*+,\s*+([0-9]{{1,2}})\s*+,\s*+[0-9]{{1,6}}\s*+,\s*+({_QUOTED})\s*+\.\s*+split\(",
    re.DOTALL,
)
_WORD = re.compile(r"\b\w+\b", re.ASCII)
_DIGITS = {
    digit: value
    for value, digit in enumerate("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
}  # fmt: skip
_MOST, _LONGEST = 20, 4_000_000  # scripts in one, and characters that one makes: few words may stand for very many


def unpacked_in(script: str) -> Iterator[str]:
    """The scripts that *script* has packed in it."""
    if "split" not in script or not _SAID.search(script):
        return
    for packed in islice(_PACKED.finditer(script), _MOST):
        if code := _unpacked(text_of_json(packed[1]), int(packed[2]), text_of_json(packed[3]).split("|")):
            yield code


def _unpacked(code: str, base: int, words: list[str]) -> str:
    if not 2 <= base <= len(_DIGITS):
        return ""
    pieces, position, length = list[str](), 0, 0
    for match in _WORD.finditer(code):
        number = _number(match[0], base)
        word = words[number] if number < len(words) and words[number] else match[0]
        pieces += (code[position : match.start()], word)
        position, length = match.end(), length + len(word)
        if length > _LONGEST:
            leave_out("images")
            return ""
    return "".join((*pieces, code[position:]))


def _number(digits: str, base: int) -> int:
    """What *digits* of *base* mean; a number that no word has where they are none."""
    number = 0
    for digit in digits[:6]:
        value = _DIGITS.get(digit, base)
        if value >= base:
            return _LONGEST
        number = number * base + value
    return number if len(digits) <= 6 else _LONGEST
