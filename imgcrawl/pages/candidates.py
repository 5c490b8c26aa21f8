"""What an `<img>` says about where its image is, best first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import unquote

from imgcrawl.pages.sizes import IIIF, IIIF_NAMES
from imgcrawl.pages.tags import EXTENSION
from imgcrawl.possessive import compile_late, compile_possessive
from imgcrawl.urls import WEB

# Attributes of <img>, best first. The first group says "this is the full-size file" and beats any srcset …
_ORIGINAL_WORDS = """
    data-orig-file zoomfile data-zoom-image data-large_image data-full-src data-hi-res-src data-original
    data-original-src data-original-url data-original-image data-originalsrc data-orig data-orig-src data-raw-src
    data-raw data-full-url data-full data-full-image data-full-img data-full-size data-full-size-src data-fullsize
    data-fullsrc data-fullscreen data-highres data-high-res data-high-res-src data-highres-src data-hires data-hi-res
    data-hd data-hd-src data-zoom-src data-zoom-img data-zoom-url data-zoom data-large-src data-large-url
    data-large-image data-large-img data-large-file data-large data-big-src data-big data-bigimg data-max-src
    data-max data-fullsize-url
"""
ORIGINAL_ATTRIBUTES = tuple(_ORIGINAL_WORDS.split())
# … the second says where a script will find the image that `src` only keeps the place of.
_LAZY_WORDS = """
    data-src data-lazy-src data-lazysrc lazysrc lazy-src data-lazyload data-lazy data-actualsrc data-ks-lazyload
    data-echo data-cfsrc data-delayed-url data-real-src real_src data-img data-image file
    data-pagespeed-lazy-src pagespeed_lazy_src
