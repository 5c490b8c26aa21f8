"""Encodings of pages: those of the Encoding Standard (https://encoding.spec.whatwg.org), and no others."""

from __future__ import annotations

import codecs
from functools import lru_cache

# Python's names of what the labels of the standard mean, and of its supersets (by which w3lib reads pages).
_CODECS = frozenset({
    "ascii", "big5", "big5hkscs", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257",
    "cp1258", "cp866", "cp874", "cp932", "cp949", "euc_jp", "euc_kr", "gb18030", "gb2312", "gbk", "iso2022_jp",
    "iso8859-1", "iso8859-10", "iso8859-11", "iso8859-13", "iso8859-14", "iso8859-15", "iso8859-16", "iso8859-2",
    "iso8859-3", "iso8859-4", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8", "iso8859-9", "koi8-r", "koi8-u",
    "mac-cyrillic", "mac-roman", "shift_jis", "tis-620", "utf-16", "utf-16-be", "utf-16-le", "utf-8", "utf-8-sig",
})  # fmt: skip


@lru_cache(64)
def is_web_encoding(name: str) -> bool:
    """Whether *name* is that of an encoding of pages, and not of one of Python's other codecs (punycode, hex, zip)."""
    try:
        return codecs.lookup(name).name in _CODECS
    except (LookupError, ValueError, UnicodeError):
        return False


def is_nearly_utf_8(body: bytes) -> bool:
    """Whether *body*, which may say nothing of its encoding, is UTF-8 but for some bytes: a text that was cut within a
    character. What is in another encoding has hardly a character of UTF-8 in it."""
    text = body.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    other = len(text) - len(text.encode("ascii", "ignore"))
    return bad > 0 and 3 * bad < other


def guessed_encoding(body: bytes) -> str:
    """That of a page which does not say it: UTF-8 if it is that, or what browsers take, windows-1252."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"
