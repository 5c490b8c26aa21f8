"""Which addresses lead to the same image in several sizes, as far as an address tells.

Content management systems and image servers write the size that they make of an original into its address: in the name
of the file (WordPress, Shopify, Blogger), as a folder (Cloudinary, thumbor, Drupal, MediaWiki), or as a query (imgix,
Photon, object stores). Without it, what is left is the address of the image.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode

from imgcrawl.possessive import compile_late, compile_possessive

# Parameters by which image servers are told what to make of an image.
_MAKING_WORDS = """
    w h width height wid hei maxwidth maxheight max_width max_height mw mh sw sh imwidth imheight imgsize size
    resize fit crop q quality qlt auto format fm fmt dpr ssl strip sharp sharpen scale op_sharpen resmode mode rect
    rmode upscale fp-x fp-y fp-z fp-debug ixlib ixid cs blur bg pad quality_auto interpolation downsize
    output-format output-quality image-resize x-oss-process x-image-process imageview2 imagemogr2 thumbnail optimize
    enable disable
"""
_MAKING = frozenset(_MAKING_WORDS.split())
_WIDTHS = ("w", "width", "wid", "imwidth", "maxwidth", "max_width", "mw", "sw")
_HEIGHTS = ("h", "height", "hei", "maxheight", "max_height", "imheight", "mh", "sh")
# Twitter's: ?format=jpg&name=small, a.jpg:large
_NAMED_WIDTHS = {"thumb": 150, "tiny": 64, "small": 680, "medium": 1200, "large": 2048, "orig": 100_000}
# Qiniu's and Upyun's: ?imageView2/2/w/300, a.jpg!w300
_QINIU = re.compile(r"^image(?:View2|Mogr2)/(?:[^&]{0,80}?/)?(?:w|thumbnail)/([0-9]{1,5})")
_NAMED = re.compile(r"(?<=\w)(?::(thumb|small|medium|large|orig)|!w?([0-9]{2,5}))$")
_LONGEST_NAMED = 7
_IN_WIDTHS = re.compile(r"[0-9]{2,5}w")
_PAIR = re.compile(r"([0-9]{1,5})(?:[x,*]|%2[cC])([0-9]{1,5})")

# In a file's name: -300x200, _600x600, _1024x, -scaled, @2x; in front of the extension.
_SUFFIX = re.compile(
    r"(?:[-_](?P<w>[0-9]{2,4})x(?P<h>[0-9]{0,4})(?:_crop_\w+)?(?:@(?P<times>[23])x)?|-(?P<scaled>scaled)|@(?P<dense>[23])x)"
    r"(?=\.\w{3,5}(?:\?|$))"
)
# Behind the extension, and with another one: a.jpg_640x640q90.jpg, a.jpg_Q90.jpg_.webp
_BEHIND = re.compile(
    r"\.(?:jpe?g|png|gif|webp)(?P<made>_(?:(?:(?P<w>[0-9]{2,4})x[0-9]{1,4})?(?:xz)?(?:[qQ][0-9]{2})?(?:s[0-9]{2,3})?"
    r"\.(?:jpe?g|png))?(?:_?\.webp)?)(?=\?|$)"
)
# Google's image servers: =s600, =w1200-h630-p-rj
_GOOGLE = re.compile(r"=(?:[a-z]{0,2}[0-9]{0,5}-){0,4}?[swh](?P<w>[0-9]{2,5})(?:-[a-z]{1,3}[0-9]{0,5}){0,9}$")
_FOLDERS = compile_possessive(
    r"/(?:"
    r"(?P<made>(?=(?:[^/]*[,&])?[wh]_[0-9]{2})(?:[a-z]{1,4}_[\w:.!-]++[,&]?+)++)"  # Cloudinary, Wix, Nuxt
    # thumbor
    r"|(?:[\w-]{27,28}=?/|unsafe/)?(?:fit-in/)?(?P<b>[0-9]{1,5})x(?:[0-9]{1,5}|orig)(?:/filters:[^/]*)?(?:/smart)?"
    r"|[sw](?P<c>[0-9]{2,4})(?:-h[0-9]{2,4})?(?:-[a-z]{1,2})*(?=/[^/]+$)"  # Blogger
    r"|size/w(?P<f>[0-9]{2,5})(?:h[0-9]{2,5})?(?:/format/\w{3,4})?"  # Ghost
    r"|styles/(?P<d>\w[\w-]*)/public"  # Drupal
    r"|tr:(?:[^/]{0,80}?(?<![a-z])w-(?P<g>[0-9]{1,5}))?[^/]{0,80}"  # ImageKit
    r"|cdn-cgi/image/[^/]{0,80}?\b(?:w|width)=(?P<e>[0-9]{1,5})[^/]{0,80}"  # Cloudflare
    r")(?=/)"
)
_MADE_WIDTH = re.compile(r"(?:^|[,&])[wh]_([0-9]{2,5})")
_MEDIAWIKI = re.compile(r"/thumb((?:/[^/]+){1,4})/(?:lossy-page[0-9]+-)?(?P<w>[0-9]{1,5})px-[^/]+$")
# What fetches an image from elsewhere and makes a size of it: /image/fetch/w_1456,c_limit/https%3A%2F%2Fhost%2Fa.png
_FETCHED = compile_late(
    r"(?<=[^:/])/(?P<made>[^/?#]*+)/(?:plain/)?https?(?:%3[aA]|:)(?:%2[fF]|/){2}(?P<inner>[^?#]++)$"
)
_FETCHED_WIDTH = compile_late(
    r"(?:^|,)w_?([0-9]{2,5})|^([0-9]{2,5})x|(?:^|:)(?:rs?|resize|size|s|w|width):(?:[a-z-]+:)?([0-9]{2,5})"
)
# Or is told in a query what to fetch: /_next/image?url=%2Fa.jpg&w=640
_TOLD = re.compile(
    r"\?(?:[^#]{0,200}&)?(?:url|src|image|img)=(?P<inner>(?:https?(?::|%3[aA]))?(?:/|%2[fF])[^&#]{3,1500})"
)
_OF_FILE = re.compile(r"^(?:https?:/)?/[^?]*\.(?:jpe?g|png|webp|avif|gif)(?:\?|$)", re.IGNORECASE)
# The image servers of museums and libraries (IIIF): /<id>/full/!600,600/0/default.jpg
IIIF_NAMES = ("default.", "native.", "color.", "gray.", "grey.", "bitonal.")
IIIF = compile_late(
    r"/(?P<id>[^/]{1,500}+)/(?P<region>full|square|(?:pct:)?[0-9.]{1,9}(?:,[0-9.]{1,9}){3})"
    r"/\^?(?:full|max|!?(?P<w>[0-9]{1,5})?,(?P<h>[0-9]{1,5})?|(?P<part>pct:)[0-9.]{1,9})"
    r"/!?[0-9.]{1,7}/(?:default|native|color|gr[ae]y|bitonal)\.\w{3,4}$",
    re.ASCII,
)
_PHOTON = re.compile(r"//i[0-3]\.wp\.com/")

ORIGINAL = 100_000  # wider than any image: an address without a size is that of the original


_LONGEST = 2_000  # longer addresses than servers take are not looked at
DERIVED = 1  # a size that is not stated
_THUMBNAIL = 320  # narrower is a thumbnail, whoever names it


class Size(NamedTuple):
    """The *image* that an address leads to, and what size of it; of a crop whose shape is stated also the *height*."""

    image: str
    width: int
    height: int


def size_of(address: str) -> Size:
    """What *address* says about the image it leads to. An address without a size counts as that of the original."""
    return Size(address, ORIGINAL, 0) if len(address) > _LONGEST else _size_of(address)


@lru_cache(1_000)  # those who read a page ask three times for each of its images
def _size_of(address: str) -> Size:
    if fetched := fetched_size(address):
        return fetched
    rest, mark, query = address.partition("?")
    width = height = 0
    image = rest.partition(":")[2]  # http and https lead to one image
    if mark:
        image, width, height = _without_making(image, query)
    image = _PHOTON.sub("//", image)
    if "/full/" in image and (match := IIIF.search(image)) and match["region"] == "full":
        image, width = image[: match.end("id")], int(match["w"] or match["h"] or (DERIVED if match["part"] else 0))
    elif match := _GOOGLE.search(image):
        image, width = image[: match.start()], width or int(match["w"])
    elif match := _NAMED.search(image, len(image) - _LONGEST_NAMED):
        image, width = image[: match.start()], _NAMED_WIDTHS[match[1]] if match[1] else int(match[2])
    elif match := _MEDIAWIKI.search(image):
        image, width = image[: match.start()] + match[1], width or int(match["w"])
    elif match := _FOLDERS.search(image):
        made = _MADE_WIDTH.search(match["made"] or "")
        stated = made[1] if made else next(filter(str.isdecimal, filter(None, match.groups())), str(DERIVED))
        image, width = image[: match.start()] + image[match.end() :], width or int(stated)
    if match := _BEHIND.search(image):
        image = image[: match.start("made")] + image[match.end() :]
        width = width or int(match["w"] or ORIGINAL - 1)
    elif match := _SUFFIX.search(image):
        image = image[: match.start()] + image[match.end() :]
        if not width:
            # A denser one is larger than what has no size in its name.
            width = ORIGINAL - 1 if match["scaled"] else ORIGINAL + int(match["dense"] or 0)
            if match["w"]:
                width, height = (int(side or 0) * int(match["times"] or 1) for side in match.group("w", "h"))
    return Size(image, width or ORIGINAL, height)


def fetched_size(address: str) -> Size | None:
    """As `size_of`, of the *address* of what fetches an image from another one, and makes a size of it; else None."""
    if len(address) > _LONGEST:
        return None
    if address.rfind("http") > 0 and (match := _FETCHED.search(address)):
        said = _FETCHED_WIDTH.search(match["made"])
        width = int(said[said.lastindex or 0]) if said else ORIGINAL
        return Size(f"//{unquote(match['inner'])}", width, 0)
    told = _TOLD.search(address)
    if told is None or not _OF_FILE.search(inner := unquote(told["inner"]).partition("#")[0]):
        return None
    _, width, _ = _without_making("", address.partition("?")[2])
    if not width:
        return None
    server = address.partition(":")[2].split("/", 3)[2]
    size = size_of(f"http:{inner.partition(':')[2]}" if ":" in inner else f"http://{server}{inner}")
    return Size(size.image, min(width, size.width), 0)


def images_in(addresses: Iterable[str]) -> set[str]:
    """The images that *addresses* lead to, whatever size of them."""
    return {size_of(address).image for address in addresses}


def _without_making(image: str, query: str) -> tuple[str, int, int]:
    """*image* with those of its parameters that are not about its making, and the width and height that these state."""
    width = height = 0
    kept = []
    if made := _QINIU.search(query):
        width = int(made[1])
    for name, value in parse_qsl(query, keep_blank_values=True, max_num_fields=None)[:100]:
        plain = name.lower().removeprefix("amp;").partition("/")[0]
        if plain in ("url", "src") and "/" in value:
            kept.append((plain, unquote(value)))
        elif plain == "name" and (value in _NAMED_WIDTHS or _PAIR.fullmatch(value)):
            width = _NAMED_WIDTHS.get(value) or int(value.partition("x")[0])
        elif plain not in _MAKING:
            kept.append((name, value))
        elif pair := _PAIR.search(value):
            width, height = int(pair[1]), int(pair[2])
        elif (plain in _WIDTHS and value.isdecimal()) or _IN_WIDTHS.fullmatch(value):  # format=750w
            width = width or int(value[:5].rstrip("w"))
        elif plain in _HEIGHTS and value.isdecimal():
            height = height or int(value[:5])
        elif match := re.search(r"w_([0-9]{1,5})", value):
            width = width or int(match[1])
    return f"{image}?{urlencode(kept)}" if kept else image, width or height, height if width else 0


def largest_of(found: dict[str, float], named: Iterable[str]) -> list[str]:
    """Of several sizes of an image the largest, where the first stands; beside it those *named* that may be crops."""
    largest: dict[str, tuple[float, str]] = {}
    for address, stated in found.items():
        size = size_of(address)
        width = stated or size.width
        if size.image not in largest or width > largest[size.image][0]:
            largest[size.image] = (width, address)
    kept = [address for _, address in largest.values()]
    for address in named:
        if address in found and address not in kept:
            size = size_of(address)
            other = largest[size.image][1]
            if (size.width >= _THUMBNAIL or size.width == DERIVED) and not _is_same_shape(size, size_of(other)):
                kept.insert(kept.index(other) + 1, address)
    return kept


def _is_same_shape(one: Size, other: Size) -> bool:
    """Whether both state their shape, and it is the same but for rounding."""
    across, along = one.width * other.height, other.width * one.height
    return bool(across and along) and abs(across - along) < 0.02 * along
