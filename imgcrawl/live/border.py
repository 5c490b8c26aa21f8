"""What others wrote, in Redis or in a file, as what it should be: types, ranges, lengths and counts are checked here.

Nothing raises: what is not as it should be is left out, or is 0 or "".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any

from imgcrawl.items import STATUSES
from imgcrawl.lines import printable
from imgcrawl.samples import FAILURES, NEWEST

LARGEST = 1 << 18  # bytes of a snapshot
WORKERS, HOSTS, CURVE, REASON_COUNT = 5_000, 20, 60, 200
STATES = ("running", "paused", "stopping", "silent", "ended", "killed")
SLOWED = ("", "retry_after", "robots", "autothrottle", "errors", "hours")
QUEUE = ("queued", "leased", "done", "dead", "seen", "rejected", "lists")
GALLERIES = ("found", "scraped", "failed", "not_reached")
IMAGES = ("found", *STATUSES)
_MOST = 1e15


def parsed(text: bytes | str | None) -> dict[str, Any]:
    """The object in *text*, which should be JSON; {} if that is none."""
    try:
        value = json.loads(text or b"{}") if len(text or b"") <= LARGEST else {}
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def text(value: object, most: int = 300) -> str:
    """*value* as a terminal may show it, without passwords; "" if it is no text."""
    return printable(value[: 4 * most])[:most] if isinstance(value, str) else ""


def path(value: object) -> str:
    """*value* as it is, the path of a file; "" if it is none."""
    is_one = isinstance(value, str) and len(value) <= 4096 and "\0" not in value
    return str(value).encode("utf-8", "replace").decode() if is_one else ""


def number(value: object, most: float = _MOST) -> float:
    """*value*, a number from 0 to *most*; 0 if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    # Of whole numbers some are larger than any other.
    return float(min(most, max(0.0, value))) if isinstance(value, int) or isfinite(value) else 0.0


def whole(value: object) -> int:
    return int(number(value))


def moment(value: object) -> float | None:
    """*value*, a Unix time, or None."""
    return number(value, 1e11) or None


def one_of(value: object, known: Iterable[str]) -> str:
    return value if isinstance(value, str) and value in known else ""


def numbers(value: object, names: Iterable[str]) -> dict[str, int]:
    """The numbers of those *names*."""
    found = value if isinstance(value, dict) else {}
    return {name: whole(found.get(name)) for name in names}


def counts(value: object) -> dict[str, int]:
    """A number for each reason, the most frequent first."""
    found = value if isinstance(value, dict) else {}
    named = [(text(name, 60), whole(count)) for name, count in list(found.items())[:REASON_COUNT]]
    return dict(sorted((pair for pair in named if pair[0] and pair[1]), key=lambda pair: (-pair[1], pair[0])))


def several(value: object, most: int, made: Callable[[dict[str, Any]], dict[str, Any]]) -> list[dict[str, Any]]:
    """What *made* makes of each object of a list, of the first *most*."""
    found = value if isinstance(value, list) else []
    return [made(each) for each in found[:most] if isinstance(each, dict)]


def curve(value: object) -> list[float]:
    return [number(each, 1e6) for each in value[-CURVE:]] if isinstance(value, list) else []


def host(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "host": text(value.get("host"), 253),
        "active": whole(value.get("active")),
        "limit": whole(value.get("limit")),
        "delay": number(value.get("delay"), 1e6),
        "reason": one_of(value.get("reason"), SLOWED),
        "until": moment(value.get("until")),
        "waiting": whole(value.get("waiting")),
        "rate": number(value.get("rate"), 1e6),
    }


def newest(value: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: text(value.get(name), 2000) for name in ("url", "page", "title")}
    return {"path": path(value.get("path")), **texts, "at": number(value.get("at"), 1e11)}


def failure(value: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: text(value.get(name), 2000) for name in ("url", "reason", "page")}
    return {**texts, "at": number(value.get("at"), 1e11)}


def worker(value: Mapping[str, Any]) -> dict[str, Any]:
    """One worker's own lines, with its `hosts` and its `curve`, of which the overview makes one for all."""
    return {
        "name": text(value.get("name"), 100),
        "host": text(value.get("host"), 253),
        "pid": whole(value.get("pid")),
        "run": text(value.get("run"), 100),
        "state": one_of(value.get("state"), STATES) or "running",
        "how": text(value.get("how"), 200),
        "started": number(value.get("started"), 1e11),
        "rate": number(value.get("rate"), 1e6),
        "gallery_rate": number(value.get("gallery_rate"), 1e6),
        **numbers(value, ("images", "galleries", "bytes", "leases", "memory")),
        "curve": curve(value.get("curve")),
        "hosts": several(value.get("hosts"), HOSTS, host),
        "store": path(value.get("store")),
    }


def snapshot(value: Mapping[str, Any]) -> dict[str, Any]:
    """What one process says of its crawl."""
    reasons = value.get("reasons") if isinstance(value.get("reasons"), dict) else {}
    return {
        "spider": text(value.get("spider"), 100),
        "run": text(value.get("run"), 100),
        "group": text(value.get("group"), 200),
        "kind": one_of(value.get("kind"), ("process", "worker", "workers")),
        "started": number(value.get("started"), 1e11),
        "at": number(value.get("at"), 1e11),
        "ended": moment(value.get("ended")),
        "how": text(value.get("how"), 200),
        "verdict": text(value.get("verdict"), 1000),
        "folder": path(value.get("folder")),
        "list": text(value.get("list"), 2000),
        "redis": text(value.get("redis"), 4096),
        "store": path(value.get("store")),
        "worker": worker(found) if isinstance(found := value.get("worker"), dict) else None,
        "pages": whole(found) if (found := value.get("pages")) is not None else None,
        "queue": numbers(found, QUEUE) if isinstance(found := value.get("queue"), dict) else None,
        "control": control(value.get("control")),
        "galleries": numbers(value.get("galleries"), GALLERIES),
        "images": numbers(value.get("images"), IMAGES),
        "reasons": {name: counts((reasons or {}).get(name)) for name in ("refused", "failed", "galleries")},
        "lists_failed": whole(value.get("lists_failed")),
        "bytes": whole(value.get("bytes")),
        "seconds": number(value.get("seconds"), 1e9),
        "waiting": text(value.get("waiting"), 1000),
        "newest": several(value.get("newest"), NEWEST, newest),
        "failures": several(value.get("failures"), FAILURES, failure),
    }


def control(value: object) -> dict[str, Any]:
    """What a person asks for: `paused`, `delay_factor` (1 to 1000), `stop`."""
    found = value if isinstance(value, dict) else {}
    return {
        "paused": found.get("paused") is True,
        "delay_factor": max(1.0, number(found.get("delay_factor"), 1000)),
        "stop": found.get("stop") is True,
    }
