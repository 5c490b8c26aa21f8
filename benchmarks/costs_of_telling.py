"""What it costs a crawl to tell of itself in all ways: CPU an image, with everything of docs/operate.md on, and off.

    python -m benchmarks.costs_of_telling [--rounds 5] [--sampled 0.02] [--every 5]

First what each part costs by itself, in CPU time of a loop, the least of some: that holds on a busy machine, too. Then
crawls of a few and of many images, two at a time on one processor, one with and one without; what an image costs is the
difference of a large and a small crawl by their number of images, so that what is loaded at the start counts for
itself. CPU time is that of the crawl and of what it starts: `true` for each gallery and at the end, and what sends the
notifications. A collector and a Prometheus are in this process; it asks every five seconds, three times as often as
scrapers are mostly told to and twelve times as often as its default (`scrape_interval`, one minute).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from scrapy.settings import Settings
from scrapy.utils.test import get_crawler

from benchmarks.bench import CACHE
from benchmarks.server import static_server
from benchmarks.site import Site
from imgcrawl.hooks.arguments import Arguments
from imgcrawl.hooks.commands import CommandRunner
from imgcrawl.settings import TRACES_SAMPLED
from imgcrawl.telemetry.metrics import CrawlMetrics
from imgcrawl.telemetry.traces import PageTiming, make_spans

IMAGES = 20  # of a gallery
GALLERIES = (10, 210)


class Sink(BaseHTTPRequestHandler):
    """Takes what is sent, and says so."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def ask(folder: Path, ended: threading.Event, every: float) -> None:
    """Ask for the metrics every *every* seconds, as Prometheus does."""
    while not ended.wait(every):
        for file in folder.glob("imgcrawl-*.json"):
            with suppress(OSError, ValueError):
                target = json.loads(file.read_text())[0]["targets"][0]
                urllib.request.urlopen(f"http://{target}/metrics", timeout=5).read()


def least(work: Callable[[], object], times: int = 50) -> float:
    """The CPU seconds of this process and of what it has waited for, for *work* once, the least of five rounds."""

    def used() -> float:
        own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime

    rounds = []
    for _ in range(5):
        before = used()
        for _ in range(times):
            work()
        rounds.append((used() - before) / times)
    return min(rounds)


def page() -> PageTiming:
    """A page of IMAGES images, as it is timed."""
    timing = PageTiming("page", 1)
    timing.attributes = {"imgcrawl.spider": "x", "imgcrawl.callback": "parse", "url.full": "http://x/y"}
    for name in ("queue", "ask", "limits", "download", "parse", "feed"):
        timing.part(name, 1, 10_000_000)
    images = timing.part("images", 1, 10_000_000)
    for number in range(IMAGES):
        image = images.part("image", 1, 10_000_000)
        image.attributes = {"url.full": f"http://x/{number}", "imgcrawl.status": "downloaded", "imgcrawl.bytes": 1}
        for name in ("ask", "limits", "download", "verify", "store"):
            image.part(name, 1, 10_000_000)
    return timing


