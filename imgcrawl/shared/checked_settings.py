"""Settings that are read, and refused, in one sentence each."""

from __future__ import annotations

from scrapy.settings import BaseSettings

from imgcrawl.exceptions import InputError


def key_name(settings: BaseSettings, name: str, default: str, spider: str) -> str:
    """The name of a key in Redis. Raises `InputError` if *spider* has no place in it."""
    template = settings.get(name) or default
    try:
        made: str = template % {"spider": spider, "name": spider}
    except (TypeError, ValueError, KeyError):
        raise InputError(f"{name}={template!r}: expected a key, in which %(spider)s is the spider's name") from None
    return made


def flag(settings: BaseSettings, name: str) -> bool:
    """The setting of that name. Raises `InputError` if it is neither true nor false."""
    try:
        return settings.getbool(name)
    except ValueError:
        raise InputError(f"{name}={settings[name]!r}: expected True or False") from None


def number(settings: BaseSettings, name: str, default: float, least: float) -> float:
    """The setting of that name. Raises `InputError` if it is no number, or less than *least*."""
    value = settings.get(name, default)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = least - 1
    if not least <= number < 1e9:
        raise InputError(f"{name}={value!r}: expected a number, {least} or more")
    return number
