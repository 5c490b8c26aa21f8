"""Requests as JSON: what travels, and what is taken from the wire. Nothing read here is trusted."""

from __future__ import annotations

import base64
import inspect
import json
import math
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from scrapy import Request, Spider
from scrapy.http import FormRequest, JsonRequest, XmlRpcRequest

from imgcrawl.exceptions import ImgcrawlError

MAX_URL = 16_384  # characters; servers refuse far less
MAX_DEPTH = 50  # of nesting in meta and cb_kwargs
MAX_PRIORITY = 1_048_576  # what the queue's scores hold

_KINDS = (Request, FormRequest, JsonRequest, XmlRpcRequest)  # they differ in how they are made, not in what they are
_KNOWN = {
    "url", "callback", "errback", "method", "headers", "body", "body64", "cookies", "meta", "cb_kwargs", "encoding",
    "flags", "dont_filter", "priority",
}  # fmt: skip
WEB = ("http", "https")
_METHOD = re.compile(r"[A-Z]{1,20}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
_known_methods: dict[type[Spider], frozenset[str]] = {}  # looked up once a class
_HOST = re.compile(r"[^\s:,]{1,255}")


class CannotTravelError(ImgcrawlError):
    """A request that other workers could not make; the sentence says what of it, and what was expected."""


class WireError(ImgcrawlError):
    """A value that is no request of ours; its text says why."""


def encode(request: Request, spider: Spider, max_size: int) -> bytes:
    """*request* as compact JSON, without its priority. Raises `CannotTravelError`."""
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
    if request.headers:
        wire["headers"] = {
            name.decode("latin-1"): [value.decode("latin-1") for value in values]
            for name, values in request.headers.items()
        }
    if request.body:
        wire |= _wire_body(request.body)
    for name in ("cookies", "meta", "cb_kwargs", "flags"):
        if value := getattr(request, name):
            if why := _not_json(value):
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
    if getattr(method, "__self__", None) is not spider or name not in _methods(type(spider)):
        raise CannotTravelError(
            f"{request}: {role} {method!r} cannot travel to other workers; expected a method of {spider.name}"
        )
    return name


def _wire_body(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body64": base64.b64encode(body).decode()}


def decode(value: bytes, spider: Spider, priority: int = 0) -> Request:
    """The request that *value* holds. Raises `WireError`, and nothing else, for what `encode` would not write."""
    wire = _loads(value)
    if not isinstance(wire, dict):
        raise WireError(f"a JSON {type(wire).__name__}, expected an object")
    if unknown := wire.keys() - _KNOWN:
        raise WireError(f"unknown key {min(unknown)[:50]!r}")
    return _request(wire, spider, priority, (*WEB, *getattr(spider, "own_schemes", ())))


def decode_start(value: bytes, spider: Spider) -> Request:
    """The request that an outsider put into `<spider>:start_urls`: an address, or a JSON object.

    As in scrapy-redis an object has `url`, and may have `method` and `meta`; keys that are none of a request's
    are form fields. Raises `WireError`.
    """
    if value.lstrip()[:1] != b"{":
        try:
            return _request({"url": value.decode().strip()}, spider, 0)
        except UnicodeDecodeError:
            raise WireError("not UTF-8") from None
    wire = _loads(value)
    form = {name: wire.pop(name) for name in list(wire) if name not in _KNOWN}
    if form and (not _is_text_map(form) or "body" in wire or "body64" in wire):
        raise WireError(f"unknown key {min(form)[:50]!r}")
    if isinstance(wire.get("method"), str):
        wire["method"] = wire["method"].upper()
    if form and wire.get("method", "GET") == "GET":
        url = wire.get("url")
        if not isinstance(url, str):
            raise WireError("no url")
        wire["url"] = f"{url}{'&' if '?' in url else '?'}{urlencode(form)}"
    elif form:
        wire["body"] = urlencode(form)
        wire.setdefault("headers", {"Content-Type": ["application/x-www-form-urlencoded"]})
    return _request(wire, spider, None)


def host_of(request: Request) -> str:
    """The host, or the `download_slot`, whose turn *request* waits for."""
    slot = request.meta.get("download_slot")
    host = slot if isinstance(slot, str) else urlsplit(request.url).hostname or ""
    return host if _HOST.fullmatch(host) else re.sub(r"[\s:,]", "_", host)[:255]


def clamp(priority: int) -> int:
    return max(-MAX_PRIORITY, min(MAX_PRIORITY, priority))


def _dumps(wire: dict[str, Any]) -> bytes:
    try:
        return json.dumps(wire, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, as pages contain
        return json.dumps(wire, separators=(",", ":"), allow_nan=False).encode()


def _loads(value: bytes) -> Any:
    try:
        return json.loads(value.decode())
    except UnicodeDecodeError:
        raise WireError("not UTF-8") from None
    except RecursionError:
        raise WireError("nested too deeply") from None
    except ValueError:
        raise WireError("not JSON") from None


def _request(wire: dict[str, Any], spider: Spider, priority: int | None, schemes: tuple[str, ...] = WEB) -> Request:
    url = _url(wire.get("url"), schemes)
    callbacks = {name: _method(wire[name], name, spider) for name in ("callback", "errback") if name in wire}
    method = wire.get("method", "GET")
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        raise WireError(f"method {str(method)[:50]!r}")
    _check_containers(wire)
    called = callbacks.get("callback") or getattr(spider, "parse", None)
    if not _accepts(called, wire.get("cb_kwargs", {})):
        raise WireError(f"cb_kwargs {sorted(wire.get('cb_kwargs', {}))} do not fit the callback")
    if priority is None:
        priority = wire.get("priority", 0)
    if not isinstance(priority, int) or isinstance(priority, bool):
        raise WireError("priority is no whole number")
    try:
        return Request(
            url,
            method=method,
            headers=_headers(wire.get("headers", {})),
            body=_body(wire),
            cookies=wire.get("cookies"),
            meta=wire.get("meta"),
            cb_kwargs=wire.get("cb_kwargs"),
            encoding=_encoding(wire.get("encoding", "utf-8")),
            flags=wire.get("flags"),
            dont_filter=wire.get("dont_filter", False),
            priority=clamp(priority),
            **callbacks,
        )
    except (ValueError, TypeError, LookupError) as error:
        raise WireError(f"no request can be made of it ({error})"[:200]) from None


def _url(url: Any, schemes: tuple[str, ...]) -> str:
    if not isinstance(url, str) or not url:
        raise WireError("no url")
    if len(url) > MAX_URL:
        raise WireError(f"a url of {len(url)} characters")
    try:
        parts = urlsplit(url)
        right = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:
        right = False
    if not right:
        raise WireError(f"url {url[:100]!r} is no {' or '.join(schemes)} address")
    return url


def _check_containers(wire: dict[str, Any]) -> None:
    for name, kind in (("meta", dict), ("cb_kwargs", dict), ("flags", list), ("dont_filter", bool)):
        if name in wire and not isinstance(wire[name], kind):
            raise WireError(f"{name} is a {type(wire[name]).__name__}, expected a {kind.__name__}")
        if why := _not_json(wire.get(name)):
            raise WireError(f"{name}: {why}")
    if not all(isinstance(flag, str) for flag in wire.get("flags", [])):
        raise WireError("flags are not all text")
    cookies = wire.get("cookies", {})
    if not (_is_text_map(cookies) or (isinstance(cookies, list) and all(map(_is_text_map, cookies)))):
        raise WireError("cookies are not names and texts")


def _headers(headers: Any) -> dict[str, list[bytes]]:
    if not isinstance(headers, dict):
        raise WireError("headers are no object")
    for name, values in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not isinstance(values, list):
            raise WireError(f"header {name[:50]!r}")
        for value in values:
            if not isinstance(value, str) or any(character in value for character in "\r\n\0"):
                raise WireError(f"header {name[:50]!r}")
            try:
                value.encode("latin-1")
            except UnicodeEncodeError:
                raise WireError(f"header {name[:50]!r}") from None
    return {name: [value.encode("latin-1") for value in values] for name, values in headers.items()}


def _body(wire: dict[str, Any]) -> bytes:
    text, encoded = wire.get("body", ""), wire.get("body64", "")
    if not isinstance(text, str) or not isinstance(encoded, str):
        raise WireError("body is no text")
    return text.encode() if text else base64.b64decode(encoded, validate=True)


def _encoding(encoding: Any) -> str:
    if not isinstance(encoding, str):
        raise WireError("encoding is no text")
    "".encode(encoding)  # raises LookupError for one that Python does not know
    return encoding


def _method(name: Any, role: str, spider: Spider) -> Callable[..., Any]:
    if not isinstance(name, str) or name not in _methods(type(spider)):
        raise WireError(f"{role} {str(name)[:50]!r} is no callback of {spider.name}")
    method: Callable[..., Any] = getattr(spider, name)
    return method


def _methods(spider_class: type[Spider]) -> frozenset[str]:
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


def _accepts(method: Any, arguments: dict[str, Any]) -> bool:
    if not callable(method):
        return False
    try:
        inspect.signature(method).bind(None, **arguments)
    except TypeError:
        return False
    return True


def _is_text_map(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(entry, str | int | float) for name, entry in value.items()
    )


def _not_json(value: Any, depth: int = 0) -> str:
    """Why *value* would not come back as it is, or ""."""
    why = ""
    if isinstance(value, float) and not math.isfinite(value):
        why = f"{value} is no number in JSON"
    elif type(value) in (list, dict) and depth >= MAX_DEPTH:
        why = f"nested more than {MAX_DEPTH} deep"
    elif type(value) is list:
        why = next((found for entry in value if (found := _not_json(entry, depth + 1))), "")
    elif type(value) is dict:
        why = next((f"the key {name!r} is no text" for name in value if not isinstance(name, str)), "")
        why = why or next((found for entry in value.values() if (found := _not_json(entry, depth + 1))), "")
    # Subclasses of str and int, as enums are, come back as plain ones: equal, so let them travel.
    elif value is not None and not isinstance(value, str | bool | int | float):
        why = f"{str(value)[:100]!r} is a {type(value).__name__}"
    return why
