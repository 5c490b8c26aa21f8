"""Requests as JSON: what of a request may travel, and how."""

from __future__ import annotations

import base64
import inspect
import json
import math
import re
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from scrapy import Request, Spider
from scrapy.http import FormRequest, JsonRequest, XmlRpcRequest

from imgcrawl.exceptions import ImgcrawlError
from imgcrawl.frontier.border import header_travels, travels
from imgcrawl.webrequest import WebRequest

MAX_DEPTH = 50  # of nesting in meta and cb_kwargs
MAX_PRIORITY = 1_048_576  # what the queue's scores hold

# They differ in how they are made, not in what they are.
_KINDS = (Request, FormRequest, JsonRequest, XmlRpcRequest, WebRequest)
FIELDS = {
    "url", "callback", "errback", "method", "headers", "body", "body64", "cookies", "meta", "cb_kwargs", "encoding",
    "flags", "dont_filter", "priority",
}  # fmt: skip
WEB = ("http", "https")
_known_methods: dict[type[Spider], frozenset[str]] = {}  # looked up once a class
_HOST = re.compile(r"[^\s:,]{1,255}")


class CannotTravelError(ImgcrawlError):
    """A request that other workers could not make; the sentence says what of it, and what was expected."""


class WireError(ImgcrawlError):
    """A value that is no request of ours; its text says why."""


def encode(request: Request, spider: Spider, max_size: int, allowed: Collection[str] = ()) -> bytes:
    """*request* as compact JSON, without its priority. Raises `CannotTravelError`.

    What does not travel (`frontier.border`) is left out; *allowed* are meta keys that the user lets through besides.
    """
    if type(request) not in _KINDS:
        raise CannotTravelError(
            f"{request}: a {type(request).__name__} cannot travel to other workers; expected a Request"
        )
    wire: dict[str, Any] = {"url": request.url}
    if request.callback and (name := _name_of(request.callback, "callback", request, spider)) != "parse":
        wire["callback"] = name
    if request.errback:
        wire["errback"] = _name_of(request.errback, "errback", request, spider)
    if request.method != "GET":
        wire["method"] = request.method
    headers = {
        name.decode("latin-1"): [value.decode("latin-1") for value in values]
        for name, values in request.headers.items()
        if header_travels(name.decode("latin-1"))
    }
    if headers:
        wire["headers"] = headers
    if request.body:
        wire |= _wire_body(request.body)
    meta = {key: value for key, value in request.meta.items() if not isinstance(key, str) or travels(key, allowed)}
    for name in ("cookies", "meta", "cb_kwargs", "flags"):
        if value := meta if name == "meta" else getattr(request, name):
            if why := not_json(value):
                raise CannotTravelError(
                    f"{request}: {name} cannot travel to other workers: {why}; expected JSON values"
                )
            wire[name] = value
    if request.encoding != "utf-8":
        wire["encoding"] = request.encoding
    if request.dont_filter:
        wire["dont_filter"] = True
    encoded = _dumps(wire)
    if len(encoded) > max_size:
        raise CannotTravelError(
            f"{request}: {len(encoded)} bytes as JSON; expected at most {max_size} (FRONTIER_MAX_REQUEST_SIZE)"
        )
    return encoded


def _name_of(method: Any, role: str, request: Request, spider: Spider) -> str:
    name: str = getattr(method, "__name__", "")
    if getattr(method, "__self__", None) is not spider or name not in methods_of(type(spider)):
        raise CannotTravelError(
            f"{request}: {role} {method!r} cannot travel to other workers; expected a method of {spider.name}"
        )
    return name


def _wire_body(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body64": base64.b64encode(body).decode()}


def slot_of(request: Request) -> str:
    """The host, or the `download_slot`, whose turn *request* waits for."""
    slot = request.meta.get("download_slot")
    host = slot if isinstance(slot, str) else urlsplit(request.url).hostname or ""
    return host if _HOST.fullmatch(host) else re.sub(r"[\s:,]", "_", host)[:255]


def bucket_of(request: Request) -> str:
    """The list of pages that *request* belongs to: "<priority>:<host>"."""
    return f"{clamp(request.priority)}:{slot_of(request)}"


def clamp(priority: int) -> int:
    return max(-MAX_PRIORITY, min(MAX_PRIORITY, priority))


def _dumps(wire: dict[str, Any]) -> bytes:
    try:
        return json.dumps(wire, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, as pages contain
        return json.dumps(wire, separators=(",", ":"), allow_nan=False).encode()


def methods_of(spider_class: type[Spider]) -> frozenset[str]:
    """The methods that a request may name: the spider's own functions, not what Scrapy or Python calls."""
    if spider_class not in _known_methods:
        refused = set(dir(Spider)) - {"parse"} | {"closed", "start_requests"}
        _known_methods[spider_class] = frozenset(
            name
            for name in dir(spider_class)
            if not name.startswith("__")
            and name not in refused
            and inspect.isfunction(inspect.getattr_static(spider_class, name))
        )
    return _known_methods[spider_class]


def not_json(value: Any, depth: int = 0) -> str:
    """Why *value* would not come back as it is, or ""."""
    why = ""
    if isinstance(value, float) and not math.isfinite(value):
        why = f"{value} is no number in JSON"
    elif type(value) in (list, dict) and depth >= MAX_DEPTH:
        why = f"nested more than {MAX_DEPTH} deep"
    elif type(value) is list:
        why = next((found for entry in value if (found := not_json(entry, depth + 1))), "")
    elif type(value) is dict:
        why = next((f"the key {name!r} is no text" for name in value if not isinstance(name, str)), "")
        why = why or next((found for entry in value.values() if (found := not_json(entry, depth + 1))), "")
    # Subclasses of str and int, as enums are, come back as plain ones: equal, so let them travel.
    elif value is not None and not isinstance(value, str | bool | int | float):
        why = f"{str(value)[:100]!r} is a {type(value).__name__}"
    return why
