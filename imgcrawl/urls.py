"""Pure functions on addresses. Nothing here asks the network."""

from __future__ import annotations

import codecs
import ipaddress
import re
import unicodedata
from functools import lru_cache
from urllib.parse import unquote, urlsplit, urlunsplit

import ada_url

from imgcrawl.longwork import let_others
from imgcrawl.possessive import compile_possessive

# ---- addresses as they stand on pages ------------------------------------------------------------------

# Addresses that are as they should be already: two in three of all, and matching costs a fifth of parsing. Left to the
# parser: ports, numbers as hosts, Punycode, `.` and `..` in a path.
_REST = r"(?!\.|%2[eE])(?:[\w~!$&()*+,;=:@%.-]|/(?!\.|%2[eE]))*+(?:\?[\w.~!$&()*+,;=:@/?%-]*+)?"
_CANONICAL = compile_possessive(
    rf"https?://(?:(?!xn--)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{{2,}}/{_REST}", re.ASCII
)
_FROM_ROOT = compile_possessive(rf"/(?!/){_REST}", re.ASCII)  # as most of the others are: of the page's own host


# Such as Scrapy and w3lib leave as they are, too, whatever is done with them.
_PLAIN = compile_possessive(
    r"https?://[a-z0-9.-]++(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}))?(?:/(?!\.\.?(?:/|\Z))[\w.~-]*+)++", re.ASCII
)


def is_plain(url: str) -> bool:
    """Whether nothing in *url* has another spelling: most addresses of images, and not all of these."""
    return _PLAIN.fullmatch(url) is not None


def resolve(base: str, link: str, encoding: str = "utf-8") -> str | None:
    """*link*, as it stands on a page with the address *base*, as a browser reads it, without its fragment.

    By the URL standard (https://url.spec.whatwg.org): any scheme, hosts in their one spelling (lower case, Punycode,
    IPv4 as four decimal numbers), the path in UTF-8, the query in *encoding*, that of the page. An empty *base* is
    none. None for what browsers refuse, and for a host that is very much longer than any. Of what is very much longer
    than any server takes the begin, which is as long as that still: who works on it takes a hundred times its memory.
    """
    if len(link) > _MOST and not link[:_LONG].lstrip()[:5].lower().startswith("data:"):
        link = link.strip()[:_MOST]
    if _CANONICAL.fullmatch(link):
        return link
    if _FROM_ROOT.fullmatch(link) and (origin := _origin_in(base)):
        return origin + link
    if len(link) > _LONG and not link.isascii() and _has_long_host(link):
        return None
    let_others()
    try:
        return ada_url.URL(_scalar(_encoded_query(link, encoding)), _scalar(base) or None).href.partition("#")[0]
    except ValueError:
        return None


def absolute(base: str, link: str, encoding: str = "utf-8") -> str | None:
    """`resolve` for what is fetched over HTTP: None for other schemes, too."""
    url = resolve(base, link, encoding)
    return url if url and url.startswith(WEB) else None


@lru_cache(64)
def _origin_in(base: str) -> str:
    """What is before the path in an address of the web as a browser reads it; empty for others."""
    url = resolve("", base) or ""
    return url[: url.index("/", len("https://"))] if url.startswith(WEB) else ""


_MOST = 65_536  # characters of an address; servers take 8,192, browsers two million
# Characters of a host that is not looked at: Punycode takes as long as the square of them, 26 ms for 5,000.
_LONG = 1_000
_AUTHORITY = re.compile(r"[\0-\40]*+(?:[a-zA-Z][a-zA-Z0-9+.-]*+:[/\\]*+|[/\\]{2,}+)([^/\\?#]*+)")


def _has_long_host(link: str) -> bool:
    found = _AUTHORITY.match(re.sub(r"[\t\n\r]", "", link))  # browsers take these out
    return found is not None and len(found[1]) > _LONG


