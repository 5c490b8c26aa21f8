"""Who we are, for the hosts that want to know: a user's password, headers of one's own. Cookies: `cookies`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self
from weakref import WeakKeyDictionary

import scrapy.downloadermiddlewares.httpauth
from scrapy import Request, Spider
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.http import Response

from imgcrawl.exceptions import InputError
from imgcrawl.urls import host_of

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

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
        try:
            return super().from_crawler(crawler)
        except ValueError:
            raise InputError(
                "HTTPAUTH_USER and HTTPAUTH_PASS need HTTPAUTH_DOMAIN: expected the domain that may see them, as in "
                "-s HTTPAUTH_DOMAIN=example.org"
            ) from None

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
        texts = [*headers, *headers.values()] if isinstance(headers, Mapping) else [None]
        if not host or "/" in host or ":" in host:
            raise InputError(f"HOST_HEADERS names {host!r:.100}, which is no host; {expected}")
        if not all(isinstance(text, str) and text.isprintable() and text.isascii() for text in texts):
            raise InputError(f"HOST_HEADERS for {host} are no headers; {expected}")
    return {host.lower(): dict(headers) for host, headers in given.items()}
