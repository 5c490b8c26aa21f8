"""Who we are, for the hosts that want to know: a user's password, headers of one's own. Cookies: `cookies`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self
from urllib.request import getproxies
from weakref import WeakKeyDictionary

import scrapy.downloadermiddlewares.httpauth
import scrapy.downloadermiddlewares.httpproxy
from scrapy import Request, Spider, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.http import Response
from w3lib.http import basic_auth_header

from imgcrawl.exceptions import InputError
from imgcrawl.urls import host_of

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

_DOMAIN = re.compile(r"(?:[^\s/:@?#*\[\]]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?")
_HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
_FRAMING = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_CHANGED = WeakKeyDictionary[Request, dict[bytes, list[bytes] | None]]


class OnTheWire:
    """What it adds to a request's headers is taken off when the answer is there, or the failure.

    So it is not in the request that a redirect or a retry makes of it, and never in Redis or a log.
    """

    def __init__(self) -> None:
        self._before: _CHANGED = WeakKeyDictionary()

    def add_headers(self, request: Request) -> None:
        raise NotImplementedError

    def process_request(self, request: Request, spider: Spider | None = None) -> None:
        before = _raw(request)
        self.add_headers(request)
        changed = {name: before.get(name) for name, values in _raw(request).items() if before.get(name) != values}
        if changed:
            self._before[request] = changed

    def process_response(self, request: Request, response: Response, spider: Spider | None = None) -> Response:
        self._take_off(request)
        return response

    def process_exception(self, request: Request, exception: Exception, spider: Spider | None = None) -> None:
        self._take_off(request)

    def _take_off(self, request: Request) -> None:
        if not self._before:
            return
        for name, value in self._before.pop(request, {}).items():
            if value is None:
                request.headers.pop(name, None)
            else:
                request.headers[name] = value


def _raw(request: Request) -> dict[bytes, list[bytes]]:
    return dict(dict.items(request.headers))  # Scrapy's own view of them copies each list, and has types of one value


class HttpAuthMiddleware(OnTheWire, scrapy.downloadermiddlewares.httpauth.HttpAuthMiddleware):
    """Scrapy's (``HTTPAUTH_USER``, ``HTTPAUTH_PASS`` and ``HTTPAUTH_DOMAIN``), for a domain's hosts at any port.

    Raises `InputError` where no domain is said that a password is for.
    """

    def __init__(self) -> None:
        OnTheWire.__init__(self)
        scrapy.downloadermiddlewares.httpauth.HttpAuthMiddleware.__init__(self)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        settings, middleware = crawler.settings, cls()
        crawler.signals.connect(middleware.spider_opened, signals.spider_opened)
        user, password, domain = (settings.get(f"HTTPAUTH_{name}") for name in ("USER", "PASS", "DOMAIN"))
        expected = "expected the domain that may see them, as in -s HTTPAUTH_DOMAIN=example.org"
        if domain and not _DOMAIN.fullmatch(str(domain)):
            raise InputError(f"HTTPAUTH_DOMAIN={domain!r:.100} is no domain; {expected}")
        if user or password:
            if not settings.getpriority("HTTPAUTH_DOMAIN"):
                raise InputError(f"HTTPAUTH_USER and HTTPAUTH_PASS need HTTPAUTH_DOMAIN: {expected}")
            # In UTF-8, as browsers and curl send it; Scrapy's has Latin-1 only.
            middleware._auth = basic_auth_header(str(user or ""), str(password or ""), "utf-8")
            middleware._domain = domain
        return middleware

    def process_request(self, request: Request, spider: Spider | None = None) -> None:
        if self._auth or request.meta.get("http_user") or request.meta.get("http_pass"):
            super().process_request(request)

    def add_headers(self, request: Request) -> None:
        scrapy.downloadermiddlewares.httpauth.HttpAuthMiddleware.process_request(self, request)
        host, domain = host_of(request.url), (self._domain or "").lower()
        if self._auth and domain and (host == domain or host.endswith(f".{domain}")):
            request.headers.setdefault(b"Authorization", self._auth)


class HostHeadersMiddleware(OnTheWire):
    """Headers for certain hosts, in place of those that all have.

    ``HOST_HEADERS``: ``{"img.example.org": {"X-Key": "…"}}``; a host is meant as it stands there, without its
    subdomains, at any port. Raises `InputError`, which quotes no header's value.
    """

    def __init__(self, headers: Mapping[str, Mapping[str, str]]) -> None:
        super().__init__()
        self._headers = headers

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        if headers := _host_headers(crawler.settings):
            return cls(headers)
        raise NotConfigured

    def add_headers(self, request: Request) -> None:
        for name, value in self._headers.get(host_of(request.url), {}).items():
            request.headers[name] = value


def _host_headers(settings: BaseSettings) -> dict[str, dict[str, str]]:
    expected = 'expected hosts and their headers, as in {"img.example.org": {"X-Key": "secret"}}'
    try:
        given = settings.getdict("HOST_HEADERS", {})
    except (TypeError, ValueError):
        raise InputError(f"HOST_HEADERS is no mapping; {expected}") from None
    for host, headers in given.items():
        if not _DOMAIN.fullmatch(host) or host.rpartition("]")[2].count(":"):
            raise InputError(f"HOST_HEADERS names {host!r:.100}, which is no host; {expected}")
        if not isinstance(headers, Mapping) or not all(_is_header(*header) for header in headers.items()):
            raise InputError(f"HOST_HEADERS for {host} are no headers; {expected}")
        if said := [name for name in headers if name.lower() in _FRAMING]:
            raise InputError(f"HOST_HEADERS for {host}: each request has a {said[0]} of its own; leave it out")
    return {host.lower().strip("[]"): dict(headers) for host, headers in given.items()}


def _is_header(name: object, value: object) -> bool:
    return (
        isinstance(name, str)
        and _HEADER.fullmatch(name) is not None
        and isinstance(value, str)
        and value.isprintable()
        and value.isascii()
    )


class HttpProxyMiddleware(scrapy.downloadermiddlewares.httpproxy.HttpProxyMiddleware):
    """Scrapy's, which takes ``all_proxy`` where a scheme has no proxy of its own, as curl and others do.

    Raises `InputError` for a proxy that cannot be read: Scrapy's would go on without one, and show who is asking.
    """

    def __init__(self, auth_encoding: str | None = "utf-8") -> None:
        super().__init__(auth_encoding)
        for scheme in ("http", "https", "all"):
            if scheme in getproxies().keys() - self.proxies.keys():
                raise InputError(f"{scheme}_proxy: user or password cannot be read; expected them percent-encoded")
        if everything := self.proxies.get("all"):
            self.proxies = {"http": everything, "https": everything, **self.proxies}