WEB = ("http://", "https://")
# Stands for the page that named an address, where anybody may have named it: no page, and not the user.
OUTSIDE = "outside:redis"


def _scalar(text: str) -> str:
    """*text* with U+FFFD for halves of surrogate pairs, which no UTF-8 can hold."""
    return text if text.isascii() else re.sub("[\ud800-\udfff]", "\ufffd", text)


def _encoded_query(link: str, encoding: str) -> str:
    """*link* with what is not ASCII in its query percent-encoded; in UTF-8 the parser does it."""
    before, mark, rest = link.partition("?")
    query, hash_mark, fragment = rest.partition("#")
    codec = _codec(encoding)
    if not codec or "#" in before or query.isascii():
        return link
    return before + mark + "".join(_percent(character, codec) for character in query) + hash_mark + fragment


@lru_cache(64)
def _codec(encoding: str) -> str:
    """The codec in which browsers write the queries of pages in *encoding*; empty for UTF-8."""
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        return ""
    # All that is written in GB 18030 but GBK lacks stands for itself; UTF-16 and UTF-32 become UTF-8.
    return {"gb18030": "gbk", "gb2312": "gbk", "ascii": "cp1252", "iso8859-1": "cp1252"}.get(
        name, "" if name.startswith("utf") else name
    )


def _percent(character: str, codec: str) -> str:
    if character.isascii():
        return character
    try:
        encoded = character.encode(codec)
    except UnicodeEncodeError:
        return f"%26%23{ord(character)}%3B"  # as a character reference, for want of a better
    return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in encoded)


def without_query(url: str) -> str:
    """*url* without its query and fragment."""
    return re.split(r"[?#]", url, maxsplit=1)[0]


def last_part(url: str) -> str:
    """The last part of the path of *url*, decoded. What follows a `!` there is a style of the image host's."""
    return unquote(without_query(url).rstrip("/").rpartition("/")[2].partition("!")[0])


def slug_of(url: str) -> str:
    """What the page at *url* is called there: the last part of its path, without an ending as pages have, and its
    query; or its host."""
    rest = re.sub(r"^[a-z]+://[^/?#]*", "", url.partition("#")[0], flags=re.IGNORECASE)
    path, _, query = rest.partition("?")
    name = re.sub(r"\.(?:x?html?|php|aspx?|jsp)$", "", path.rstrip("/").rpartition("/")[2], flags=re.IGNORECASE)
    return unquote("-".join(filter(None, (name, query)))) or host_of(url)


_HOST = compile_possessive(r"https?://([a-z0-9.-]++)(?::[0-9]{1,5}+)?+(?=[/?#]|\Z)")  # of most addresses


def host_of(url: str) -> str:
    """The host name of *url*, in lower case; empty for text that names none."""
    if plain := _HOST.match(url):
        return str(plain[1])
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


@lru_cache(maxsize=1000)
def origin_of(url: str) -> str:
    """Host and port of *url*, or ""."""
    try:
        parts = urlsplit(url)
        return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}" if parts.hostname else ""
    except ValueError:
        return ""


def stem(url: str) -> str:
    """The name of the file that *url* leads to, without its extension and what sites append to that (`.jpg!dta`)."""
    name = unquote(without_query(url).rstrip("/").rpartition("/")[2])
    return re.sub(r"\.[A-Za-z0-9]{1,5}(?:[!:@][^.]*)?$", "", name)


def rebase(url: str, base: str) -> str:
    """*url* with the scheme, host and port of *base*."""
    parts = urlsplit(base)
    return urlunsplit(urlsplit(url)._replace(scheme=parts.scheme, netloc=parts.netloc))


def has_a_host(url: str) -> bool:
    """Whether *url* names a host as there may be one: of labels of up to 63 characters (RFC 1035, 2.3.4)."""
    host = host_of(resolve("", url) or "")
    return 0 < len(host) <= _LONGEST_HOST and max(map(len, host.split("."))) <= _LONGEST_LABEL


