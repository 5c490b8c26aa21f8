"""Which addresses lead to the same, though parts of their queries differ: sessions, signatures, times of expiry."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from fnmatch import translate
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote

from imgcrawl.exceptions import InputError
from imgcrawl.possessive import compile_late

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

# What signs an address, and says until when: at S3 and its like (Alibaba, Tencent, Huawei, Volcengine, Baidu), Google,
# CloudFront, Azure, Akamai, Cloudinary, nginx, KeyCDN, CDN77, Backblaze, ImageKit, Patreon, the networks of Alibaba,
# Tencent and Wangsu, Discord, Facebook, Weibo, and in general.
SIGNATURES = [
    "x-amz-*", "x-goog-*", "x-oss-[!p]*", "awsaccesskeyid", "googleaccessid", "ossaccesskeyid", "security-token",
    "x-cos-[!p]*", "x-obs-[!p]*", "x-tos-[!p]*", "x-expires", "x-signature", "q-sign-*", "q-ak", "q-key-time",
    "q-header-list", "q-url-param-list", "q-signature", "auth_key", "txsecret", "txtime", "wssecret", "wstime", "ssig",
    "kid=imgbed*", "signature", "sign", "sig", "policy", "key-pair-id", "expires", "expire", "expiry", "exp", "token",
    "__token__", "token_path", "authorization", "hdnts", "hdnea", "hdntl", "hmac", "md5", "verify", "validfrom",
    "validto", "se=*:*", "st=*:*", "sks", "ske", "skt", "skv", "skoid", "sktid", "st=" + 22 * "?", "e=" + 10 * "[0-9]",
    "ex=" + 8 * "[0-9a-f]", "is=" + 8 * "[0-9a-f]", "hm=" + 64 * "[0-9a-f]", "oh=*_*", "oe=" + 8 * "[0-9a-f]", "_nc_*",
    "edge-cache-token", "__gda__", "__cld_token__", "token-time", "token-hash", "access_token", "jwt", "ik-s", "ik-t",
    "tbpicau", "secure=*,1" + 9 * "[0-9]",
    # What may be a size or an id elsewhere: imgix, Sirv and Reddit with a time; Google; Tencent and Qiniu; LinkedIn;
    # Limelight; ByteDance; Instagram.
    *(f"s={size * '[0-9a-f]'}&{until}" for size in (32, 40) for until in ("exp", "expires", "expire", "expiry")),
    "keyname&signature", "urlprefix&signature",
    "accesskeyid&signature", "credential&signature", "t=" + 10 * "[0-9]" + "&sign=*", "t=" + 8 * "[0-9a-f]" + "&sign=*",
    "t=" + 43 * "?" + "&e=" + 10 * "[0-9]", "h=" + 32 * "[0-9a-f]" + "&e=" + 10 * "[0-9]",
    "cf=" + 10 * "[0-9]" + "&e=" + 10 * "[0-9]", "ts&hmac", "lk3s&x-signature", "refresh_token&x-signature",
    "t=" + 8 * "[0-9a-f]" + "&x-signature", "idc&x-signature", "efg&oh=*_*", "edm&oh=*_*", "ig_cache_key&oh=*_*",
]  # fmt: skip
# What says who is asking, or from where.
SESSIONS = [
    "phpsessid", "jsessionid", "aspsessionid*", "sessionid", "session_id", "cfid", "cftoken",
    "sid=" + 32 * "[0-9a-f]", "utm_*", "fbclid", "gclid",
]  # fmt: skip

# The name of an image file, or a number of some length.
_SAYS_WHICH = compile_late(
    r"\.(?:jpe?g|jfif|png|gif|webp|avif|hei[cf]|jxl|bmp|tiff?|svg)\b|[0-9]{5}|[0-9a-f]{8}", re.IGNORECASE | re.ASCII
)
_PATH_PARAMETER = re.compile(r";(jsessionid=[^/;?#]*)", re.IGNORECASE)


class Identity:
    """Knows an address without those parameters of its query that *ignored* names.

    A name may have `*` and `?` in it, and is followed by `=` and a value where it counts with that value only, and by
    `&` and another one where it counts beside that only; capitals make no difference. With *careful* an address is
    known as it is where nothing that is left of it says which of many files it leads to: the name of an image file, or
    a number of five digits or more.
    """

    def __init__(self, ignored: Iterable[str], *, careful: bool = False) -> None:
        pairs = [name.partition("&")[::2] for name in ignored]
        self._ignored = _any_of(name for name, other in pairs if not other)
        beside: dict[str, list[str]] = {}
        for name, other in pairs:
            if other:
                beside.setdefault(other, []).append(name)
        self._others = _any_of(beside)
        self._beside = [(_any_of([other]), _any_of(names)) for other, names in beside.items()]
        self._careful = careful

    @classmethod
    def of_pages(cls, settings: BaseSettings) -> Self:
        """``PAGES_QUERY_IGNORED``: what does not tell one page from another. Raises `InputError`."""
        return cls(_checked("PAGES", settings.getlist("PAGES_QUERY_IGNORED", SESSIONS)))

    @classmethod
    def of_images(cls, settings: BaseSettings) -> Self:
        """``IMAGES_QUERY_IGNORED``: what does not tell one image from another. Raises `InputError`."""
        return cls(_checked("IMAGES", settings.getlist("IMAGES_QUERY_IGNORED", SIGNATURES)), careful=True)

    def of(self, url: str) -> str:
        """What *url* is known as: itself, where nothing in it is ignored."""
        if "?" not in url and ";" not in url:
            return url
        whole, hash_mark, fragment = url.partition("#")
        address, _, query = whole.partition("?")
        address = _PATH_PARAMETER.sub(self._kept_path_parameter, address)
        parts = query.split("&")
        said = [unquote(part if "=" in part else f"{part}=") for part in parts]
        ignored = [self._ignored]
        if others := [words for words in said if self._others.match(words)]:
            ignored += [names for other, names in self._beside if any(map(other.match, others))]
        kept = [part for part, words in zip(parts, said, strict=True) if not any(each.match(words) for each in ignored)]
        known = "?".join(filter(None, (address, "&".join(kept))))
        if len(kept) == len(parts) and known == whole:
            return url
        if self._careful and not _SAYS_WHICH.search(known, address.rfind("/")):
            return url
        return known + hash_mark + fragment

    def of_all(self, urls: Sequence[Any]) -> dict[str, str]:
        """What those of *urls*, all of one item, are known as that are not known as they are.

        Two that would be known as the same stay as they are: what differs tells them apart.
        """
        known = {url: other for url in urls if isinstance(url, str) and (other := self.of(url)) != url}
        times = Counter(known.get(url, url) for url in {url for url in urls if isinstance(url, str)})
        return {url: other for url, other in known.items() if times[other] == 1}

    def _kept_path_parameter(self, parameter: re.Match[str]) -> str:
        return "" if self._ignored.match(parameter[1]) else parameter[0]


def _any_of(names: Iterable[str]) -> re.Pattern[str]:
    patterns = [translate(name.lower() if "=" in name else f"{name.lower()}=*") for name in names]
    return compile_late("|".join(patterns) or "(?!)", re.DOTALL | re.IGNORECASE)  # most addresses have no query


def _checked(whose: str, names: list[Any]) -> list[str]:
    if wrong := next((each for each in names if not isinstance(each, str) or not each.strip("*?= ")), None):
        raise InputError(
            f"{whose}_QUERY_IGNORED has {wrong!r}: expected names of parameters, as in 'expires' or 'x-amz-*'"
        )
    return names
