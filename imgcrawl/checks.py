"""Settings before they are used: whether there is one of that name, and whether its value makes sense."""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from math import inf
from typing import Any, NamedTuple
from urllib.parse import unquote
from urllib.request import getproxies

from scrapy.settings import BaseSettings, Settings, default_settings

from imgcrawl import settings as ours
from imgcrawl.exceptions import InputError
from imgcrawl.lines import HIDDEN, SECRET_NAME, shown_address
from imgcrawl.possessive import compile_late

logger = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
# What Scrapy, scrapy-redis, scrapy-playwright and imgcrawl read and have no default for in a module of settings.
_WITHOUT_DEFAULT = (
    "IMAGES_THUMBS", "IMAGES_URLS_FIELD", "IMAGES_RESULT_FIELD", "FILES_EXPIRES", "FILES_URLS_FIELD",
    "FILES_RESULT_FIELD", "IMGCRAWL_WITHOUT", "MAX_IDLE_TIME_BEFORE_CLOSE", "META_COPY_WARN_SKIP_KEYS",
    "PROGRESS_ENABLED", "PROGRESS_INTERVAL", "PLAYWRIGHT_BROWSER_TYPE", "PLAYWRIGHT_LAUNCH_OPTIONS",
    "PLAYWRIGHT_CDP_URL", "PLAYWRIGHT_CONTEXTS", "PLAYWRIGHT_MAX_CONTEXTS", "PLAYWRIGHT_MAX_PAGES_PER_CONTEXT",
    "PLAYWRIGHT_DEFAULT_NAVIGATION_TIMEOUT", "PLAYWRIGHT_ABORT_REQUEST", "REDIS_URL", "REDIS_HOST", "REDIS_PORT",
    "REDIS_DB", "REDIS_PARAMS", "REDIS_ENCODING", "REDIS_DECODE_RESPONSES", "REDIS_ITEMS_KEY",
    "REDIS_ITEMS_SERIALIZER", "REDIS_START_URLS_KEY", "REDIS_START_URLS_BATCH_SIZE", "REDIS_START_URLS_AS_SET",
    "REDIS_START_URLS_AS_ZSET", "SCHEDULER_PERSIST", "SCHEDULER_FLUSH_ON_START", "SCHEDULER_IDLE_BEFORE_CLOSE",
    "SCHEDULER_QUEUE_KEY", "SCHEDULER_QUEUE_CLASS", "SCHEDULER_DUPEFILTER_KEY", "SCHEDULER_DUPEFILTER_CLASS",
    "SCHEDULER_SERIALIZER", "FRONTIER_MAX_REQUEST_SIZE", "FRONTIER_PER_HOST", "FRONTIER_PARENT", "FRONTIER_RUN",
    "FRONTIER_SEGMENTS",
)  # fmt: skip


class _Number(NamedTuple):
    """What a number may be. Without an entry in `_NUMBERS` it is like its default: whole or not, and 0 or more."""

    least: float = 0
    most: float = inf
    whole: bool = True
    excluded: bool = False  # the least itself is too little

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        if self.most < inf:
            return f"{kind} from {self.least:g} to {self.most:g}"
        if self.least > -inf:
            return f"{kind} above {self.least:g}" if self.excluded else f"{kind}, {self.least:g} or more"
        return kind

    def allows(self, value: Any) -> bool:
        try:
            number = int(value) if self.whole else float(value)
        except (TypeError, ValueError, OverflowError):
            return False
        return self.least <= number <= self.most and number < inf and not (self.excluded and number == self.least)


