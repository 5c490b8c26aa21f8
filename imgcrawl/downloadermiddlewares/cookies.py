"""Cookies. Loaded where they are switched on only: the list of public domains that they need is large."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from copy import copy
from http.cookiejar import Cookie, DefaultCookiePolicy
from typing import Self

import scrapy.downloadermiddlewares.cookies
from scrapy import Request, Spider
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.http import Response
from scrapy.http.cookies import CookieJar
from tldextract import TLDExtract

from imgcrawl.cookiesfile import read_cookies
from imgcrawl.downloadermiddlewares.credentials import OnTheWire
from imgcrawl.urls import host_of

# What browsers keep: cookies of a domain, and in all; characters of a name and its value (RFC 6265bis, 5.6 and 5.7).
MOST, MOST_TOGETHER, LONGEST = 180, 3000, 4096
_VALUE = re.compile("=[^;]*")

logger = logging.getLogger(__name__)


class CookiesMiddleware(OnTheWire, scrapy.downloadermiddlewares.cookies.CookiesMiddleware):
    """Scrapy's cookies (same settings and meta keys), which may begin with those of a file.

    ``COOKIES_FILE`` (Netscape format, see `imgcrawl.cookiesfile`) switches cookies on. Each worker reads the file, and
    keeps to itself what sites set meanwhile; the file is never written. A cookie goes to its own domain, to subdomains
    only where it is meant for them, whatever a page of another domain names. Of what sites set no more is kept than
    browsers keep, the oldest goes first; those of the file stay.

    Which domains are public (``co.uk``) is what tldextract brings along: it never asks the Internet.
    """

    def __init__(self, crawler: Crawler, cookies: Iterable[Cookie] = ()) -> None:
        OnTheWire.__init__(self)
        scrapy.downloadermiddlewares.cookies.CookiesMiddleware.__init__(self, crawler.settings.getbool("COOKIES_DEBUG"))
        self.crawler = crawler
        self._cookies = list(cookies)
        self._given = set(map(_name, self._cookies))
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
        host, domains = host_of(request.url), set()
        for cookie in cookies:
            domain = cookie.domain.removeprefix(".")
            if domain and not self._split(domain).domain:  # a public domain
                if domain != host:
                    continue
                cookie.domain = host
            if len(cookie.name) + len(cookie.value or "") <= LONGEST:
                jar.set_cookie_if_ok(cookie, request)
                domains.add(cookie.domain)
        for domain in domains:
            self._forget_oldest(jar, [*_cookies_of(jar, domain)], MOST)
        if len(jar) > MOST_TOGETHER:
            self._forget_oldest(jar, [*jar], MOST_TOGETHER)

    # COOKIES_DEBUG: whoever reads the log could be whom they belong to.

    def _debug_cookie(self, request: Request) -> None:
        sent = (_VALUE.sub("=***", each) for each in _texts(request, "Cookie"))
        self._debug("Sending cookies to: %s\n%s", request, "\n".join(f"Cookie: {each}" for each in sent))

    def _debug_set_cookie(self, response: Response) -> None:
        received = (_VALUE.sub("=***", each, count=1) for each in _texts(response, "Set-Cookie"))
        self._debug("Received cookies from: %s\n%s", response, "\n".join(f"Set-Cookie: {each}" for each in received))

    def _debug(self, message: str, of: Request | Response, cookies: str) -> None:
        if self.debug and cookies:
            logger.debug(message, of, cookies, extra={"spider": self.crawler.spider})

    def _forget_oldest(self, jar: CookieJar, cookies: Iterable[Cookie], most: int) -> None:
        """Beyond *most* of these *cookies*, but for those of the file."""
        known = [each for cookie in cookies if (each := _name(cookie)) not in self._given]
        for domain, path, name in known[: max(0, len(known) - most)]:
            jar.clear(domain, path, name)
            paths = jar._cookies[domain]
            if not paths[path]:
                jar.clear(domain, path)
            if not paths:
                jar.clear(domain)


def _texts(of: Request | Response, header: str) -> Iterator[str]:
    return (each.decode("utf-8", "replace") for each in of.headers.getlist(header))


def _cookies_of(jar: CookieJar, domain: str) -> Iterator[Cookie]:
    for names in jar._cookies.get(domain, {}).values():
        yield from names.values()


def _name(cookie: Cookie) -> tuple[str, str, str]:
    return cookie.domain, cookie.path, cookie.name
