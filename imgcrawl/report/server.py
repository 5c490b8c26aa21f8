"""Serves a report: the page, and what it asks for, to who has the token."""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any, Final

from aiohttp import web
from cachetools import LRUCache

from imgcrawl.exceptions import InputError, describe
from imgcrawl.report import page
from imgcrawl.report.answers import Answers
from imgcrawl.report.index import Index
from imgcrawl.report.lookalikes import find
from imgcrawl.report.pictures import TYPES, ReportFiles, SmallCopy
from imgcrawl.report.search import Filter
from imgcrawl.watch.access import Access, add_headers

MOST_COMPARED: Final = 20_000  # images in which look-alikes are sought at a time
_CACHE: Final = 64 * 1024 * 1024  # bytes of small copies
_STRICT: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"


class ReportServer:
    """The web application of a report. *head* is what its page begins with (`page.head_of`)."""

    def __init__(self, index: Index, stored: ReportFiles, head: dict[str, Any], access: Access) -> None:
        self._index = index
        self._stored = stored
        self._answers = Answers(index, stored.has)
        self._access = access
        # Images are fetched without the header that has the token: who has it learns where they are.
        self._secret = secrets.token_urlsafe(16)
        self._head = {**head, **index.survey.as_json(), "served": True, "files": self._secret}
        self._head["can_compare"] = stored.root is not None
        self._small: LRUCache[int, SmallCopy | None] = LRUCache(
            _CACHE, lambda copy: len(copy[0]) + 100 if copy else 100
        )
        self._threads = ThreadPoolExecutor(4, "report")
        self._search = Search()

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._access.check])
        for signal in (add_headers, _restrict_files):
            app.on_response_prepare.append(signal)
        static = (("/", "text/html", page.served_page), ("/report.js", "text/javascript", _encoded(page.script)))
        for path, kind, made in (*static, ("/report.css", "text/css", _encoded(page.style))):
            app.router.add_get(path, _fixed(kind, made))
        app.router.add_get("/favicon.ico", _nothing)
        app.router.add_get("/api/report", self._told(lambda _: self._head))
        for name in ("images", "galleries", "failed_pages"):
            app.router.add_get(f"/api/{name}", self._told(self._rows(getattr(self._answers, name))))
        app.router.add_get("/api/reasons", self._told(lambda query: {"reasons": self._index.reasons(Filter.of(query))}))
        app.router.add_get("/api/lookalikes", self._told(lambda _: self._search.state()))
        app.router.add_post("/api/lookalikes", self._told(self._begin_search))
        app.router.add_get("/thumb/{secret}/{number:[0-9]{1,12}}", self._thumb)
        app.router.add_get("/file/{secret}/{number:[0-9]{1,12}}", self._file)
        return app

    def close(self) -> None:
        self._search.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _told(self, answer: Callable[[Any], Any]) -> Callable[[web.Request], Any]:
        """A handler that answers, to who has the token, what *answer* makes of the query, or of the body, as JSON."""

        async def handle(request: web.Request) -> web.Response:
            self._access.require(request)
            given = await _body(request) if request.method == "POST" else dict(request.query)
            try:
                told = await self._in_thread(lambda: json.dumps(answer(given), separators=(",", ":")).encode())
            except (ValueError, IndexError, TypeError, OverflowError):
                raise web.HTTPBadRequest(text="no such question") from None
            response = web.Response(body=told, content_type="application/json", charset="utf-8")
            response.enable_compression()
            return response

        return handle

    def _rows(self, ask: Callable[[Filter, int, int], dict[str, Any]]) -> Callable[[Any], Any]:
        return lambda given: ask(Filter.of(given), abs(int(given.get("start", 0))), abs(int(given.get("count", 60))))

    def _begin_search(self, given: Any) -> dict[str, Any]:
        if not isinstance(given, dict):
            raise TypeError(type(given).__name__)
        numbers = self._index.find(Filter.of(given))[:MOST_COMPARED]
        records = self._index.records(numbers)
        images = [(number, records[number].path) for number in numbers if records[number].path]
        if self._stored.root is not None:
            self._search.begin(self._stored, images, self._index)
        return self._search.state()

    async def _thumb(self, request: web.Request) -> web.Response:
        number, path = await self._path(request)
        if number not in self._small:
            self._small[number] = await self._in_thread(lambda: self._stored.small(path))
        if (copy := self._small.get(number)) is None:
            return web.Response(status=204)  # no error on the page: it shows the format in its place
        headers = {"Cache-Control": "private, max-age=86400, immutable"}
        return web.Response(body=copy[0], content_type=TYPES[copy[1]], headers=headers)

    async def _file(self, request: web.Request) -> web.Response:
        _, path = await self._path(request)
        try:
            body = await self._in_thread(lambda: self._stored.read(path) if self._stored.has(path) else b"")
        except (OSError, ValueError):
            body = b""
        if not body:
            raise web.HTTPNotFound
        kind = TYPES[PurePosixPath(path).suffix.lower()]
        return web.Response(body=body, content_type=kind)

    async def _path(self, request: web.Request) -> tuple[int, str]:
        """The number of the image that is asked for, and its path in the store."""
        if not secrets.compare_digest(request.match_info["secret"].encode(), self._secret.encode()):
            raise web.HTTPNotFound
        number = int(request.match_info["number"])
        image = (await self._in_thread(lambda: self._index.records([number]))).get(number)
        if image is None or not image.path:
            raise web.HTTPNotFound
        return number, image.path

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


