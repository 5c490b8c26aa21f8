"""How `scrapy crawl` begins: what it logs before the first request, and what may keep it from that."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from imgcrawl.exceptions import InputError, describe

if TYPE_CHECKING:
    import argparse

    from scrapy.settings import BaseSettings

# What Scrapy tells at INFO before the first request (versions, settings, lists of components) is for who
# debugs: it is shown with LOG_LEVEL=DEBUG.
STARTUP_LOGGERS = ("scrapy.addons", "scrapy.crawler", "scrapy.middleware", "scrapy.utils.log")


def check_log_level(level: str | int) -> None:
    """Raise `InputError` for a LOG_LEVEL that is none."""
    levels = logging.getLevelNamesMapping()
    if level not in levels and level not in levels.values():
        raise InputError(f"LOG_LEVEL is {level!r}: expected CRITICAL, ERROR, WARNING, INFO or DEBUG")


def log_file_of(settings: BaseSettings, opts: argparse.Namespace) -> str | None:
    """The file that a command logs to, before Scrapy has read its options."""
    given = dict(pair.split("=", 1) for pair in opts.set if "=" in pair)
    return None if opts.nolog else opts.logfile or given.get("LOG_FILE") or settings["LOG_FILE"]


def check_files(settings: BaseSettings, opts: argparse.Namespace) -> None:
    """Raise `InputError` for a file that Scrapy is to write, and could not: those of its own options."""
    files = {"LOG_FILE": log_file_of(settings, opts), "--pidfile": opts.pidfile, "--profile": opts.profile}
    for source, file in files.items():
        path = Path(file or "")
        if file and (path.is_dir() or not os.access(path if path.exists() else f"{path.parent}/", os.W_OK)):
            raise InputError(f"{source} {file} cannot be written; expected a file in a folder that is there")


def quiet_startup() -> None:
    """Leave out what is for who debugs."""
    # A filter, because configure_logging() resets the levels of Scrapy's loggers.
    for name in STARTUP_LOGGERS:
        logging.getLogger(name).addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return record.levelno > logging.INFO or str(record.msg).startswith("Received ")  # a signal


def check_jobdir(settings: BaseSettings, error: BaseException | None) -> None:
    """Raise `InputError` if *error*, or what it followed from, is of JOBDIR: it is no folder that can be written to, or
    another crawl's (which Scrapy, that has opened nothing yet, cannot end a crawl by)."""
    while error and not isinstance(error, OSError | InputError):
        error = error.__context__
    if isinstance(error, InputError):
        raise error
    jobdir = settings["JOBDIR"]
    if jobdir and isinstance(error, OSError) and Path(str(error.filename)).is_relative_to(jobdir):
        raise InputError(f"JOBDIR={jobdir}: {describe(error)}; expected a folder that can be written to")
