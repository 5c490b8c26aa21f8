"""A real HTTP server that misbehaves on request, one resource for each misbehaviour, and records all it saw.

    with Server() as server:
        server.add("/a.jpg", JPEG)                                   # 200, for ever
        server.add("/b.jpg", status=503, times=2)                    # two 503, then the next line
        server.add("/b.jpg", JPEG)
        server.add("/c.jpg", lambda request: Answer(JPEG if "referer" in request.headers else b"", 200))
        server.add("/d.jpg", reset, times=1)                         # any misbehaviour below, at any path
        server.url("/a.jpg"), server.url("/reset"), server.url("/a.jpg", host="127.0.0.2")
        server.requests, server.paths(), server.max_in_flight, server.connections

Every misbehaviour of `MISBEHAVIOURS` is there from the start, under its own path. Anything else is 404, also
/robots.txt. It runs in a thread with an event loop of its own, so that blocking tests and crawls in
subprocesses can use it alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import inspect
import io
import socket
import ssl
import struct
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http.client import responses
from typing import Self

from PIL import Image


def jpeg(width: int = 64, height: int = 48, colour: tuple[int, int, int] = (200, 80, 40), comment: str = "") -> bytes:
    """A JPEG of one colour; another *comment* gives other bytes, another colour that is far enough away does, too."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "JPEG", comment=comment.encode())
    return file.getvalue()


JPEG = jpeg()
HTML = b"<!doctype html><html><head><title>sorry</title></head><body>not an image</body></html>"


@dataclass
class Request:
    """A request as it arrived. Header names are in lower case; `path` includes the query."""

    time: float
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    address: str  # the local address that was connected to
    connection: int  # numbered from 1 in the order of arrival
    in_flight: int  # requests being answered when this one came, itself included

    @property
    def host(self) -> str:
        return self.headers.get("host", "")


@dataclass
class Answer:
    """What to answer: *headers* replace the ones made up here; *delay* is seconds or an event to wait for."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float | threading.Event = 0.0


class Exchange:
    """One request and the wire its answer goes to, for misbehaviours."""

    def __init__(self, server: Server, request: Request, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.request = request
        self.writer = writer

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, status: int = 200, **headers: str) -> None:
        """Send a status line and headers (`content_length` for Content-Length)."""
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        await self.write(f"HTTP/1.1 {status} {_phrase(status)}\r\n{lines}\r\n".encode("latin-1"))

    async def answer(self, answer: Answer) -> None:
        if isinstance(answer.delay, threading.Event):
            while not answer.delay.is_set():  # noqa: ASYNC110 - the event belongs to another thread
                await asyncio.sleep(0.005)
        elif answer.delay:
            await asyncio.sleep(answer.delay)
        headers = {"Content-Length": str(len(answer.body)), "Content-Type": "image/jpeg", **answer.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {answer.status} {_phrase(answer.status)}\r\n{lines}\r\n".encode("latin-1")
        bodyless = self.request.method == "HEAD" or answer.status in (204, 304)
        await self.write(head if bodyless else head + answer.body)

    def reset(self) -> None:
        """Close so that the client sees ECONNRESET and not an end of file."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()


def _phrase(status: int) -> str:
    return responses.get(status, "Unknown")


Misbehaviour = Callable[[Exchange], Awaitable[None]]


async def reset(exchange: Exchange) -> None:
    """The connection is reset before any header."""
    exchange.reset()


async def close(exchange: Exchange) -> None:
    """The connection is closed before any header."""
    exchange.close()


