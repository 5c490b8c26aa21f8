"""Scrapy's own tests of what is replaced here, with our class in the place of Scrapy's.

`python -m tests.scrapys_own [scrapy-2.19.0.tar.gz]` takes Scrapy's source distribution (without one, pip brings that
of the Scrapy that is installed), runs its tests of the aiohttp download handler and of feed exports, first as they are,
then with ours, and prints how many pass. Exit code 1 where one fails with ours only and is not in `BY_DESIGN`, or where
one in `BY_DESIGN` passes.
"""

# ruff: noqa: T201 -- it is a script
from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import scrapy

from tests.support.crawling import ROOT

_MAXSIZE = "the same exception; its sentence names the address, and nothing is logged besides: the outcome tells it"
_LOSS = "the same exception, no warning in the log: the outcome (`truncated`) tells it"
_HEADER = "a header that is none is passed over, as browsers do; Scrapy's handler fails"
_TLS = "refused in one sentence as the crawl starts (`imgcrawl/checks.py`); the handler is made with its first request"
BY_DESIGN: Mapping[str, str] = {
    "test_download_with_maxsize": _MAXSIZE,
    "test_download_with_maxsize_very_large_file": _MAXSIZE,
    "test_download_bad_header": _HEADER,
    "test_download_cause_data_loss_double_warning": _LOSS,
    "test_invalid_min_version_setting": _TLS,
    "test_invalid_max_version_setting": _TLS,
    "test_stats_file_failed": "replaces a method of Scrapy's own storage, which is not used",
}
HANDLER = "tests/test_downloader_handler_aiohttp.py"
FEEDS = ("feedexport", "feedexport_batch", "feedexport_postprocess", "feedexport_storages", "feedexport_uri_params")
# pytest's `-p`: the feeds of every project are ours; a project's own settings come above them, as ever.
PLUGIN = """
from imgcrawl import settings as ours
from scrapy.settings import default_settings

default_settings.FEED_STORAGES_BASE.update(ours.FEED_STORAGES)
default_settings.FEED_EXPORTERS_BASE.update(ours.FEED_EXPORTERS)
"""
# Those that ask the Internet, and those that want a program that is not Python's, are left out.
CHOICE = "not requires_internet and not requires_mitmproxy"


def unpacked(archive: Path | None, folder: Path) -> Path:
    """Scrapy's source below *folder*."""
    if archive is None:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "scrapy"]
        subprocess.run([*command, "-d", str(folder), f"scrapy=={scrapy.__version__}"], check=True)
        (archive,) = folder.glob("scrapy-*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    (source,) = (path.parent for path in folder.glob("*/conftest.py"))
    return source


def with_our_handler(source: Path) -> str:
    """A copy of the tests of Scrapy's handler, of ours; its name."""
    theirs = "scrapy.core.downloader.handlers._aiohttp"
    text = (source / HANDLER).read_text("utf-8")
    text = text.replace(f"{theirs}.AiohttpDownloadHandler", "imgcrawl.downloadhandler.DownloadHandler")
    text = text.replace(
        f"from {theirs} import AiohttpDownloadHandler",
        "from imgcrawl.downloadhandler import DownloadHandler as AiohttpDownloadHandler",
    )
    name = "tests/test_downloader_handler_ours.py"
    (source / name).write_text(text, "utf-8")
    return name


def passed(source: Path, *arguments: str) -> dict[str, bool]:
    """Which tests ran, and whether each passed."""
    report = source / "report.xml"
    command = [
        sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist",
        "-W", "default", "--reactor=none", "-o", "asyncio_default_fixture_loop_scope=function", "-m", CHOICE,
        f"--junitxml={report}", *arguments,
    ]  # fmt: skip
    paths = os.pathsep.join((str(source), str(ROOT)))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCRAPY_")}
    subprocess.run(
        command, cwd=source, env={**environment, "PYTHONPATH": paths}, check=False, stdout=subprocess.DEVNULL
    )
    return {
        f"{case.get('classname', '').rpartition('.')[2]}.{case.get('name')}": not any(
            case.findall(kind) for kind in ("failure", "error")
        )
        for case in ET.parse(report).iter("testcase")  # noqa: S314 -- of a pytest that we started
        if case.find("skipped") is None
    }


def compare(title: str, theirs: Mapping[str, bool], ours: Mapping[str, bool]) -> tuple[set[str], set[str]]:
    """Print how many pass; return the functions that fail with ours only, and those that pass with both."""
    good = {name for name, passes in theirs.items() if passes}
    lost = {name for name in good if not ours.get(name, False)}
    print(f"{title}: {len(good) - len(lost)} of the {len(good)} that pass with Scrapy's")
    for name in sorted(lost):
        print(f"  not {name}: {BY_DESIGN.get(function(name), 'WHY?')}")
    return {function(name) for name in lost}, {function(name) for name in good - lost}


def function(name: str) -> str:
    return name.rpartition(".")[2].partition("[")[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", nargs="?", type=Path, help="Scrapy's source distribution")
    with tempfile.TemporaryDirectory() as folder:
        source = unpacked(parser.parse_args().archive, Path(folder))
        (source / "our_feeds.py").write_text(PLUGIN, "utf-8")
        files = [f"tests/test_{name}.py" for name in FEEDS]
        results = [
            compare("Download handler", passed(source, HANDLER), passed(source, with_our_handler(source))),
            compare("Feed exports", passed(source, *files), passed(source, "-p", "our_feeds", *files)),
        ]
    lost = set().union(*(lost for lost, _ in results))
    kept = set().union(*(kept for _, kept in results))
    for name in sorted(lost - BY_DESIGN.keys()):
        print(f"{name} fails with ours: mend it, or say why in BY_DESIGN")
    for name in sorted((kept - lost) & BY_DESIGN.keys()):
        print(f"{name} passes: it is not for BY_DESIGN any more")
    return bool((lost ^ BY_DESIGN.keys()) & (lost | kept))


if __name__ == "__main__":
    sys.exit(main())