_SECONDS, _SOME_TIME = _Number(whole=False), _Number(whole=False, excluded=True)
_ONE_OR_MORE, _ANY, _SHARE = _Number(1), _Number(-inf), _Number(most=1, whole=False)
_NUMBERS: Mapping[str, _Number] = {
    "IMAGES_MIN_WIDTH": _Number(), "IMAGES_MIN_HEIGHT": _Number(), "IMAGES_THREADS": _ONE_OR_MORE,
    "IMAGES_UPLOADS": _ONE_OR_MORE, "IMAGES_STORE_TIMEOUT": _SOME_TIME,
    "IMAGES_BACKLOG_BYTES": _ONE_OR_MORE, "IMAGES_EXPIRES": _SECONDS, "VIDEOS_TIMEOUT": _SOME_TIME,
    "DOWNLOAD_TIMEOUT": _SOME_TIME, "DOWNLOAD_CONNECT_TIMEOUT": _SOME_TIME, "DOWNLOAD_IDLE_TIMEOUT": _SOME_TIME,
    "DOWNLOAD_DELAY": _SECONDS, "DNS_TIMEOUT": _SOME_TIME, "ROBOTSTXT_TTL": _SECONDS, "ROBOTSTXT_WAIT": _SECONDS,
    "ROBOTSTXT_RETRY": _SECONDS, "CONCURRENT_ITEMS": _ONE_OR_MORE, "REACTOR_THREADPOOL_MAXSIZE": _ONE_OR_MORE,
    "VERDICT_MAX_FAILED": _SHARE, "RETRY_PRIORITY_ADJUST": _ANY, "REDIRECT_PRIORITY_ADJUST": _ANY,
    "DEPTH_PRIORITY": _ANY, "SHUTDOWN_TIMEOUT": _SECONDS,
}  # fmt: skip
_TLS = ("DOWNLOAD_TLS_MIN_VERSION", "DOWNLOAD_TLS_MAX_VERSION", "DOWNLOADER_CLIENT_TLS_CIPHERS")
# These are judged where they are used, by rules of their own.
_JUDGED_ELSEWHERE = re.compile("BUDGET_|FRONTIER_|PROGRESS_INTERVAL|CRAWL_HOURS|HOST_HEADERS")
SOCKS = re.compile(r"(socks[45])[ah]?://(.*)", re.IGNORECASE | re.DOTALL)
# Of the password only what `imgcrawl.lines` knows for one, wherever it may be told.
_PROXY = compile_late(
    r"(?:(?:https?|socks[45][ah]?)://)?(?:[^\s/'\"]*@)?(?:[^\s/@:?#'\"\[\]]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{0,5}))?(?:/[^\s@]*)?",
    re.IGNORECASE,
)
_MAPPING = 'a mapping, as in {"name": 1}'
_CHOICES: Mapping[str, Sequence[str]] = {"FEED_ROWS": ("galleries", "images")}
_TEXT_OR_MAPPING = ("CRAWL_HOURS",)  # one for all hosts, or those of each
_FILES = ("CATALOGUE_FILE", "CATALOGUE_URL", "COOKIES_FILE", "JOBDIR", "LOG_FILE", "REDIS_URL")
_TEXTS = ("USER_AGENT", "BOT_NAME", "IMAGES_NAME", "VIDEOS_NAME")


def check_name(settings: BaseSettings, name: str, source: str) -> str:
    """*name*, if it can be that of a setting; one that is like no other may be a plug-in's. Raises `InputError`."""
    if not _NAME.fullmatch(name):
        raise InputError(f"{source}: {name!r:.60} is no name of a setting; expected capitals, digits and _")
    known = {*settings, *_known()}
    if name not in known and (meant := _meant(name, known)):
        raise InputError(f"{source}: no setting {name}; did you mean {meant}?")
    return name


def _meant(name: str, known: Iterable[str]) -> str:
    """The name of *known* that *name* is like: nine tenths of it, or all but one letter of a short one (REDIS_URI)."""
    return next(iter(get_close_matches(name, known, 1, min(0.9, 1 - 1 / len(name)))), "")


def check_kind(settings: BaseSettings, name: str, value: Any, source: str) -> Any:
    """*value*, if it is of the kind that the setting *name* has. Raises `InputError`."""
    present = settings.get(name)
    default = present if isinstance(present, list) else vars(ours).get(name, vars(default_settings).get(name, present))
    if value is not None and (expected := _other_kind(name, value, default)):
        raise InputError(f"{source}: {name} is {_shown(name, f'{value!r:.60}')}; expected {expected}")
    return value


def check_given(settings: BaseSettings, given: Iterable[str]) -> None:
    """Raise `InputError` if a NAME=VALUE of *given* (`-s`) is of no setting, or is nothing that it can be."""
    for name, value in (pair.split("=", 1) for pair in given if "=" in pair):
        check_name(settings, name, "-s")
        if expected := _expected(name, value, settings.get(name)):
            raise InputError(f"-s {name}={_shown(name, value)}: expected {expected}")


def check_values(settings: BaseSettings) -> None:
    """Raise `InputError` for a value in *settings*, whoever wrote it, that makes no sense; warn of mistyped names."""
    known = _known()
    for name in set(settings) - known:
        if meant := _meant(name, known):
            logger.warning("There is no setting %s; did you mean %s?", name, meant)
    for name in filter(settings.getpriority, settings):  # all but Scrapy's defaults, of which some warn when looked at
        value = settings.get(name)
        if expected := _expected(name, value, None):
            raise InputError(f"{name}={_shown(name, f'{value!r:.60}')}: expected {expected}")
    for name in filter(settings.getpriority, _TLS):
        _check_tls(name, settings[name])
    if settings.getbool("HTTPPROXY_ENABLED"):
        for scheme, proxy in getproxies().items():
            if scheme in ("http", "https", "all"):  # others are asked by nobody here
                _check_proxy(f"{scheme}_proxy", proxy)
                if is_socks(proxy) and not unquote(proxy).isascii():
                    raise InputError(f"{scheme}_proxy: user and password of a SOCKS proxy are expected in ASCII")


