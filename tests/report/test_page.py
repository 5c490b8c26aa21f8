"""The page in a real browser: of a crawl of a hostile site, as a file and served; and what the server refuses."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from scrapy.cmdline import execute

from imgcrawl.report.page import script, style
from tests.support.browser import WIDTHS, Browser, check_everywhere, chromium
from tests.support.crawling import crawl, environment, project_settings, until
from tests.support.processes import Process
from tests.support.server import Answer, Server, jpeg

IMG = "<img src=x onerror=alert(1)>"
END = "</script><script>alert(2)</script>"
TITLES = (f"{IMG} one", f"{END} two", "\u202e three 'quoted' \"twice\" &amp;", "javascript:alert(3)")
# Whether the only gallery has these words as its title, whatever is between them.
ONE_TITLE = """(words) => {
  const shown = [...document.querySelectorAll(".gallery h3")].map((title) => title.textContent.trim().split(/\\s+/));
  return shown.length === 1 && JSON.stringify(shown[0]) === JSON.stringify(words);
}"""
PICTURES = """[...document.querySelectorAll(".cell img")].filter((image) => image.naturalWidth > 100)
  .map((image) => new URL(image.src).protocol)"""
HTML = {"Content-Type": "text/html; charset=utf-8"}


def add_hostile_site(server: Server) -> None:
    def escaped(text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")

    links = ""
    for number, title in enumerate(TITLES):
        links += f'<a class=album href="/album/{number}">{escaped(title)}</a>'
        images = "".join(f'<img alt="{escaped(END)}" src="/img/{number}-{k}.jpg">' for k in range(3))
        images += (
            f'<img src="/img/{number}-9.jpg?&quot;&gt;&lt;script&gt;alert(4)&lt;/script&gt;">' if not number else ""
        )
        page = f"<title>{escaped(title)}</title><h1>{escaped(title)}</h1><article>{images}</article>"
        server.add(f"/album/{number}", page.encode(), headers=HTML)
        for k in range(3):
            server.add(f"/img/{number}-{k}.jpg", jpeg(300, 200, (number * 60, k * 90, 40), END))
    server.add("/albums?page=1", links.encode(), headers=HTML)
    server.add("/album/9", Answer(b"", 503), headers=HTML)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a crawl of that site has left: four galleries, of whose files one is a page now, and one a link."""
    folder = tmp_path_factory.mktemp("report")
    with Server() as server:
        add_hostile_site(server)
        arguments = {"list": server.url("/albums?page={page}"), "galleries": "a.album", "pages": "1"}
        settings = {"IMAGES_THUMBS": "{}", "RETRY_TIMES": "0", "VERDICT_MAX_FAILED": "1", "LOG_FILE": "crawl.log"}
        run = crawl(folder, "gallery", arguments, **settings)
        assert len(run.items) == 4, run.log
    damaged, link = strange(folder)
    damaged.write_bytes(f"<html><script>alert(5)</script><img src=http://127.0.0.1:1/{IMG}".encode())
    (folder / "secret.jpg").write_bytes(jpeg())
    link.unlink()
    link.symlink_to(folder / "secret.jpg")
    return folder


