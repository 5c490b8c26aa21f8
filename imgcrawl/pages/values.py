"""What the value of an attribute, or a literal in a script, says about where images are.

It may be an address, several of them, a `srcset`, a style, JSON, or an expression of a script with addresses in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from imgcrawl.pages.backgrounds import Candidates, backgrounds
from imgcrawl.pages.bounds import MAX_IMAGES, beginning_of, bounded
from imgcrawl.pages.candidates import (
    ORIGINAL,
    ORIGINALS,
    ORNAMENT,
    PLACEHOLDER,
    PLAIN,
    SAYS_LARGE,
    UNSAID,
    Rank,
    file_name,
    filled,
    fullest,
    is_address,
    is_file,
    is_name,
    srcset_candidates,
)
from imgcrawl.pages.frameworks import interchanged
from imgcrawl.pages.literals import MAX_VALUE, QUOTES, literal
from imgcrawl.pages.sizes import size_of
from imgcrawl.pages.tags import MAY_STATE
from imgcrawl.possessive import compile_late

_DEPTH = 20  # of lists and objects in each other
_LONGEST = 200  # characters of a name that are looked at

# By the name of the attribute or key: a small copy of the image …
SAYS_SMALL = compile_late(
    r"thumb|small|tiny|mini|preview|placeholder|loading|lqip|blur|mobile|tablet|(?<![a-z])(?:low|xs|sm|msrc)(?![a-z])"
)
# … or something else, that does not belong to what is shown.
SAYS_OTHER = compile_late(
    r"icon|avatar|logo|fallback|error|default|hover|(?<![a-z])(?:over|alt|pin|next|prev(?!iew))|active|shar(?:e|ing)|caption|title"
    r"|author|user|profile|relat|recommend|similar|recently|(?<![a-z])viewed|wish-?list|sponsor|cursor|sprite|marker|button|badge|flag|track|(?<![a-z])ads?(?![a-z])"
    r"|mask|pattern|texture|overlay|watermark|comment|breadcrumb|responsive|(?<![a-z])qr|(?:^|-|file)names?$"
    r"|(?:^|-)(?:other|latest|popular|trending|upsells?|crosssells?|cross-sells?|you-may-also)(?![a-z-]*(?:image|photo|pic|img|src|url))"
)
_BACKGROUND = re.compile(r"style$|(?:.*[^a-z])?(?:bg|background)")
# Under these keys are sizes, or formats, of one image; so are all that have such keys.
_SIZES = compile_late(
    r"(?:.*[-_])?(?:(sizes?|src-?set|resolutions?|renditions?|variants?|formats?|versions?|thumbnails)"
    r"|src-?(?:array|list)|sources?|urls)$"
)
# A number that counts images is none of pixels.
_SIZE = compile_late(
    r"(?:[-_]?(?:url|src|image|img|file|size|thumb(?:nail)?|small|medium|large|full|orig(?:inal)?|raw|regular|standard"
    r"|default|high|hi|res|low|lazy|real|zoom|max|min|xx?s|xx?l|hd|big|desktop|mobile|tablet|retina|webp|jpe?g|avif"
    r"|(?:1[6-9]|[2-9][0-9]|[1-9][0-9]{2,4})(?:x[0-9]{1,5}|[wxp])?|[1-4]x|[slm]))++"
)
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
SMALL: Rank = (-1, True, 0, 0, 0)
_FULL: Rank = (2, True, 0, 0, 1)  # beside what is large
_SURE = (_FULL, ORIGINAL, SMALL)
_SAYS_FULL = re.compile("orig|raw|full")

_SCRIPTED = re.compile(r"[:@\[]|v-|x-|ng-|onclick|href|data-bind$")
_QUOTED = re.compile(r"""(?:([\w$-]{1,40})["']?\s*+:\s*+)?(["'`])([^"'`<>\s]{5,2000}+)\2""")
_SEPARATOR = re.compile(r"[,|;]\s*+(?=(?:https?:)?/)|\s(?=(?:https?:)?/)")
_DESCRIBED = re.compile(r"\s[0-9.]+[wx]\s*+(?:,|\Z)")


class Stated(NamedTuple):
    """The *images* that are stated, and small *copies* of them."""

    images: list[Candidates]
    copies: set[str]


_NOTHING = Stated([], set())


def stated_images(attributes: dict[str, str]) -> Stated:
    """What the attributes of an element, which itself is no image, state: what a script will show there, or in large.

    They are one image, unless an attribute lists several, or several have names that rank none above another
    (`data-before`, `data-after`).
    """
    said = [
        (name, value)
        for name, value in attributes.items()
        if "." in value and (MAY_STATE.fullmatch(name) or value.startswith("javascript:"))
    ]
    if not said:
        return _NOTHING
    small = "data-thumbnail" if "data-width" in attributes else ""  # of that size it is what is shown
    found = [(key, images_of("data-src" if key == small else key, filled(value, attributes))) for key, value in said]
    single = [(name, images[0]) for name, images in found if len(images) == 1]
    several = [image for _, images in found if len(images) > 1 for image in images]
    is_one = any(max(image)[0][0] > 0 for _, image in single)
    return _stated([*(_apart(single) if is_one else [image for _, image in single]), *several])


def is_carrier(attributes: dict[str, str]) -> bool:
    """Whether an element surely states the original of the image in it, and no background of its own."""
    plain = (name for name, value in attributes.items() if value[:1] not in ("{", "[") and is_file(value))
    return any(name == "data-src" or (_rank_of(name) == ORIGINAL and MAY_STATE.fullmatch(name)) for name in plain)


def linked_file(attributes: dict[str, str], stated: Stated | None = None) -> str:
    """The image file that a link leads to, by its address, its name or what scripts show large; empty where it is none.

    *stated* is what its attributes state, where that is known."""
    if is_file(href := attributes.get("href", "")):
        return fullest(href, attributes)
    if is_file(attributes.get("download", "")):  # what it is called when it is saved
        return href
    images = [image for image in (stated or stated_images(attributes)).images if max(image)[0][0] > 0]
    return max(images[0])[1] if len(images) == 1 else ""


def images_of(name: str, value: str) -> list[Candidates]:
    """What *value* states, which is that of the attribute *name*: several images, or one."""
    rank = _rank_in(name)
    value = beginning_of(value, MAX_VALUE).strip() if rank else ""
    if rank is None or not value or ("<" in value and name != "style" and value[0] not in "{["):
        return []
    if value[0] in "{[" and (data := literal(value)) is not None:
        return _images_of(data, name, rank)
    if _SCRIPTED.match(name) or value[0] in "{[":
        return [sizes] if (sizes := interchanged(value)) else _quoted(value)
    is_set = name.endswith("set")
    if not is_set and (_BACKGROUND.match(name) or "url(" in value):
        return list(backgrounds(value))
    if is_set or _DESCRIBED.search(value):
        sizes = [pair for pair in srcset_candidates(value) if is_file(pair[1])]
        return [sizes] if sizes else []
    parts = list(filter(None, map(str.strip, _SEPARATOR.split(value))))
    parts = parts if all(map(is_address, parts)) else [value]
    return [[(rank, at)] for at in bounded(parts, MAX_IMAGES) if is_address(at) or (rank[0] > 0 and is_name(at))]


def _quoted(code: str) -> list[Candidates]:
    quoted = _QUOTED.finditer(QUOTES.sub('"', code))
    ranked = ((_rank_of(match[1] or "src"), match[3].replace("\\/", "/")) for match in quoted)
    found = ([(rank, address)] for rank, address in ranked if rank and is_address(address))
    return list(bounded(found, MAX_IMAGES))


def images_listed(data: list[Any] | dict[str, Any], name: str) -> Stated:
    """The images in *data*, a list that a script calls *name*, or an object that is one."""
    rank = _rank_of(name)
    return _stated(_images_of(data, name, rank)) if rank and rank != SMALL else _NOTHING


def _images_of(data: Any, name: str, rank: Rank) -> list[Candidates]:
    found = list(bounded(_images_in(data, name, rank), MAX_IMAGES))
    images = {_image(address) for image in found for _, address in image}
    return [[pair for image in found for pair in image]] if len(images) == 1 else found  # several sizes of one


def _apart(named: list[tuple[str, Candidates]]) -> list[Candidates]:
    """The candidates that attributes or keys of these names have for one image, as those for one; for several where
    none is the best, and nothing says that they are sizes of one."""
    best = max((max(found)[0] for _, found in named), default=SMALL)
    equal = [(name, found) for name, found in named if max(found)[0] == best]
    same = {_image(max(found)[1]).rpartition(".")[0] for _, found in equal}
    if len(same) < 2 or all(_SIZE.fullmatch(words_of(name).removeprefix("data-")) for name, _ in equal):
        return [[pair for _, found in named for pair in found]] if named else []
    others = [pair for _, found in named if max(found)[0] != best for pair in found]
    return [*(found for _, found in equal[:-1]), [*equal[-1][1], *others]]


def _rank_in(key: str) -> Rank | None:
    """As `_rank_of`, of a key beside others."""
    rank = _rank_of(key)
    return _FULL if rank == ORIGINAL and _SAYS_FULL.search(words_of(key)) else rank


def _rank_of(name: str) -> Rank | None:
    """The rank of what *name* holds; `SMALL` for a small copy, None for what belongs to something else."""
    return _rank_of_short(name[:_LONGEST])


@lru_cache(1_000)
def _rank_of_short(name: str) -> Rank | None:
    words = words_of(name)
    if words in ORIGINALS:
        return ORIGINAL
    if SAYS_OTHER.search(words):
        return None
    if SAYS_SMALL.search(words):
        return SMALL
    if SAYS_LARGE.search(words):
        return ORIGINAL
    return PLAIN if "src" in words or "lazy" in words else UNSAID


def _image(address: str) -> str:
    return size_of(f":{address}").image  # which looks behind the scheme


def words_of(name: str) -> str:
    """*name*, of an attribute or a key, in lower case with hyphens between its words."""
    return _CAPITAL.sub("-", name[:_LONGEST]).lower()


def _stated(images: Iterable[Candidates]) -> Stated:
    """*images* without small copies and decoration."""
    stated = Stated([], set())
    for image in images:
        if kept := [pair for pair in image if pair[0] != SMALL and not _is_decoration(*pair)]:
            stated.images.append(kept)
            stated.copies.update(address for rank, address in image if rank == SMALL)
    stated.copies.difference_update(address for image in stated.images for _, address in image)
    return stated


def _is_decoration(rank: Rank, address: str) -> bool:
    name = file_name(address)
    return bool(PLACEHOLDER.fullmatch(name) or (rank[0] == 0 and ORNAMENT.search(name)))


def _images_in(data: Any, name: str, rank: Rank, depth: int = 0) -> Iterator[Candidates]:
    """The images in *data*, the value of the key or attribute *name*."""
    if is_address(data):
        yield [(rank, data)]
    elif depth < _DEPTH and isinstance(data, list):
        if data and all(map(is_name, data)):
            yield from ([(rank, each)] for each in data)
        elif _is_of_sizes(name, data):
            yield from _sizes(data, name, rank, depth)
        else:
            for each in data:
                yield from _images_in(each, name, rank, depth + 1)
    elif depth < _DEPTH and isinstance(data, dict):
        own, others = _object(data, depth)
        yield from own
        for key, value in others:
            if of_key := _rank_of(key):
                yield from _images_in(value, key, of_key, depth + 1)


def _object(data: dict[str, Any], depth: int) -> tuple[list[Candidates], list[tuple[str, Any]]]:
    """The candidates for the image that an object is about, or for several, and what in it may be about others."""
    own: list[tuple[str, Candidates]] = []
    several: list[Candidates] = []
    others: list[tuple[str, Any]] = []
    width = _number(data.get("width"))
    are_sizes = len(data) > 1 and all(_SIZE.fullmatch(words_of(key)) for key in data)
    for key, value in data.items():
        rank = _rank_in(key)
        found: Candidates = []
        if is_address(key):  # {"https://…/a.jpg": [500, 400]}
            of_address = _number(value[0] if isinstance(value, list) and value else 0)
            found = [((1, True, of_address, 0, 1), key)]
        elif isinstance(value, str) and key.lower().endswith("srcset"):
            found = [pair for pair in srcset_candidates(value) if is_file(pair[1])]
        elif rank and is_address(value):
            found = [(rank if rank in _SURE or not width else (1, True, width, 0, 1), value)]
        elif isinstance(value, dict | list) and (are_sizes or _is_of_sizes(key, value)):
            found, *more = _sizes(value, key, rank or UNSAID, depth + 1) or [[]]
            several += more
        elif isinstance(value, dict | list):
            others.append((key, value))
        if found:
            own.append((key, found))
    return _apart(own) + several, others


def _is_of_sizes(name: str, data: Any) -> bool:
    """Whether *data*, the value of *name*, are sizes or formats of one image. Plain texts are by few names."""
    sizes = _SIZES.match(words_of(name))
    return sizes is not None and bool(
        sizes[1] or isinstance(data, dict) or any(isinstance(each, dict) for each in data)
    )


def _sizes(data: Any, name: str, rank: Rank, depth: int) -> list[Candidates]:
    """The candidates for one image that *data*, the value of *name*, has in several sizes; for several, where it has
    different ones."""
    if isinstance(data, list) or any(isinstance(data.get(key), str) for key in ("src", "url")):
        data = {f"{name}-{number}": each for number, each in enumerate(data if isinstance(data, list) else [data])}
    found: list[tuple[str, Candidates]] = []
    for key, value in bounded(data.items(), MAX_IMAGES):
        of_key = _rank_in(key) or rank
        if is_address(value):
            found.append((key, [(of_key, value)]))
        elif isinstance(value, dict) and depth < _DEPTH:
            own = [pair for image in _object(value, depth + 1)[0] for pair in image]
            found += [(key, [(of_key if of_key in _SURE else each, to) for each, to in own])] if own else []
    said = _SIZES.match(words_of(name))
    return [[pair for _, each in found for pair in each]] if found and said and said[1] else _apart(found)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and 0 < value < 100_000 else 0.0
