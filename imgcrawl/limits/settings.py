"""The limits of hosts, as the settings have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Self

from scrapy.settings import BaseSettings

from imgcrawl.exceptions import InputError
from imgcrawl.limits.backend import HostLimits


@dataclass(frozen=True)
class LimitSettings:
    """The limits of every host, *default*, and what ``DOWNLOAD_SLOTS`` says of some. *bandwidth*: bytes a second."""

    default: HostLimits
    slots: dict[str, dict[str, Any]]
    bandwidth: float

    @classmethod
    def from_settings(cls, settings: BaseSettings) -> Self:
        """Raises `InputError` for a number that makes no sense.

        ``CONCURRENT_REQUESTS_PER_DOMAIN``, ``DOWNLOAD_SLOTS``, ``DOWNLOAD_DELAY``, ``DOWNLOAD_DELAY_JITTER``,
        ``AUTOTHROTTLE_ENABLED``, ``AUTOTHROTTLE_START_DELAY``, ``AUTOTHROTTLE_MAX_DELAY``,
        ``AUTOTHROTTLE_TARGET_CONCURRENCY``: Scrapy's. Ours: ``LIMITS_SPEEDUP`` (2 requests a second, each second),
        ``BANDWIDTH`` (0: no limit), ``RETRY_AFTER_MAX`` (300 seconds).
        """
        delay = settings.getfloat("DOWNLOAD_DELAY")
        throttled = settings.getbool("AUTOTHROTTLE_ENABLED")
        limits = HostLimits(
            concurrency=settings.getint("CONCURRENT_REQUESTS_PER_DOMAIN"),
            delay=delay,
            target=settings.getfloat("AUTOTHROTTLE_TARGET_CONCURRENCY") if throttled else 0.0,
            first=settings.getfloat("AUTOTHROTTLE_START_DELAY"),
            longest=max(delay, settings.getfloat("AUTOTHROTTLE_MAX_DELAY")),
            speedup=settings.getfloat("LIMITS_SPEEDUP", 2.0),
            longest_block=settings.getfloat("RETRY_AFTER_MAX", 300.0),
        )
        bandwidth = settings.getfloat("BANDWIDTH", 0.0)
        above, at_least = "a number above 0", "a number, 0 or more"
        for name, value, right, expected in (
            ("CONCURRENT_REQUESTS_PER_DOMAIN", limits.concurrency, limits.concurrency >= 1, above),
            ("DOWNLOAD_DELAY", delay, 0 <= delay < inf, at_least),
            ("AUTOTHROTTLE_TARGET_CONCURRENCY", limits.target, limits.target > 0 or not throttled, above),
            ("LIMITS_SPEEDUP", limits.speedup, 0 < limits.speedup < inf, above),
            ("BANDWIDTH", bandwidth, 0 <= bandwidth < inf, at_least),
        ):
            if not right:
                raise InputError(f"{name}={value:g}: expected {expected}")
        slots = settings.getdict("DOWNLOAD_SLOTS")
        for host, own in slots.items():
            _check_slot(host, own)
        return cls(limits, slots, bandwidth)

    def limits_of(self, name: str, jitter: float) -> HostLimits:
        """The limits of the host (or proxy) of that *name*; *jitter* is the share by which its delay varies."""
        own = self.slots.get(name, {})
        return replace(
            self.default,
            concurrency=max(1, int(own.get("concurrency", self.default.concurrency))),
            delay=float(own.get("delay", self.default.delay)),
            jitter=min(1.0, jitter),
            target=0.0 if is_proxy(name) else self.default.target,  # a proxy is as slow as what is behind it
        )


def _check_slot(host: str, own: Any) -> None:
    """Raises `InputError` for limits *own* of a *host* that make no sense: later they would be an error whenever the
    engine looks whether there is room, and the crawl would never end."""
    if not isinstance(own, Mapping):
        raise InputError(f"DOWNLOAD_SLOTS: {host!r} is {own!r:.60}; expected a mapping, as in {{'delay': 2}}")
    for name, least, read, number in (
        ("concurrency", 1, int, "whole number"), ("delay", 0, float, "number"), ("jitter", 0, float, "number")
    ):  # fmt: skip
        try:
            is_right = least <= float(read(own.get(name, least))) < inf
        except (TypeError, ValueError, OverflowError):
            is_right = False
        if not is_right:
            raise InputError(
                f"DOWNLOAD_SLOTS: {name} of {host!r} is {own[name]!r:.60}; expected a {number}, {least} or more"
            )


def proxy_name(netloc: str) -> str:
    """The name under which the limits know the proxy at *netloc*, without its password."""
    return f"proxy {netloc.rpartition('@')[2]}"


def is_proxy(name: str) -> bool:
    """Whether the limits know a proxy under that *name*."""
    return name.startswith("proxy ")  # no host name has a space
