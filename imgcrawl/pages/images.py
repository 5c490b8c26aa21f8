"""The images of a page whose site has not said where they are."""

from __future__ import annotations

from collections.abc import Iterable, Set
from itertools import chain, islice, takewhile
from typing import Any

from lxml import etree
from parsel import Selector

from imgcrawl.pages.bounds import MAX_IMAGES, bounded
from imgcrawl.pages.candidates import image_candidates, is_empty, is_file, is_original, is_shown
from imgcrawl.pages.facts import FactsReader, PageFacts
from imgcrawl.pages.links import is_script, led_to, may_be_original, names_file
from imgcrawl.pages.scripted import listed_images, scripted_images, styled_images
from imgcrawl.pages.search import ImageSearch
from imgcrawl.pages.series import images_in_series, originals_named
from imgcrawl.pages.sizes import largest_of, size_of
from imgcrawl.pages.tags import IMAGES, PROPERTY_WORDS, Tag, base_of, tags, text_of
from imgcrawl.pages.values import is_carrier, linked_file
from imgcrawl.pages.within import refused_address
from imgcrawl.pages.written import written_lists
from imgcrawl.urls import WEB, absolute, resolve

# libxml2 takes what follows a <source> for a part of it.
_AROUND_IMAGES = ("picture", "source", "figure", "span", "amp-img", "noscript")
_CLOSE, _FEW = 4, 8  # elements around an image, and within one of them
_SAY_WITHOUT = frozenset(("h1", "title"))  # something about the page, though they have no attributes
_NEAR = 64  # elements above one in which it is looked for the one that was searched last

# A link, whether it was itself searched → the image that it leads to; and of an image that links are told to lead to,
# what the first of them shows.
Originals = dict[tuple[Any, bool], list[str]]
Copies = dict[str, str] | None  # an image that may be a page → what the link to it is around
Authors = set[str] | None


def find_images(
    html: str | Selector,
    url: str,
    encoding: str = "utf-8",
    copies: Copies = None,
    authors: Authors = None,
    facts: PageFacts | None = None,
) -> list[str]:
    """The addresses of the images of a page, absolute, without fragment, in order of appearance, none twice.

    One address for each `<img>`: that of the image file that it links to, else what a full-size attribute says, else
    the largest of its `srcset` and of the sources of its `<picture>`, else a lazy attribute, else `src`. Besides these,
    links to image files, what `<noscript>` holds, `<link>` with image_src or preload, posters of videos, and what the
    page names as its images in JSON-LD, microdata, RDFa, Open Graph and Twitter cards. `<base href>` counts. Of several
    sizes of an image (`sizes`) the largest; beside it stays, as it is named, what the publisher names as the page's
    main image, unless that is known to be a smaller copy (a crop is none).

    Of a page that shows none but for decoration, those that its scripts name, or else its styles (`scripted`).

    What scripts will show counts as well, where it has an image file's name (`values`): in attributes of any element,
    also with several addresses, JSON or an expression in them. Of an element that states an original, the image that is
    alone in it is a small copy. Backgrounds count where they are photographs by their name.

    Left out: `data:` but for photographs (`within.refused_address`), images declared as 1x1 and pixel files
    (`spacer.gif`), what counts visits, icons (declared to be no larger, or SVG by such a name), the page itself, and
    names like `loading.gif` where a better address took their place; images of style sheets too, beside others: they
    are icons and sprites; and pictures of those who write on the page (of the class `avatar`), beside enough others,
    but for what it shows or names elsewhere, too. What is stated as an image, but can be asked for by nobody, is among
    the images: what becomes of it is told.

    *html* is the text of a page (time linear in its length) or a selector, of which only its own part counts;
    *encoding* that of the page. *copies* gets what the page shows of those images that it links to by addresses which
    may be pages, having no image's name; *authors* the pictures of those who write that are left out; *facts* what
    `page_facts` finds: to read a page for both takes little longer than for its images.
    """
    return _find(text_of(html), url, base_of(html, url), encoding, copies, authors, facts, whole_page=True)


