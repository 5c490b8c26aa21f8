"""Settings that name components, before they are used or after that has failed: paths of classes, and their order."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

from scrapy.settings import BaseSettings, Settings, default_settings
from scrapy.utils.misc import load_object
from scrapy.utils.reactor import is_asyncio_reactor_installed, is_reactor_installed

from imgcrawl.exceptions import InputError, describe

# path -> order
ORDERED = ("ADDONS", "ITEM_PIPELINES", "DOWNLOADER_MIDDLEWARES", "SPIDER_MIDDLEWARES", "EXTENSIONS")
# scheme or format -> path
BY_KEY = ("DOWNLOAD_HANDLERS", "FEED_STORAGES", "FEED_EXPORTERS")
# path
SINGLE = (
    "DOWNLOADER", "DUPEFILTER_CLASS", "ITEM_PROCESSOR", "LOG_FORMATTER", "REQUEST_FINGERPRINTER_CLASS", "SCHEDULER",
    "SCHEDULER_DISK_QUEUE", "SCHEDULER_MEMORY_QUEUE", "SCHEDULER_PRIORITY_QUEUE", "SPIDER_LOADER_CLASS", "STATS_CLASS",
)  # fmt: skip


def check_orders(settings: BaseSettings) -> None:
    """Raise `InputError` for a component whose place among others is no number.

    And for what Scrapy loads before it begins with a command, if it cannot be: add-ons, and what finds the spiders.
    """
    for name in ORDERED:
        for path, order in settings.getdict(name).items():
            if order is not None and (isinstance(order, bool) or not isinstance(order, int | float)):
                raise InputError(f"{name}: {path!r:.100} has the order {order!r:.60}; expected a number or None (off)")
    for path, order in settings.getdict("ADDONS").items():
        if order is not None:
            _check(settings, "ADDONS", path)
    _check(settings, "SPIDER_LOADER_CLASS", settings["SPIDER_LOADER_CLASS"])
    for module in settings.getlist("SPIDER_MODULES"):
        if not _is_there(module):
            raise InputError(f"SPIDER_MODULES: there is no module {module!r:.100}; expected packages with spiders")


def check_reactor(settings: BaseSettings) -> None:
    """Raise `InputError` where crawls would run in another event loop than asyncio's, the only one of ours."""
    if not settings.getbool("TWISTED_REACTOR_ENABLED"):
        return
    given, default = settings["TWISTED_REACTOR"], default_settings.TWISTED_REACTOR
    if not (is_asyncio_reactor_installed() if is_reactor_installed() else given == default):
        raise InputError(f"TWISTED_REACTOR is {given!r:.100}: imgcrawl works with asyncio's only; expected {default!r}")


def check_process(settings: BaseSettings) -> None:
    """Raise `InputError` where Scrapy would begin crawls by Deferreds, which commands of ours do not wait for."""
    check_reactor(settings)
    if settings.getbool("TWISTED_REACTOR_ENABLED") and settings.getbool("FORCE_CRAWLER_PROCESS"):
        raise InputError("FORCE_CRAWLER_PROCESS is on: expected Scrapy's default (False)")


def check_paths(settings: BaseSettings) -> None:
    """Raise `InputError` for a component that cannot be loaded."""
    for name, path in _named(settings):
        _check(settings, name, path)


def wrong_kind(values: Mapping[str, Any]) -> str:
    """Which of *values*, those of a module of settings, is of a kind that Scrapy cannot take, in a sentence; or ""."""
    for name, value in values.items():
        if name.isupper() and (default := Settings().get(name)) is not None:
            try:
                Settings().set(name, value)
            except (TypeError, ValueError):
                like = 'a mapping, as in {"name": 1}' if isinstance(default, BaseSettings) else f"as {default!r:.60}"
                return f"{name} is {value!r:.100}; expected {like}"
    return ""


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _named(settings: BaseSettings) -> Iterator[tuple[str, Any]]:
    for name in ORDERED:
        yield from ((name, path) for path, order in settings.getdict(name).items() if order is not None)
    for name in BY_KEY:
        yield from ((name, path) for path in settings.getdict(name).values() if path is not None)
    yield from ((name, settings[name]) for name in SINGLE if settings[name] is not None)


def _check(settings: BaseSettings, name: str, path: Any) -> None:
    try:
        load_object(path)
    except Exception as error:  # a module may raise anything while it is loaded
        close = get_close_matches(str(path), _known(settings, name, str(path)), 1, 0.8)
        meant = f"did you mean {close[0]!r}?" if close else "expected the path of a class, as in 'package.module.Class'"
        raise InputError(f"{name}: {path!r:.100} cannot be loaded ({describe(error)}); {meant}") from error


def _known(settings: BaseSettings, name: str, path: str) -> list[str]:
    """Paths that may have been meant: of what Scrapy has there, and of what the module has."""
    module = path.rpartition(".")[0]
    defined = [f"{module}.{each}" for each in vars(sys.modules[module])] if module in sys.modules else []
    defaults = vars(default_settings).get(f"{name}_BASE") or vars(default_settings).get(name) or ()
    listed = [defaults] if isinstance(defaults, str) else [*defaults, *getattr(defaults, "values", tuple)()]
    given = settings.getdict(name) if name in ORDERED else {}
    return [*defined, *(each for each in (*listed, *given) if isinstance(each, str) and each != path), "imgcrawl.Addon"]
