"""Lines for people: logs and terminals quote strangers, and addresses in which passwords stand.

All that goes to a log or a terminal goes through `printable`: a command's own words by `commands.base`, log lines by
`extensions.loglines`. Strangers choose its length, too: whatever is matched here, each character is looked at a few
times at the most.
"""

from __future__ import annotations

import re

from imgcrawl.possessive import compile_late, compile_possessive

_SERVERS = r"\b(?:rediss?|unix|valkeys?|postgres(?:ql)?)://"
# Of databases' addresses and the like everything before an @ is taken for a password, whatever it is.
_SERVER = compile_late(rf"(?P<scheme>{_SERVERS}|\bsocks\w*://)(?P<rest>\S*+)", re.IGNORECASE)
# `//user:password@`. Nobody's password ends at a slash: where what follows the colon is no port, all up to the last @
# belongs to it, with which the text that this is matched with ends.
_CREDENTIALS = re.compile(r"//[^/@:]*+:(?![0-9]{1,5}[/?#]).*@|//[^/]*@")
_SCHEME = compile_late(r"[a-z][a-z0-9+.-]*+://", re.IGNORECASE)
# In XPath an @ begins a step, and stands behind what ends one, or begins a predicate or an argument.
_XPATH = compile_possessive(r"(?:[^@]*+(?<![^\[(/|,=<>!])@[\w*])++[^@]*+")
_WORD = re.compile(r"""[^\s'"]++""")
_SERVER_ADDRESS = compile_late(rf"""{_SERVERS}[^\s'"]*+""", re.IGNORECASE)
_SECRET_PARAMETER = compile_late(r"([?&][a-z_]*(?:password|username|secret|token)=)[^&#\s]*+", re.IGNORECASE)

# What terminals obey, and what turns the order of characters around.
_OBEYED = compile_late("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\r(?!\n)")

HIDDEN = "***"
SECRET_NAME = re.compile(
    r"PASS|SECRET|TOKEN|(ACCESS|API|PRIVATE)_KEY|HTTPAUTH_USER|HOST_HEADERS|NOTIFY_URLS"
)  # of a setting
_SETTING = re.compile(
    r"""('(?P<name>[A-Za-z][A-Za-z0-9_]*+)': )(b?'[^']*+'|b?"[^"]*+")"""
)  # as Scrapy logs those that are not its own


class Secret(str):
    """Text that came from a file or a variable, so that nobody reads it: its repr, and that of what holds it, is ***.

    So are logged settings and sentences that quote a value.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(HIDDEN)


def printable(text: str) -> str:
    """*text* as a log or a terminal may show it: one line without control characters, and without credentials.

    Control characters and other invisible ones are replaced by U+FFFD, tabs stay. Of an address in it the user and the
    password are left out, of a database's address its parameters of such names, of a setting of such a name its value.
    """
    if "://" in text:
        text = _SERVER_ADDRESS.sub(lambda found: _SECRET_PARAMETER.sub(r"\1***", found[0]), text)
        if "@" in text:
            text = _SERVER.sub(lambda found: found["scheme"] + found["rest"].rpartition("@")[2], text)
            text = _WORD.sub(_without_credentials, text)
    if "': " in text:
        text = _SETTING.sub(_without_secret, text)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in text)


def escaped_json(text: str) -> str:
    """*text*, which is JSON, with escapes for what a terminal would obey: to a program it says the same."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def without_commands(text: str) -> str:
    """*text*, of several lines, with U+FFFD for what a terminal would obey."""
    return _OBEYED.sub("\N{REPLACEMENT CHARACTER}", text)


def shown_address(address: str) -> str:
    """The user's own *address* of a server or a proxy for a sentence, whatever is wrong with it: its scheme and what
    stands behind the last @, which no password can be part of."""
    scheme = _SCHEME.match(address)
    return printable((scheme[0] if scheme else "") + address[scheme.end() if scheme else 0 :].rpartition("@")[2])


def _without_credentials(word: re.Match[str]) -> str:
    before, at, behind = word[0].rpartition("@")
    if "//" not in before or ("://" not in before and _XPATH.fullmatch(word[0])):
        return word[0]
    return _CREDENTIALS.sub("//", before + at) + behind


def _without_secret(setting: re.Match[str]) -> str:
    return f"{setting[1]}{HIDDEN!r}" if SECRET_NAME.search(setting["name"].upper()) else setting[0]