async def serve(app: web.Application, host: str, ports: Sequence[int], on_ready: Callable[[str], None]) -> None:
    """Serve *app* until this is cancelled, at the first of *ports* that is free. *on_ready* is told the address.

    Raises `InputError` where nothing can listen there.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        for port in ports:
            try:
                await web.TCPSite(runner, host, port).start()
                break
            except OSError as error:
                if port == ports[-1]:
                    raise InputError(
                        f"{host}:{port}: {describe(error)}; expected --host and --port that are free"
                    ) from error
        name, number = runner.addresses[0][:2]
        on_ready(f"http://{f'[{name}]' if ':' in name else name}:{number}/")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


class Search:
    """One search for look-alikes at a time, in a thread."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._told: dict[str, Any] = {}
        self._is_closed = False

    def begin(self, stored: ReportFiles, images: list[tuple[int, str]], index: Index) -> None:
        if self._thread and self._thread.is_alive():
            return
        self._told = {"total": len(images), "done": 0}

        def step(done: int) -> None:
            if self._is_closed:
                raise InterruptedError
            self._told["done"] = done

        def search() -> None:
            try:
                assert stored.root is not None  # noqa: S101 -- who begins it has looked
                groups = find(stored.root, images, step, stored.bounds)
            except InputError as error:
                self._told = {"error": str(error)}
            except Exception as error:  # as of a process that was killed: nobody else would tell
                self._told = {"error": f"the search broke off: {type(error).__name__}"}
            else:
                self._told = {"total": len(images), **Answers(index, stored.has).groups(groups)}

        self._thread = threading.Thread(target=search, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the search, for which the process would wait."""
        self._is_closed = True
        if self._thread:
            self._thread.join()

    def state(self) -> dict[str, Any]:
        """`total` and `done`, or, in the end, `groups`, or an `error`; nothing before the first search."""
        return dict(self._told)


async def _restrict_files(request: web.Request, response: web.StreamResponse) -> None:
    # Whatever a file is that a stranger made, opened by itself it is shown and does nothing.
    if request.path.startswith(("/file/", "/thumb/")):
        response.headers["Content-Security-Policy"] = _STRICT


async def _nothing(_: web.Request) -> web.Response:
    return web.Response(status=204)


async def _body(request: web.Request) -> Any:
    try:
        return await request.json()
    except ValueError:
        raise web.HTTPBadRequest(text="expected JSON") from None


def _fixed(kind: str, made: Callable[[], bytes]) -> Callable[[web.Request], Any]:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(body=made(), content_type=kind, charset="utf-8")

    return handle


def _encoded(text: Callable[[], str]) -> Callable[[], bytes]:
    return lambda: text().encode()
