"""What a crawl does not use is not loaded, or compiled: each was once a part of what a crawl takes to start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.crawling import environment
from tests.support.server import JPEG, Server

# Nothing of these may be loaded by a plain crawl of galleries whose images are JPEGs.
UNUSED = (
    "apprise",
    "opentelemetry",
    "prometheus_client",
    "redis",
    "rich",  # no terminal, no summary
    "requests",
    "tldextract",
    "twisted.conch",
    "aiohttp.web",
    "scrapy.core.downloader.handlers.http11",
    "scrapy.extensions.telnet",
    "scrapy.extensions.remote_control",
    "PIL.ImageCms",
    "PIL.TiffImagePlugin",
    "PIL.WebPImagePlugin",
    "imgcrawl.demo",
    "imgcrawl.downloadermiddlewares.cookies",
    "imgcrawl.extensions.summary",
    "imgcrawl.feeds.formats",
    "imgcrawl.feeds.merge",
    "imgcrawl.feeds.output",
    "imgcrawl.frontier.queue",
    "imgcrawl.hooks.announcer",
    "imgcrawl.telemetry.jsonlines",
    "imgcrawl.frontier.scheduler",
    "imgcrawl.images.thumbnails",
    "imgcrawl.limits.redis",
    "imgcrawl.livedisplay",
    "imgcrawl.workers",
)
# Characters of all regular expressions that it compiles: it was 42,000 when all were compiled as they were loaded.
PATTERNS = 18_000
CRAWL = """
import atexit, json, re, ssl, sys
compiled, patterns = re.compile, []

def compile(pattern, flags=0):
    frame = sys._getframe(1)
    while frame.f_globals["__name__"] == "imgcrawl.possessive":
        frame = frame.f_back
    if (name := frame.f_globals["__name__"]).startswith("imgcrawl"):
        patterns.append((len(pattern), name, frame.f_lineno))
    return compiled(pattern, flags)

def read_certificates(context):
    patterns.append((1_000_000, "of certificates, which http does not need", 0))

re.compile = compile
ssl.SSLContext.set_default_verify_paths = read_certificates
atexit.register(lambda: json.dump([sorted(sys.modules), patterns], open("loaded.json", "w")))
from scrapy.cmdline import execute
execute(["scrapy", *sys.argv[1:]])
"""
LIST = "<html><div class=camLiTitleC><p><a href=/1.html>One</a></p></div></html>"
GALLERY = "<html><h2>One</h2><ul><li><a href=#><img src=/1.jpg></a></li></ul></html>"


def loaded(folder: Path, *arguments: str) -> tuple[set[str], list[tuple[int, str, int]]]:
    """The modules that a crawl of one image has loaded when it ends, and the patterns that our own have compiled: their
    lengths, and where."""
    with Server() as server:
        server.add("/topic/nvshen/page/1", LIST.encode(), headers={"Content-Type": "text/html"})
        server.add("/1.html", GALLERY.encode(), headers={"Content-Type": "text/html"})
        server.add("/1.jpg", JPEG)
        command = [sys.executable, "-c", CRAWL, "crawl", "pximg", "-a", f"base={server.url('')}", "-O", "images.json"]
        command += ["-s", "SUMMARY_ENABLED=False", "-s", "AUTOTHROTTLE_ENABLED=False", *arguments]
        ran = subprocess.run(
            command, cwd=folder, env=environment(settings="imgcrawl.settings"), capture_output=True, text=True,
            check=False, timeout=120,
        )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert [image["status"] for item in json.loads((folder / "images.json").read_text()) for image in item["images"]]
    modules, patterns = json.loads((folder / "loaded.json").read_text())
    return set(modules), patterns


def test_a_crawl_does_not_load_what_it_does_not_use(tmp_path: Path) -> None:
    modules, patterns = loaded(tmp_path)
    assert {name for name in modules if any(name == one or name.startswith(f"{one}.") for one in UNUSED)} == set()
    assert {"PIL.Image", "imgcrawl.images.verify"} <= modules, "its image was looked at"
    assert sum(length for length, _, _ in patterns) < PATTERNS, f"compile_late? {sorted(patterns)[-30:]}"
    assert "imgcrawl.pages.gone" in {name for _, name, _ in patterns}, "one that is late, and used"


def test_what_is_switched_on_is_loaded(tmp_path: Path) -> None:
    modules, _ = loaded(tmp_path, "-s", "COOKIES_ENABLED=True", "-s", "TELNETCONSOLE_ENABLED=True")
    assert {"imgcrawl.downloadermiddlewares.cookies", "scrapy.extensions.telnet"} <= modules
