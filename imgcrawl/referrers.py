"""What a site says about the Referer that its images are asked for with (the W3C's Referrer Policy): a pure reading.

Image hosts refuse what comes from other sites, and pages that show their images say in their header, in a meta element
or beside an image that no Referer is to be sent. Read is what withholds it, or all but the origin, from all; what
withholds the path from other hosts alone, as browsers do by default, is not: the crawl sends the address of the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from parsel import Selector

from imgcrawl.urls import host_of, resolve

# What it is called, and was called once, and what is done.
_POLICIES = {
    "no-referrer": "no-referrer",
    "never": "no-referrer",
    "same-origin": "same-origin",
    "origin": "origin",
    "strict-origin": "origin",
    # An address as a whole may be sent, at least to where https stays https, which the address guard sees to.
    "no-referrer-when-downgrade": "",
    "default": "",
    "origin-when-cross-origin": "",
    "origin-when-crossorigin": "",
    "strict-origin-when-cross-origin": "",
    "unsafe-url": "",
    "always": "",
}
_LONGEST, _MOST_HOSTS, _MOST_IMAGES, _MOST_METAS = 1_000, 20, 2_000, 5_000
# Not noreferrer, which links have. Of the letters that all spellings have in a row: these are found in no time.
_SAID = [
    re.compile(rb"%b(?:(?i:policy)|(?<=[\s\"'=][rR]%b)[\s\"'/>])" % (each, each)) for each in (b"eferrer", b"EFERRER")
]
_LONG_HOST = 300  # characters: to spell one in Punycode takes as long as the square of them


def may_have_policy(body: bytes) -> bool:
    """Whether it is worth looking for one on a page."""
    return any(said.search(body) for said in _SAID)


def stated_policy(headers: Iterable[str], page: Selector | None = None, base: str = "") -> str:
    """What the `Referrer-Policy` *headers* of an answer and its *page*, whose addresses are relative to *base*, say:
    the policy of the page, if it is one that withholds something, and those of hosts, as `policy@host`, all of whose
    images there have a `referrerpolicy` of their own; parted by blanks."""
    root: Any = page.root if page is not None else None
    policy = _last(policy for header in headers for policy in header[:_LONGEST].split(","))
    for tag in islice(root.iter("meta"), _MOST_METAS) if root is not None else ():
        if tag.get("name", "")[:_LONGEST].strip().lower() == "referrer":
            policy = _last((policy or "default", tag.get("content", "")))
    of_hosts = {host: own for host, own in _of_hosts(root, base).items() if own not in (None, policy)}
    return " ".join(
        [*filter(None, [policy]), *(f"{own}@{host}" for host, own in islice(of_hosts.items(), _MOST_HOSTS))]
    )


def _of_hosts(root: Any, base: str) -> dict[str, str | None]:
    """The hosts of the images in *root*, with the policy that all of them have; None where one has none."""
    images = list(islice(root.iter("img"), _MOST_IMAGES)) if root is not None else []
    of_hosts: dict[str, str | None] = {}
    if not any("referrerpolicy" in image.attrib for image in images):
        return of_hosts
    for image in images:
        if len(of_hosts) > 5 * _MOST_HOSTS:
            break
        own = _known(image.get("referrerpolicy", ""))
        for name in ("src", "data-src"):
            address = image.get(name, "")
            if not address or (len(address) > _LONG_HOST and not address.isascii()):
                continue
            if host := host_of(resolve(base, address) or ""):
                of_hosts[host] = own if of_hosts.get(host, own) == own else None
    return of_hosts


def referer_by(policy: str, page: str, image: str, to: str = "") -> str:
    """What of the address *page* the host of *image*, or where that redirects *to*, is sent, where `stated_policy` has
    said *policy*; may be empty."""
    said = _by_host(policy)
    own = said.get(host_of(image) if "@" in policy else "", said.get("", ""))
    if own == "no-referrer" or (own == "same-origin" and _origin(page) != _origin(to or image)):
        return ""
    return f"{_origin(page)}/" if own == "origin" else page


def _last(policies: Iterable[str]) -> str:
    known: Iterator[str] = (found for policy in policies if (found := _known(policy)) is not None)
    return next(iter([*known][-1:]), "")


def _known(policy: str) -> str | None:
    return _POLICIES.get(policy[:_LONGEST].strip().lower())


@lru_cache(64)
def _by_host(policy: str) -> Mapping[str, str]:
    said = (each.partition("@") for each in islice(policy[: 100 * _LONGEST].split(), _MOST_HOSTS + 1))
    return {host: own for own, _, host in said}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
