"""What it costs a crawl to tell of itself in all ways: CPU an image, with everything of docs/operate.md on, and off.

    python -m benchmarks.costs_of_telling [--rounds 5] [--sampled 0.1]

Crawls of a few and of many images, with and without, follow each other; what an image costs is the difference of a
large and a small crawl by their number of images, so that what is loaded at the start counts for itself. CPU time is
that of the crawl and of what it starts: `true` for each gallery and at the end, and what sends the notifications. A
collector and a Prometheus that asks each second are in this process.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from imgcrawl.demo.server import serve

IMAGES = 20  # of a gallery
GALLERIES = (10, 70)


class Sink(BaseHTTPRequestHandler):
    """Takes what is sent, and says so."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def ask(folder: Path, ended: threading.Event) -> None:
    """Ask for the metrics once a second, as Prometheus does."""
    while not ended.wait(1):
        for file in folder.glob("imgcrawl-*.json"):
            with suppress(OSError, ValueError):
                target = json.loads(file.read_text())[0]["targets"][0]
                urllib.request.urlopen(f"http://{target}/metrics", timeout=5).read()


def crawl(base: str, sink: str, *, on: bool, sampled: float) -> float:
    """CPU seconds of a crawl of the site at *base*."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"AUTOTHROTTLE_ENABLED": False, "LOG_FILE": "log"}
        if on:
            settings |= {
                "RUN_SUMMARY": "summary.json", "LOG_JSON": True, "METRICS_PORT": 0, "METRICS_TARGETS": folder,
                "TRACES_ENDPOINT": f"{sink}/v1/traces", "TRACES_SAMPLED": sampled, "NOTIFY_ON": "end",
                "NOTIFY_URLS": f"json://{sink.removeprefix('http://')}/notify",
                "COMMAND_FOR_GALLERY": json.dumps(["true", "{folder}"]), "COMMAND_AT_END": json.dumps(["true"]),
            }  # fmt: skip
        command = [sys.executable, "-m", "scrapy", "crawl", "pximg", "-a", f"base={base}", "-O", "items.jsonl"]
        command += [part for name, value in settings.items() for part in ("-s", f"{name}={value}")]
        env = {
            **os.environ,
            "SCRAPY_SETTINGS_MODULE": "imgcrawl.settings",
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        ended = threading.Event()
        asking = threading.Thread(target=ask, args=(Path(folder), ended))
        asking.start()
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=-3, stderr=subprocess.PIPE)
        _, status, used = os.wait4(process.pid, 0)
        ended.set()
        asking.join()
        if process.stderr:
            told = process.stderr.read()
            process.stderr.close()
        assert status == 0, told
        return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sampled", type=float, default=0.1)
    options = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sink = f"http://127.0.0.1:{server.server_address[1]}"
    costs: dict[bool, list[float]] = {False: [], True: []}
    starts: dict[bool, list[float]] = {False: [], True: []}
    few, many = GALLERIES
    site = {"images": IMAGES, "width": 900, "misbehave": False}
    with serve(galleries=few, **site) as small, serve(galleries=many, **site) as large:
        for number in range(options.rounds):
            for on in (False, True) if number % 2 else (True, False):
                less = crawl(small.base, sink, on=on, sampled=options.sampled)
                more = crawl(large.base, sink, on=on, sampled=options.sampled)
                each = (more - less) / ((many - few) * IMAGES)
                costs[on].append(each)
                starts[on].append(less - each * few * IMAGES)
                print(f"{'on ' if on else 'off'} {less:.2f} s, {more:.2f} s: {each * 1000:.3f} ms an image", flush=True)
    off, on_ = (statistics.median(costs[on]) * 1000 for on in (False, True))
    least = min(costs[True]) / min(costs[False]) - 1
    print(f"median {off:.3f} -> {on_:.3f} ms an image: {on_ / off - 1:+.1%}; of the least of each {least:+.1%}")
    print(f"once a crawl {statistics.median(starts[False]):.2f} -> {statistics.median(starts[True]):.2f} s")
    print(time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()))


if __name__ == "__main__":
    main()
