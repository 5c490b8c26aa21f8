"""Addresses found in a text, as lists of strangers and spreadsheets print them."""

from __future__ import annotations

import re

from imgcrawl.possessive import compile_late

_TOKEN = compile_late(
    r"""
    (?P<space>[\s,，;]++)
  | (?P<open>[\[({【［])
  | (?P<close>[\])}】］])
  | [uUbB]?'(?P<single>[^'\\]*+(?:\\.[^'\\]*+)*+)'
  | [uUbB]?"(?P<double>[^"\\]*+(?:\\.[^"\\]*+)*+)"
  | ‘(?P<curly>[^’]*+)’
  | “(?P<curly2>[^”]*+)”
  | (?P<nothing>(?:None|null|nan)\b)
  | (?P<bare>(?:[a-zA-Z][a-zA-Z0-9+.-]*+:)?//(?:[^\s,，\]】］'"’”]|,(?=[^\s'"\]])(?!(?:[a-zA-Z][\w+.-]*+:)?//))++)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ADDRESS = re.compile(r"(?:[a-zA-Z][a-zA-Z0-9+.-]*+:)?//|[a-zA-Z][a-zA-Z0-9+.-]*+:")


def addresses_in(text: str) -> list[str]:
    """The addresses in a printed list: `['https://…', "…"]`, a JSON array, `[]`, one bare address, or nothing.

    Nested lists count as one; empty strings, `None`, `null` and `nan` are left out; what stands in quotes is
    given as it is, also when it is no address, as long as an address is among it. Raises `ValueError` with the
    reason for other text, also for a list that was cut.
    """
    found: list[str] = []
    position = depth = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise ValueError(f"no list of addresses: {text[position : position + 40]!r} at character {position}")
        position = token.end()
        kind = token.lastgroup or ""
        if kind in ("open", "close"):
            depth += 1 if kind == "open" else -1
            if depth < 0:
                raise ValueError(f"no list of addresses: a bracket closes at character {position} that none opened")
        elif kind not in ("space", "nothing"):
            value = token[kind]
            if kind == "bare" and depth and value.endswith((")", "}")):
                value = _in_brackets(value)
                position = token.start() + len(value)
            if kind in ("single", "double"):
                value = _ESCAPE.sub(_escaped, value)
            try:
                # JSON writes a character beyond U+FFFF as two escapes.
                found.append(value.encode("utf-16", "surrogatepass").decode("utf-16").strip())
            except UnicodeDecodeError:
                raise ValueError("no list of addresses: half a surrogate pair") from None
    if depth:
        raise ValueError("no list of addresses: a bracket is not closed")
    found = [value for value in found if value]
    if found and not any(_ADDRESS.match(value) for value in found):
        raise ValueError(f"no list of addresses: {found[0][:40]!r} is none")
    return found


def _in_brackets(address: str) -> str:
    """*address* without what closes the brackets around it."""
    opening, closing = "()" if address[-1] == ")" else "{}"
    most = len(address) - len(address.rstrip(closing))
    return address[: len(address) - max(0, min(most, address.count(closing) - address.count(opening)))]


def _escaped(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if code is None:
        return {"n": "\n", "t": "\t", "r": "\r"}.get(match[4], match[4])
    return chr(int(code, 16)) if int(code, 16) <= 0x10FFFF else match[0]
