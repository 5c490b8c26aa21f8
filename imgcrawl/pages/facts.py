"""What a page states about itself and its images, in the standard ways: JSON-LD, microdata, RDFa, Open Graph."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from parsel import Selector

from imgcrawl.pages import linkeddata
from imgcrawl.pages.bounds import MAX_IMAGES, bounded, leave_out
from imgcrawl.pages.candidates import is_file
from imgcrawl.pages.linkeddata import Named, Node
from imgcrawl.pages.sizes import ORIGINAL, size_of
from imgcrawl.pages.tags import OF_FACTS, Tag, base_of, property_of, tags, text_after, text_of
from imgcrawl.pages.within import refused_address
from imgcrawl.urls import WEB, absolute, resolve

MAX_TEXT = 1_000  # characters of one fact
MAX_TAGS = 100
_HEADINGS = 10  # that many are looked at for one with a text

# Names of <meta>, best first; the properties of schema.org; rel of <link> and <a>.
_META = {
    "title": ("og:title", "twitter:title", "dc.title", "dcterms.title"),
    "caption": ("og:description", "twitter:description", "description", "dc.description"),
    "author": ("article:author", "author", "og:article:author", "dc.creator", "sailthru.author", "parsely-author"),
    "date": (
        "article:published_time",
        "og:article:published_time",
        "date",
        "dc.date",
        "sailthru.date",
        "parsely-pub-date",
    ),
    "license": ("dc.rights", "dcterms.rights", "dcterms.license"),
    "tags": ("article:tag", "og:article:tag", "book:tag", "video:tag"),
}
_PROPERTIES = {
    "title": ("headline", "name"),
    "caption": ("caption", "description", "abstract"),
    "author": ("author", "creator"),
    "date": ("datePublished", "dateCreated", "uploadDate"),
    "license": ("license",),
    "credit_text": ("creditText", "copyrightNotice"),
    "acquire_license_page": ("acquireLicensePage",),
    "tags": ("keywords",),
}
_IMAGE_META_WORDS = """
    og:image:secure_url og:image og:image:url twitter:image twitter:image:src image_src sailthru.image.full
    parsely-image-url
