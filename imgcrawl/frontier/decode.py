"""Requests from the wire. Nothing read here is trusted."""

from __future__ import annotations

import base64
import inspect
import json
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode, urlsplit

from scrapy import Request, Spider

from imgcrawl.frontier.border import HEADERS_FROM_OUTSIDE, distrust, header_travels, is_instruction, refused_meta
from imgcrawl.frontier.codec import FIELDS, WEB, WireError, clamp, methods_of, not_json
from imgcrawl.webrequest import WebRequest

MAX_URL = 16_384  # characters; servers refuse far less

_FROM_OUTSIDE = {"url", "callback", "method", "headers", "body", "meta", "cb_kwargs", "dont_filter", "priority"}
_METHOD = re.compile(r"[A-Z]{1,20}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")


def decode(value: bytes, spider: Spider, priority: int = 0, allowed: Collection[str] = ()) -> Request:
    """The request that *value* from the queue holds; *allowed* are meta keys that the user lets through.

    Raises `WireError`, and nothing else, for what `encode` would not write.
    """
    wire = _loads(value)
    if not isinstance(wire, dict):
        raise WireError(f"a JSON {type(wire).__name__}, expected an object")
    if unknown := wire.keys() - FIELDS:
        raise WireError(f"unknown key {min(unknown)[:50]!r}")
    request = _request(wire, spider, priority, (*WEB, *getattr(spider, "own_schemes", ())))
    if why := refused_meta(request.meta, allowed):
        raise WireError(why)
    for name in wire.get("headers", {}):
        if not header_travels(name):
            raise WireError(f"header {name!r}")
    distrust(request, spider)
    if received := getattr(spider, "received", None):
        try:
            received(request)
        except Exception as error:  # a spider of somebody's own may raise anything
            raise WireError(f"{spider.name} does not know it ({error})"[:200]) from None
    return request


def decode_start(value: bytes, spider: Spider, encoding: str = "utf-8") -> Request:
    """The request that an outsider put into `<spider>:start_urls`: an address, or a JSON object.

    As in scrapy-redis an object has `url`, and may have `method` and `meta`; keys that are none of a request's are form
    fields. Ours besides: `callback` (a method of the spider whose name begins with "parse"), `cb_kwargs`, `priority`,
    `body`, and of `headers` those in HEADERS_FROM_OUTSIDE. In `meta` no instruction has a place. *encoding* is that of
    the value. Raises `WireError`.
    """
    try:
        text = value.decode(encoding).strip()
    except UnicodeDecodeError:
        raise WireError(f"not {encoding.upper()}") from None
    wire = _loads(text.encode("utf-8", "surrogatepass")) if text[:1] == "{" else {"url": text}
    form = {name: wire.pop(name) for name in list(wire) if name not in FIELDS}
    if refused := wire.keys() - _FROM_OUTSIDE:
        raise WireError(f"{min(refused)} may not be said from outside")
    if form and (not _is_text_map(form) or "body" in wire):
        raise WireError(f"unknown key {min(form)[:50]!r}")
    try:
        _fill_form(wire, form)
    except UnicodeEncodeError:
        raise WireError("a form field with half a surrogate pair") from None
    request = _request(wire, spider, None)
    if not str(wire.get("callback", "parse")).startswith("parse"):
        raise WireError(f"callback {wire['callback']!r}: one from outside is a method whose name begins with parse")
    check_outside(request)
    request.dont_filter = True  # whoever feeds an address wants it crawled
    return request


def said_meta(value: bytes, encoding: str) -> frozenset[str]:
    """The keys of the meta that *value*, which an outsider fed, says as scrapy-redis reads it, or as JSON in bytes is
    read, which may be in another of Unicode's encodings."""
    said: set[str] = set()
    for text in (value.decode(encoding, "replace"), value):
        with suppress(ValueError, TypeError, LookupError, RecursionError):
            meta = json.loads(text)["meta"]
            said.update(meta if isinstance(meta, dict) else ())
    return frozenset(said)


def check_outside(request: Request, said: Collection[str] | None = None) -> None:
    """Raises `WireError` if *request*, made of what an outsider said, asks for what is not his to say. *said*: the keys
    of its meta that he said, and no header; all, if None."""
    for key in request.meta:
        if is_instruction(key) and (said is None or key in said):
            raise WireError(f"meta {key[:50]!r} is an instruction to the crawler, which may not come from outside")
    for name in request.headers if said is None else ():
        if name.decode("latin-1").lower() not in HEADERS_FROM_OUTSIDE:
            raise WireError(f"header {name.decode('latin-1')!r} may not be said from outside")


def _fill_form(wire: dict[str, Any], form: dict[str, Any]) -> None:
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
    if wire.get("callback") in getattr(spider, "own_callbacks", ()) and urlsplit(url).scheme in WEB:
        raise WireError(
            f"callback {wire['callback']!r} is for what the spider has read itself, and not for {url[:100]!r}"
        )
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
        return WebRequest(
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
        if why := not_json(wire.get(name)):
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
    if not isinstance(name, str) or name not in methods_of(type(spider)):
        raise WireError(f"{role} {str(name)[:50]!r} is no callback of {spider.name}")
    method: Callable[..., Any] = getattr(spider, name)
    return method


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
