"""Spiders of scrapy-redis that cannot be made: a sentence in the place of its traceback."""

from __future__ import annotations

from typing import Any

from scrapy.crawler import Crawler

from imgcrawl.exceptions import InputError


def check_redis_spider(crawler: Crawler, module: Any) -> None:
    """Raise `InputError` if the spider of *crawler* is one of scrapy-redis, whose spiders are in *module*, that its
    `setup_redis` does not take."""
    kind: Any = crawler.spidercls
    if not issubclass(kind, module.RedisMixin) or kind.setup_redis is not module.RedisMixin.setup_redis:
        return
    key = kind.redis_key
    if key is None:
        key = crawler.settings.get("REDIS_START_URLS_KEY", module.defaults.START_URLS_KEY)
    expected = f'"{kind.name}:start_urls" or "%(name)s:start_urls"'
    _check(lambda: (key % {"name": kind.name}).strip()[0], f"redis_key of {kind.name}", key, expected)
    batch, idle = kind.redis_batch_size, kind.max_idle_time
    _check(lambda: int(batch or 0), f"redis_batch_size of {kind.name}", batch, "a whole number")
    if idle is None:
        idle = crawler.settings.get("MAX_IDLE_TIME_BEFORE_CLOSE", module.defaults.MAX_IDLE_TIME)
    _check(lambda: int(idle), f"max_idle_time of {kind.name}", idle, "a whole number of seconds")


def _check(use: Any, name: str, value: Any, expected: str) -> None:
    try:
        use()
    except (TypeError, ValueError, LookupError, AttributeError):
        raise InputError(f"{name} is {value!r:.100}; expected {expected}") from None
