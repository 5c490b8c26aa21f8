"""Which elements of a page stand in the same place of it again and again, and which selector finds just these."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

from parsel import Selector, css2xpath

from imgcrawl.pages.bounds import NamesRead
from imgcrawl.pages.links import pressed_elements
from imgcrawl.pages.tags import base_of
from imgcrawl.possessive import compile_late
from imgcrawl.urls import absolute

SMALL = 64  # pixels: avatars, icons
MAX_ELEMENTS = 5_000  # of a kind that are looked at
_CLOSE = 6  # elements around an image
_MOST_STEPS, _MOST_ABOVE = 24, 100  # elements around one, of which a selector is made, and that say what it is
_NAME = re.compile(r"[A-Za-z_-][\w-]*+")
# Classes and ids that say which one of many an element is, or in which state.
_OF_ONE = compile_late(
    r"\d{3}|^(odd|even|first|last|active|current|selected|hover|lazy\w*|loaded|hidden|visible|alt|new|clearfix|js-.*"
    r"|landscape|portrait|square)$"
)
_BOILERPLATE_TAGS = ("nav", "footer", "header", "aside", "form")
_BOILERPLATE = compile_late(
    r"(site|main|page|top|left|right|wp|blog|the)?[-_]?(nav|navbar|navigation|menu|footer|header|sidebar|side|widgets?|"
    r"breadcrumbs?|pagination|pager|paging|pages|social|share|popular|trending|related|recommend(ed|ations)?|tags?|"
    r"tagcloud|comments?|ads?|advert\w*|sponsor\w*|partners?|banner|login|topbar|toolbar)([-_](area|bar|list|links|menu|box))?",
    re.IGNORECASE,
)
_SHARED = 0.8  # of those that repeat have what is shared: of five in two colours, three are of one
_CONTENT = ("article", "main", "li", "figure")
_ENTRY = frozenset(("hentry", "h-entry"))  # of a blog, by a microformat: such a page may be made of widgets
_BACKGROUND = re.compile(r"background(-image)?\s*+:[^;]{0,500}?url\(", re.IGNORECASE)
_IMAGE_TAGS = ("img", "picture", "amp-img")
_MAY_SHOW = (
    "/descendant::*[self::img or self::picture or self::amp-img"
    " or contains(@style, 'url(') or @data-bg or @data-background]"
)


class PagePlaces:
    """The places of the elements of a page: their tags, with the classes and ids that those beside them share."""

    def __init__(self, page: Selector, url: str, encoding: str = "utf-8") -> None:
        self.page = page
        self._root: Any = page.root  # a selector for each element would take most of the time
        self.url = url
        self.encoding = encoding
        self.base = base_of(page, url)
        self._steps: dict[Any, str] = {}
        self._numbers: dict[tuple[int, str], int] = {}
        self._places: dict[Any, int] = {}
        self._repeated: dict[tuple[Any, str], int] = {}
        self._names = NamesRead(), NamesRead("id"), NamesRead("role")
        self._boilerplate: dict[Any, bool] = {}
        self._around: dict[Any, Any] = {}

    @cached_property
    def links(self) -> dict[Any, str]:
        """The links of the page to other pages over HTTP, and what is pressed like one: element → address."""
        found: dict[Any, str] = {}
        for element in self._root.xpath("/descendant::a[@href]")[:MAX_ELEMENTS]:
            link = element.get("href").strip()
            if link and not link.startswith("#") and (address := absolute(self.base, link, self.encoding)):
                found[element] = address
        for element, link in islice(pressed_elements(self._root), MAX_ELEMENTS):
            if address := absolute(self.base, link, self.encoding):
                found[element] = address
        return found

    @cached_property
    def _with_images(self) -> set[Any]:
        """The elements that are or show an image, and those around them."""
        found: set[Any] = set()
        for shown in self._root.xpath(_MAY_SHOW):
            element = shown if _is_image(shown) else None
            while element is not None and element not in found:
                found.add(element)
                element = element.getparent()
        return found

    def shows_image(self, element: Any) -> bool:
        """Whether there is an image in *element*, or a background. One that is told to be small does not count."""
        return element in self._with_images

    def is_boilerplate(self, element: Any) -> bool:
        """Whether *element* stands where pages have their menus, lists of what is popular, and the like."""
        if element not in self._boilerplate:
            self._boilerplate[element] = _is_boilerplate(element, self._names)
        return self._boilerplate[element]

    def link_around(self, element: Any) -> Any:
        """The link that an image is in, or that lies over it: one without words, alone with it in an element."""
        if element not in self._around:
            around = next((above for above in element.iterancestors("a") if above in self.links), None)
            self._around[element] = self._link_over(element) if around is None else around
        return self._around[element]

    def _link_over(self, element: Any) -> Any:
        for above in islice(element.iterancestors(), _CLOSE):
            if len(list(islice(above.iter("img"), 2))) > 1:
                return None
            if links := list(islice(above.iter("a"), 2)):
                over = links[0]
                return over if len(links) == 1 and over in self.links and not "".join(over.itertext()).strip() else None
        return None

    def place_of(self, element: Any) -> int:
        """A number that elements in the same place share."""
        above = [element]
        while above[-1] not in self._places and above[-1].getparent() is not None:
            above.append(above[-1].getparent())
        number = self._places.get(above[-1], 0)
        for each in reversed(above):
            if each not in self._places:
                key = (number, self.step_of(each))
                self._places[each] = self._numbers.setdefault(key, len(self._numbers) + 1)
            number = self._places[each]
        return number

    def step_of(self, element: Any) -> str:
        """*element* as a step of a CSS selector that those like it beside it share."""
        if element not in self._steps:
            self._steps[element] = self._step(element)
        return self._steps[element]

    def _step(self, element: Any) -> str:
        tag = tag_of(element)
        names = [name for name in self._names[0].of(element) if _NAME.fullmatch(name)]
        names = [name for name in dict.fromkeys(names) if not _OF_ONE.search(name)]
        repeats = self._repeats(element)
        if repeats:
            names = [name for name in names if self._classes[element.tag, name] >= _SHARED * repeats]
        elif _NAME.fullmatch(own := element.get("id") or "") and not _OF_ONE.search(own):
            return f"{tag}#{own}"
        if tag in ("td", "th") and not names and not self._is_grid(element.getparent()):
            return f"{tag}:nth-child({1 + sum(1 for _ in element.itersiblings('td', 'th', preceding=True))})"
        return tag + "".join(f".{name}" for name in names[:3])

    def _is_grid(self, row: Any) -> bool:
        """Whether the cells of a table's *row* are alike, each with an image: a table that only arranges things."""
        cells = list(row) if row is not None else []
        return len(cells) > 1 and all(map(self.shows_image, cells))

    def _repeats(self, element: Any) -> int:
        """How many there are of what *element* is, or is a part of: elements of one tag and content beside each other.

        0 for what is there once.
        """
        parent = element.getparent()
        if parent is None:
            return 0
        key = (parent, element.tag)
        if key not in self._repeated:
            shapes = Counter(tuple(child.tag for child in each) for each in parent if each.tag == element.tag)
            count = shapes.total()
            is_repeated = count > 2 and max(shapes.values()) >= 0.6 * count
            self._repeated[key] = count if is_repeated else self._repeats_of_parent(parent)
        return self._repeated[key]

    def _repeats_of_parent(self, parent: Any) -> int:
        return 0 if parent.tag in ("body", "html") else self._repeats(parent)

    @cached_property
    def _classes(self) -> Counter[tuple[str, str]]:
        """How many elements of a tag have a class."""
        named = self._root.xpath("/descendant::*[@class]")
        return Counter((each.tag, name) for each in named for name in set(each.get("class").split()))

    def selector_of(self, elements: list[Any], found: set[Any], more: Sequence[str] = ()) -> str:
        """The shortest CSS selector by place that finds *elements*' like and, of what is here, just *found*; or "".

        *more*: what tells them apart from others in their place, as the end of a selector.
        """
        above = islice(elements[0].iterancestors(), _MOST_STEPS)
        steps = [self.step_of(each) for each in (elements[0], *above) if each.tag != "html"]
        last = steps[0]
        tried = [last] if "." in last or "#" in last else []
        tried += [f"{step} {last}" for step in steps[1:] if re.search(r"[.#]", step) and not step.startswith("body")]
        tried += [" > ".join(reversed(steps[:length])) for length in range(2, len(steps) + 1)]
        for css in dict.fromkeys(tried):
            for candidate in (css, *(css + end for end in more)):
                if self.found_by(candidate) == found:
                    return candidate
        return ""

    def found_by(self, css: str) -> set[Any]:
        """What *css* finds: the addresses of links, other elements themselves."""
        elements: Any = self._root.xpath(css2xpath(css))
        if elements and (elements[0].tag == "a" or elements[0] in self.links):
            found = {self.links[each] for each in elements if each in self.links}
            return found - {self.url}
        return set(elements)