def images_in(
    nodes: Iterable[Selector],
    url: str,
    base: str,
    encoding: str = "utf-8",
    originals: Originals | None = None,
    copies: Copies = None,
) -> list[str]:
    """The addresses of the images that selectors on the page *url* with the base *base* are, in order, none twice.

    An element is searched as `find_images` does; a link to an image file around it is the original of its image. Of one
    without an image its `href` counts, or the address that is its text. A text or an attribute is an address, whatever
    it is: also one that cannot be asked for, since that is told. Not the page's own address, nor `data:`.
    *originals* is what several calls for one page share: a link around many images is looked at once. *copies* as in
    `find_images`.
    """
    found: dict[str, None] = {}
    page = resolve(url, "") or url
    originals = {} if originals is None else originals
    last: Any = None
    for node in nodes:
        root: Any = node.root
        if isinstance(root, str):
            if not is_empty(root):
                address = resolve(base, root, encoding) or root.strip()
                if told := address if address.startswith(WEB) else refused_address(address, root):
                    found[told] = None
        elif etree.iselement(root) and not any(above is last for above in islice(root.iterancestors(), _NEAR)):
            if (around := _picture_around(root)) is not root:  # its sources are other sizes of it
                node, root = Selector(root=around, type="html"), around  # noqa: PLW2901 -- searched in its place
            last = root  # what is within an element that was searched has been found
            original, is_told = _original_of(root, base, encoding, originals)
            original = [] if original == [page] else original
            if is_told and root.tag == "a" and (image := next(root.iter("img"), None)) is not None:
                node = Selector(root=image, type="html")  # noqa: PLW2901 -- what is in the link alone
            is_sure = original and is_file(original[0]) and not is_told
            shown = [] if is_sure else _shown_in(node, url, base, encoding, copies)
            if original and shown and is_told:
                original, others = _as_told(original, shown, originals)
                found |= dict.fromkeys(others)
            elif original and shown and copies is not None:
                copies.setdefault(original[0], shown[0])
            found |= dict.fromkeys(original or shown or _address_in(root, base, encoding))
    found.pop(page, None)
    return list(found)


def _find(
    text: str,
    url: str,
    base: str,
    encoding: str,
    copies: Copies = None,
    authors: Authors = None,
    facts: PageFacts | None = None,
    *,
    whole_page: bool = False,
) -> list[str]:
    search = ImageSearch(resolve(url, "") or url, base, encoding, text, whole_page=whole_page)
    reader = FactsReader(text, base, encoding)
    for tag in tags(text):
        search.read(tag)
        if tag.attributes or tag.name in _SAY_WITHOUT:
            reader.read(tag)
    facts = reader.facts(facts)
    found = search.found([*facts.images, *facts.refused])
    if copies is not None:
        copies |= search.copies
    if authors is not None:
        authors.update(largest_of(dict.fromkeys(search.left_out, 0.0), ()))
    written = list(written_lists(text)) if whole_page else []
    known: Set[str] = frozenset()
    others: Set[str] = frozenset()
    if whole_page and search.shows_any():
        shown = dict.fromkeys(size_of(address).image for address in found).keys()
        states = [*search.states, *(each.as_data() for each in written)]
        listed = listed_images(search.scripts, states, base, encoding, shown)
        images = [*listed.images, *images_in_series(search.scripts, base, encoding, shown)]
        others, known = listed.others, listed.texts
        found = {
            address: width for address, width in found.items() if address not in listed.copies or address in images
        }
        found |= dict.fromkeys((address for address in images if address not in found), 0.0)
    for address in search.stated_by(text for text in search.states if text not in known):
        if address not in others:
            found.setdefault(address, 0.0)
    if whole_page and not any(map(is_shown, found)):
        sure = (image for each in written if each.is_sure for image in each.images)
        listed_in_text = filter(None, (absolute(base, image, encoding) for image in bounded(sure, MAX_IMAGES)))
        images = [*scripted_images(text, base, encoding), *listed_in_text] or styled_images(text, base, encoding)
        found |= dict.fromkeys(images, 0.0)
    originals = originals_named(found, text, base, encoding) if whole_page else {}
    found |= {original: 0.0 for original in originals if original not in found}
    if copies is not None:
        copies |= originals
    return largest_of(found, (facts.image, *facts.previews))


def _picture_around(root: Any) -> Any:
    above = next((each for each in islice(root.iterancestors(), _NEAR) if each.tag != "source"), None)
    return above if root.tag == "img" and above is not None and above.tag == "picture" else root