def _check_tls(name: str, value: Any) -> None:
    from scrapy.utils.ssl import _STDLIB_VERSION_MAP, _make_ssl_context  # noqa: PLC0415 -- only where it is set

    try:
        _make_ssl_context(Settings({name: value}))  # by Scrapy's defaults, which read no certificates
    except (ValueError, TypeError, ssl.SSLError) as error:
        versions = f"one of {', '.join(_STDLIB_VERSION_MAP)}"
        expected = "a list of ciphers as OpenSSL has it" if "CIPHERS" in name else versions
        raise InputError(f"{name}={value!r:.60}: expected {expected}") from error


def _check_proxy(source: str, proxy: str) -> None:
    address = _PROXY.fullmatch(proxy)
    if not address or int(address["port"] or 1) not in range(1, 65536):
        raise InputError(
            f"{source}: the address of the proxy {shown_address(proxy)} cannot be read; expected http://host:port or"
            " socks5://host:port, before the host user:password@ where they are needed, in which other characters than"
            " letters, digits, - . _ ~ are percent-encoded"
        )


def is_socks(proxy: str | None) -> bool:
    """Whether *proxy* is the address of a SOCKS proxy. Raises `InputError` if it is, and the library is not there."""
    if not proxy or not SOCKS.match(proxy):
        return False
    if find_spec("python_socks") is None:
        raise InputError(
            f"the SOCKS proxy {shown_address(proxy)} needs the library python-socks; install it with imgcrawl[socks]"
        )
    return True


def _shown(name: str, value: str) -> str:
    return HIDDEN if SECRET_NAME.search(name) else value


def _known() -> set[str]:
    """The names of settings that something reads, as far as it is ours or Scrapy's."""
    return {*dir(ours), *dir(default_settings), *_WITHOUT_DEFAULT, *_NUMBERS, "SPIDER_ARGUMENTS", "CONFIG_FILE"}


def _expected(name: str, value: Any, present: Any) -> str:
    """What the setting *name* should be, if *value* is not that. *present* is its value, where no default is known."""
    if name in _TEXTS or name in _CHOICES:
        allowed = value in _CHOICES[name] if name in _CHOICES else isinstance(value, str) and value.strip()
        return "" if allowed else " or ".join(_CHOICES.get(name, ["some text"]))
    default = vars(ours).get(name, vars(default_settings).get(name, present))
    if value is None or (kind := _other_kind(name, value, default)) or _JUDGED_ELSEWHERE.match(name):
        return "" if value is None else kind
    if isinstance(default, bool):
        return "" if _is_readable(BaseSettings.getbool, value) else "True or False"
    if name in _NUMBERS or isinstance(default, int | float):
        number = _NUMBERS.get(name, _SECONDS if isinstance(default, float) else _Number())
        return "" if number.allows(value) else str(number)
    is_right = not name.endswith("_CODES") or _is_readable(_whole_numbers, value)
    return "" if is_right else "whole numbers with commas between"


def _other_kind(name: str, value: Any, default: Any) -> str:
    """The kind of value that *name* has, if *value* is of another."""
    if isinstance(default, Mapping | BaseSettings):
        if name in _TEXT_OR_MAPPING and isinstance(value, str):
            return ""
        return "" if isinstance(value, BaseSettings) or _is_readable(BaseSettings.getdict, value) else _MAPPING
    if isinstance(default, list):
        return "" if isinstance(value, list | tuple | set | str) else "a list"
    if isinstance(default, int | float) and not isinstance(default, bool):
        return "a number" if isinstance(value, list | tuple | set | Mapping) else ""
    is_text = isinstance(default, str) or name in _FILES
    return "some text" if is_text and isinstance(value, int | float | list | tuple | Mapping) else ""


def _whole_numbers(settings: BaseSettings, name: str) -> list[int]:
    return [int(number) for number in settings.getlist(name)]


def _is_readable(read: Any, value: Any) -> bool:
    try:
        read(BaseSettings({"VALUE": value}), "VALUE")
    except (TypeError, ValueError):
        return False
    return True
