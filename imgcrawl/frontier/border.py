"""What of a request may come from Redis, which anybody may have written to.

A request's meta is where a project's own spiders put what they need later, and where Scrapy, its plugins and we look
for instructions. Of the keys that Scrapy or we read a closed list travels (`TRAVELLING`): those that ask for less, or
say where the request has been; none that writes a file, chooses a proxy, leaves the limits, robots.txt or the address
guard, or sets a handler or a timeout. Keys that look like a plugin's stay here, too. What is left nobody takes for an
instruction, and travels. A value fed from outside may have no instruction at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any

from scrapy import Request, Spider

from imgcrawl.urls import OUTSIDE, host_of, is_loopback, is_on_machine_of, origin_of

_POLICIES = frozenset(
    {
        *("no-referrer", "no-referrer-when-downgrade", "same-origin", "origin", "strict-origin", "unsafe-url"),
        *("origin-when-cross-origin", "strict-origin-when-cross-origin", "scrapy-default"),
    }
)


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value <= 100_000


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_list(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(isinstance(entry, kind) for entry in value)


# Instructions that travel between our workers, and what each may be.
TRAVELLING: dict[str, Callable[[Any], bool]] = {
    "cookiejar": lambda value: isinstance(value, str | int),
    "depth": _is_count,
    "dont_merge_cookies": _is_flag,
    "dont_redirect": _is_flag,
    "dont_retry": _is_flag,
    "handle_httpstatus_all": _is_flag,
    "handle_httpstatus_list": _is_list(int),
    "is_start_request": _is_flag,
    "lease": lambda value: isinstance(value, str) and value.isalnum(),
    "link_text": _is_text,
    "once_a_run": _is_flag,
    "page_private": _is_flag,
    "page_url": _is_text,
    "priority_adjust": _is_number,
    "redirect_posted": lambda value: _is_list(str)(value) and len(value) in (0, 2),
    "redirect_reasons": _is_list(object),
    "redirect_times": _is_count,
    "redirect_ttl": _is_count,
    "redirect_urls": _is_list(str),
    "referrer_policy": lambda value: value in _POLICIES,  # Scrapy imports any other text
    "retry_after_times": _is_count,
    "retry_first": _is_flag,
    "retry_times": _is_count,
    "retry_wait": _is_count,
    "row_facts": lambda value: isinstance(value, dict),
    "rule": lambda value: isinstance(value, int),
    "sitemap_images": _is_list(str),
    "task": _is_text,
}
# What looks like an instruction, to Scrapy, to us, or to a plugin that is not installed yet. A test looks for keys that
# Scrapy or we read and that are neither here nor above.
_INSTRUCTION = re.compile(
    r"_|download|dont_|allow_|auth|autothrottle|bindaddress|budget|cache|cookie|crawlera|curl|depth_|ftp_|give_up|"
    r"handle|http|image_|impersonate|is_secure|max_|media|opt_outs|page_p|playwright|priority_|proxy|public|redirect|"
    r"refresh|retry|robots|scrapfly|selenium|sitemap_|splash|ssl|throttle|tls|verbatim|verify|zyte",
    re.IGNORECASE,
)
# Headers that say where a connection leads or where a message ends.
_NO_HEADER = re.compile(
    r"host|proxy-.*|connection|keep-alive|te|trailer|transfer-encoding|content-length|upgrade|expect", re.IGNORECASE
)
HEADERS_FROM_OUTSIDE = frozenset({"accept", "accept-language", "content-type", "referer"})

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]{0,30}://[^\s,'\"<>]+", re.IGNORECASE)


def is_instruction(key: str) -> bool:
    """Whether Scrapy, a part of ours, or a plugin may take the meta *key* for an instruction."""
    return key in TRAVELLING or bool(_INSTRUCTION.match(key))


def travels(key: str, allowed: Collection[str] = ()) -> bool:
    """Whether the meta *key* may come from Redis. *allowed* are those that the user lets through besides."""
    return key in TRAVELLING or key in allowed or not _INSTRUCTION.match(key)


def refused_meta(meta: Mapping[str, Any], allowed: Collection[str] = ()) -> str:
    """Which key of *meta*, or which value, may not come from Redis, for a sentence; or ""."""
    for key, value in meta.items():
        if not travels(key, allowed):
            return f"meta {key[:50]!r} is an instruction to the crawler"
        if key in TRAVELLING and key not in allowed and not TRAVELLING[key](value):
            return f"meta {key!r} is {str(value)[:50]!r}"
    return ""


def header_travels(name: str) -> bool:
    """Whether the header *name* may come from Redis."""
    return not _NO_HEADER.fullmatch(name)


def kept_here(
    request: Request, spider: Spider, allowed: Collection[str] = (), inherited: Mapping[str, Any] | None = None
) -> str:
    """What of *request* a spider asks for that does not travel, for a sentence; or "".

    What a response's request had already (*inherited*) the spider did not ask for, and what each worker puts back
    (the attribute `restored` of *spider*) does not have to travel.
    """
    restored: Collection[str] = getattr(spider, "restored", frozenset())
    for key, value in request.meta.items():
        if isinstance(key, str) and not travels(key, allowed) and key not in restored:
            inherits = inherited is not None and key in inherited and inherited[key] == value
            if not inherits:
                return f"meta {key!r}"
    for name in request.headers:
        text = name.decode("latin-1")
        if not header_travels(text) and text not in restored and inherited is None:
            return f"the header {text!r}"
    return ""


def named_origins(spider: Spider) -> frozenset[str]:
    """The hosts, with their ports, that the user named: in the arguments of *spider*, in its class or `start_urls`."""
    values = [*vars(spider).values(), getattr(spider, "list_url", ""), *getattr(spider, "start_urls", ())]
    return _origins_in(tuple(value for value in values if isinstance(value, str)))


@lru_cache(maxsize=100)
def _origins_in(texts: tuple[str, ...]) -> frozenset[str]:
    found = (origin_of(address) for text in texts for address in _ADDRESS.findall(text))
    return frozenset(origin for origin in found if origin)


def distrust(request: Request, spider: Spider) -> None:
    """Let *request*, which came from Redis, lead to a private address only on a machine that the user named.

    A request is the user's own if no page named it, and a page that came from a private address may lead to others:
    both are for whoever wrote the value to say. So it counts only where the user himself named that host, and a page
    only for what is on its own machine; to all others its address is one that no private page has named.
    """
    redirects = request.meta.get("redirect_urls")
    source = redirects[-1] if isinstance(redirects, list) and redirects else request.meta.get("page_url")
    if not isinstance(source, str):
        source = None
        request.meta.pop("sitemap_images", None)  # which no page has named
    named = named_origins(spider)
    is_named = origin_of(source if source is not None else request.url) in named or (
        source is not None
        and is_loopback(host_of(source))
        and any(is_loopback(each.rpartition(":")[0]) for each in named)
    )
    if is_named and (source is None or is_on_machine_of(source, request.url)):
        return
    request.meta["page_private"] = False
    if source is None:
        request.meta["page_url"] = OUTSIDE
