"""What the settings say of the run that a worker joins."""

from __future__ import annotations

import codecs

from scrapy import Spider
from scrapy.settings import BaseSettings
from scrapy_redis import defaults

from imgcrawl.exceptions import InputError
from imgcrawl.frontier.leases import Leases
from imgcrawl.frontier.run import RunOptions
from imgcrawl.frontier.run_arguments import arguments_of
from imgcrawl.shared.checked_settings import flag, number

FOR_EVER = 100 * 365 * 86400.0  # seconds


def leases_from_settings(settings: BaseSettings) -> Leases:
    """Raises `InputError` for FRONTIER_PREFETCH or FRONTIER_PER_HOST that is no number, 1 or more."""
    # Some ahead of what a host may be asked at once; but one that hangs must leave room for all others.
    per_host = 2 * settings.getint("CONCURRENT_REQUESTS_PER_DOMAIN")
    if total := settings.getint("CONCURRENT_REQUESTS"):
        per_host = min(per_host, total // 2)
    return Leases(
        prefetch=int(number(settings, "FRONTIER_PREFETCH", 16, 1)),
        per_host=int(number(settings, "FRONTIER_PER_HOST", max(1, per_host), 1)),
    )


def run_options_from_settings(settings: BaseSettings, spider: Spider | None = None) -> RunOptions:
    """What the settings say of the run that *spider* is to join. Raises `InputError` where they make no sense."""
    return RunOptions(
        persist=flag(settings, "SCHEDULER_PERSIST"),
        flush_on_start=flag(settings, "SCHEDULER_FLUSH_ON_START"),
        idle_before_close=_idle_before_close(settings, spider),
        name=settings.get("FRONTIER_RUN") or "",
        arguments=arguments_of(spider, settings) if spider else {},
    )


def _idle_before_close(settings: BaseSettings, spider: Spider | None) -> float:
    """Seconds that a crawl with nothing to do waits for what is fed.

    SCHEDULER_IDLE_BEFORE_CLOSE, or MAX_IDLE_TIME_BEFORE_CLOSE where that is longer: 0 means for ever there, as it does
    for a spider of scrapy-redis, whose attribute `max_idle_time` counts.
    """
    idle = number(settings, "SCHEDULER_IDLE_BEFORE_CLOSE", 0, 0)
    longest = getattr(spider, "max_idle_time", None)
    if longest is None and settings.get("MAX_IDLE_TIME_BEFORE_CLOSE") is not None:
        longest = number(settings, "MAX_IDLE_TIME_BEFORE_CLOSE", 0, 0)
    return idle if longest is None else max(idle, float(longest) or FOR_EVER)


def check_settings(settings: BaseSettings) -> None:
    """Raises `InputError` for settings of the queue that are not what they should be."""
    encoding = settings.get("REDIS_ENCODING") or defaults.REDIS_ENCODING
    try:
        codecs.lookup(encoding)
    except (LookupError, TypeError):
        raise InputError(f"REDIS_ENCODING={encoding!r}: expected the name of an encoding that Python knows") from None
    leases_from_settings(settings)
    run_options_from_settings(settings)
