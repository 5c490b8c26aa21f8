"""Which addresses are asked for at all, depending on who named them."""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Self
from urllib.parse import SplitResult, urlsplit, urlunsplit

from cachetools import LRUCache
from scrapy import Request, signals
from scrapy.crawler import Crawler
from scrapy.http import Response
from scrapy.http.request import NO_CALLBACK
from scrapy.utils.url import strip_url

from imgcrawl.exceptions import InputError, RequestRefused
from imgcrawl.possessive import compile_late
from imgcrawl.urls import WEB, is_public, literal_ip

logger = logging.getLogger(__name__)

LONGEST = 16_384  # characters of an address: twice what servers take, of which many take 8,192
_MAX_PAGES = 10_000
_MOST_TOLD = 10  # hosts
# RFC 1123 names, and the underscore that many hosts have all the same.
_NAME = compile_late(r"(?=.{1,253}\.?$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)
_NUMERIC_END = re.compile(r"(^|\.)(\d+|0x[0-9a-f]*)\.?$", re.IGNORECASE)


def named_by(request: Request) -> str | None:
    """The address of the response that named this request's address; None if the user named it himself.

    That is the last redirect, or else the page (meta ``page_url``).
    """
    redirects: list[str] = request.meta.get("redirect_urls") or []
    page_url: str | None = request.meta.get("page_url")
    return redirects[-1] if redirects else page_url


class AddressGuardMiddleware:
    """Keeps what pages name away from the machines behind our own firewall.

    What the user names may be anything of http and https. What a spider's own `start` asks for (``is_start_request``)
    may be of the other schemes that have a handler, too (DOWNLOAD_HANDLERS: ``file``, ``s3`` …), which no page, item
    or redirect may name, and no pipeline may ask for.
    Anything of http and https may also be named by a page whose answer itself came from an address that is not public,
    whatever its host is called (unless ``page_private`` is False in the request's meta: that the page named it is not
    for sure). Any other request gets ``public_only`` in its meta, which our download handler obeys where it connects,
    so that a name that resolves to a private address is refused too.

    PRIVATE_HOSTS_ALLOWED lists hosts that anybody may name all the same: names, addresses and networks
    (``192.168.1.0/24``, which names are not looked up for). Raises `InputError` for a network that is none.

    An IPv4 address has one spelling from here on (``127.1`` is ``127.0.0.1``), for limits, robots.txt and connections.
    No Referer goes from https to http, and none has a user name or a password (RFC 9110, 10.1.3).

    Raises `RequestRefused` with ``scheme``, ``invalid_url`` or ``private_address``. Must come before every
    middleware that asks for something itself (robots.txt).
    """

    def __init__(self, allowed: Iterable[str] = (), schemes: Iterable[str] = ()) -> None:
        self._allowed = [_network(host) or host.lower() for host in allowed]
        self._schemes = set(schemes) - {"http", "https"}
        self._private_pages: LRUCache[str, bool] = LRUCache(_MAX_PAGES)
        self._told: set[str] = set()

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        handlers = crawler.settings.getwithbase("DOWNLOAD_HANDLERS")
        schemes = [scheme for scheme, handler in handlers.items() if handler is not None]
        guard = cls(crawler.settings.getlist("PRIVATE_HOSTS_ALLOWED"), schemes)
        # Not process_response: a redirect ends in a middleware below this one.
        crawler.signals.connect(guard.response_downloaded, signal=signals.response_downloaded)
        return guard

    def process_request(self, request: Request) -> Request | None:
        request.meta.pop("public_only", None)
        if self._is_of_another_scheme(request):
            return None
        host = _checked_host(request.url)
        _withhold_referer(request)
        ip = literal_ip(host)
        if ip and ip != host and ":" not in ip:
            # Not a new request, but the same one: it has been filtered.
            return request.replace(url=_with_host(request.url, ip), dont_filter=True)
        if self._may_name_anything(request) or self._is_allowed(host, ip):
            return None
        if ip and not is_public(ip):
            self._tell(request, host)
            raise RequestRefused("private_address", f"{request.url} was named by {named_by(request)}")
        request.meta["public_only"] = True
        return None

    def _tell(self, request: Request, host: str) -> None:
        """Log that a page is refused which would be missing without a word: no errback hears of it."""
        is_heard = request.errback is not None or request.callback is NO_CALLBACK or request.meta.get("media")
        if is_heard or host in self._told or len(self._told) >= _MOST_TOLD:
            return
        self._told.add(host)
        logger.warning(
            "Pages of %s are not asked for: it is not public, and was named by %s, which others may write; if you did,"
            " name it in PRIVATE_HOSTS_ALLOWED",
            host,
            named_by(request),
        )

    def _is_of_another_scheme(self, request: Request) -> bool:
        # That nobody is known to have named it does not say that the user did: pipelines ask for what items name.
        is_start = request.meta.get("is_start_request") and request.callback is not NO_CALLBACK
        is_named = named_by(request) is not None or request.meta.get("media")
        return bool(is_start) and not is_named and request.url.partition(":")[0] in self._schemes

    def _is_allowed(self, host: str, ip: str | None) -> bool:
        if ip is None:
            return host in self._allowed
        address = ipaddress.ip_address(ip)
        return any(not isinstance(allowed, str) and address in allowed for allowed in self._allowed)

    def response_downloaded(self, response: Response, request: Request) -> None:
        if came_from_private(response, request):
            self._private_pages[request.url] = True
        else:
            self._private_pages.pop(request.url, None)

    def _may_name_anything(self, request: Request) -> bool:
        source, page_private = named_by(request), request.meta.get("page_private")
        if source is None:
            return True
        if page_private is False:
            return False
        return bool(self._private_pages.get(source)) or (
            source == request.meta.get("page_url") and page_private is True
        )


def _with_host(url: str, host: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{host}:{parts.port}" if parts.port else host))


def _withhold_referer(request: Request) -> None:
    values = dict.get(request.headers, b"Referer")  # as it is kept: it is looked at for each image
    if not values or not (referer := values[-1].decode("latin-1")):
        return
    if referer.startswith("https:") and not request.url.startswith("https:"):
        del request.headers["Referer"]
    elif "@" in referer:
        request.headers["Referer"] = strip_url(referer, strip_credentials=True, strip_default_port=False)


def _network(host: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if "/" not in host and literal_ip(host) is None:
        return None
    try:
        return ipaddress.ip_network(host)
    except ValueError as error:
        raise InputError(f"PRIVATE_HOSTS_ALLOWED: {error}; expected names, addresses and networks") from error


def came_from_private(response: Response, request: Request) -> bool:
    """Whether *response* came from an address that is not public; False if a proxy fetched it."""
    ip = response.ip_address
    return ip is not None and not request.meta.get("proxy") and not is_public(str(ip))


def _checked_host(url: str) -> str:
    if len(url) > LONGEST and url[:8].lower().startswith(WEB):
        raise RequestRefused("invalid_url", f"{url[:100]}… has {len(url)} characters; expected no more than {LONGEST}")
    try:
        parts = urlsplit(url)
        host, reason, why = _judged(parts.scheme, parts.netloc)
    except ValueError as error:
        raise RequestRefused("invalid_url", f"{url}: {error}") from error
    if reason:
        raise RequestRefused(reason, why if "@" in parts.netloc else f"{url}: {why}")
    return host


@lru_cache(1024)  # a page names many addresses of a host
def _judged(scheme: str, netloc: str) -> tuple[str, str, str]:
    """The host, and the reason why it is not asked, with what is wrong. Raises ValueError."""
    parts = SplitResult(scheme, netloc, "", "", "")
    host, port = parts.hostname or "", parts.port
    if scheme not in ("http", "https"):
        return host, "scheme", "expected http or https"
    if "@" in netloc:
        return host, "invalid_url", f"{scheme}://…@{host}: user name in the address (use HTTPAUTH_USER)"
    if port == 0:
        return host, "invalid_url", "port 0"
    if not literal_ip(host) and (not _NAME.fullmatch(host) or _NUMERIC_END.search(host)):
        return host, "invalid_url", f"{host!r} is not a host name"
    return host, "", ""