"""
_IMAGE_META = tuple(_IMAGE_META_WORDS.split())
# What counts where nothing else names an image: whatever ends in a word for one.
_OTHER_META = re.compile(r"(?:.*[:._-])?(?:image|img|picture|photo|thumbnail)(?:[:._-](?:url|src|full|large))?")
IMAGE_PROPERTIES = ("image", "contentUrl", "primaryImageOfPage", "photo", "associatedMedia", "thumbnailUrl")
_PREFIX = re.compile(r"(?:schema|foaf):|https?://(?:schema\.org|xmlns\.com/foaf/0\.1)/")
# The last words of types that describe the page that a thing stands on, or a part of it, and not the thing.
_OF_ARTICLES = ("Article", "Posting", "Report", "CreativeWork")
_OF_PAGES = ("Page", "List", "ListItem", "ImageObject", "Photograph", "HowToStep", "HowToSection")
# What such a node states is not about the page, where others are.
_OF_PARTS = frozenset(("ImageObject", "Question", "Answer"))


@dataclass(slots=True)
class PageFacts:
    """What a page states about itself; empty where it does not.

    *date* is as it stands there. *license* and *acquire_license_page* are addresses where they are stated as such.
    *image* is the page's main image, as its publisher names it, *previews* those that stand for the page where it is
    shared, best first, *images* all that are named in such ways, *refused* what is named so and can be asked for by
    nobody.
    *image_facts* is what is stated about single images: address → caption, author and what licenses are about.
    """

    title: str = ""
    caption: str = ""
    author: str = ""
    date: str = ""
    license: str = ""
    credit_text: str = ""
    acquire_license_page: str = ""
    tags: list[str] = field(default_factory=list)
    image: str = ""
    previews: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    image_facts: dict[str, dict[str, str]] = field(default_factory=dict)


def page_facts(html: str | Selector, url: str, encoding: str = "utf-8") -> PageFacts:
    """What the page *html* at *url*, or the part of it that a selector is, states. Linear in its length."""
    text = text_of(html)
    reader = FactsReader(text, base_of(html, url), encoding)
    # Links are many, and of interest only where one leads to a licence.
    for tag in tags(text, OF_FACTS | {"a"} if "license" in text.lower() else OF_FACTS):
        reader.read(tag)
    return reader.facts()


class FactsReader:
    """Takes the tags of a page one by one, and has its facts in the end."""

    def __init__(self, text: str, base: str, encoding: str) -> None:
        self._text = text
        self._base = base
        self._encoding = encoding
        self._scripts: list[str] = []
        self._meta: dict[str, list[str]] = defaultdict(list)
        self._properties: dict[str, list[str]] = defaultdict(list)
        self._headings: dict[str, list[str]] = defaultdict(list)

    def read(self, tag: Tag) -> None:
        name, attributes = tag.name, tag.attributes
        if name == "script":
            if "ld+json" in attributes.get("type", "").lower():
                self._scripts.append(self._text[tag.start : tag.end])
        elif name in ("h1", "title"):
            if len(self._headings[name]) < _HEADINGS:
                self._headings[name].append(text_after(self._text, tag))
        elif name == "meta":
            key = attributes.get("property") or attributes.get("name") or ""
            self._add(self._meta, key.strip().lower(), attributes.get("content") or attributes.get("value", ""))
        elif name in ("link", "a") and "license" in attributes.get("rel", "").lower().split():
            self._add(self._properties, "license", attributes.get("href", ""))
        if stated := property_of(attributes):
            self._read_property(tag, stated)

    def _read_property(self, tag: Tag, stated: str) -> None:
        for name in stated.split()[:10]:
            name = _PREFIX.sub("", name).replace("depiction", "image")  # noqa: PLW2901 -- of RDFa
            if name == "url" and tag.scope and tag.scope.kind == "ImageObject":
                name = "contentUrl"  # noqa: PLW2901 -- said in other words
            if name not in _KNOWN_PROPERTIES or not _is_own(tag, name):
                continue
            for attribute in ("content", "resource", "src", "href", "datetime", "data"):
                if value := tag.attributes.get(attribute, "").strip():
                    break
            else:
                value = text_after(self._text, tag)
                if name in IMAGE_PROPERTIES and not is_file(value):  # what is said within: a caption, a size
                    continue
            self._add(self._properties, name, value)

    @staticmethod
    def _add(to: dict[str, list[str]], key: str, value: str) -> None:
        if key and value.strip():
            to[key].append(value.strip())

    # What comes of it, in *facts*, which are empty

    def facts(self, facts: PageFacts | None = None) -> PageFacts:
        graph = linkeddata.graph_in(self._scripts)
        about = [node for node in graph.main if not _OF_PARTS.intersection(linkeddata.kinds(node))]
        nodes = sorted(about or graph.main, key=_weight, reverse=True)
        facts = facts or PageFacts()
        for fact, properties in _PROPERTIES.items():
            if fact != "tags":
                setattr(facts, fact, self._stated(fact, properties, nodes, graph.named)[:MAX_TEXT])
        facts.title = facts.title or next(filter(None, (*self._headings["h1"], *self._headings["title"])), "")
        facts.tags = self._tags(nodes)
        self._find_images(facts, sorted(graph.nodes, key=_weight, reverse=True), graph.named, graph.videos)
        return facts

    def _stated(self, fact: str, properties: tuple[str, ...], nodes: Iterable[Node], named: Named) -> str:
        # A portal's own description is in <meta> too: what is stated about the thing itself comes first.
        for node in nodes:
            if found := linkeddata.stated(node, named, *properties):
                return found
        texts = (self._properties[name] for name in properties if self._properties.get(name))
        metas = (self._meta[name] for name in _META.get(fact, ()) if self._meta.get(name))
        found = next((values[0] for values in (*texts, *metas)), "")
        return " ".join(found.split())

    def _tags(self, nodes: Iterable[Node]) -> list[str]:
        stated = [value for name in _META["tags"] for value in self._meta.get(name, ())]
        for node in nodes:
            for value in linkeddata.values(node, "keywords")[:MAX_TAGS]:
                stated += linkeddata.one_text(value).split(",")
        for value in self._properties.get("keywords", ()):
            stated += value.split(",")
        words = (" ".join(word.split())[:MAX_TEXT] for word in stated)
        return list(dict.fromkeys(word for word in words if word))[:MAX_TAGS]

    def _find_images(self, facts: PageFacts, nodes: list[Node], named: dict[str, Node], videos: list[Node]) -> None:
        found: dict[str, None] = {}
        for node in nodes:
            largest = 0
            best = ""
            for image in _images_of(node, named):
                address = self._absolute(linkeddata.address_of(image))
                if not address or address in found:
                    continue
                found[address] = None
                if isinstance(image, dict) and (about := _about(image, named)):
                    facts.image_facts.setdefault(address, about)
                area = _area(image, address)
                if not best or area > largest:
                    best, largest = address, area
                if len(found) >= MAX_IMAGES:
                    leave_out("images")
                    break
            facts.image = facts.image or best
        for name in IMAGE_PROPERTIES:
            found |= dict.fromkeys(self._asked_for(self._properties.get(name, ()), facts))
        facts.image = facts.image or next(iter(found), "")
        shared = self._asked_for((value for name in _IMAGE_META for value in self._meta.get(name, ())), facts)
        facts.previews = list(dict.fromkeys(shared))
        found |= dict.fromkeys(shared)
        if not found:
            others = (value for name, values in self._meta.items() if _OTHER_META.fullmatch(name) for value in values)
            found = dict.fromkeys(self._asked_for(others, facts))
        if not found:  # what stands for a video until it runs
            stills = (value for video in videos for value in linkeddata.values(video, "thumbnailUrl"))
            found |= dict.fromkeys(filter(None, (self._absolute(linkeddata.address_of(still)) for still in stills)))
            facts.previews = list(found)[:1]
        facts.image = facts.image or next(iter(facts.previews), "")
        facts.images = list(bounded(found, MAX_IMAGES))

    def _asked_for(self, stated: Iterable[str], facts: PageFacts) -> list[str]:
        """The addresses of images that are *stated*. Those that nobody can ask for are noted in *facts*."""
        found = []
        for value in stated:
            address = resolve(self._base, value, self._encoding)
            if address and address.startswith(WEB):
                found.append(address)
            elif (told := refused_address(address, value)) and len(facts.refused) < MAX_IMAGES:
                facts.refused.append(told)
        return found

    def _absolute(self, address: str) -> str | None:
        return absolute(self._base, address, self._encoding) if address else None


_KNOWN_PROPERTIES = frozenset(name for names in _PROPERTIES.values() for name in names) | frozenset(IMAGE_PROPERTIES)


def _is_own(tag: Tag, name: str) -> bool:
    """Whether a property is about the page and what is on it, and not about its author, publisher or a part of it."""
    scope = tag.scope
    if scope is None:
        return True
    if scope.role in ("author", "creator", "publisher", "logo", "review", "comment", "isPartOf", "breadcrumb", "video"):
        return False
    if scope.kind in ("Person", "Organization", "WebSite", "BreadcrumbList", "ListItem", "Review", "VideoObject"):
        return False
    return name not in ("name", "description") or scope.outer is None


def _weight(node: Node) -> int:
    """How much a node is about the thing that a page shows: 2, an article about it: 1, or its page: 0."""
    kinds = linkeddata.kinds(node)
    if any(not kind.endswith(_OF_ARTICLES + _OF_PAGES) for kind in kinds):
        return 2
    return 1 if any(kind.endswith(_OF_ARTICLES) for kind in kinds) else 0


def _images_of(node: Node, named: dict[str, Node]) -> Iterator[Any]:
    """The images that a node names: addresses, and nodes about them."""
    kinds = linkeddata.kinds(node)
    if "ImageObject" in kinds or "Photograph" in kinds:
        yield node
    some = False
    for name in IMAGE_PROPERTIES[:-1]:
        if name == "contentUrl":
            continue
        for value in linkeddata.values(node, name):
            identity = value.get("@id") if isinstance(value, dict) else None
            image = named.get(identity, value) if isinstance(identity, str) else value
            some = True
            yield image
    if not some:
        yield from linkeddata.values(node, "thumbnailUrl")


def _area(image: Any, address: str) -> int:
    """How many pixels are stated; 0 where none are."""
    if isinstance(image, dict):
        sides = [
            re.match(r"\s*([0-9]{1,5})", linkeddata.one_text(image.get(key)) or str(image.get(key)))
            for key in ("width", "height")
        ]
        if all(sides):
            width, height = (int(side[1]) for side in sides if side)
            return width * height
    size = size_of(address)
    return size.width * (size.height or 1) if size.width < ORIGINAL - 1 else 0


def _about(image: Node, named: Named) -> dict[str, str]:
    """What is stated about a single image."""
    facts = {
        fact: linkeddata.stated(image, named, *properties)[:MAX_TEXT]
        for fact, properties in _PROPERTIES.items()
        if fact not in ("title", "date", "tags")
    }
    return {fact: value for fact, value in facts.items() if value}
