"""Pages that a browser must render first, with scrapy-playwright. Only with PAGES_PLAYWRIGHT."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.exceptions import DownloadFailedError, DownloadTimeoutError
from scrapy.http import Response
from scrapy.settings import BaseSettings

from imgcrawl.downloadermiddlewares.addressguard import came_from_private
from imgcrawl.downloadhandler import DownloadHandler
from imgcrawl.exceptions import InputError, RequestRefused
from imgcrawl.urls import is_public, literal_ip

# What a page shows is the pipelines' work, and a browser would ask for it a second time.
NOT_NEEDED = ("image", "media", "font")

_BROWSERS = ("chromium", "firefox", "webkit")
_ASK_FOR_PATH = """import sys
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    print(getattr(playwright, sys.argv[1]).executable_path)"""


class Addon:
    """With PAGES_PLAYWRIGHT (a setting of a project, a spider or `-s`) pages are rendered by a browser.

    Images, videos and robots.txt go the usual way. Needs `pip install scrapy-playwright` and a browser, and
    raises `InputError` without them; scrapy-playwright's own settings (PLAYWRIGHT_…) say which browser.
    """

    def update_settings(self, settings: BaseSettings) -> None:
        if not settings.getbool("PAGES_PLAYWRIGHT"):
            return
        if find_spec("scrapy_playwright") is None:
            raise InputError("PAGES_PLAYWRIGHT needs scrapy-playwright: pip install scrapy-playwright")
        _require_browser(settings)
        handler = f"{__name__}.PageHandler"
        # The project's own handlers, of which these take the place, have its priority.
        settings.set(
            "DOWNLOAD_HANDLERS", {**settings["DOWNLOAD_HANDLERS"], "http": handler, "https": handler}, "project"
        )
        settings.set("PLAYWRIGHT_ABORT_REQUEST", f"{__name__}.is_not_needed", "default")


def _require_browser(settings: BaseSettings) -> None:
    if settings.get("PLAYWRIGHT_CDP_URL") or settings.get("PLAYWRIGHT_CONNECT_URL"):
        return  # it runs elsewhere
    options = settings.getdict("PLAYWRIGHT_LAUNCH_OPTIONS")
    kind = str(settings.get("PLAYWRIGHT_BROWSER_TYPE", "chromium"))
    if kind not in _BROWSERS:
        raise InputError(f"PLAYWRIGHT_BROWSER_TYPE={kind!r}: expected {', '.join(_BROWSERS)}")
    if options.get("channel"):
        return  # the system's own, which Playwright finds
    path = options.get("executable_path")
    if not path:
        # Only Playwright knows, and only its blocking interface says it before there is an event loop.
        path = subprocess.run(  # noqa: S603 -- our own interpreter
            [sys.executable, "-c", _ASK_FOR_PATH, kind], capture_output=True, text=True, check=False
        ).stdout.strip()
    if not Path(path).is_file():
        raise InputError(
            f"PAGES_PLAYWRIGHT needs a browser, and {path or kind} is not there: python -m playwright install {kind}"
        )


class PageHandler(DownloadHandler):
    """Sends pages through a browser, and everything else as `DownloadHandler` does.

    A browser follows redirects and asks for what scripts name by itself: the address guard judges the page's
    address before, and the one that it came from after. Raises what `DownloadHandler` raises.
    """

    lazy = False  # the browser starts with the engine

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        # Not always there, so not imported where everybody looks.
        self._browser: Any = import_module("scrapy_playwright.handler").ScrapyPlaywrightDownloadHandler(crawler)
        self._error: type[Exception] = import_module("playwright.async_api").Error
        self._timeout = crawler.settings.getfloat("DOWNLOAD_TIMEOUT")

    async def download_request(self, request: Request) -> Response:
        if request.meta.get("media") or request.meta.get("dont_obey_robotstxt"):
            return await super().download_request(request)
        # A copy, because a browser leaves in the meta what cannot travel.
        page = request.replace(meta={**request.meta, "playwright": True})
        try:
            async with asyncio.timeout(request.meta.get("download_timeout", self._timeout)):
                response: Response = await self._browser.download_request(page)
        except TimeoutError as error:
            raise DownloadTimeoutError(f"{request.url}: not rendered in time") from error
        except self._error as error:
            kind = DownloadTimeoutError if "Timeout" in type(error).__name__ else DownloadFailedError
            raise kind(f"{request.url}: {str(error).splitlines()[0]}") from error
        response.request = request
        request.meta["download_latency"] = page.meta.get("download_latency", 0.0)
        if request.meta.get("public_only") and came_from_private(response, request):
            raise RequestRefused("private_address", f"{request.url} came from {response.ip_address}")
        return response

    async def close(self) -> None:
        await self._browser.close()
        await super().close()


def is_not_needed(asked: Any) -> bool:
    """Whether a browser is kept from asking for what a page names (*asked*: playwright's Request)."""
    if asked.is_navigation_request() and asked.frame.parent_frame is None:
        return False
    if asked.resource_type in NOT_NEEDED:
        return True
    return _is_private(asked.url) and not _is_private(asked.frame.url)


def _is_private(url: str) -> bool:
    ip = literal_ip(urlsplit(url).hostname or "")
    return ip is not None and not is_public(ip)
