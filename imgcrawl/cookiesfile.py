"""Cookies from a file as browsers' export tools, curl and gallery-dl write it."""

from __future__ import annotations

from http.cookiejar import Cookie
from pathlib import Path

from imgcrawl.exceptions import InputError, describe

_HTTP_ONLY = "#HttpOnly_"  # before a domain: kept from scripts, which does not concern us
_MAX_SIZE = 8 * 1024 * 1024  # bytes; a browser keeps some thousand cookies, of 4 KiB at the most
_WRITERS = "expected lines of seven fields with tabs between (Netscape format, as browsers' export tools write it)"


def read_cookies(name: str) -> list[Cookie]:
    """The cookies of the file *name* that have not expired.

    A line is domain, whether subdomains are meant (TRUE or FALSE), path, whether only https is meant, seconds since
    1970 until it expires (0 or less: never), name and value. Not `http.cookiejar.MozillaCookieJar`, which takes 0 for
    long expired, fails where a domain for subdomains has no dot in front, as many tools write it, and prints lines with
    their secrets when it fails.

    Raises `InputError`, which quotes nothing of what stands there.
    """
    try:
        with Path(name).open("rb") as file:  # which may be a pipe, or endless
            content = file.read(_MAX_SIZE + 1)
        if len(content) > _MAX_SIZE:
            raise InputError(f"COOKIES_FILE={name} has more than {_MAX_SIZE >> 20} MiB; {_WRITERS}")
        lines = content.decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        why = "it is no text in UTF-8" if isinstance(error, ValueError) else describe(error)
        raise InputError(f"COOKIES_FILE={name} cannot be read: {why}; {_WRITERS}") from None
    cookies = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or (line.startswith("#") and not line.startswith(_HTTP_ONLY)):
            continue
        try:
            cookies.append(_cookie(line.removeprefix(_HTTP_ONLY)))
        except (ValueError, OverflowError):
            raise InputError(f"COOKIES_FILE={name}: line {number} is no cookie; {_WRITERS}") from None
    valid = [cookie for cookie in cookies if not cookie.is_expired()]
    if not valid:
        has = "all cookies in it have expired" if cookies else "there are no cookies in it"
        raise InputError(f"COOKIES_FILE={name}: {has}; log in with a browser and export them again")
    return valid


def _cookie(line: str) -> Cookie:
    domain, subdomains, path, secure, expires, name, value = line.split("\t")
    if not {subdomains.upper(), secure.upper()} <= {"TRUE", "FALSE"} or not path.startswith("/"):
        raise ValueError
    end = max(0, int(float(expires or 0))) or None  # -1: until the browser ends, as Playwright writes it
    domain = domain.lower().lstrip(".")
    if not domain:
        raise ValueError
    if "." not in domain:
        domain += ".local"  # as `http.cookiejar` calls hosts of one label
    for_subdomains = subdomains.upper() == "TRUE"
    return Cookie(
        0, name, value, None, False, f".{domain}" if for_subdomains else domain, for_subdomains, for_subdomains, path,
        True, secure.upper() == "TRUE", end, end is None, None, None, {},
    )  # fmt: skip
