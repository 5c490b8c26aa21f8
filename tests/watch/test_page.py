"""The page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import Browser, check_accessible, check_everywhere, chromium, wait_for
from tests.support.crawling import until
from tests.support.watched import DATA, HOSTILE, SCRIPT, TOKEN, FakeCrawl, fill_store, watched


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def test_hostile_words_are_text_and_everybody_can_read_the_page(browser: Browser, tmp_path: Path) -> None:
    fill_store(tmp_path / "images")
    crawl = FakeCrawl(tmp_path / "images")
    with watched(crawl, tmp_path / "images") as url, browser.tab(f"{url}#{TOKEN}") as page:
        wait_for(page, "document.querySelectorAll('#pictures li').length === 24")
        wait_for(page, "[...document.images].every((image) => image.complete && image.naturalWidth > 100)")
        assert page.url == url, "the token is not left where others read it"
        titles = page.locator("#pictures bdi").all_text_contents()
        assert titles[:2] == list(HOSTILE[:2])
        assert titles[2] == HOSTILE[2].replace("\u202e", "�").replace("\u202c", "�")
        assert HOSTILE[0] in page.locator("#outcomes").inner_text()
        assert HOSTILE[1] in page.locator("#hosts").inner_text()
        links = page.evaluate(
            "[...document.links].map((a) => [a.protocol, a.rel, a.target, a.referrerPolicy].join(' '))"
        )
        assert set(links) == {"https: noopener noreferrer _blank no-referrer"}
        text = page.locator("#failures").inner_text()
        assert SCRIPT in text and DATA in text
        assert page.evaluate("document.querySelectorAll('script').length") == 1
        assert page.evaluate("document.querySelectorAll('[onerror], [onload], #view svg script').length") == 0

        before = page.locator("#figures div").first.inner_text()
        until(lambda: page.locator("#figures div").first.inner_text() != before)
        wait_for(page, "document.querySelector('.curves .line').getAttribute('d').split('L').length > 50")
        check_everywhere(page, "watch")


def test_it_is_steered_by_keyboard_with_a_confirmation(browser: Browser, tmp_path: Path) -> None:
    crawl = FakeCrawl(tmp_path)
    with watched(crawl, tmp_path) as url, browser.tab(url) as page:
        page.get_by_label("Token").fill(f"{url}#{TOKEN}")  # as it was printed
        page.keyboard.press("Enter")
        page.locator("#state", has_text="running").wait_for()
        page.locator("#pause").focus()
        page.keyboard.press("Enter")
        assert page.get_by_role("dialog").get_by_role("heading").inner_text() == "Pause all 4 workers?"
        page.keyboard.press("Escape")
        page.locator("dialog").wait_for(state="hidden")
        assert crawl.asked == []
        assert page.evaluate("document.activeElement.id") == "pause"
        page.keyboard.press("Enter")
        check_accessible(page)
        page.keyboard.press("Enter")
        page.locator("#state", has_text="paused").wait_for()
        page.get_by_role("status").get_by_text("All workers are told to pause.").wait_for()
        assert crawl.asked == [{"paused": True}]

        page.get_by_role("button", name="Resume").press("Enter")
        page.keyboard.press("Enter")
        page.locator("#state", has_text="running").wait_for()
        page.get_by_role("button", name="Slow down").press("Enter")
        page.keyboard.press("ArrowDown")  # from four times as long
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.get_by_text("slowed down 8 times").wait_for()
        page.get_by_role("button", name="Put dead pages back").press("Enter")
        page.keyboard.press("Enter")
        page.get_by_text("3 pages are in the queue again.").wait_for()
        page.locator("#requeue").wait_for(state="hidden")
        page.get_by_role("button", name="Stop").press("Enter")
        page.keyboard.press("Enter")  # on Cancel
        page.locator("dialog").wait_for(state="hidden")
        assert crawl.asked[1:] == [{"paused": False}, {"delay_factor": 8.0}, {"requeue": True}]
        page.get_by_role("button", name="Stop").press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.locator("#state", has_text="stopping").wait_for()
        assert crawl.asked[4:] == [{"stop": True}]

        slider = page.get_by_role("slider").first
        slider.focus()
        newest = slider.get_attribute("aria-valuenow")
        page.keyboard.press("Home")
        assert (newest, slider.get_attribute("aria-valuenow")) != ("0", newest)
        assert slider.get_attribute("aria-valuenow") == "0"

        crawl.problem = OSError("the <b>server</b> is gone")
        page.get_by_role("status").get_by_text("the <b>server</b> is gone").wait_for()
        crawl.problem = None
        wait_for(page, "!document.getElementById('notice').textContent")
