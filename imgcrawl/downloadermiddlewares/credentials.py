"""Who we are, for the hosts that want to know: cookies, a user's password, headers of one's own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from copy import copy
from http.cookiejar import Cookie, DefaultCookiePolicy
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import scrapy.downloadermiddlewares.cookies
import scrapy.downloadermiddlewares.httpauth
from scrapy import Request, Spider
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.http import Response
from scrapy.http.cookies import CookieJar
from tldextract import TLDExtract

from imgcrawl.cookiesfile import read_cookies
from imgcrawl.exceptions import InputError

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

_CHANGED = WeakKeyDictionary[Request, dict[bytes, list[bytes] | None]]


class _OnTheWire:
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
        for name, value in self._before.pop(request, {}).items():
            if value is None:
                request.headers.pop(name, None)
            else:
                request.headers[name] = value


def _host_of(request: Request) -> str:
    return (urlsplit(request.url).hostname or "").lower()


def _raw(request: Request) -> dict[bytes, list[bytes]]:
    return dict(dict.items(request.headers))  # Scrapy's own view of them copies each list, and has types of one value


class CookiesMiddleware(_OnTheWire, scrapy.downloadermiddlewares.cookies.CookiesMiddleware):
    """Scrapy's cookies (same settings and meta keys), which may begin with those of a file.

    ``COOKIES_FILE`` (Netscape format, see `imgcrawl.cookiesfile`) switches cookies on. Each worker reads the file, and
    keeps to itself what sites set meanwhile; the file is never written. A cookie goes to its own domain, to subdomains
    only where it is meant for them, whatever a page of another domain names.

    Which domains are public (``co.uk``) is what tldextract brings along: it never asks the Internet.
    """

    def __init__(self, crawler: Crawler, cookies: Iterable[Cookie] = ()) -> None:
        _OnTheWire.__init__(self)
        scrapy.downloadermiddlewares.cookies.CookiesMiddleware.__init__(self, crawler.settings.getbool("COOKIES_DEBUG"))
        self.crawler = crawler
        self._cookies = list(cookies)
        self.jars = defaultdict(self._new_jar)
        self._split = TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)
        self._split("example.org")  # it reads its list now, and not while others wait

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        file = crawler.settings.get("COOKIES_FILE", None)
        if not file and not crawler.settings.getbool("COOKIES_ENABLED"):
            raise NotConfigured
        return cls(crawler, read_cookies(str(file)) if file else ())

    def _new_jar(self) -> CookieJar:
        # A cookie without a domain of its own is for the host alone (RFC 6265, 5.3), which is not the default here.
        jar = CookieJar(DefaultCookiePolicy(strict_ns_domain=DefaultCookiePolicy.DomainStrictNonDomain))
        for cookie in self._cookies:
            jar.set_cookie(copy(cookie))
        return jar

    def add_headers(self, request: Request) -> None:
        scrapy.downloadermiddlewares.cookies.CookiesMiddleware.process_request(self, request)

    def process_response(self, request: Request, response: Response, spider: Spider | None = None) -> Response:
        self._take_off(request)
        scrapy.downloadermiddlewares.cookies.CookiesMiddleware.process_response(self, request, response)
        return response

    def _process_cookies(self, cookies: Iterable[Cookie], *, jar: CookieJar, request: Request) -> None:
        # Scrapy's asks a list that is fetched from the Internet.
        host = _host_of(request)
        for cookie in cookies:
            domain = cookie.domain.removeprefix(".")
            if domain and not self._split(domain).domain:  # a public domain
                if domain != host:
                    continue
                cookie.domain = host
            jar.set_cookie_if_ok(cookie, request)


class HttpAuthMiddleware(_OnTheWire, scrapy.downloadermiddlewares.httpauth.HttpAuthMiddleware):
    """Scrapy's (``HTTPAUTH_USER``, ``HTTPAUTH_PASS`` and ``HTTPAUTH_DOMAIN``), for a domain's hosts at any port.

    Raises `InputError` where no domain is said that a password is for.
    """

    def __init__(self) -> None:
        _OnTheWire.__init__(self)
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

    def add_headers(self, request: Request) -> None:
        scrapy.downloadermiddlewares.httpauth.HttpAuthMiddleware.process_request(self, request)
        host, domain = _host_of(request), (self._domain or "").lower()
        if self._auth and domain and (host == domain or host.endswith(f".{domain}")):
            request.headers.setdefault(b"Authorization", self._auth)


class HostHeadersMiddleware(_OnTheWire):
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
        for name, value in self._headers.get(_host_of(request), {}).items():
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