def _shown_in(node: Selector, url: str, base: str, encoding: str, copies: Copies) -> list[str]:
    """What `_find` finds in an element; in an image that states nothing else about the page in a fifth of the time."""
    root: Any = node.root
    if root.tag != "img" or len(root) or any(word in root.attrib for word in PROPERTY_WORDS):
        return _find(text_of(node), url, base, encoding, copies)
    attributes: dict[str, str] = {}
    for name, value in root.items():
        attributes.setdefault(name.lower(), value)
    search = ImageSearch(resolve(url, "") or url, base, encoding)
    search.read(Tag("img", attributes, 0, 0, None))
    return largest_of(search.found(()), ())


def _address_in(root: Any, base: str, encoding: str) -> list[str]:
    """The address that an element without an image leads to, or has for a text."""
    link = root.get("href", "") if root.tag != "img" else ""
    if not link and not len(root) and (root.text or "").strip().startswith(WEB):
        link = root.text
    address = None if is_empty(link) else absolute(base, link, encoding)
    return [address] if address else []


def _original_of(root: Any, base: str, encoding: str, originals: Originals) -> tuple[list[str], bool]:
    """The image file that the link around an image leads to, or that another element around it states; and whether it
    is one that the link is told to lead to (`led_to`)."""
    if root.tag not in (*IMAGES, "picture", "figure", "span", "a"):
        return [], False
    if linked := _linked_by(root, base, encoding, originals):
        return linked[:1], len(linked) > 1
    carried = _carried_by(root, originals)
    original = absolute(base, carried, encoding) if carried else None
    return ([original] if original else []), False


def _linked_by(root: Any, base: str, encoding: str, originals: Originals) -> list[str]:
    """The image that the link around *root* leads to, twice where it is told to lead there."""
    above = islice(root.iterancestors(), _NEAR)
    link = root if root.tag == "a" else next((each for each in above if each.tag not in _AROUND_IMAGES), None)
    if link is None or link.tag != "a":
        return []
    key = (link, link is root)
    if key not in originals:
        said = dict(link.items())
        file = linked_file(said)
        told = "" if file else led_to(said.get("href", ""), base, lambda href: absolute(base, href, encoding))
        leads = file or told or (said["href"] if link is not root and is_original(said) else "")
        leads = leads or _alike(said.get("href", ""), root, base, encoding)
        original = absolute(base, leads, encoding) if leads else None
        originals[key] = [original] * (2 if told else 1) if original else []
    return originals[key]


def _as_told(original: list[str], shown: list[str], originals: Originals) -> tuple[list[str], list[str]]:
    """*original*, which a link around what is *shown* is told to lead to, where it may be that in large: not a smaller
    one, nor what the links around several are told, the page's own picture, to be shared; and what the first of these
    shows."""
    first = originals.setdefault((original[0], True), shown)
    if first != shown:
        return [], first
    stated, own = size_of(original[0]), size_of(shown[0])
    return ([] if stated.image == own.image and stated.width < own.width else original), []


def _alike(href: str, root: Any, base: str, encoding: str) -> str:
    """The address of a link where it may be that of the original of the image in it: both are served alike, or the link
    itself was asked for, and leads to a script."""
    if root.tag == "a":
        return href if is_script(href) else ""
    if root.tag not in IMAGES or not ("?" in "".join((base, *root.values())) or names_file(href)):
        return ""
    candidates = image_candidates(dict(root.items()))
    shown = absolute(base, max(candidates)[1], encoding) if candidates else None
    return href if shown and may_be_original(href, shown, lambda link: absolute(base, link, encoding)) else ""


def _carried_by(root: Any, originals: Originals) -> str:
    """The original of an image that an element around it states, in which it is alone; empty where none does."""
    for around in islice(root.iterancestors(), _CLOSE):
        if around.tag == "a":
            continue
        key = (around, False)
        if key not in originals:
            said = dict(around.items())
            originals[key] = [linked_file(said)] if is_carrier(said) else []
        if not originals[key]:
            continue
        if not _is_alone_in(root, around):
            return ""
        if file := originals[key][0]:
            return file
    return ""


def _is_alone_in(root: Any, around: Any) -> bool:
    """Whether an element has no other image and no words, nor has what is between it and the image *root*."""
    for element in (around, *takewhile(lambda above: above is not around, root.iterancestors())):
        words = chain([element.text], (child.tail for child in islice(element, _FEW)))
        if len(element) > _FEW or any(word and word.strip() for word in words):
            return False
    return len(list(islice(around.iter("img"), 2))) < 2
