"""The arguments of a crawl (`-a name=value`): workers of one run must have the same."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from hashlib import blake2b, scrypt

from scrapy import Spider
from scrapy.settings import BaseSettings

from imgcrawl.lines import HIDDEN, SECRET_NAME, Secret, printable

LONGEST = 200  # characters of a value that are kept; of a longer one its beginning and a digest
LARGEST = 65_536  # bytes of what is read back


def arguments_of(spider: Spider, settings: BaseSettings) -> dict[str, str]:
    """What *spider*, which was just made, was started with. Of what a configuration file takes from elsewhere
    (SPIDER_ARGUMENTS in *settings*), or whose name is that of a secret, there is a digest: all who may read Redis read
    this.

    Scrapy keeps arguments as attributes of the spider, among its own. Of a spider that declares its options
    (`all_options`, as `BaseSpider` does) these count, of another all attributes that are text, a number or a truth
    value, but for those whose name begins with an underscore.
    """
    declared = getattr(spider, "all_options", None)
    names = declared() if declared else [name for name in vars(spider) if not name.startswith("_") and name != "name"]
    values = {name: vars(spider).get(name) for name in names}
    configured = settings.getdict("SPIDER_ARGUMENTS").get(spider.name, {})
    return {
        name: _hidden(name, str(value)) if _is_secret(name, configured.get(name)) else _shortened(str(value))
        for name, value in values.items()
        if isinstance(value, str | int | float)
    }


def dump(arguments: Mapping[str, str]) -> str:
    """*arguments* as they are kept: equal ones are equal text."""
    return json.dumps(arguments, sort_keys=True)


def load(value: bytes) -> dict[str, str] | None:
    """The arguments in *value*; None if `dump` would not write it."""
    if len(value) > LARGEST:
        return None
    try:
        arguments = json.loads(value.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(arguments, dict) or not all(isinstance(text, str) for text in arguments.values()):
        return None
    return arguments if dump(arguments).encode() == value else None


def shown(arguments: Mapping[str, str]) -> str:
    """*arguments* as on a command line."""
    given = (f"-a {shlex.quote(f'{name}={value}')}" for name, value in sorted(arguments.items()))
    return printable(" ".join(given)) or "no arguments"


def _shortened(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{text[:LONGEST]}… ({digest})"


def _is_secret(name: str, configured: object) -> bool:
    return isinstance(configured, Secret) or bool(SECRET_NAME.search(name.upper()))


def _hidden(name: str, text: str) -> str:
    """What equal secrets have in common, and guesses find out too slowly to be worth it."""
    salt = f"imgcrawl {name}".encode()
    digest = scrypt(text.encode("utf-8", "surrogatepass"), salt=salt, n=2**14, r=8, p=1, dklen=8)  # 16 MB, 50 ms
    return f"{HIDDEN} ({digest.hex()})"
