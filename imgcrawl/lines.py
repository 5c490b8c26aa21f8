"""Lines for people: logs and terminals quote strangers, and addresses in which passwords stand.

All that goes to a log or a terminal goes through `printable`: a command's own words by `commands.base`, log lines by
`extensions.loglines`.
"""

from __future__ import annotations

import re

# `//user:password@`. Nobody's password ends at a slash: where what follows the colon is no port, all up to the last @
# belongs to it. Of databases' addresses and the like everything before an @ is taken for it, whatever it is.
_CREDENTIALS = re.compile(
    r"""
    (?P<scheme>\b(?:rediss?|unix|valkeys?|socks\w*|postgres(?:ql)?)://)\S*@
  | //[^\s/@:'"]*:(?![0-9]{1,5}(?:[/?#\s'"]|$))[^\s'"]*@
  | //[^\s/'"]*@
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SERVER_ADDRESS = re.compile(r"""\b(?:rediss?|unix|valkeys?|postgres(?:ql)?)://[^\s'"]*""", re.IGNORECASE)
_SECRET_PARAMETER = re.compile(r"([?&][a-z_]*(?:password|username|secret|token)=)[^&#\s]*", re.IGNORECASE)

HIDDEN = "***"
SECRET_NAME = re.compile(r"PASS|SECRET|TOKEN|(ACCESS|API|PRIVATE)_KEY|HTTPAUTH_USER|HOST_HEADERS")  # of a setting
_SETTING = re.compile(
    r"""('(?P<name>[A-Za-z][A-Za-z0-9_]*)': )(b?'[^']*'|b?"[^"]*")"""
)  # as Scrapy logs those that are not its own


class Secret(str):
    """Text that came from a file or a variable, so that nobody reads it: its repr, and that of what holds it, is ***.

    So are logged settings and sentences that quote a value.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(HIDDEN)


def _without_secret(setting: re.Match[str]) -> str:
    return f"{setting[1]}{HIDDEN!r}" if SECRET_NAME.search(setting["name"].upper()) else setting[0]


def printable(text: str) -> str:
    """*text* as a log or a terminal may show it: one line without control characters, and without credentials.

    Control characters and other invisible ones are replaced by U+FFFD, tabs stay. Of an address in it the user and the
    password are left out, of a database's address its parameters of such names, of a setting of such a name its value.
    """
    if "://" in text:
        text = _SERVER_ADDRESS.sub(lambda found: _SECRET_PARAMETER.sub(r"\1***", found[0]), text)
        if "@" in text:
            text = _CREDENTIALS.sub(lambda found: found["scheme"] or "//", text)
    if "': " in text:
        text = _SETTING.sub(_without_secret, text)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in text)
