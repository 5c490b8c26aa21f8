"""Lines for people: what comes from strangers is shown as one line, without control characters."""

from __future__ import annotations


def printable(text: str) -> str:
    """*text* as a terminal may show it: one line, control characters and other invisible ones replaced."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in text)
