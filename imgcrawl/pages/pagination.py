"""How the list pages of a site that nobody has read go on: by a number in their address, or by a link."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from parsel import Selector

from imgcrawl.digits import whole
from imgcrawl.pages.bounds import NamesRead, both_ends
from imgcrawl.pages.links import pressed_address
from imgcrawl.pages.nextwords import is_next_word
from imgcrawl.pages.repeated import PagePlaces, tag_of
from imgcrawl.possessive import compile_late
from imgcrawl.urls import absolute, host_of

# XPath of what `rel="next"` leads to, however that is spelt, and of this and all links. In one step: to unite two sets
# takes as long as their sizes multiplied; and so does, of elements in each other, what `//` and a condition find, which
# libxml2 has to put in order: here and elsewhere one axis finds them.
_IS_NEXT = "contains(concat(' ', translate(normalize-space(@rel), 'NEXT', 'next'), ' '), ' next ')"
NEXT_LINKS = f"/descendant::*[self::link or self::a][{_IS_NEXT}]/@href"
LINKS = f"/descendant::*[self::a or (self::link and {_IS_NEXT})]/@href"

_NEXT = compile_late(
    r"\W*+(next|older|(?:(?:load|show|view|see) )?more|forward|"
    r"suivante?s?|nächste[rs]?|weiter|siguientes?|próxima|proxima|successiv[aoi]|далее|следующая|"
    r"下一页|下一頁|下页|次へ|次の\w*+|다음)?\W*+(page|posts?|entries|results|galleries|albums|items|стр\w*+)?\W*+",
    re.IGNORECASE,
)
_ARROWS = compile_late(r"[›»>→⟩❯▶►⟶＞⏵➡➔➜⇒⏩]{1,2}\ufe0f?")
_PAGER_CLASS = compile_late(r"(pagination|pager?)(-|_|--|__)?next(-link)?|next-?(page|posts)(-link)?", re.IGNORECASE)
_NEXT_CLASS = compile_late(
    r"((nav|pagination|pagination__item|page|pager|btn)(-|_|--|__))?(next|older)(-page|-posts?|-link)?|load-?more"
    r"|(fa|bi|mdi|icon|glyphicon)-(chevron|arrow|angle|caret|long-arrow)(-circle)?-right",
    re.IGNORECASE,
)
# What is no link, and has the address of the next page for a script.
_ADDRESSES = (
    "data-url",
    "data-href",
    "data-next",
    "data-next-url",
    "data-next-page-url",
    "data-load-more-url",
    "data-ajax-url",
    "hx-get",
)
_ADDRESS = compile_late(r"[/?]|\.[a-z]{3,5}\Z", re.IGNORECASE)
_PRESSED = f"/descendant::*[@onclick or self::turbo-frame or {' or '.join(f'@{name}' for name in _ADDRESSES)}]"
_WHEN_SEEN = re.compile("revealed|intersect")  # of htmx
_FEW_ELEMENTS, _FEW_TEXTS, _FEW_WORDS = 30, 8, 200  # in a link, that are looked at
_LABELS, _FEW_SIGNS = ("aria-label", "title", "alt"), 3  # of a link, and of the signs in one that has no words
# Whatever stands on the list: stories, tales; or what archives go by, from the newest on.
_OLDER = compile_late(
    r"\W*+((older|next) [a-z]{3,12}s|(previous|earlier) (months?|years?|weeks?|days?))\W*+", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Pagination:
    """*list_url* is the address of a list page, with {page} (from *first*) or {offset} (*per_page* each) in it.

    *next_link* is XPath or CSS of the link to the next page. Both are empty where `rel="next"` says it all.
    """

    list_url: str = ""
    first: int = 1
    per_page: int = 0
    next_link: str = ""


def propose_pagination(page: PagePlaces) -> Pagination | None:
    """How the list that begins with *page* goes on; None if nothing on it says so."""
    if page.page.xpath(NEXT_LINKS):
        return Pagination()
    numbered = _numbered(page)
    if numbered and numbered.list_url.format(page=numbered.first, offset=0) == page.url:
        return numbered
    link = _next_link(page)
    return Pagination(next_link=link) if link else numbered


def _numbered(page: PagePlaces) -> Pagination | None:
    """A template of the addresses that links with numbers as their texts have."""
    ours = host_of(page.url)
    named: dict[int, str] = {}
    for link, address in page.links.items():
        text = words_of(link).strip(" []().")
        if (number := whole(text, 99_999) or 0) > 1 and host_of(address) == ours:
            named.setdefault(number, address)
    proposals: Counter[Pagination] = Counter()
    for number, address in named.items():
        for run in re.finditer(r"[0-9]{1,9}", address):
            before, after = address[: run.start()], address[run.end() :]
            before, after = (part.replace("{", "{{").replace("}", "}}") for part in (before, after))
            value = int(run[0])
            if value == number:
                proposals[Pagination(before + "{page}" + after)] += 1
            elif value == number - 1:
                proposals[Pagination(before + "{page}" + after, first=0)] += 1
            elif value and value % (number - 1) == 0:
                proposals[Pagination(before + "{offset}" + after, per_page=value // (number - 1))] += 1
    if not proposals:
        return None
    # Of those that as many links agree on the number that stands last.
    best = max(
        proposals, key=lambda each: (proposals[each], each.first == 1 and not each.per_page, each.list_url.find("{"))
    )
    agree = proposals[best]
    if agree * 2 <= len(named) or (agree < 2 and (best.per_page or not best.first)):
        return None
    return best


def _next_link(page: PagePlaces) -> str:
    """XPath or CSS of the one link that says that it leads to the next page."""
    for link, address in page.links.items():
        if address == page.url or host_of(address) != host_of(page.url):
            continue
        text = words_of(link)
        if len(text) <= 30 and says_next(text) and "'" not in text and link.xpath("normalize-space()") == text:
            return f"//a[normalize-space()='{text}']"
        for name in (link.get("class") or "").split():
            if _NEXT_CLASS.fullmatch(name):
                return f"a.{name}"
        label = link.get("aria-label") or link.get("title") or ""
        if label and "'" not in label and says_next(" ".join(label.split())):
            attribute = "aria-label" if link.get("aria-label") else "title"
            return f"//a[@{attribute}='{label}']"
    return _pressed(page)


def _pressed(page: PagePlaces) -> str:
    """XPath of the address in what is pressed, or scrolled to, to see the next page."""
    for element, name, said in pressed_in(page.page):
        address = absolute(page.base, said, page.encoding)
        if name and address and host_of(address) == host_of(page.url):
            return f"//{tag_of(element)}/@{name}"
    return ""


def pressed_in(page: Selector) -> Iterator[tuple[Any, str, str]]:
    """What is pressed, or scrolled to, to see the next page, the attribute that is its address, empty where that stands
    in a script, and the address."""
    for node in both_ends(page.xpath(_PRESSED), 100):
        element = node.root
        names = ("src",) if element.tag == "turbo-frame" else _ADDRESSES
        name = next((name for name in names if name in element.attrib), "")
        said = words_of(element)
        classes = (element.get("class") or "").split()
        named = "next" in name or "more" in name or any(map(_NEXT_CLASS.fullmatch, classes))
        when_seen = element.get("loading") == "lazy" or _WHEN_SEEN.search(element.get("hx-trigger") or "")
        if named or when_seen or (len(said) <= 30 and says_next(said)):
            yield element, name, element.get(name) if name else pressed_address(element)


def named_by(link: Any) -> str:
    """The address that *link*, an element, leads to: that of an <option>, too, which a script opens, unless its value
    is just a number or a word, as that of a quantity is. Empty where there is none."""
    if link.tag != "option":
        return link.get("href") or ""
    value = (link.get("value") or "").strip()
    return value if _ADDRESS.search(value) else ""


def words_of(link: Any) -> str:
    """The first words in *link*, an element; none where there are many elements in it: links may stand in links, and
    what is in the last of thousands is looked at for each."""
    if next(islice(link.iter(), _FEW_ELEMENTS, None), None) is not None:
        return ""
    return " ".join("".join(islice(link.itertext(), _FEW_TEXTS))[:_FEW_WORDS].split())


def leads_on(link: Any, known: NamesRead | None = None, text: str | None = None) -> bool:
    """Whether *link*, an element, says that it leads to the next page: by its words, a label, or its class, that of
    what it stands in or, where it has no words, of a sign in it. *known* is what several calls share, *text* the
    `words_of` the link."""
    known = NamesRead() if known is None else known
    text = words_of(link) if text is None else text
    signs = [] if text else list(islice(link.iterdescendants(), _FEW_SIGNS))
    labels = (next(filter(None, map(each.get, _LABELS)), "")[:_FEW_WORDS] for each in (link, *signs))
    around = link.getparent()
    classes = chain(*map(known.of, (link, *(() if around is None else (around,)), *signs)))
    said = (each.strip(" :·|-") for each in (text, *labels))
    return any(0 < len(each) <= 30 and says_next(each) for each in said) or any(map(_NEXT_CLASS.fullmatch, classes))


def is_next_of_pager(link: Any, known: NamesRead) -> bool:
    """Whether *link*, an element, is by its class, or that of what it stands in, the next page's of a pager, which is
    not the next of a show."""
    around = link.getparent()
    return any(map(_PAGER_CLASS.fullmatch, chain(known.of(link), () if around is None else known.of(around))))


def says_next(text: str, *, plainly: bool = False) -> bool:
    """Whether *text* says "next" in words or by an arrow; *plainly*: by the word itself, which "more" is not."""
    if _ARROWS.fullmatch(text):
        return not plainly
    match = _NEXT.fullmatch(text)
    said = match[1] if match and match[1] else ""
    is_told = bool(said and not (plainly and said.lower().endswith("more"))) or _OLDER.fullmatch(text) is not None
    return is_told or is_next_word(text, plainly=plainly)
