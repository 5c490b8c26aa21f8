"""Images that a script names one after the other, whatever it calls them, of which the page shows one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from itertools import islice

from imgcrawl.pages.candidates import ORNAMENT, file_name
from imgcrawl.pages.sizes import size_of
from imgcrawl.possessive import compile_possessive
from imgcrawl.urls import absolute

_MOST = 10_000  # addresses of a page that are looked at
_MOST_NAMES = 50  # of what the page shows
_LONGEST, _BETWEEN = 500, 60  # characters of an address, and between two of them
_LEAST = 3  # of less one cannot tell that they are alike
_END = compile_possessive(r"\.(?:jpe?g|png|webp|avif)(?:\?[^\s\"'`<>|,;\\]*+)?+(?=[\s\"'`<>|,;\\)]|\Z)", re.IGNORECASE)
_BACK = compile_possessive(r"[^\s\"'`<>|,;()=\[\]{}]*+")
_NUMBERS = re.compile("[0-9]+")
_OF_SIZES = re.compile(r"[0-9](?:w|x|px)\b")  # srcset


def images_in_series(scripts: Iterable[str], base: str, encoding: str, shown: Set[str]) -> list[str]:
    """The addresses of the images in one folder that *scripts* name one after the other, with the same between each two
    of them but for numbers, where one of them is *shown*, as `sizes.size_of` has it; no sizes of one image."""
    names = [name for image in islice(shown, _MOST_NAMES) if len(name := file_name(image)) > 1]
    found: list[str] = []
    looks = iter(range(_MOST))
    for script in scripts:
        if any(_has_others_near(script, name) for name in names):
            for series in _series_in(script, looks):
                addresses = [absolute(base, address, encoding) or "" for address in series]
                images = {size_of(address).image for address in addresses}
                if len(images) >= _LEAST and not images.isdisjoint(shown) and _are_of_one_folder(addresses):
                    found += addresses
    return found


def _has_others_near(script: str, name: str) -> bool:
    """Whether another address stands close to the first one in *script* that has *name* in it."""
    start = script.find(name)
    end = start + len(name)
    if start < 0:
        return False
    if (behind := _END.search(script, end, end + _BETWEEN + _LONGEST)) and _begin(
        script, end, behind
    ) <= end + _BETWEEN:
        return True
    before = script[max(0, start - _BETWEEN - _LONGEST) : start]
    last = max((match.end() for match in _END.finditer(before)), default=-_BETWEEN - 1)
    back = _BACK.match(before[::-1])
    return len(before) - (len(back[0]) if back else 0) - last <= _BETWEEN


def _begin(script: str, end: int, match: re.Match[str]) -> int:
    """Where the address begins of which *match* is the end, behind *end*."""
    back = _BACK.match(script[max(end, match.start() - _LONGEST) : match.start()][::-1])
    return match.start() - (len(back[0]) if back else 0)


def _series_in(script: str, looks: Iterator[int]) -> Iterator[list[str]]:
    series: list[str] = []
    alike, end = "", 0
    for match, _ in zip(_END.finditer(script), looks, strict=False):
        begin = _begin(script, end, match)
        address = script[begin : match.end()].replace("\\/", "/")
        between = script[end : min(begin, end + _BETWEEN + 1)]
        said = _NUMBERS.sub("0", "".join(between.split())) if len(between) <= _BETWEEN else ""
        if not said or _OF_SIZES.search(between) or (len(series) > 1 and said != alike):
            yield series
            series = series[-1:] if said and not _OF_SIZES.search(between) else []
        alike, end = said, match.end()
        series.append(address)
    yield series


def _are_of_one_folder(addresses: list[str]) -> bool:
    """Whether they are, are no ornaments by their names, and differ by more than a width."""
    if len({address.rpartition("/")[0] for address in addresses}) > 1 or any(
        map(ORNAMENT.search, map(file_name, addresses))
    ):
        return False
    names = list(map(file_name, addresses))
    numbers = [int(number[:9]) for name in names for number in _NUMBERS.findall(name)[-1:]]
    are_widths = len({_NUMBERS.sub("", name) for name in names}) == 1 and all(
        number >= 100 and number % 10 == 0 for number in numbers
    )
    return not (are_widths and numbers)
