"""Who answers: nginx for what is static, a server of our own for latency, hanging hosts and a million images.

Both run in a process of their own, on a core of their own where there are two. `python -m benchmarks.server` is
the second one; it keeps what it serves in memory and has one callback a request.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.site import Pictures, Site, write_static

ROOT = Path(__file__).parents[1]
NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    sendfile on;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    open_file_cache max=20000 inactive=10m;
    default_type text/html;
    types {{ image/jpeg jpg; text/plain txt; }}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port} backlog=2048; root {root}; }}
}}
"""


@dataclass(frozen=True)
class Address:
    """Where a server listens, and which one it is."""

    port: int
    kind: str

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stats(self, *, reset: bool = False) -> dict[str, Any]:
        """What our own server has counted since the last reset."""
        with urllib.request.urlopen(f"{self.base}/.stats{'?reset' if reset else ''}") as answer:  # noqa: S310 -- http
            counted: dict[str, Any] = json.load(answer)
        return counted


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextlib.contextmanager
def static_server(site: Site, cache: Path, cores: set[int] | None) -> Iterator[Address]:
    """*site* from nginx, if it is installed, else from our own server."""
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if not nginx:
        with own_server(site, cache, cores) as address:
            yield address
        return
    root = write_static(site, cache)
    port = free_port()
    folder = cache / f"nginx-{port}"
    folder.mkdir(parents=True)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, root=root, port=port))
    # As root, nginx hands its work to `nobody`, who cannot read a home directory.
    user = ["-g", "user root;"] if os.geteuid() == 0 else []
    process = subprocess.Popen(
        [nginx, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log"), *user],
        preexec_fn=_pinned(cores),  # noqa: PLW1509 -- nothing here has threads yet
    )
    try:
        wait_for(port, process)
        yield Address(port, "nginx")
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


@contextlib.contextmanager
def own_server(site: Site, cache: Path, cores: set[int] | None, *options: str) -> Iterator[Address]:
    """*site* from our own server. *options*: see `python -m benchmarks.server --help`."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.server", "--port", str(port), "--cache", str(cache)]
    command += ["--images", str(site.images), "--kind", site.kind, "--per-gallery", str(site.per_gallery), *options]
    process = subprocess.Popen(command, cwd=ROOT, preexec_fn=_pinned(cores))  # noqa: PLW1509 -- as above
    try:
        wait_for(port, process)
        yield Address(port, "own")
    finally:
        process.terminate()
        process.wait()


def _pinned(cores: set[int] | None) -> Any:
    return (lambda: os.sched_setaffinity(0, cores)) if cores else None


@contextlib.contextmanager
def in_a_process(module: str, port: int, *arguments: str) -> Iterator[str]:
    """The server that *module* is, listening at *port*, in a process of its own. Its address."""
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=ROOT)
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise RuntimeError("the server did not start within a minute")


# ---- our own server ------------------------------------------------------------------------------------


class Served:
    """What is served, and what was counted."""

    def __init__(self, site: Site, pictures: Pictures, latency: float, page_latency: float, hanging: float) -> None:
        self.site = site
        self.pictures = pictures
        self.latency = latency
        self.page_latency = page_latency
        self.hanging = hanging
        self.answers: dict[str, bytes] = {}
        self.reset()

    def reset(self) -> None:
        self.first = self.first_image = self.last = 0.0
        self.requests = self.images = self.bytes = self.flying = self.most = self.connections = 0

    def answer(self, path: str) -> bytes:
        known = self.answers.get(path)
        if known is not None:
            return known
        index = self.site.index(path)
        if index is not None:
            answer = _response(200, "image/jpeg", self.pictures.body(index), f'"{self.site.kind}-{index}"')
        else:
            page = self.site.page(path)
            answer = _response(200 if page else 404, "text/html; charset=utf-8", (page or "").encode())
        if len(self.answers) < 20_000:
            self.answers[path] = answer
        return answer

    def counted(self) -> bytes:
        names = ("first", "first_image", "last", "requests", "images", "bytes", "most", "connections")
        return json.dumps({name: getattr(self, name) for name in names}).encode()

    def host_latency(self, host: str) -> float | None:
        """How long the host at loopback address *host* takes for its first answer, None for ever; the same in each run.

        Log-normal, 1.5 s in the middle, 8 s at most. Half of it is what a new connection costs (name, TCP, TLS), so
        that a second answer on it takes the other half.
        """
        chance = random.Random(host)
        if chance.random() < self.hanging:
            return None
        return min(8.0, chance.lognormvariate(math.log(1.5), 0.8))


def _response(status: int, kind: str, body: bytes, etag: str = "") -> bytes:
    reason = {200: "OK", 404: "Not Found"}[status]
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    if etag:
        head += f"ETag: {etag}\r\nLast-Modified: Thu, 12 Apr 2018 08:00:00 GMT\r\n"
    return head.encode() + b"Connection: keep-alive\r\n\r\n" + body


class _Connection(asyncio.Protocol):
    def __init__(self, served: Served, hosts: bool) -> None:
        self.served = served
        self.hosts = hosts
        self.received = b""
        self.answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.served.connections += 1
        self.loop = asyncio.get_running_loop()
        self.host = transport.get_extra_info("sockname")[0]

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            self.asked(head.split(b" ", 2)[1].decode("latin-1"))

    def asked(self, target: str) -> None:
        served = self.served
        path, _, query = target.partition("?")
        if path.startswith("http://"):
            path = "/" + path.split("/", 3)[3]
        if path == "/.stats":
            self.transport.write(_response(200, "application/json", served.counted()))
            if query == "reset":
                served.reset()
            return
        is_image = path.endswith(".jpg")
        now = time.time()
        served.first = served.first or now
        served.requests += 1
        if is_image:
            served.first_image = served.first_image or now
            served.images += 1
        served.flying += 1
        served.most = max(served.most, served.flying)
        latency: float | None = served.latency if is_image else served.page_latency
        if self.hosts:
            latency = served.host_latency(self.host)
            if latency and self.answered:
                latency /= 2
            self.answered = True
        if latency is None:
            return
        if latency:
            self.loop.call_later(latency, self.reply, path)
        else:
            self.reply(path)

    def reply(self, path: str) -> None:
        answer = self.served.answer("/gallery/0.html" if self.hosts and path == "/" else path)
        self.served.flying -= 1
        self.served.bytes += len(answer)
        self.served.last = time.time()
        if not self.transport.is_closing():
            self.transport.write(answer)


async def serve(arguments: argparse.Namespace) -> None:
    site = Site(arguments.images, arguments.kind, arguments.per_gallery)
    pictures = Pictures(Path(arguments.cache), arguments.kind)
    page_latency = arguments.latency if arguments.page_latency is None else arguments.page_latency
    served = Served(site, pictures, arguments.latency, page_latency, arguments.hanging)
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(served, arguments.hosts),
        "0.0.0.0" if arguments.hosts else "127.0.0.1",  # noqa: S104 -- all of 127/8
        arguments.port,
        backlog=2048,
    )
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cache", required=True, help="where pictures are kept")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--kind", default="photos", help="see `benchmarks.site.Site`")
    parser.add_argument("--per-gallery", type=int, default=20)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--page-latency", type=float, help="the same for pages, if it differs")
    parser.add_argument(
        "--hosts", action="store_true", help="each address of 127/8 is a host with a latency of its own"
    )
    parser.add_argument("--hanging", type=float, default=0.0, help="share of these hosts that never answer")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