class Encoding(SpanExporter):
    """Does what sending costs, and sends nothing."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


def costs_of_parts(sampled: float) -> None:
    """Print what each part costs an image of galleries of IMAGES."""
    runner = CommandRunner(Settings(), lambda: False)
    # With one argument alone `true` looks for a language, which is a third of what it takes.
    true = Arguments(["true", "--", "x"], (), setting="COMMAND_FOR_GALLERY")
    item = {"images": [{"url": f"http://x/{n}", "path": "a/b.jpg", "checksum": "f" * 64} for n in range(IMAGES)]}
    command = least(lambda: runner.run(true, {}, {"item": item}))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Encoding()))
    tracer = provider.get_tracer("imgcrawl")

    def told() -> None:
        for _ in range(4):  # as many as a batch has room for
            make_spans(tracer, page())
        provider.force_flush()

    spans = least(told, 10) / 4
    registry = CollectorRegistry()
    registry.register(CrawlMetrics(get_crawler(), 20))
    ProcessCollector(registry=registry)
    scrape = least(lambda: generate_latest(registry))
    total = command / IMAGES + sampled * spans / IMAGES
    print(f"a command for a gallery: {command * 1e3:.2f} ms, {command / IMAGES * 1e6:.0f} us an image of {IMAGES}")
    print(f"the trace of a page: {spans * 1e3:.2f} ms, {sampled * spans / IMAGES * 1e6:.0f} us an image ({sampled:g})")
    print(f"metrics, each time that somebody asks: {scrape * 1e3:.2f} ms")
    print(f"in all {total * 1e6:.0f} us an image", flush=True)


def start(base: str, sink: str, folder: Path, *, on: bool, sampled: float) -> subprocess.Popen[bytes]:
    """A crawl of the site at *base*, on the first processor."""
    settings = {"AUTOTHROTTLE_ENABLED": False, "LOG_FILE": "log"}
    if on:
        settings |= {
            "RUN_SUMMARY": "summary.json", "LOG_JSON": True, "METRICS_PORT": 0, "METRICS_TARGETS": folder,
            "TRACES_ENDPOINT": f"{sink}/v1/traces", "TRACES_SAMPLED": sampled, "NOTIFY_ON": "end",
            "NOTIFY_URLS": f"json://{sink.removeprefix('http://')}/notify",
            "COMMAND_FOR_GALLERY": json.dumps(["true", "--", "{folder}"]), "COMMAND_AT_END": json.dumps(["true"]),
        }  # fmt: skip
    command = [
        sys.executable,
        "-m",
        "scrapy",
        "crawl",
        "pximg",
        "-a",
        f"base={base}",
        "-O",
        "items.jsonl",
    ]
    command += [part for name, value in settings.items() for part in ("-s", f"{name}={value}")]
    env = {
        **os.environ,
        "SCRAPY_SETTINGS_MODULE": "imgcrawl.settings",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    folder.mkdir()
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=-3, stderr=-3)
    os.sched_setaffinity(process.pid, {0})
    return process


def together(base: str, sink: str, sampled: float, every: float) -> dict[bool, float]:
    """The CPU seconds of two crawls of the site at *base* that share a processor from begin to end, by whether they
    tell: what else the machine does, and how fast it is just then, is the same for both."""
    with tempfile.TemporaryDirectory() as name:
        folders = {on: Path(name) / str(on) for on in (True, False)}
        crawls = {on: start(base, sink, folder, on=on, sampled=sampled) for on, folder in folders.items()}
        ended = threading.Event()
        asking = threading.Thread(target=ask, args=(folders[True], ended, every), daemon=True)
        asking.start()
        used = {}
        for on, process in crawls.items():
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            assert status == 0, (folders[on] / "log").read_text()
            used[on] = usage.ru_utime + usage.ru_stime
        ended.set()
        asking.join()
        return used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parts", action="store_true", help="without the crawls")
    parser.add_argument("--sampled", type=float, default=TRACES_SAMPLED)
    parser.add_argument("--every", type=float, default=5, help="seconds from one look of Prometheus to the next")
    options = parser.parse_args()
    costs_of_parts(options.sampled)
    if options.parts:
        return
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sink = f"http://127.0.0.1:{server.server_address[1]}"
    ratios, starts = [], []
    few, many = GALLERIES
    elsewhere = set(range(1, os.cpu_count() or 1)) or {0}  # the sites and who is told: not where they crawl
    os.sched_setaffinity(0, elsewhere)
    with (
        static_server(Site(few * IMAGES), CACHE, elsewhere) as small,
        static_server(Site(many * IMAGES), CACHE, elsewhere) as large,
    ):
        for _ in range(options.rounds):
            less, more = (together(site.base, sink, options.sampled, options.every) for site in (small, large))
            each = {on: (more[on] - less[on]) / ((many - few) * IMAGES) * 1000 for on in (False, True)}
            once = {on: less[on] - each[on] / 1000 * few * IMAGES for on in (False, True)}
            ratios.append(each[True] / each[False] - 1)
            starts.append(once[True] - once[False])
            print(f"{each[False]:.3f} -> {each[True]:.3f} ms an image: {ratios[-1]:+.1%}", flush=True)
    print(f"median {statistics.median(ratios):+.1%}, mean {statistics.mean(ratios):+.1%}")
    print(f"once a crawl {statistics.median(starts):+.2f} s")
    print(time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()))


if __name__ == "__main__":
    main()