def strange(folder: Path) -> list[Path]:
    """The file that is no image any more, and the one that is a link."""
    files = sorted((folder / "images").rglob("*.jpg"))
    assert len(files) == 12
    return files[:-3:-1]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def report(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        execute(["scrapy", "report", *arguments], settings=project_settings())
    return int(ended.value.code or 0)


def look_around(page: Any) -> None:
    """All of it is found by search, as text, and leads to the web only."""
    page.locator(".cards").wait_for()
    for number, title in enumerate(TITLES):
        page.keyboard.press("/")
        word = ("<img src=x", "</script><script>alert(2)", "three 'quoted'", "javascript:alert(3)")[number]
        page.get_by_role("searchbox").fill(word)
        page.locator("#found", has_text=re.compile("^1 gallery$")).wait_for()
        until(partial(page.evaluate, ONE_TITLE, title.replace("\u202e", "\ufffd").split()))
        page.get_by_role("searchbox").press("Escape")
    page.evaluate("location.hash = '#images'")
    page.locator("#found", has_text="13 images").wait_for()
    page.locator(".cell .tile").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_text("stored as").wait_for()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    page.keyboard.press("4")
    page.get_by_role("button", name="http_404").wait_for()
    page.locator(".failure a").first.wait_for()
    links = page.evaluate(
        "[...document.links].filter((a) => !a.hash).map((a) => [a.protocol, a.rel, a.target].join(' '))"
    )
    # file: what is stored, in the report that is a file.
    assert {each.removeprefix("file").removeprefix("http") for each in links} == {": noopener noreferrer _blank"}
    assert page.evaluate("document.querySelectorAll('[onerror], [onload], [style*=url]').length") == 0


def test_a_report_of_a_hostile_site_is_one_file_in_which_nothing_runs(browser: Browser, folder: Path) -> None:
    feed, target = str(folder / "items.json"), folder / "out" / "report.html"
    target.parent.mkdir()
    images = ["--images", str(folder / "images")]
    assert report(feed, str(folder / "crawl.log"), "-o", str(target), "--thumbnails", "6", "--lookalikes", *images) == 0
    text = target.read_text("utf-8")
    assert text.count("<script") - script().count("<script") == 4, "data, small copies, and ours"
    assert not re.search(r"https?://(?!127\.0\.0\.1|www\.w3\.org)", text), "nothing comes from elsewhere"
    with browser.tab(target.as_uri()) as page:
        look_around(page)
        page.evaluate("location.hash = '#images'")
        # Six in the file, others from the store; neither the link nor the page that is called an image.
        until(lambda: sorted(page.evaluate(PICTURES)) == [*["data:"] * 6, *["file:"] * 4])
        for view in ("overview", "galleries", "images", "failures", "lookalikes"):
            page.evaluate(f"location.hash = '#{view}'")
            page.locator(f"nav [aria-current][href^='#{view}']").wait_for()
            page.wait_for_load_state("networkidle")
            check_everywhere(page, f"report-{view}")
        page.set_viewport_size({"width": 390, "height": 844})
        tops = page.evaluate("[...document.querySelectorAll('.group .tile')].map((tile) => tile.offsetTop)")
        assert tops[0] == tops[1], "side by side, on a telephone, too"


def test_words_of_a_strangers_feed_are_shown_as_they_are(browser: Browser, tmp_path: Path) -> None:
    urls = [f"http://i.example/{number}.jpg" for number in range(4)]
    reasons = ("constructor", "__proto__", "hasOwnProperty", "http_404")
    images = [dict(zip(("url", "status", "reason"), (url, "failed", reason), strict=True))
              for url, reason in zip(urls, reasons, strict=True)]  # fmt: skip
    images.append({"url": "http://i.example/4.jpg", "status": "downloaded", "format": "\u202eGEPJ"})
    item = {"spider": "toString", "url": "http://a.example/", "title": "valueOf", "label": "constructor"}
    item |= {"image_urls": [image["url"] for image in images], "images": images}
    (tmp_path / "feed.json").write_text(json.dumps([item]))
    assert report(str(tmp_path / "feed.json"), "-o", str(tmp_path / "report.html")) == 0
    with browser.tab((tmp_path / "report.html").as_uri() + "#failures") as page:
        page.locator(".reasons button").nth(3).wait_for()
        told = {tuple(button.split("\n")) for button in page.locator(".reasons button").all_inner_texts()}
        assert told == {(reason, "1", "images failed") for reason in reasons[:3]} | {
            ("http_404", "1", "images failed: Not Found")
        }
        page.keyboard.press("3")
        page.get_by_label("Format").select_option(label="\ufffdGEPJ (1)")
        page.locator("#found", has_text=re.compile("^1 image$")).wait_for()
        # Who goes elsewhere while a field has the focus finds it as empty as the filter is.
        page.get_by_role("searchbox").fill("nowhere")
        page.locator("#found", has_text="0 images").wait_for()
        page.evaluate("location.hash = '#images'")
        page.locator("#found", has_text=re.compile("^5 images$")).wait_for()
        assert page.get_by_role("searchbox").input_value() == ""
        assert page.get_by_label("Order").is_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("2")
        page.locator("#found", has_text="1 gallery").wait_for()
        assert page.get_by_label("Order").is_hidden()  # galleries have one order


# Names below a chart that are cut, or stand over the one before.
UNREADABLE = """[...document.querySelectorAll(".chart svg")].flatMap((chart) => {
  const {left, right} = chart.getBoundingClientRect();
  const names = [...chart.querySelectorAll("text[text-anchor=middle]")].map((name) => name.getBoundingClientRect());
  return names.filter((name, k) => name.left < left || name.right > right || (k && name.left < names[k - 1].right));
}).length"""


def test_visits_of_several_nights_can_be_read_from_the_overview(browser: Browser, tmp_path: Path) -> None:
    nights = []
    for night in range(1, 10):
        image = {"url": "http://i.example/1.jpg", "status": "failed", "reason": "http_404"}
        nights.append({"spider": "pximg", "url": "http://a.example/1", "scraped_at": f"2026-11-0{night}T20:00:00Z"})
        nights[-1] |= {"image_urls": [image["url"]], "images": [image]}
    (tmp_path / "feed.json").write_text(json.dumps(nights))
    assert report(str(tmp_path / "feed.json"), "-o", str(tmp_path / "report.html")) == 0
    for width in WIDTHS:
        with browser.tab((tmp_path / "report.html").as_uri(), width=width) as page:
            page.locator(".cards", has_text="1 different one at 9 visits").wait_for()
            page.locator(".chart svg").nth(1).wait_for()
            assert page.evaluate(UNREADABLE) == 0


def test_one_of_a_kind_is_called_so(browser: Browser, tmp_path: Path) -> None:
    image = {"url": "http://h/1.jpg", "status": "downloaded", "path": "a/1.jpg", "checksum": "0" * 64, "bytes": 9}
    item = {"spider": "s", "url": "http://h/", "title": "T", "scraped_at": "2026-11-27T00:00:00+00:00"}
    (tmp_path / "one.jsonl").write_text(json.dumps({**item, "image_urls": ["http://h/1.jpg"], "images": [image]}))
    assert report(str(tmp_path / "one.jsonl"), "-o", str(tmp_path / "one.html"), "--images", str(tmp_path)) == 0
    with browser.tab((tmp_path / "one.html").as_uri()) as page:
        page.locator(".cards").wait_for()
        cards = page.locator(".cards li").all_inner_texts()
        assert [" ".join(card.split()) for card in cards[:4]] == ["1 gallery", "1 image", "1 different one", "1 file"]
        page.keyboard.press("2")
        page.get_by_role("button", name="1 image", exact=True).wait_for()


@contextmanager
def served(folder: Path, *arguments: str) -> Iterator[str]:
    command = [sys.executable, "-m", "scrapy", "report", *arguments, "--serve", "--port", "0"]
    process = Process(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout
    try:
        yield process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert (process.returncode, rest) == (0, "")


def ask(url: str, path: str, **headers: str) -> tuple[int, Message, bytes]:
    """Status, headers and body of an answer."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_the_catalogue_is_served_to_who_has_the_token_and_stored_files_do_nothing(
    browser: Browser, folder: Path
) -> None:
    with served(folder) as address:
        url, _, token = address.partition("#")
        assert url.startswith("http://127.0.0.1:") and len(token) >= 16
        with browser.tab(address) as page:
            look_around(page)
            page.evaluate("location.hash = '#images'")
            until(lambda: len(page.evaluate(PICTURES)) == 10)
            page.keyboard.press("5")
            page.get_by_role("button", name="Compare").click()
            page.locator("#found", has_text=re.compile("^1 group$")).wait_for()
            check_everywhere(page, "report-served")
        bearer = {"Authorization": f"Bearer {token}"}
        _, headers, body = ask(url, "/api/report", **bearer)
        head = json.loads(body)
        assert headers["Referrer-Policy"] == "no-referrer" and headers["Cache-Control"] == "no-store"
        assert head["counts"]["galleries"] == 4
        files, rows = f"/file/{head['files']}", json.loads(ask(url, "/api/images?count=60", **bearer)[2])
        paths, before = {}, ""
        for number, same, rest in zip(range(rows["count"]), *rows["images"]["path"], strict=True):
            before = before[:same] + rest
            paths[before] = number
        damaged, link = (paths[str(file.relative_to(folder / "images"))] for file in strange(folder))
        answered, headers, _ = ask(url, f"{files}/0")
        assert (answered, headers["Content-Type"]) == (200, "image/jpeg")
        assert "sandbox" in headers["Content-Security-Policy"]
        expected = {
            "/api/report": 401,
            "/file/wrong/0": 404,
            f"{files}/99": 404,
            f"{files}/{link}": 404,
            f"/thumb/{head['files']}/{damaged}": 204,
        }
        assert {path: ask(url, path)[0] for path in expected} == expected
        assert ask(url, "/api/images?sort=;&start=x", **bearer)[0] == 400
        assert ask(url, "/", Host="rebound.example.org")[0] == 421
        assert ask(url, "/api/report", Sec_Fetch_Site="cross-site", **bearer)[0] == 403


def test_bad_input_is_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments, told in {
        (): "expected -o FILE, or --serve",
        ("--serve", "--host", "0.0.0.0"): "expected --token or REPORT_TOKEN",
        ("--serve", "--host", "0.0.0.0", "-s", "REPORT_TOKEN=short"): "at least 16",
        ("--serve", "--token", "short"): "at least 16",
        ("-o", "x.html", "--thumbnails", "many"): "expected a number",
        ("--serve", "--port", "9" * 5000): "expected a number from 0 to 65535",
        ("-o", "x.html", "--images", "/nowhere"): "expected the folder",
        ("none.json", "-o", "x.html"): "none.json: No such file",
        (str(folder / "items.json"), "-o", "/nowhere/x.html"): "cannot be written",
    }.items():
        assert report(*arguments) == 2
        out, err = capsys.readouterr()
        assert told in err and "Traceback" not in err and not out
        assert not Path("x.html").exists()
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    assert report(str(folder / "items.json"), "-o", "x.html") == 2
    assert "expected room for them in /nowhere" in capsys.readouterr().err


def test_the_page_has_nothing_that_a_strangers_text_could_become() -> None:
    sinks = (
        r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|setAttribute\('on|srcdoc|javascript:"
    )
    assert not re.search(sinks, script())
    assert not re.search(r"url\(|@import|expression", style())
