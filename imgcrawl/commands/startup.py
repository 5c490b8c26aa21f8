"""How `scrapy crawl` begins: what it logs before the first request, and what may keep it from that."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from imgcrawl.exceptions import InputError, describe

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

# What Scrapy tells at INFO before the first request (versions, settings, lists of components) is for who
# debugs: it is shown with LOG_LEVEL=DEBUG.
STARTUP_LOGGERS = ("scrapy.addons", "scrapy.crawler", "scrapy.middleware", "scrapy.utils.log")


def check_log_level(level: str | int) -> None:
    """Raise `InputError` for a LOG_LEVEL that is none."""
    levels = logging.getLevelNamesMapping()
    if level not in levels and level not in levels.values():
        raise InputError(f"LOG_LEVEL is {level!r}: expected CRITICAL, ERROR, WARNING, INFO or DEBUG")


def quiet_startup() -> None:
    """Leave out what is for who debugs."""
    # A filter, because configure_logging() resets the levels of Scrapy's loggers.
    for name in STARTUP_LOGGERS:
        logging.getLogger(name).addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return record.levelno > logging.INFO or str(record.msg).startswith("Received ")  # a signal


def check_jobdir(settings: BaseSettings, error: BaseException | None) -> None:
    """Raise `InputError` if *error*, or what it followed from, is of JOBDIR: it is no folder that can be written to."""
    while error and not isinstance(error, OSError):
        error = error.__context__
    jobdir = settings["JOBDIR"]
    if jobdir and isinstance(error, OSError) and Path(str(error.filename)).is_relative_to(jobdir):
        raise InputError(f"JOBDIR={jobdir}: {describe(error)}; expected a folder that can be written to")
