"""Lists whose pages go by a letter or a month, and have no number: an index A to Z, the archives of a blog."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from imgcrawl.possessive import compile_late

_MONTH = compile_late(
    r"[«‹<←⟵]\s?(?:jan|f[eé][bv]|m[aä]r|apr|avr|abr|ma[iy]|jui?[nl]|aug|ao[uû]|ago|se[pt]|o[ckt]t|nov|d[eé][cz]|ene|gen|янв|фев"
    r"|мар|апр|май|июн|июл|авг|сен|окт|ноя|дек)[^\W\d_]{0,8}\.?(?: [0-9]{4})?",
    re.IGNORECASE,
)
_BY_MONTH = re.compile(r"\b[0-9]{4}[/-](?:0?[1-9]|1[0-2])/?$")


def next_in_index(url: str, links: Iterable[tuple[str, str]]) -> list[str]:
    """The page behind that at *url*, of *links* (what they say, and their addresses): the next letter, where the
    addresses differ from *url* in that alone, or the month before, as "« Feb" names it."""
    months, letters = list[str](), dict[str, str]()
    own = ""
    for said, address in links:
        if _BY_MONTH.search(url) and _BY_MONTH.search(address) and _MONTH.fullmatch(said):
            months.append(address)
        elif len(said) == 1 and said.isalpha() and (letter := _letter_of(url, address, said)):
            own = letter
            letters[said.lower()] = address
    return months[:1] or _behind(own, letters)


def _letter_of(url: str, address: str, said: str) -> str:
    """The letter that *url* has where *address* has the one that is *said*; empty where they differ in more."""
    differ = [pair for pair in zip(url, address, strict=False) if pair[0] != pair[1]]
    is_alike = len(url) == len(address) and len(differ) == 1 and differ[0][1].lower() == said.lower()
    return differ[0][0].lower() if is_alike and differ[0][0].isalpha() else ""


def _behind(own: str, letters: Mapping[str, str]) -> list[str]:
    following = min((letter for letter in letters if letter > own), default="")
    # Of two letters, one may be anything.
    return [letters[following]] if own and following and len(letters) > 1 else []
