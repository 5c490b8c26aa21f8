"""A real Chromium, as people have it: pages must not complain, reach elsewhere, or be closed to anybody.

Playwright's loop runs as long as the browser does: a module with such tests has no coroutines among them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.support.crawling import ROOT, until
from tests.support.processes import patience

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCREENSHOTS = ROOT / "build" / "screenshots"  # what CI keeps
WIDTHS = (390, 1280)  # pixels: a telephone, a desk
SCHEMES = ("light", "dark")
CHROMIUM = shutil.which("chromium")
MISSING = [name for name in ("playwright", "axe_playwright_python") if not find_spec(name)]


class Browser:
    """Pages of a running browser."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser

    @contextmanager
    def tab(self, url: str, *, width: int = 1280, height: int = 900, scheme: str = "light") -> Iterator[Page]:
        """The page at *url*. At the end it has put no error on the console, opened no dialog, and asked for nothing
        but what comes from where it is itself."""
        problems: list[str] = []
        home = urlsplit(url)
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
        )
        context.set_default_timeout(patience(30) * 1000)
        page = context.new_page()
        page.on("console", lambda said: said.type in ("error", "warning") and problems.append(said.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: (problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        context.on(
            "request",
            lambda request: _is_elsewhere(request.url, home.scheme, home.netloc) and problems.append(request.url),
        )
        try:
            page.goto(url)
            yield page
        finally:
            context.close()
        assert problems == []


def _is_elsewhere(url: str, scheme: str, netloc: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme not in ("data", "blob") and (parts.scheme, parts.netloc) != (scheme, netloc)


@contextmanager
def chromium(**options: Any) -> Iterator[Browser]:
    """A browser; the test is skipped where there is none. *options* are those of Playwright's `launch`."""
    if MISSING or not CHROMIUM:
        pytest.skip("needs Debian's chromium, and pip install playwright axe-playwright-python, which .ci/run does")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 -- only where it is installed

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], **options)
        try:
            yield Browser(browser)
        finally:
            browser.close()


def wait_for(page: Page, condition: str) -> None:
    """Until the expression *condition* is true there. Playwright's own way is one that strict pages forbid."""
    until(lambda: page.evaluate(condition) or page.wait_for_timeout(50), 30)


def check_accessible(page: Page) -> None:
    """axe-core finds nothing serious on *page*, and it is not wider than the window."""
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 -- only where it is installed

    found = [
        (rule["id"], [node["html"][:200] for node in rule["nodes"][:3]], rule["nodes"][0]["failureSummary"])
        for rule in Axe().run(page).response["violations"]
        if rule["impact"] in ("serious", "critical")
    ]
    assert found == []
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, "it can be scrolled sideways"


def check_everywhere(page: Page, name: str) -> None:
    """`check_accessible` on a telephone and at a desk, by day and by night, each with a picture in `SCREENSHOTS`."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 844 if width < 500 else 900})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            check_accessible(page)
            page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
