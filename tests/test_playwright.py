"""Only where scrapy-playwright and chromium are installed; what is said without them is tested anywhere."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.crawling import Crawl, crawl
from tests.support.server import JPEG, Server

HTML = {"Content-Type": "text/html; charset=utf-8"}
CHROMIUM = shutil.which("chromium")
installed = pytest.mark.skipif(
    not (find_spec("scrapy_playwright") and CHROMIUM), reason="needs scrapy-playwright and chromium"
)
LAUNCH = {"executable_path": CHROMIUM, "args": ["--no-sandbox"]}
ADDONS = {"imgcrawl.playwright.Addon": 0}


def render(server: Server, folder: Path, addons: dict[str, int] = ADDONS, **settings: str) -> Crawl:
    arguments = {
        "list": server.url("/albums?page={page}"),
        "galleries": "a.album",
        "images": ".photo img",
        "pages": "1",
    }
    return crawl(
        folder,
        "gallery",
        arguments,
        ADDONS=json.dumps(addons),
        PAGES_PLAYWRIGHT="True",
        **{"PLAYWRIGHT_LAUNCH_OPTIONS": json.dumps(LAUNCH), **settings},
    )


def test_without_it_one_sentence(server: Server, tmp_path: Path) -> None:
    run = render(server, tmp_path, {"tests.spiders.hidden.Hidden": -1, **ADDONS})
    assert run.code == 2
    assert run.log.splitlines()[-1] == "PAGES_PLAYWRIGHT needs scrapy-playwright: pip install scrapy-playwright"
    assert server.requests == []


@pytest.mark.skipif(not find_spec("scrapy_playwright"), reason="needs scrapy-playwright")
def test_without_a_browser_one_sentence(server: Server, tmp_path: Path) -> None:
    run = render(server, tmp_path, PLAYWRIGHT_LAUNCH_OPTIONS='{"executable_path": "/nowhere"}')
    assert run.code == 2
    assert run.log.splitlines()[-1] == (
        "PAGES_PLAYWRIGHT needs a browser, and /nowhere is not there: python -m playwright install chromium"
    )
    assert server.requests == []


@installed
def test_pages_are_rendered_and_images_are_not(server: Server, tmp_path: Path) -> None:
    write = "<script>document.body.innerHTML = '{}'</script>"
    server.add("/albums?page=1", f"<body>{write.format('<a class=album href=/a>a</a>')}".encode(), headers=HTML)
    server.add("/a", f"<body>{write.format('<h2>T</h2><p class=photo><img src=/i.jpg></p>')}".encode(), headers=HTML)
    server.add("/i.jpg", JPEG)

    run = render(server, tmp_path)

    assert run.code == 0, run.log
    assert run.files == {"gallery/T/001.jpg": JPEG}
    assert server.count("/i.jpg") == server.count("/robots.txt") == 1
    agents = {request.headers["user-agent"] for request in server.requests}
    assert len(agents) == 1
    assert agents.pop().startswith("imgcrawl/")


@installed
def test_a_page_that_cannot_be_had(server: Server, tmp_path: Path) -> None:
    server.add(
        "/albums?page=1", b'<a class="album" href="/never">a</a><a class="album" href="/reset">b</a>', headers=HTML
    )
    run = render(server, tmp_path, DOWNLOAD_TIMEOUT="3", RETRY_TIMES="0", VERDICT_IMAGES_EXPECTED="False")
    errors = {item["url"]: item["error"] for item in run.items}
    assert errors == {server.url("/never"): "timeout", server.url("/reset"): "connection"}
