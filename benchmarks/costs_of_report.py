"""What a report costs: how long it is opened and searched in Chromium, as a file and served, by the clock.

    python -m benchmarks.costs_of_report --file 100000 --served 1000000

Galleries of 20 images, of which no file is there. Of what is served the CPU time of each answer is told as well.
"""

from __future__ import annotations

import argparse
import asyncio
import queue
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright
from scrapy.settings import Settings

from imgcrawl.report.answers import Answers
from imgcrawl.report.index import Index
from imgcrawl.report.logs import LogTally
from imgcrawl.report.page import FilePage, head_of
from imgcrawl.report.pictures import ReportFiles
from imgcrawl.report.records import GalleryRecord, ImageRecord
from imgcrawl.report.search import Filter
from imgcrawl.report.server import ReportServer, serve
from imgcrawl.report.tally import Tally
from imgcrawl.watch.access import Access, new_token

PER_GALLERY = 20
WORDS = [
    "hills",
    "lake",
    "dawn",
    "forest",
    "river",
    "snow",
    "cat",
    "dog",
    "street",
    "market",
    "night",
    "harbour",
    "bridge",
    "garden",
    "winter",
    "sea",
    "cloud",
]
SEARCHES = ("text=harbour", "text=harbour+007.jpg", "text=jpg", "status=failed&format=", "label=lake&sort=bytes", "")
ASKED = (
    Filter(), Filter(text="harbour"), Filter(text="harbour 007.jpg"), Filter(text="jpg"), Filter(status="failed"),
    Filter(label="lake", sort="bytes"), Filter(format="PNG", side=900),
)  # fmt: skip


def galleries(images: int) -> Iterator[GalleryRecord]:
    rng = random.Random(5)
    for number in range(images // PER_GALLERY):
        at = 1_764_000_000 + number * 40
        title = f"{' '.join(rng.choices(WORDS, k=4))} {number}"
        shown = [image(number, index, at, title, rng) for index in range(PER_GALLERY)]
        url = f"https://www.example.org/topic/detail/{number}"
        yield GalleryRecord(str(number), (), "example", url, title, at, "", [WORDS[number % len(WORDS)]], shown)


def image(number: int, index: int, at: int, title: str, rng: random.Random) -> ImageRecord:
    url = f"https://img{number % 7}.example.org/files/2026/{number:06}/{index + 1:03}.jpg"
    status = rng.choices(("downloaded", "refused", "failed"), (93, 3, 4))[0]
    reason = {"refused": "robots", "failed": "http_404"}.get(status, "")
    path = "" if reason else f"example/{title}/{index + 1:03}.jpg"
    sizes = rng.choice(("JPEG", "PNG")), rng.choice((800, 1200)), rng.choice((600, 900)), rng.randrange(900_000)
    return ImageRecord(url, path, status, reason, *sizes, at, number * PER_GALLERY + index, "", "")


def measure_file(images: int, folder: Path) -> None:
    tally = Tally()
    page = FilePage(ReportFiles(Settings({"IMAGES_STORE": str(folder / "none")})), "")
    for gallery in galleries(images):
        tally.add(gallery)
        page.add(gallery)
    file = folder / "report.html"
    file.write_bytes(b"".join(page.html(head_of("A report", ["a feed"], tally, LogTally()), 0)))
    print(f"a file of {images:,} images, {file.stat().st_size / 1e6:.1f} MB")
    browse(file.as_uri(), ("images",))


def browse(address: str, views: tuple[str, ...]) -> None:
    """Print how long Chromium takes to open the report at *address*, and to show what each of SEARCHES finds."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page()
        start = time.perf_counter()
        tab.goto(address)
        tab.locator(".cards").wait_for()
        print(f"  opened    {time.perf_counter() - start:.2f} s")
        for view in views:
            for search in SEARCHES:
                tab.evaluate("document.querySelector('#found').textContent = ''")
                start = time.perf_counter()
                tab.evaluate(f"location.hash = '#{view}?{search}'")
                tab.locator("#found", has_text="galler" if view == "galleries" else "image").wait_for()
                tab.locator(".cell .tile").first.wait_for()
                print(f"  {time.perf_counter() - start:.2f} s  {view}, {search or 'all'}")
        browser.close()


def measure_served(images: int) -> None:
    seconds, index = taken(lambda: Index(galleries(images)))
    answers = Answers(index, lambda _: False)
    print(f"an index of {images:,} images: {seconds:.1f} s of CPU time; answers, first and again")
    for kind in ("images", "galleries"):
        for asked in ASKED:
            first, told = taken(lambda asked=asked, kind=kind: getattr(answers, kind)(asked, 0, 48))
            again, _ = taken(lambda asked=asked, kind=kind: getattr(answers, kind)(asked, 48, 48))
            print(f"  {first:.3f} {again:.3f} s  {told['found']:9,} {kind}  {told_of(asked)}")
    print("the same in Chromium")
    with tempfile.TemporaryDirectory() as folder, served(Index(galleries(images)), Path(folder)) as address:
        browse(address, ("images", "galleries"))


@contextmanager
def served(index: Index, store: Path) -> Iterator[str]:
    """The address of a server of *index*, in a thread of its own, with a token."""
    token, ready, ended = new_token(), queue.SimpleQueue[str](), asyncio.Event()
    head = head_of("A report", ["a feed"], Tally(), LogTally())
    server = ReportServer(index, ReportFiles(Settings({"IMAGES_STORE": str(store)})), head, Access(token, "127.0.0.1"))
    loop = asyncio.new_event_loop()

    async def run() -> None:
        task = asyncio.ensure_future(serve(server.application(), "127.0.0.1", [0], ready.put))
        await ended.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    yield f"{ready.get()}#{token}"
    loop.call_soon_threadsafe(ended.set)
    thread.join()
    server.close()


def taken(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    done = work()
    return time.process_time() - start, done


def told_of(asked: Filter) -> str:
    return ", ".join(f"{name}={value}" for name, value in vars(asked).items() if value) or "all"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=int, default=100_000, help="images in the file")
    parser.add_argument("--served", type=int, default=1_000_000, help="images that are served")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure_file(options.file, Path(folder))
    measure_served(options.served)


if __name__ == "__main__":
    main()
