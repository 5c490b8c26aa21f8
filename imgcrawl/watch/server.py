"""The page, what it shows and what it may ask for, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

from aiohttp import web

from imgcrawl.display import again
from imgcrawl.exceptions import InputError, describe
from imgcrawl.lines import printable
from imgcrawl.watch.access import Access, add_headers
from imgcrawl.watch.state import Look, State
from imgcrawl.watch.thumbnails import Thumbnails

MOST_PAGES: Final = 32  # that are open at the same time
FACTORS: Final = (1, 2, 4, 8, 16, 32)  # by which every delay may be multiplied
_LARGEST: Final = 4096  # bytes of what a page asks for
_TYPES: Final = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_NO_PICTURE: Final = "none.svg"

Ask = Callable[..., Awaitable[object]]
Requeue = Callable[[], Awaitable[int]]


class WatchServer:
    """Serves the page of one crawl.

    *look* tells how the crawl is (`imgcrawl.live.overview`), *ask* passes on to all workers what a person wants
    (`imgcrawl.live.ask`), *requeue* puts pages that were given up back and returns how many. *access* decides who may
    ask.
    """

    def __init__(self, look: Look, ask: Ask, requeue: Requeue, pictures: Thumbnails, access: Access) -> None:
        self._ask = ask
        self._requeue = requeue
        self._pictures = pictures
        self._access = access
        self._state = State(look, pictures)
        self._pages: set[asyncio.Task[Any]] = set()
        folder = files("imgcrawl.watch") / "static"  # in an egg, too
        self._static = {file.name: file.read_bytes() for file in folder.iterdir() if file.name.endswith((*_TYPES,))}

    async def serve(self, host: str, ports: Sequence[int], on_ready: Callable[[int], None]) -> None:
        """Listen until it is cancelled, at the first of *ports* that is free, which *on_ready* is told. Raises OSError
        if none can be had."""
        application = web.Application(middlewares=[self._access.check], client_max_size=_LARGEST)
        application.on_response_prepare.append(add_headers)
        application.add_routes([
            web.get("/", self._page),
            web.get("/static/{name}", self._file),
            web.get("/events", self._events),
            web.get("/picture/{key}", self._picture),
            web.post("/control", self._control),
        ])  # fmt: skip
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await runner.setup()
        looking = asyncio.create_task(self._state.run())
        try:
            for port in ports:
                try:
                    await web.TCPSite(runner, host, port).start()
                    break
                except OSError:
                    if port == ports[-1]:
                        raise
            on_ready(runner.addresses[0][1])
            await looking
        finally:
            for task in (looking, *self._pages):
                task.cancel()
            await runner.cleanup()
            self._pictures.close()

    async def _page(self, _: web.Request) -> web.Response:
        return self._static_file("index.html")

    async def _file(self, request: web.Request) -> web.Response:
        if request.match_info["name"] not in self._static:
            raise web.HTTPNotFound
        return self._static_file(request.match_info["name"])

    def _static_file(self, name: str) -> web.Response:
        return web.Response(body=self._static[name], content_type=_TYPES[name.rpartition(".")[2]], charset="utf-8")

    async def _picture(self, request: web.Request) -> web.Response:
        small = await self._pictures.small(request.match_info["key"])
        if small is None:
            return self._static_file(_NO_PICTURE)
        body, content_type = small
        headers = {"Cache-Control": "private, max-age=86400, immutable"}
        return web.Response(body=body, content_type=content_type, headers=headers)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self._access.require(request)
        if len(self._pages) >= MOST_PAGES:
            raise web.HTTPServiceUnavailable(text=f"{MOST_PAGES} pages are open already")
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 -- a handler of aiohttp runs in one
        self._pages.add(task)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        try:
            await response.prepare(request)
            async for change in self._state.changes():
                await response.write(f"data: {change}\n\n".encode())
        except ConnectionError:
            pass  # the page was closed
        finally:
            self._pages.discard(task)
        return response

    async def _control(self, request: web.Request) -> web.Response:
        self._access.require(request)
        try:
            wanted = await request.json()
        except (ValueError, RecursionError):
            wanted = None
        try:
            said = await self._do(wanted if isinstance(wanted, dict) else {})
        except InputError as error:
            return web.json_response({"error": printable(str(error))}, status=400)
        except Exception as error:  # of whatever passes it on: the page shows it
            return web.json_response({"error": f"it could not be passed on: {printable(describe(error))}"}, status=502)
        self._state.look_soon()
        return web.json_response({"done": said})

    async def _do(self, wanted: Mapping[str, Any]) -> str:
        """What was done, in a sentence."""
        match wanted:
            case {"action": "pause"}:
                await self._ask(paused=True)
                return "All workers are told to pause."
            case {"action": "resume"}:
                await self._ask(paused=False)
                return "All workers are told to go on."
            case {"action": "slow", "factor": int(factor)} if factor in FACTORS:
                await self._ask(delay_factor=float(factor))
                return f"All workers are told to wait {factor} times as long between requests."
            case {"action": "stop"}:
                await self._ask(stop=True)
                return "All workers are told to stop when what is under way is done."
            case {"action": "requeue"}:
                return f"{again(await self._requeue())}."
        raise InputError("expected an action: pause, resume, slow with a factor, stop or requeue")
