"""What a list page without `rel="next"` says its next one is: by words, by a class, for a script, in a form."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Set
from itertools import chain, islice
from typing import Any
from urllib.parse import urlsplit

from parsel import Selector

from imgcrawl.digits import whole
from imgcrawl.pages.bounds import NamesRead, both_ends
from imgcrawl.pages.continued import continues
from imgcrawl.pages.indexed import next_in_index
from imgcrawl.pages.nextwords import number_said
from imgcrawl.pages.pagerforms import addressed_by
from imgcrawl.pages.pagination import is_next_of_pager, leads_on, named_by, pressed_in, says_next, words_of
from imgcrawl.pages.sizes import size_of
from imgcrawl.pages.statednext import next_in_data
from imgcrawl.pages.visible import is_hidden
from imgcrawl.possessive import compile_late
from imgcrawl.urls import absolute, host_of

_MOST = 5_000  # links, or parts of forms, of a page that are looked at
_NUMBERS = re.compile("[0-9]+")
_SPLIT = re.compile("([0-9]+)")
# What loads more of a list when it is pressed, by its class or id, and by its words; or may as well unfold something.
_MORE_NAMES = compile_late(
    r"((?<![a-z])(?:load|infinite)[-_]?more|more[-_]?(?:posts|items|results))"
    r"|(?<![a-z])(?:show|view)[-_]?more(?![-_]?(?:posts|items|results))",
    re.IGNORECASE,
)
_MORE = compile_late(
    r"\W*+(?:(?:load|show|view|see)(?: [0-9]{1,4})? more(?: [\w-]{2,15})?|mehr (?:laden|anzeigen)|(?:charger|voir) plus"
    r"|(?:cargar|ver) más|carica altr[io]|(?:загрузить|показать) ещ[её]|加[载載]更多|查看更多|もっと見る|더 ?보기)\W*+",
    re.IGNORECASE,
)
_LOADS = re.compile("oad[-_]?[mM]ore")  # it begins with what is the same in all: a page is read in no time
# Of what, where that is said in a language that has the word behind it.
_OF_IMAGES = compile_late(
    r"\b(?:images?|photos?|photographs?|pictures?|pics|files|media|wallpapers?|screenshots|scans|artworks?)\b", re.I
)
_OF_OTHERS = re.compile(r"more (?!(?:items|results)\b)[\w-]", re.IGNORECASE)
_OTHERS = compile_late(
    r"(?<![a-z])(?:related|similar|recommend\w*|also[-_]?like\w*|you[-_]?may|suggest\w*|comments?|repl(?:y|ies)|reviews?"
    r"|more[-_]from|sidebar|popular|trending|latest)(?![a-z])",
    re.IGNORECASE,
)
_ABOVE, _LAST = 6, 3  # elements around one; images before such a button, which say what it is of
_PRESSED = ("button", "input")
_ANY = (*_PRESSED, "a", "div", "span", "li")
_ABOVE_NUMBER, _NAMES = 3, ("class", "id", "aria-label")
_NAMES_IT = re.compile(r"^(?:class|id|data-action)$|click")  # attributes
_PAGED = compile_late(r"__doPostBack\(.{0,200}Page\$|page\w{0,20}\((?:[^()]{0,60},)?[\s'\"]*2\b", re.IGNORECASE)
# A pager of which a script alone knows what its numbers lead to, by its attributes; a show of pictures has one, too.
_PAGE_DATA = ("data-page", "data-page-number", "data-page-num", "data-pagenum", "data-pageno", "data-page-index")
_PAGER = compile_late(
    r"(?<![a-z])(?:pagination|paginator|pager|page[-_]?(?:link|item|numbers?|num|nav|select))(?![a-z])"
    r"|paginat(?:ion|or)(?=item|__)|go to page",
    re.IGNORECASE,
)
_SHOW = compile_late(r"swiper|slick|owl-|carousel|slide|splide|flickity|glide|bullet|\bdots?\b|\bpdf", re.IGNORECASE)
_IS_HERE = re.compile(r"\bcurrent\b", re.IGNORECASE)
_UNSEEN = ("script", "style", "template", "noscript")
_NO_ADDRESS = re.compile("#|javascript:", re.IGNORECASE)
_FEW, _LONGEST = 500, 40  # characters of an attribute, and of such words
_MAX_DOUBTS, _BEFORE, _MOST_IMAGES = 10, 3, 50  # of a page; elements before such a one, images in these
_COUNTS = re.compile("[0-9]{1,7}")
_PAGE = re.compile("page|页|頁|ページ|страниц|seite", re.IGNORECASE)


def next_said(
    page: Selector, url: str, base: str, encoding: str, number: int = 1, shown: Collection[str] = ()
) -> list[str]:
    """The addresses that *page*, which is at *url*, says its next one has: in words, or by the number behind its own,
    which is *number* unless its address says another. What "more", arrows and "2" say may stand on any link, so that
    only addresses which look like another page of the same list count. Where nothing else is said, "Next page" is
    believed of any on that host, as /spring, and "more" and an arrow of the only one in the list's own folder, as
    /list/spring, unless it is of what is *shown* on the list."""
    links, known = both_ends(page.root.iter("a", "option"), _MOST), NamesRead()
    forms = list(addressed_by(page, url, encoding))
    said = chain(
        (link.get("href") or "" for link in links if link.tag == "a" and leads_on(link, known)),
        (address for _, _, address in pressed_in(page)),
        (address for address, told in forms if not told),
    )
    found = list(filter(None, dict.fromkeys(absolute(base, address, encoding) for address in said)))
    in_words = [each for each in found if _is_of_the_list(url, each, number + 1)]
    of_links = ((named_by(link), whole(number_said(words_of(link)), 99_999) or 0) for link in links)
    of_numbers = ((absolute(base, address, encoding), told) for address, told in chain(of_links, forms) if told)
    by_number, own = _numbered(of_numbers, url, number)
    if not in_words or not by_number:
        plainly = (link for link in links if link.tag == "a" and _says_next_plainly(link, known))
        plain = (absolute(base, link.get("href") or "", encoding) for link in plainly)
        beside = [each for each in dict.fromkeys(plain) if each and _is_beside(url, each)]
        within = [each for each in found if each not in shown and _is_within(url, each)]
        within = within if len(within) == 1 else []
        said_so = in_words or by_number or beside or within or _indexed(links, url, base, encoding)
        return said_so or _in_data(page, url, base, encoding, number)
    # What says "next", an arrow, may lead to the last page, or to the next ten of them.
    goes_to = _number_of(in_words[0], by_number[0], own + 1)
    return in_words if goes_to is not None and goes_to <= own else by_number


def next_pressed(page: Selector) -> str:
    """The words of what leads to the next page of a list by a script alone, having no address: "Load more", or the 2 of
    a pager that is sent back (`__doPostBack`). Empty where there is none; what turns the pictures of a show is none,
    nor what may as well unfold a text or a menu, but behind images in links."""
    doubts = 0
    for element, words, is_sure in _more_in(page, _ANY):
        doubts += not is_sure
        if is_sure or (doubts <= _MAX_DOUBTS and _is_behind_images(element)):
            return words
    return ""


def _more_in(page: Selector, kinds: Iterable[str]) -> Iterator[tuple[Any, str, bool]]:
    """Of these *kinds* of elements what loads more by a script alone, the words on it, and whether it surely does."""
    for element in both_ends(page.root.iter(*kinds), _MOST):
        named = _MORE_NAMES.search(" ".join(value for name, value in element.items() if _NAMES_IT.search(name))[:_FEW])
        href = (element.get("href") or "").strip()[:_FEW]
        sent_back = _PAGED.search(f"{href} {element.get('onclick') or ''}"[:_FEW]) is not None
        is_turned = _is_in_pager(element)
        is_known = named is not None or sent_back or is_turned
        if (href and not _NO_ADDRESS.match(href)) or not (is_known or element.tag in _PRESSED) or is_hidden(element):
            continue
        words = words_of(element) or (element.get("value") or "").strip()
        if len(words) > _LONGEST or not (is_known or _OF_IMAGES.search(words)):
            continue
        turns = sent_back or is_turned
        if _MORE.fullmatch(words) or (turns and (number_said(words) == "2" or (sent_back and says_next(words)))):
            yield element, words, turns or bool(named and named[1])


def _is_in_pager(element: Any) -> bool:
    """Whether *element* says by its attributes that it is one of the numbers of a pager, and not of a show, and none of
    these is a link."""
    says = any(name in element.attrib and len(element.get(name)) < _LONGEST for name in _PAGE_DATA)
    around = [element, *islice(element.iterancestors(), _ABOVE_NUMBER)]
    named = " ".join((each.get(name) or "")[:_FEW] for each in around for name in _NAMES)
    if not (says or _PAGER.search(named)) or _SHOW.search(named) or _OTHERS.search(named) or _IS_HERE.search(named):
        return False
    links = islice(around[min(2, len(around) - 1)].iter("a"), _MOST_IMAGES)
    hrefs = ((link.get("href") or "").strip() for link in links if number_said(words_of(link)))
    return all(not href or _NO_ADDRESS.match(href) for href in hrefs)


def _is_behind_images(element: Any) -> bool:
    """Whether images in links stand before *element*, beside it or what it is in."""
    images = chain.from_iterable(islice(each.iter("img"), _MOST_IMAGES) for each in _before(element, 1))
    return any(above.tag == "a" for image in images for above in islice(image.iterancestors(), _BEFORE))


def _before(element: Any, levels: int) -> Iterator[Any]:
    """What stands before *element*, and before what it is in, so many *levels* up: the nearest first."""
    around = [element, *islice(element.iterancestors(), levels)]
    return chain.from_iterable(islice(each.itersiblings(preceding=True), _BEFORE) for each in around)


def _right_before(element: Any) -> Any:
    """The nearest before *element* that shows something: images, or a text that counts none ("20 of 60")."""
    for each in _before(element, _BEFORE):
        if next(each.iter("img"), None) is not None:
            return each
        says = isinstance(each.tag, str) and each.tag not in _UNSEEN and any(map(str.strip, each.itertext()))
        if says and not (len(words := words_of(each)) <= _LONGEST and _COUNTS.search(words)):
            return each
    return element


def more_pressed(page: Selector, text: str, images: Iterable[str], resolve: Callable[[str], str | None]) -> str:
    """The words of what loads more of the *images* of a gallery by a script alone; empty where there is none. *page*
    is that of the gallery, *text* its text, and *resolve* makes the addresses on it absolute.

    What stands behind other pictures, those of other galleries and of who has written, loads more of these, and what
    says that it shows more may as well unfold a text, unless it says of what.
    """

    def is_own(image: Any) -> bool:
        link = next((above for above in islice(image.iterancestors(), _BEFORE) if above.tag == "a"), None)
        stated = (value[:_FEW].split() for value in (image if link is None else link).attrib.values())
        words = (word.rstrip(",") for value in stated for word in value if "." in word or "/" in word)
        return any(size_of(resolve(word) or "").image in own for word in words)

    own: Set[str] = frozenset()
    may_be_any = "__doPostBack" in text or "data-page" in text or _LOADS.search(text)  # others are many
    for element, words, is_sure in islice(_more_in(page, _ANY if may_be_any else _PRESSED), _MAX_DOUBTS):
        if _is_among_others(element):
            continue
        if _OF_IMAGES.search(words) or (is_sure and not _OF_OTHERS.search(words)):
            own = own or {size_of(image).image for image in images}
            last = deque(_right_before(element).iter("img"), _LAST)
            if last and all(map(is_own, last)):
                return words
    return ""


def _is_among_others(element: Any) -> bool:
    """Whether *element* is in a part of the page that is called one of other galleries, or of what people say."""
    around = (element, *islice(element.iterancestors(), _ABOVE))
    named = (f"{each.get('class') or ''} {each.get('id') or ''}"[:_FEW] for each in around if each.tag != "body")
    return any(each.tag == "aside" for each in around) or any(map(_OTHERS.search, named))


def _is_of_the_list(url: str, other: str, number: int) -> bool:
    """Whether *other* is *url* with another query, other numbers, or *number* behind it, or has a word for a page."""
    one, two = urlsplit(url), urlsplit(other)
    if host_of(url) != host_of(other) or one[1:4] == two[1:4]:
        return False
    if one.path == two.path:
        return bool(two.query)
    return (
        _NUMBERS.sub("0", one.path) == _NUMBERS.sub("0", two.path)
        or bool(_PAGE.search(two.path) and _NUMBERS.search(two.path))
        or continues(url, other, number)
    )


def _is_beside(url: str, other: str) -> bool:
    """Whether *other* is another page of the host of *url* than this, and than its first one."""
    one, two = urlsplit(url), urlsplit(other)
    return host_of(url) == host_of(other) and one.path != two.path and two.path not in ("", "/")


def _indexed(links: Iterable[Any], url: str, base: str, encoding: str) -> list[str]:
    said = ((words_of(link), absolute(base, link.get("href") or "", encoding)) for link in links if link.tag == "a")
    return next_in_index(url, ((words, address) for words, address in said if address and len(words) <= _LONGEST))


def _in_data(page: Selector, url: str, base: str, encoding: str, number: int) -> list[str]:
    found = (absolute(base, address, encoding) for address in next_in_data(page, attributes=True))
    return [each for each in dict.fromkeys(found) if each and _is_of_the_list(url, each, number + 1)]


def _is_within(url: str, other: str) -> bool:
    """Whether *other* is in the folder of *url*, or in one called so: /list/spring of /list, and of /list/winter."""
    path = urlsplit(url).path
    folders = {f"{path.rstrip('/')}/", path[: path.rfind("/") + 1]} - {"/", ""}
    return _is_beside(url, other) and urlsplit(other).path.startswith(tuple(folders))


def _says_next_plainly(link: Any, known: NamesRead) -> bool:
    return says_next(words_of(link)[:_LONGEST].strip(" :·|-"), plainly=True) or is_next_of_pager(link, known)


def _numbered(stated: Iterable[tuple[str | None, int]], url: str, number: int) -> tuple[list[str], int]:
    """The page behind that at *url*, as the number that is *stated* with its address names it, and that of *url*."""
    named: dict[int, str] = {}
    for address, told in stated:
        if address and _is_of_the_list(url, address, told):
            named.setdefault(told, address)
    own = next((found for told, address in named.items() if (found := _number_of(url, address, told))), number)
    return ([named[own + 1]] if own + 1 in named else []), own


def _number_of(url: str, other: str, told: int) -> int | None:
    """The number of the page at *url*, if that has another in the place of *told*, which is that of *other*."""
    pairs = zip(_SPLIT.split(url), _SPLIT.split(other), strict=False)
    differ = [pair for pair in pairs if pair[0] != pair[1]]
    if len(differ) != 1 or len(_SPLIT.split(url)) != len(_SPLIT.split(other)) or whole(differ[0][1], 99_999) != told:
        return None
    return whole(differ[0][0], 99_999)
