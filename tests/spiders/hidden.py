"""Lets a crawl believe that a package is not installed: HIDDEN_PACKAGE."""

from __future__ import annotations

import sys

from scrapy.settings import BaseSettings


class Hidden:
    """An add-on that takes the package away before others look for it."""

    def update_settings(self, settings: BaseSettings) -> None:
        sys.modules[settings.get("HIDDEN_PACKAGE", "scrapy_playwright")] = None  # type: ignore[assignment] # how Python marks what cannot be imported