"""
LAZY_ATTRIBUTES = tuple(_LAZY_WORDS.split())
# These hold addresses of pages as often, so that only an image file's name is believed …
VAGUE_ATTRIBUTES = ("data-url", "data-href", "data-link", "longdesc")
# … as with names that nobody has listed, by the words in them.
ORIGINALS = frozenset(ORIGINAL_ATTRIBUTES)
LISTED = frozenset((*ORIGINAL_ATTRIBUTES, *LAZY_ATTRIBUTES, *VAGUE_ATTRIBUTES))
LONGEST_NAME = 40  # characters
_MAX_NAME = 8_000  # of a file, at its end; to unquote one takes eighty times its length
SAYS_LARGE = compile_late(
    r"(?:^|[-_])(?:orig(?:inal)?|raw|full(?:size|screen|view)?|hi(?:gh)?-?(?:res|def)?|hd|retina|(?:at)?2x|rjs|zoom|x{0,3}-?large"
    r"|big(?:ger)?|max|x{1,3}l|popup|lightbox|expand(?:ed)?|enlarged?|magnify|download)(?:$|[-_]|(?:image|img|src|url)$)"
)
_FULLER = re.compile("data-(?:pswp-src|(?:full|fullsize|orig|original)(?:-src|-url|-file)?)")
_NAMED_SMALL = re.compile(r"[/_.-](?:t|tn|thumb(?:nail)?s?|small|tiny|mini|preview)[/_.0-9-]", re.IGNORECASE)
_LIKE_ADDRESS = re.compile("[./?0-9]")
_SAYS_OTHER = compile_late(
    r"thumb|small|tiny|mini|preview|placeholder|loading|low|lqip|icon|avatar|logo|fallback|error|default|hover|over|alt"
    r"|active|pin|share|next|prev|mobile|poster|caption|title|name|page"
)

_CANDIDATE = re.compile(r"[\s,]*+(\S++)", re.ASCII)
_DESCRIPTORS = compile_possessive(r"(?:[^,(]++|\([^)]*+\)?)*+")
_DESCRIPTOR = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([wxh])", re.ASCII)
_MIN_WIDTH = re.compile(r"min-width\s*+:\s*+([0-9]{1,9})", re.ASCII)

# A site's own suffix may follow the extension (.jpg!dta, .jpg:large); MediaWiki's File:x.jpg is a page.
_HINT = re.compile(rf"\.{EXTENSION}", re.IGNORECASE | re.ASCII)
_IMAGE_FILE = re.compile(rf"[^/:]*\.{EXTENSION}(?:[!:][\w.-]*)?", re.IGNORECASE | re.ASCII)
_UNLIKE_NAME = re.compile(r"[\s/<]")
PHOTOGRAPH = re.compile(r"\.(?:jpe?g|jfif|webp|avif|png)(?:[!:][\w.-]*)?$", re.IGNORECASE | re.ASCII)
# Links that scripts show large without leaving the page, by their class, their rel or an attribute of their own …
_SHOWS_LARGE = compile_late(
    r"(?<!no)(?<!no[-_])(?<!not[-_])(?<!video[-_])"
    r"(?:fancybox|g?lightbox|swipebox|colorbox|photoswipe|pswp|venobox|lightgallery|magnific(?!en|at|o)|featherlight"
    r"|thickbox|highslide|js-lbimage|prettyphoto|(?<![\w-])chocolat(?:-image)?(?![\w-])|image-popup|mfp-image)"
    r"(?![a-z]{0,20}[.-]?(?:iframe|ajax|inline|video))",
    re.IGNORECASE,
)
# … and what they show there that is no image.
_SHOWS_PAGE = compile_late(r"(?<![a-z])(?:iframe|ajax)(?![a-z])|\.(?:inline|video)", re.IGNORECASE)
_PAGE_TYPE = re.compile(r"iframe|ajax|inline|video|html", re.IGNORECASE)
_NOT = frozenset(("no", "false", "0", "off", "none"))
_MAX_SAID = 2_000  # characters of a link's address, and of its classes, that are believed to say what it is for
_NO_ORIGINAL = re.compile(
    r"^\s*(?:#|javascript:|mailto:|data:)|\.(?:html?|mp4|webm|mov|m4v|pdf|zip)(?:[?#]|$)|youtube|youtu\.be|vimeo",
    re.IGNORECASE,
)
# Folders of files; and an id, which is no word with a number: that is a page's name.
_OF_FILES = compile_late(
    r"(?<![\w/-])(?=[\w/-]*+\Z).*?/(?:files?|downloads?|attachments?|originals?|full(?:-?size)?|raw)/", re.IGNORECASE
)
_ID = re.compile(r"(?![a-z]{3,}+[0-9]*+\Z)(?=\D*+[0-9])(?:[a-zA-Z0-9]++|[0-9a-f-]++)", re.ASCII)
PIXEL = re.compile(r"(?:blank|spacer|pixel|transparent|clear|1x1|1px)\.(?:gif|png|svg)", re.IGNORECASE)
PLACEHOLDER = re.compile(
    r"(?=.{1,200}\Z)(?:[\w-]*[_-])?(?:blank|spacer|placeholder|place-holder|loading|loader|lazy|lazyload|pixel|transparent"
    r"|clear|grey|gray|dot|empty|default|dummy|1x1|1px)(?:[_-]?[0-9]\w*|[_-](?:img|image|pic|bg|icon))?"
    r"\.(?:gif|png|svg|jpe?g|webp)",
    re.IGNORECASE | re.ASCII,
)
# What a script has to fill in; `{width}` of lazysizes is known otherwise.
_WIDTH_PLACE, _WIDTHS = re.compile(r"\{(\.?)(?:width|size)\}"), re.compile(r"\b[0-9]{2,5}\b")
UNFILLED = re.compile(
    r"\{[{%]|\$\{|<%|\{[xyz]\}[^{}]{0,20}\{[xyz]\}|\{\.?(?:"
    r"(?:image_?|img_?|photo_?|file_?|user_?|item_?)?(?:width|height|size|id|url|src|name|path|index|number|format|ext(?:ension)?)"
    r"|image|img|photo|file|[whin]|slug|title|quality|ratio|dpr|key|page|num|lang|type|version)\}"
)
_ICON, _SHOWN = 64, 200  # pixels: what is no larger is an icon; what is larger is shown for itself
_SMALL = re.compile(r"\s*([0-9]{1,4})(?:px)?\s*$", re.ASCII)
_COUNTER = re.compile(
    r"https?://(?:[\w-]+\.)*(?:scorecardresearch\.com|doubleclick\.net|google-analytics\.com|quantserve\.com|pixel\.wp\.com"
    r"|stats\.wp\.com|imrworldwide\.com|chartbeat\.net|bat\.bing\.com|mc\.yandex\.ru|hm\.baidu\.com|statcounter\.com"
    r"|facebook\.com/tr(?![^/?#]))(?:[/?#:]|$)",
    re.IGNORECASE,
)
_DRAWN = compile_late(
    r"icon|logo|[/_.-](?:sprites?|rating|stars?|arrows?|social|badges?|buttons?|flags?|pictos?|ui)[0-9/_.-]",
    re.IGNORECASE,
)
_TINY = re.compile(r"\s*0*[01](?:px)?\s*", re.IGNORECASE)

# What surrounds the images of a page, by the names of their files; "ad" is a part of many a hash.
_ORNAMENTS = (
    "logo|icon|avatar|banner|sprite|button|badge|loading|placeholder|removed|deleted|not-?_?found|default|blank|error|missing"
    "|no-?_?image|captcha|qr-?_?code|profile|share|(?<![0-9])ads?(?![0-9]+[a-wyz])"
)
ORNAMENT = re.compile(rf"(?:^|[^a-z])(?:{_ORNAMENTS})(?:[^a-z]|$)", re.IGNORECASE)
# Where few images are shown, also what says that one is not there. Of a numbered series it is one.
DECORATION = compile_late(rf"(?:^|[^a-z])(?:{_ORNAMENTS}|(?<![0-9])40[34](?![0-9]))(?:[^a-z]|$)", re.IGNORECASE)
STAND_INS = ("data:", "about:")  # what stands where a script will put an image

Rank = tuple[int, bool, float, float, float]
# A candidate's rank: group; no `max-width` (made for small screens); width; `min-width`; density.
ORIGINAL: Rank = (2, True, 0, 0, 0)
PLAIN: Rank = (1, True, 0, 0, 1)
UNSAID: Rank = (0, True, 0, 0, 1)
STAND_IN: Rank = (0, True, 0, 0, 0)


def image_candidates(attributes: dict[str, str]) -> list[tuple[Rank, str]]:
    """The addresses that the attributes of an `<img>` give, each with its rank."""
    candidates = []
    if not ORIGINALS.isdisjoint(attributes):
        candidates += [(ORIGINAL, address) for address in _addresses(attributes, ORIGINAL_ATTRIBUTES)]
    candidates += source_candidates(attributes)
    candidates += [(PLAIN, address) for address in _addresses(attributes, LAZY_ATTRIBUTES)]
    candidates += [(PLAIN, address) for address in _addresses(attributes, VAGUE_ATTRIBUTES) if is_file(address)]
    candidates += _unlisted(attributes)
    candidates = [(rank, filled(address, attributes)) for rank, address in candidates]
    if "src" in attributes:
        unsaid = [file_name(address).partition(".")[0] for rank, address in candidates if rank == UNSAID]
        # What is called otherwise may be the back of what is shown, or something else beside it.
        is_called = bool(unsaid) and any(name in file_name(attributes["src"]) for name in unsaid)
        is_copy = is_called and _NAMED_SMALL.search(attributes["src"])
        candidates.append((STAND_IN if is_copy else PLAIN, attributes["src"]))
    return [(STAND_IN if PLACEHOLDER.fullmatch(file_name(address)) else rank, address) for rank, address in candidates]


def filled(address: str, attributes: dict[str, str]) -> str:
    """*address* with the largest of the widths that the image is stated to come in, where it has a place for one."""
    if "{" not in address or not _WIDTH_PLACE.search(address):
        return address
    stated = attributes.get("data-widths") or attributes.get("data-cmp-widths") or ""
    width = max((int(width) for width in _WIDTHS.findall(stated[:_MAX_SAID])), default=0)
    return _WIDTH_PLACE.sub(rf"\g<1>{width}", address) if width else address


def source_candidates(attributes: dict[str, str]) -> list[tuple[Rank, str]]:
    """The addresses in the `srcset` of an `<img>` or a `<source>`, or in what lazy loaders have in its place."""
    media = attributes.get("media", "").lower()
    least = max((int(width) for width in _MIN_WIDTH.findall(media)), default=0)
    no_limit = "max-width" not in media
    stated = (text for name, text in attributes.items() if name.endswith("srcset"))
    return [pair for text in stated for pair in srcset_candidates(text, no_limit=no_limit, least=least)]


def srcset_candidates(text: str, *, no_limit: bool = True, least: int = 0) -> list[tuple[Rank, str]]:
    """The addresses in *text*, a `srcset`, for windows of at least that width, or without a limit to it."""
    found = (((1, no_limit, width, least, density), address) for address, width, density in _srcset(text))
    # What a script that has failed leaves is none: "undefined", "[object".
    return [(rank if _LIKE_ADDRESS.search(address) else STAND_IN, address) for rank, address in found]


@lru_cache(1_000)
def rank_by_name(name: str) -> Rank | None:
    """The rank of an image file in an attribute that is not listed, by its *name*; None where it may be any other."""
    if name in LISTED or name == "src" or name.endswith("srcset") or _SAYS_OTHER.search(name):
        return None
    if not (name.startswith("data-") or "src" in name or "lazy" in name or SAYS_LARGE.fullmatch(name)):
        return None
    return ORIGINAL if SAYS_LARGE.search(name) else PLAIN if "src" in name or "lazy" in name else UNSAID


def _unlisted(attributes: dict[str, str]) -> list[tuple[Rank, str]]:
    named = ((name, value) for name, value in attributes.items() if "." in value and len(name) <= LONGEST_NAME)
    ranked = ((rank_by_name(name), value) for name, value in named)
    return [(rank, value) for rank, value in ranked if rank and "/" in value and is_file(value)]


def _srcset(text: str) -> Iterator[tuple[str, float, float]]:
    """Address, width and density of each candidate, as HTML parses them; a bad descriptor counts as the smallest."""
    position = 0
    while match := _CANDIDATE.match(text, position):
        position = match.end()
        address = match[1].rstrip(",")
        width, density = 0.0, 1.0
        if address == match[1]:
            descriptors = _DESCRIPTORS.match(text, position)
            assert descriptors is not None  # noqa: S101 -- the pattern matches nothing, too
            position = descriptors.end()
            for descriptor in descriptors[0].split():
                known = _DESCRIPTOR.fullmatch(descriptor)
                if known is None:
                    width, density = 0.0, 0.0
                    break
                if known[2] == "w":
                    width = float(known[1])
                elif known[2] == "x":
                    density = float(known[1])
        yield address, width, density


def is_ornament(attributes: dict[str, str], candidates: Iterable[tuple[Rank, str]]) -> bool:
    """Whether an `<img>` is declared to be as small as icons are, and names nothing larger."""
    declared = [_SMALL.match(attributes.get(side, "")) for side in ("width", "height")]
    sides = [int(side[1]) for side in declared if side]
    if len(sides) < 2 or max(sides) > _ICON:
        return False
    return not any(rank[0] == ORIGINAL[0] or rank[2] > _SHOWN for rank, _ in candidates)


def is_no_picture(address: str) -> bool:
    """Whether an *address* says that it counts visits, or that it is an icon or a logo drawn in SVG."""
    if _COUNTER.match(address):
        return True
    path = address.partition("#")[0].partition("?")[0]
    return path[-4:].lower() == ".svg" and _DRAWN.search(path) is not None


def is_pixel(attributes: dict[str, str]) -> bool:
    """Whether an image is declared as one that nobody sees."""
    return all(_TINY.fullmatch(attributes.get(name, "")) for name in ("width", "height"))


def _addresses(attributes: dict[str, str], names: Iterable[str]) -> Iterator[str]:
    """The values of the attributes of these names, without the "true", "1" and JSON that stand there as well."""
    for name in names:
        if name in attributes:
            value = attributes[name].strip()
            if ("/" in value or is_file(value)) and not value.startswith(("{", "[")):
                yield value


def is_original(attributes: dict[str, str]) -> bool:
    """Whether a link around an image leads to its original by what it is for: to be saved, to be shown large by a
    script, to a file. One that is not surely an image is none: what it shows would be lost for a page."""
    href = attributes.get("href", "")
    if not href or len(href) > _MAX_SAID or _NO_ORIGINAL.search(href):
        return False
    said = f"{attributes.get('class', '')} {attributes.get('rel', '')}"[:_MAX_SAID]
    types = [value for name, value in attributes.items() if name.endswith("type")]
    if _SHOWS_PAGE.search(said) or any(map(_PAGE_TYPE.search, types)):
        return False
    name = file_name(href)
    stated = [key for key, value in attributes.items() if value.strip().lower() not in _NOT]
    return (
        "download" in stated
        or attributes.get("type", "").startswith("image/")
        or any(map(_SHOWS_LARGE.search, (said, *stated)))
        or (_OF_FILES.search(href[: -len(name) or None]) is not None and _ID.fullmatch(name) is not None)
    )


def fullest(href: str, attributes: dict[str, str]) -> str:
    """*href*, the image file that a link leads to, or what its *attributes* state for that in full."""
    return next((value for name, value in attributes.items() if _FULLER.fullmatch(name) and is_file(value)), href)


def is_empty(link: str) -> bool:
    """Whether *link* leads to the page that it stands on."""
    return not link.strip() or link.lstrip().startswith("#")


def is_shown(address: str) -> bool:
    """Whether the image at *address* can be asked for and is not there for decoration, by its name."""
    return address.startswith(WEB) and not DECORATION.search(file_name(address))


def is_file(address: str) -> bool:
    """Whether *address* has the name of an image file."""
    return _HINT.search(address) is not None and _IMAGE_FILE.fullmatch(file_name(address)) is not None


def is_address(text: object) -> bool:
    """Whether *text*, found anywhere, is surely the address of an image file."""
    return isinstance(text, str) and "/" in text and "<" not in text and is_file(text)


def is_name(text: object) -> bool:
    """Whether *text* is no more than an image file's name."""
    return isinstance(text, str) and not _UNLIKE_NAME.search(text) and is_file(text)


def file_name(address: str) -> str:
    """The last part of the path of *address*; of one that an image server makes (`sizes.IIIF`), what it is made of."""
    path = address.strip().partition("#")[0].partition("?")[0]
    name = unquote(path[path.rfind("/") + 1 :][-_MAX_NAME:]).rpartition("/")[2]
    made = IIIF.search(path) if name.startswith(IIIF_NAMES) else None
    return f"{made['id']}.{name.rpartition('.')[2]}" if made else name