def tag_of(element: Any) -> str:
    """Its name for a selector. Word's `<o:p>`, and what a page calls so by mistake, has none there."""
    return element.tag if _NAME.fullmatch(element.tag) else "*"


def _is_boilerplate(element: Any, known: Sequence[NamesRead]) -> bool:
    content = is_entry = False
    for above in islice(element.iterancestors(), _MOST_ABOVE):
        if above.tag in ("body", "html"):
            return False
        names = [name for names in known for name in names.of(above)]
        is_entry = is_entry or not _ENTRY.isdisjoint(names)
        if any(_BOILERPLATE.fullmatch(name) for name in names if not (is_entry and name == "widget")):
            return True
        if above.tag in _BOILERPLATE_TAGS and not (content and above.tag in ("header", "footer", "form")):
            return not _is_in_content(above)
        content = content or above.tag in _CONTENT
    return False


def _is_in_content(element: Any) -> bool:
    """A header or footer of an article is a part of it."""
    return element.tag in ("header", "footer") and any(above.tag in _CONTENT for above in element.iterancestors())


def _is_image(element: Any) -> bool:
    if element.tag not in _IMAGE_TAGS and element.get("style") and not _is_background(element):
        return False
    side = stated_side(element)
    return not side or side > SMALL or _is_background(element)


def stated_side(element: Any) -> int:
    """The longer one of the sides that an image is stated to be shown with; 0 where none is."""
    stated = [(element.get(name) or "").strip().removesuffix("px") for name in ("width", "height")]
    return max((int(text) for text in stated if text.isdecimal() and len(text) < 9), default=0)


def _is_background(element: Any) -> bool:
    return bool(_BACKGROUND.search(element.get("style") or "")) or "data-bg" in element.attrib


def card_of(link: Any, addresses_in: Counter[Any]) -> Any:
    """The largest element around *link* that has no other of the links that are counted in *addresses_in*."""
    card = link
    for above in link.iterancestors():
        if addresses_in[above] > 1 or above.tag in ("body", "html"):
            break
        card = above
    return card


def counted(links: Iterable[tuple[Any, str]]) -> Counter[Any]:
    """How many different addresses of *links* stand in each element."""
    seen: set[tuple[Any, str]] = set()
    for link, address in links:
        for above in link.iterancestors():
            if (above, address) in seen:
                break
            seen.add((above, address))
    return Counter(above for above, _ in seen)