# ---- which addresses are public -------------------------------------------------------------------------

# RFC 6052: a NAT64 gateway sends these to the IPv4 address in the last four bytes.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# All that IANA has given out for the public Internet; the rest is local, reserved or multicast.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")


@lru_cache(4096)  # asked twice for each image, of few hosts
def is_public(ip: str) -> bool:
    """Whether *ip* (as text, IPv4 or IPv6, also with a zone) is an address of the public Internet.

    Not public: loopback, private, link-local, shared (RFC 6598), multicast, reserved, unspecified, and an
    IPv6 address that leads to such an IPv4 address (mapped, NAT64, 6to4, Teredo). Raises ValueError for text
    that is no address.
    """
    address = ipaddress.ip_address(ip.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    if inner := _embedded(address):
        return all(is_public(str(each)) for each in inner)
    return address in _GLOBAL_UNICAST and address.is_global


def _embedded(address: ipaddress.IPv6Address) -> tuple[ipaddress.IPv4Address, ...]:
    """The IPv4 addresses that a packet to *address* may end up at."""
    if address in _NAT64:
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    one = address.ipv4_mapped or address.sixtofour
    return (one,) if one else address.teredo or ()


def literal_ip(host: str) -> str | None:
    """The IP address that *host*, as it stands in a URL, spells, in its usual form; None for a name.

    Knows every spelling that a resolver, a browser or an HTTP client may take for an address: brackets,
    zones, trailing dots, percent-encoding, full-width digits, and IPv4 as 2130706433, 0x7f.1, 0177.0.0.1
    or 127.1.
    """
    # The same few hosts come for every image. Long ones are not kept: no host is called that.
    return (_remembered if len(host) <= _LONGEST_HOST else _literal_ip)(host)


def is_private_literal(url: str) -> bool:
    """Whether the host of *url* is an IP address that is not public; of a name only a resolver knows."""
    ip = literal_ip(host_of(url))
    return ip is not None and not is_public(ip)


def is_on_machine_of(page: str, url: str) -> bool:
    """Whether *url* is surely where *page* came from: at its origin, or at another port of its private address. All
    addresses of the loopback are one machine."""
    if origin_of(page) == origin_of(url) or (is_private_literal(page) and host_of(page) == host_of(url)):
        return True
    return is_loopback(host_of(page)) and is_loopback(host_of(url))


def is_loopback(host: str) -> bool:
    """Whether *host* is an IP address by which a machine calls itself."""
    ip = literal_ip(host)
    return ip is not None and ipaddress.ip_address(ip.partition("%")[0]).is_loopback


def _literal_ip(host: str) -> str | None:
    host = unicodedata.normalize("NFKC", unquote(host)).replace("。", ".").strip("[]").rstrip(".").lower()
    if ":" in host:
        try:
            return str(ipaddress.IPv6Address(host.partition("%")[0]))
        except ValueError:
            return None
    return _ipv4(host.split("."))


_LONGEST_HOST, _LONGEST_LABEL = 255, 63  # RFC 1035, 2.3.4
_remembered = lru_cache(4096)(_literal_ip)


def _ipv4(parts: list[str]) -> str | None:
    """As inet_aton(3): one to four numbers, decimal, 0 octal or 0x hexadecimal; the last fills the rest."""
    numbers = []
    for part in parts:
        if re.fullmatch(r"0x[0-9a-f]{0,16}", part):
            numbers.append(int(part[2:] or "0", 16))
        elif re.fullmatch(r"0[0-7]{1,20}", part):
            numbers.append(int(part, 8))
        elif re.fullmatch(r"[0-9]{1,16}", part):
            numbers.append(int(part))
        else:
            return None
    *first, last = numbers
    if len(numbers) > 4 or any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        return None
    return str(ipaddress.IPv4Address(sum(n << (8 * (3 - i)) for i, n in enumerate(first)) + last))
