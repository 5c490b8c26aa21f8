"""Images that a script names one after the other, whatever it calls them, of which the page shows one; and originals
that it names of what the page shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set

from imgcrawl.pages.bounds import MAX_IMAGES, bounded, leave_out
from imgcrawl.pages.candidates import ORNAMENT, file_name
from imgcrawl.pages.sizes import ORIGINAL, fetched_size, size_of
from imgcrawl.possessive import compile_late, compile_possessive
from imgcrawl.urls import absolute

_LONGEST, _BETWEEN = 500, 60  # characters of an address, and between two of them
_SHORT = 4  # characters at the end of a file's name, by which it is looked for
_LEAST = 3  # of less one cannot tell that they are alike
_END = compile_late(r"\.(?:jpe?g|png|webp|avif)(?:\?[^\s\"'`<>|,;\\]*+)?+(?=[\s\"'`<>|,;\\)]|\Z)", re.IGNORECASE)
_BACK = compile_possessive(r"[^\s\"'`<>|,;()=\[\]{}]*+")
_BEFORE_NAME = re.compile("[/\"'`,=(]")
_NUMBERS = re.compile("[0-9]+")
_OF_SIZES = re.compile(r"[0-9](?:w|x|px)\b")  # srcset


def images_in_series(scripts: Iterable[str], base: str, encoding: str, shown: Set[str]) -> list[str]:
    """The addresses of the images in one folder that *scripts* name one after the other, with the same between each two
    of them but for numbers, where one of them is *shown*, as `sizes.size_of` has it; no sizes of one image."""
    names = {name for image in shown if len(name := file_name(image)) > 1}
    ends = {name.rpartition(".")[0][-_SHORT:] for name in names}
    found: list[str] = []
    looks = iter(range(MAX_IMAGES))
    for script in scripts:
        if _has_some_near_others(script, names, ends):
            for series in _series_in(script, looks):
                addresses = [absolute(base, address, encoding) or "" for address in series]
                images = {size_of(address).image for address in addresses}
                if len(images) >= _LEAST and not images.isdisjoint(shown) and _are_of_one_folder(addresses):
                    found += addresses
    return found


def originals_named(found: Iterable[str], text: str, base: str, encoding: str) -> dict[str, str]:
    """The originals that *text*, of a page, names of those images *found* that others fetch and make a size of: the
    address of the original → that of the copy."""
    made = ((size.image, address) for address in found if (size := fetched_size(address)) and size.width < ORIGINAL)
    copies = dict(made)
    originals: dict[str, str] = {}
    end = 0
    text = text.replace("&quot;", '"') if copies else ""
    for match in bounded(_END.finditer(text), MAX_IMAGES):
        begin, end = _begin(text, end, match), match.end()
        named = text[begin:end].replace("\\/", "/").removeprefix("\\")
        address = absolute(base, named, encoding) if "/" in named else None
        if address and (copy := copies.get(size_of(address).image)) and fetched_size(address) is None:
            originals[address] = copy
    return originals


def _has_some_near_others(script: str, names: Set[str], ends: Set[str]) -> bool:
    """Whether the address in *script* of a file of one of *names*, which have these *ends*, stands close to another."""
    end, was_named = -_BETWEEN - _LONGEST, False
    for match in _END.finditer(script):
        is_named, start = False, match.start()
        tail = script[max(0, start - _SHORT) : start]
        if was_named or (tail if tail.isalnum() else _BEFORE_NAME.split(tail)[-1]) in ends:
            begin = _begin(script, max(0, end), match)
            is_named = file_name(script[begin : match.end()].replace("\\/", "/")) in names
            if (is_named or was_named) and begin - end <= _BETWEEN:
                return True
        end, was_named = match.end(), is_named
    return False


def _begin(script: str, end: int, match: re.Match[str]) -> int:
    """Where the address begins of which *match* is the end, behind *end*."""
    back = _BACK.match(script[max(end, match.start() - _LONGEST) : match.start()][::-1])
    return match.start() - (len(back[0]) if back else 0)


def _series_in(script: str, looks: Iterator[int]) -> Iterator[list[str]]:
    series: list[str] = []
    alike, end = "", 0
    for match in _END.finditer(script):
        if next(looks, None) is None:
            leave_out("images")
            break
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
