"""Numbers as people pick them: `1-50`, or `3, 7-9, 100-`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf
from typing import Any, Self

from imgcrawl.exceptions import InputError

_PART = re.compile(r"([0-9]{1,9})|([0-9]{0,9})\s*-\s*([0-9]{0,9})")


@dataclass(frozen=True, slots=True)
class Ranges:
    """Whole numbers from 1 on: those within one of *parts*, each a first and a last number; all if there are none."""

    parts: tuple[tuple[int, float], ...] = ()

    @classmethod
    def from_setting(cls, value: Any, name: str) -> Self:
        """What the *value* of the setting *name* says: a text, a number, or a list of these. Raises `InputError`."""
        texts = [str(each) for each in value] if isinstance(value, list | tuple) else str(value or "").split(",")
        return cls(tuple(_part(text.strip(), name, value) for text in texts if text.strip()))

    def __contains__(self, number: int) -> bool:
        return not self.parts or any(first <= number <= last for first, last in self.parts)

    @property
    def end(self) -> float:
        """The largest number that is within; infinite where there is none."""
        return max((last for _, last in self.parts), default=inf)


def _part(text: str, name: str, value: Any) -> tuple[int, float]:
    match = _PART.fullmatch(text)
    first = int(match[1] or match[2] or 1) if match else 0
    last = int(match[1] or match[3]) if match and (match[1] or match[3]) else inf
    if not match or not 1 <= first <= last or text == "-":
        raise InputError(
            f"{name}={value!r:.60}: expected numbers from 1 on and ranges of them, as in 1-50 or 3,7-9,100-"
        )
    return first, last
