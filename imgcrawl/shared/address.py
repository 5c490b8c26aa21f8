"""Where the server is, if there is one to be shared: the settings of scrapy-redis. Loads nothing of Redis."""

from __future__ import annotations

import os
from typing import Any

from scrapy.settings import BaseSettings

from imgcrawl.exceptions import InputError


def redis_params(settings: BaseSettings) -> dict[str, Any]:
    """REDIS_PARAMS. Raises `InputError` if that is no dict."""
    try:
        return settings.getdict("REDIS_PARAMS")
    except (ValueError, TypeError) as error:  # the value may have a password in it
        raise InputError(f"REDIS_PARAMS: {error}; expected a JSON object or a dict of redis-py's options") from None


def redis_url(settings: BaseSettings) -> str | None:
    """The address of the server: REDIS_URL (setting, or environment variable), or what REDIS_HOST, REDIS_PORT and
    REDIS_DB make, each of which is enough, and so is one that REDIS_PARAMS has. None if nothing of that is set.

    REDIS_DB also completes an address that names no database. Raises `InputError` for a port or database that is no
    number, and for REDIS_PARAMS that are no dict.
    """
    params = redis_params(settings)
    url = str(settings.get("REDIS_URL") or os.environ.get("REDIS_URL") or params.get("url") or "")
    host, port, db = (settings.get(name) for name in ("REDIS_HOST", "REDIS_PORT", "REDIS_DB"))
    host, port = host or params.get("host"), port or params.get("port")
    if not url and host in (None, "") and port in (None, "") and db in (None, ""):
        return None
    for name, value in (("REDIS_PORT", port), ("REDIS_DB", db)):
        if value not in (None, "") and not str(value).isdecimal():
            raise InputError(f"{name}={value!r}: expected a number")
    if not url:
        host = str(host or "localhost")
        url = f"redis://{f'[{host}]' if ':' in host else host}:{port or 6379}"
    scheme, _, rest = url.partition("://")
    if db not in (None, "", 0, "0") and "unix" not in scheme and not rest.partition("/")[2] and "db=" not in rest:
        address, mark, query = url.partition("?")
        url = f"{address.rstrip('/')}/{db}{mark}{query}"
    return url
