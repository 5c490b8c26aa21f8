"""What pages are shown of a crawl: looked up once for all of them, and each is sent what has changed since."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, Final

from imgcrawl.display import slowed_by, told_state
from imgcrawl.exceptions import describe
from imgcrawl.items import meaning
from imgcrawl.lines import printable
from imgcrawl.watch.history import History
from imgcrawl.watch.thumbnails import Thumbnails

PERIOD: Final = 1.0  # seconds from one look to the next while a page is open
IDLE: Final = 5.0  # the same while none is, for the curves
PATIENCE: Final = 10.0  # seconds that a look may take
MOST: Final = 500  # members of a list or a mapping that are shown
LONGEST: Final = 2000  # characters of a text

Look = Callable[[], Awaitable[Mapping[str, Any]]]
_UNSENT: Final = {"newest", "curve", "store"}  # of an overview: what comes of them is sent


class State:
    """The crawl as *look* tells it (`imgcrawl.live.overview`), as JSON in parts, by name."""

    def __init__(self, look: Look, pictures: Thumbnails) -> None:
        self._look = look
        self._pictures = pictures
        self._history = History()
        self._parts: dict[str, str] = {}
        self._pages = 0
        self._wanted = asyncio.Event()
        self._next: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Look, again and again, until it is cancelled."""
        while True:
            self._parts = await self._new_parts()
            last, self._next = self._next, asyncio.get_running_loop().create_future()
            last.set_result(None)
            with suppress(TimeoutError):
                async with asyncio.timeout(PERIOD if self._pages else IDLE):
                    await self._wanted.wait()
            self._wanted.clear()

    def look_soon(self) -> None:
        """Something was asked for: do not wait for the next turn."""
        self._wanted.set()

    async def changes(self) -> AsyncIterator[str]:
        """For one page: all there is, then what changes, as JSON objects. One that is slow misses some in between."""
        sent: dict[str, str] = {}
        self._pages += 1
        self.look_soon()
        try:
            while True:
                await asyncio.shield(self._next)
                parts = self._parts
                new = {name: part for name, part in parts.items() if sent.get(name) != part}
                if parts.get("run") != sent.get("run"):
                    history = self._history
                    new["history"] = _json({"points": history.points, "step": history.step, "looks": history.looks})
                sent = parts
                yield "{" + ",".join(f'"{name}":{part}' for name, part in new.items()) + "}"
        finally:
            self._pages -= 1

    async def _new_parts(self) -> dict[str, str]:
        try:
            async with asyncio.timeout(PATIENCE):
                overview = await self._look()
        except TimeoutError:
            return self._parts | {"problem": _json("the crawl's figures cannot be had: no answer in time")}
        except Exception as error:  # of whatever holds the figures; the page says so, and we look again
            return self._parts | {"problem": _json(f"the crawl's figures cannot be had: {printable(describe(error))}")}
        if self._history.add(time.time(), overview):
            self._pictures.forget()
        parts = {name: value for name, value in overview.items() if name not in _UNSENT}
        parts |= {"pictures": self._pictures.choose(overview), "point": self._history.now, "problem": ""}
        parts |= {"meanings": _meanings(overview), "told": told_state(overview)}
        parts["hosts"] = [{**host, "slowed": slowed_by(host)} for host in overview["hosts"]]
        return {name: _json(shown(part)) for name, part in parts.items()}


def _meanings(overview: Mapping[str, Any]) -> dict[str, str]:
    """Of all reasons that *overview* names."""
    reasons = {str(failure.get("reason")): "failed" for failure in overview.get("failures") or ()}
    for status, found in (overview.get("reasons") or {}).items():
        reasons |= dict.fromkeys(map(str, found or ()), status)
    return {reason: meaning(reason, status) for reason, status in reasons.items()}


def shown(value: Any, depth: int = 0) -> Any:
    """*value* as a page may show it: texts printable and not endless, numbers finite, nothing else."""
    if isinstance(value, str):
        return printable(value[:LONGEST])
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return value if abs(value) < 2**53 and math.isfinite(value) else None
    if isinstance(value, Mapping) and depth < 4:
        return {printable(str(name)[:LONGEST]): shown(each, depth + 1) for name, each in islice(value.items(), MOST)}
    if isinstance(value, list | tuple) and depth < 4:
        return [shown(each, depth + 1) for each in value[:MOST]]
    return None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