async def reset_mid_body(exchange: Exchange) -> None:
    await exchange.head(content_length=str(len(JPEG)), content_type="image/jpeg")
    await exchange.write(JPEG[: len(JPEG) // 2])
    await asyncio.sleep(0.05)  # a reset overtakes bytes that the client has not read
    exchange.reset()


async def short(exchange: Exchange) -> None:
    """Content-Length promises more than is sent before an orderly close."""
    await exchange.head(content_length=str(len(JPEG)), content_type="image/jpeg")
    await exchange.write(JPEG[: len(JPEG) // 2])
    exchange.close()


async def drip(exchange: Exchange) -> None:
    """The whole image, byte by byte, 10 bytes a second."""
    await exchange.head(content_length=str(len(JPEG)), content_type="image/jpeg")
    for byte in JPEG:
        await exchange.write(bytes([byte]))
        await asyncio.sleep(0.1)


async def never(exchange: Exchange) -> None:
    """The request is read; no answer ever comes."""
    await asyncio.sleep(3600)


async def stall(exchange: Exchange) -> None:
    """Half the image comes, then nothing more, and the connection stays open."""
    await exchange.head(content_length=str(len(JPEG)), content_type="image/jpeg")
    await exchange.write(JPEG[: len(JPEG) // 2])
    await asyncio.sleep(3600)


async def html(exchange: Exchange) -> None:
    await exchange.answer(Answer(HTML, headers={"Content-Type": "text/html; charset=utf-8"}))


async def html_as_jpeg(exchange: Exchange) -> None:
    await exchange.answer(Answer(HTML))


async def empty(exchange: Exchange) -> None:
    await exchange.answer(Answer(b""))


async def created(exchange: Exchange) -> None:
    """A good image with status 201."""
    await exchange.answer(Answer(JPEG, 201))


async def gated(exchange: Exchange) -> None:
    """403 unless the Referer is a page of this server (any of its addresses)."""
    allowed = exchange.request.headers.get("referer", "").startswith(exchange.server.url(""))
    await exchange.answer(Answer(JPEG) if allowed else Answer(HTML, 403, {"Content-Type": "text/html"}))


async def gzipped(exchange: Exchange) -> None:
    """Content-Encoding: gzip, whatever the client accepts."""
    await exchange.answer(Answer(gzip.compress(JPEG), headers={"Content-Encoding": "gzip"}))


async def chunked(exchange: Exchange) -> None:
    """A good image in two chunks."""
    await exchange.head(transfer_encoding="chunked", content_type="image/jpeg")
    half = len(JPEG) // 2
    for part in (JPEG[:half], JPEG[half:], b""):
        await exchange.write(b"%x\r\n%s\r\n" % (len(part), part))


async def chunked_cut(exchange: Exchange) -> None:
    """A chunked body that ends in an orderly close without its last chunk."""
    await exchange.head(transfer_encoding="chunked", content_type="image/jpeg")
    half = JPEG[: len(JPEG) // 2]
    await exchange.write(b"%x\r\n%s\r\n" % (len(half), half))
    exchange.close()


async def until_close(exchange: Exchange) -> None:
    """A good image without a length: its end is the end of the connection."""
    await exchange.head(connection="close", content_type="image/jpeg")
    await exchange.write(JPEG)
    exchange.close()


async def huge_length(exchange: Exchange) -> None:
    """Content-Length of 1 TiB and the beginning of an image."""
    await exchange.head(content_length=str(1 << 40), content_type="image/jpeg")
    await exchange.write(JPEG)
    await asyncio.sleep(3600)


async def endless(exchange: Exchange) -> None:
    """A body without a length that never ends."""
    await exchange.head(connection="close", content_type="image/jpeg")
    await exchange.write(JPEG)
    while True:
        await exchange.write(bytes(65536))
        await asyncio.sleep(0.001)


async def garbage(exchange: Exchange) -> None:
    """Bytes that are no HTTP answer."""
    await exchange.write(b"\x00\xffnothing like HTTP\r\n\r\n")
    exchange.close()


async def endless_headers(exchange: Exchange) -> None:
    await exchange.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        await exchange.write(b"X-Noise: " + b"x" * 8000 + b"\r\n")
        await asyncio.sleep(0.001)


def redirect(location: str, status: int = 302) -> Misbehaviour:
    """A redirect to *location*, which may be a path."""

    async def redirect_(exchange: Exchange) -> None:
        await exchange.answer(Answer(b"", status, {"Location": location}))

    return redirect_


async def redirect_without_location(exchange: Exchange) -> None:
    await exchange.answer(Answer(b"", 302))


def too_many_requests(retry_after: float | str | None, *, as_date: bool = False, status: int = 429) -> Misbehaviour:
    """429 (or *status*) with a Retry-After in seconds, as an HTTP-date that far ahead, or verbatim text."""

    async def too_many_requests_(exchange: Exchange) -> None:
        headers = {}
        if as_date:
            # HTTP-dates have whole seconds: rounded up, so that the date is never sooner than asked for.
            headers["Retry-After"] = formatdate(int(time.time() + float(retry_after or 0)) + 1, usegmt=True)
        elif retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        await exchange.answer(Answer(b"", status, headers))

    return too_many_requests_


MISBEHAVIOURS: dict[str, Misbehaviour] = {
    "/reset": reset,
    "/close": close,
    "/reset-mid-body": reset_mid_body,
    "/short": short,
    "/drip": drip,
    "/never": never,
    "/stall": stall,
    "/html": html,
    "/html.jpg": html_as_jpeg,
    "/empty": empty,
    "/created": created,
    "/gated": gated,
    "/gzip": gzipped,
    "/chunked": chunked,
    "/chunked-cut": chunked_cut,
    "/until-close": until_close,
    "/huge-length": huge_length,
    "/endless": endless,
    "/endless-headers": endless_headers,
    "/garbage": garbage,
    "/loop": redirect("/loop"),
    "/to-file": redirect("file:///etc/passwd"),
    "/to-private": redirect("http://10.0.0.1/a.jpg"),
    "/to-loopback": redirect("http://127.0.0.1:9/a.jpg"),
    "/to-nowhere": redirect_without_location,
    "/429": too_many_requests(1),
    "/429-date": too_many_requests(1, as_date=True),
    "/429-long": too_many_requests(86400),
    "/429-bad": too_many_requests("soon"),
    "/429-bare": too_many_requests(None),
    "/503": too_many_requests(None, status=503),
}


class Server:
    """The server, as a context manager or with `start()` and `stop()`. *context* makes it a TLS server."""

    def __init__(self, hosts: tuple[str, ...] = ("127.0.0.1",), context: ssl.SSLContext | None = None) -> None:
        self.hosts = hosts
        self.context = context
        self.port = 0
        self.requests: list[Request] = []
        self.connections = 0
        self._open: set[asyncio.StreamReader] = set()  # of exchanges that are not over
        self.max_in_flight = 0
        self._resources: dict[str, list[tuple[Misbehaviour, float]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread: threading.Thread | None = None
        self._failure: OSError | None = None
        for path, misbehaviour in MISBEHAVIOURS.items():
            self.add(path, misbehaviour)

    def add(
        self,
        path: str,
        body: bytes | Misbehaviour | Callable[[Request], Answer] = b"",
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
        delay: float | threading.Event = 0.0,
        times: float = float("inf"),
    ) -> None:
        """Serve *body* at *path* (with or without a query; "*" for every path not named) for the next *times*
        requests. A path added again goes on with the new body when the old one's times are used up; a body
        that was to be served for ever is replaced."""
        resource: Misbehaviour
        if isinstance(body, bytes):
            fixed = Answer(body, status, headers or {}, delay)

            async def resource(exchange: Exchange) -> None:
                await exchange.answer(fixed)
        elif inspect.iscoroutinefunction(body):
            resource = body
        else:
            answer = body

            async def resource(exchange: Exchange) -> None:
                await exchange.answer(answer(exchange.request))

        queue = [entry for entry in self._resources.get(path, []) if entry[1] != float("inf")]
        self._resources[path] = [*queue, (resource, times)]

    def robots(self, text: str, status: int = 200) -> None:
        """Serve *text* as /robots.txt (404 without it)."""
        self.add("/robots.txt", text.encode(), status=status, headers={"Content-Type": "text/plain"})

    def url(self, path: str = "/", host: str = "") -> str:
        """The absolute address of *path*, on the first of the hosts or on *host*."""
        return f"{'https' if self.context else 'http'}://{host or self.hosts[0]}:{self.port}{path}"

    def paths(self) -> list[str]:
        """The paths asked for, in order, without /robots.txt."""
        return [request.path for request in self.requests if request.path != "/robots.txt"]

    def count(self, path: str) -> int:
        return sum(request.path == path for request in self.requests)

    def forget(self) -> None:
        """Start counting anew."""
        self.requests.clear()
        self.connections = self.max_in_flight = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main(started)), daemon=True)
        self._thread.start()
        started.wait()
        if self._failure:
            raise self._failure

    def stop(self) -> None:
        if self._thread and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    async def _main(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        listeners: list[asyncio.Server] = []
        try:
            for host in self.hosts:
                listener = await asyncio.start_server(
                    self._connected, host, self.port, ssl=self.context, backlog=1024, reuse_address=True
                )
                listeners.append(listener)
                self.port = listener.sockets[0].getsockname()[1]
        except OSError as error:
            self._failure = error
            self._stopping.set()
        started.set()
        await self._stopping.wait()
        for listener in listeners:
            listener.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        connection = self.connections
        try:
            # A client that goes away in mid-answer is no failure of the server.
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while not writer.is_closing():
                    await self._exchange(reader, writer, connection)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        first = await reader.readexactly(1)
        if first == b"\x16" and not self.context:  # a TLS handshake; real servers answer it like this too
            writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            writer.close()
            return
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        start, *lines = head.rstrip("\r\n").split("\r\n")
        method, path, _ = start.split(" ", 2)
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self._open.add(reader)
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        address = writer.get_extra_info("sockname")[0]
        request = Request(time.time(), method, path, headers, body, address, connection, self.in_flight)
        self.requests.append(request)
        # A client that hangs up ends the exchange, so that in_flight stays true.
        answer = asyncio.ensure_future(self._resource(path)(Exchange(self, request, writer)))
        answer.add_done_callback(lambda _: self._open.discard(reader))  # before whoever has it can ask for the next
        gone = asyncio.ensure_future(self._gone(reader))
        try:
            await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                answer.result()
            else:
                writer.close()
        finally:
            self._open.discard(reader)
            for future in (answer, gone):
                future.cancel()
            await asyncio.gather(answer, gone, return_exceptions=True)
        if headers.get("connection", "").lower() == "close":
            writer.close()

    @property
    def in_flight(self) -> int:
        """Requests that are being answered; of those whose client has hung up, none, also before that is noticed."""
        return sum(not _has_hung_up(reader) for reader in self._open)

    @staticmethod
    async def _gone(reader: asyncio.StreamReader) -> None:
        while not _has_hung_up(reader):  # noqa: ASYNC110 - no event for that
            await asyncio.sleep(0.01)

    def _resource(self, path: str) -> Misbehaviour:
        for name in (path, path.partition("?")[0], "*"):
            if queue := self._resources.get(name):
                resource, times = queue[0]
                if times <= 1:
                    queue.pop(0)
                else:
                    queue[0] = (resource, times - 1)
                return resource
        return _not_found


def _has_hung_up(reader: asyncio.StreamReader) -> bool:
    return reader.at_eof() or reader.exception() is not None


async def _not_found(exchange: Exchange) -> None:
    await exchange.answer(Answer(HTML, 404, {"Content-Type": "text/html; charset=utf-8"}))
