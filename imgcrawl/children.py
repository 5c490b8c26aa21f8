"""Python processes that we start."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings


def import_path() -> dict[str, str]:
    """What the environment of a child needs, so that it finds what this process can import: in an egg or a folder."""
    return {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}  # noqa: PTH109 -- a text


def crawl_command(settings: BaseSettings, spider: str) -> list[str]:
    """The command line of a crawl of *spider*, which finds the settings, spiders and arguments that this process has:
    also those of a configuration file, which only `imgcrawl` reads."""
    program = "imgcrawl" if "CONFIG_FILE" in settings else "scrapy"
    return [sys.executable, "-m", program, "crawl", spider]
