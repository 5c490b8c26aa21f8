"""What a page says about itself and its images in JSON-LD (https://www.w3.org/TR/json-ld11/), as schema.org has it.

JSON is read by the standard library; a library that reads JSON-LD as a graph was looked at (extruct: 0.3 s to load, as
it loads RDFa, 4.5 ms a page, quadratic in nested microdata). What is read is bounded: in characters, depth and nodes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from html import unescape
from typing import Any, NamedTuple

from imgcrawl.pages.bounds import MAX_IMAGES, bounded, leave_out
from imgcrawl.pages.candidates import is_file
from imgcrawl.possessive import compile_possessive

MAX_CHARACTERS = 5_000_000  # of all scripts of a page together; the largest of 180 real pages has 60,000
MAX_NODES = MAX_IMAGES

# What a node says under these keys is about others: a logo, a portrait, another page.
_OF_OTHERS_WORDS = """
    logo publisher author creator brand sourceOrganization provider contributor editor review reviews comment
    isPartOf breadcrumb potentialAction mentions citation isRelatedTo isSimilarTo relatedLink about subjectOf
"""
_OF_OTHERS = frozenset(_OF_OTHERS_WORDS.split())
_OTHERS = re.compile(r"\w*Organization|Person|WebSite|BreadcrumbList|\w*Action|Brand|VideoObject|Review")
_WRAPPINGS = (("<!--", "-->"), ("//<![CDATA[", "//]]>"), ("<![CDATA[", "]]>"), ("/*<![CDATA[*/", "/*]]>*/"))
_SPARE_COMMA = re.compile(r",(?=\s*[}\]])")
# What has no end goes to that of the text: from each beginning it would be searched for again.
_COMMENT_OR_STRING = compile_possessive(r'("(?:[^"\\]++|\\.?)*+"?)|/\*.*?(?:\*/|\Z)|//[^\n]*+', re.DOTALL)
_BETWEEN = re.compile(r"[; \t\r\n]*+")
_IMAGE_NAMED = compile_possessive(r'"(?:image|contentUrl|thumbnailUrl)"\s*+:\s*+\[?\s*+"((?:[^"\\]|\\.){4,2000}+)"')
_NAMES_IMAGE = re.compile(r'"(?:[^"\s]{0,40}[/:])?(?:image|contentUrl|thumbnailUrl)"')
_DECODER = json.JSONDecoder(strict=False)
MAX_PEOPLE = 20

_WRAPPED = 4  # lists and nodes around an address
_ADDRESSES = ("contentUrl", "url", "@value", "@list")
# A property by its whole name, which stands for the short one.
_WHOLE_NAME = re.compile(r'"(?:https?:\\?/\\?/schema\.org\\?/|schema:)(\w++)"(?=\s*+:)')

Node = dict[str, Any]
Named = Mapping[str, Node]  # by their `@id`


class Graph(NamedTuple):
    """What a page says in JSON-LD: *nodes* about it and what is on it, in order; of these *main*, which are no part of
    another; all *named* ones, by their `@id`; and the *videos* that it is about."""

    nodes: list[Node]
    main: list[Node]
    named: dict[str, Node]
    videos: list[Node]


def graph_in(scripts: Iterable[str]) -> Graph:
    """What the *scripts* of a page say, as far as they can be read and are not too long."""
    left = MAX_CHARACTERS
    nodes: list[Node] = []
    main: list[Node] = []
    named: dict[str, Node] = {}
    videos: list[Node] = []
    scripts = iter(scripts)
    for script in scripts:
        left -= len(script)
        if left < 0:
            if any(map(_NAMES_IMAGE.search, (script, *scripts))):  # else it is of what is said and sold
                leave_out("images")
            break
        data = _parsed(script)
        for node, own, is_main in _walk(data, MAX_NODES - len(nodes)):
            if own:
                nodes.append(node)
                if is_main:
                    main.append(node)
            elif is_main and "VideoObject" in kinds(node):
                videos.append(node)
            identity = node.get("@id")
            if isinstance(identity, str) and len(node) > 1:
                named.setdefault(identity, node)
    return Graph(nodes, main, named, videos)


def kinds(node: Node) -> list[str]:
    """The types of a node, without their prefix."""
    value = node.get("@type")
    listed = value if isinstance(value, list) else [value]
    return [kind.rpartition("/")[2].rpartition(":")[2] for kind in listed if isinstance(kind, str)]


def values(node: Node, key: str) -> list[Any]:
    """The values of a property: of a list its elements."""
    value = node.get(key)
    return value if isinstance(value, list) else [] if value is None else [value]


def text(node: Node, *keys: str) -> str:
    """The first text that one of *keys* has; of a node its name or address."""
    for key in keys:
        for value in values(node, key):
            found = one_text(value)
            if found:
                return found
    return ""


def one_text(value: Any) -> str:
    """*value* as text on one line: of a node its name, or else its address."""
    if isinstance(value, dict):
        value = next((value[key] for key in ("name", "@value", "url", "@id") if isinstance(value.get(key), str)), "")
    if not isinstance(value, str):
        return ""
    value = value[:2_000]
    return " ".join((unescape(value) if "&" in value else value).split())


def stated(node: Node, named: Named, *keys: str) -> str:
    """What *node* says under the first of *keys* that has any text; of people their names (`people`)."""
    return people(node, named, *keys) if "author" in keys else text(node, *keys)


def people(node: Node, named: Named, *keys: str) -> str:
    """The names of those whom the first of *keys* that has any states, with commas between. One that is only referred
    to is looked for among the *named* nodes."""
    for key in keys:
        names = (_name(person, named) for person in values(node, key)[:MAX_PEOPLE])
        if found := list(dict.fromkeys(filter(None, names))):
            return ", ".join(found)
    return ""


def _name(person: Any, named: Named) -> str:
    """The name of *person*; empty where that is but the name of a node which nobody knows."""
    if isinstance(person, dict) and not any(person.get(key) for key in ("name", "@value", "url")):
        identity = person.get("@id")
        person = named.get(identity, person) if isinstance(identity, str) else person
        if not person.get("name") and isinstance(identity, str) and (identity.startswith("_:") or "#" in identity):
            return ""
    return one_text(person)


def address_of(image: Any) -> str:
    """The address that *image* is, or that is stated of it; empty where there is none."""
    for _ in range(_WRAPPED):  # {"contentUrl": [{"@value": …}]}
        if isinstance(image, list):
            image = image[0] if image else ""
        elif isinstance(image, dict):
            stated = (image.get(key) for key in _ADDRESSES)
            image = next((each for each in stated if each), _identity_of(image))
    # Some write references as in attributes.
    return image.strip().replace("&amp;", "&") if isinstance(image, str) else ""


def _identity_of(image: Node) -> str:
    """The `@id` of an image about which nothing else is said, if it is the address of a file."""
    identity = image.get("@id")
    return identity if isinstance(identity, str) and is_file(identity) else ""


def _parsed(script: str) -> Any:
    """What *script* says, mended where it is not quite JSON; of what cannot be mended the images that it names."""
    script = _WHOLE_NAME.sub(r'"\1"', script)
    try:
        return json.loads(script, strict=False)
    except RecursionError:
        return None
    except ValueError:
        script = _unwrapped(script)
    text = _SPARE_COMMA.sub("", _COMMENT_OR_STRING.sub(lambda found: found[1] or "", script))
    found: list[Any] = []
    position = 0
    try:
        while len(found) < MAX_NODES and (begin := _BETWEEN.match(text, position)) and begin.end() < len(text):
            value, position = _DECODER.raw_decode(text, begin.end())
            found.append(value)
    except RecursionError:
        return None
    except ValueError:
        found.append({"image": [_json_string(name[1]) for name in bounded(_IMAGE_NAMED.finditer(script), MAX_IMAGES)]})
    return found


def _json_string(text: str) -> str:
    """What *text*, as it stands between the quotes of a string in JSON, says."""
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text


def _unwrapped(script: str) -> str:
    script = script.strip("\ufeff \t\r\n")
    if "&quot;" in script:
        script = unescape(script)
    for begin, end in _WRAPPINGS:
        script = script.removeprefix(begin).removesuffix(end).strip()
    return script


def _walk(data: Any, limit: int) -> Iterator[tuple[Node, bool, bool]]:
    """Every node of *data*, in order; whether it is about the page or what is on it; whether it is part of no other."""
    stack: list[tuple[Any, bool, bool]] = [(data, True, True)]
    while stack and limit > 0:
        value, own, is_main = stack.pop()
        limit -= 1
        if isinstance(value, dict):
            stated = kinds(value)
            own = own and not any(map(_OTHERS.fullmatch, stated))
            yield value, own, is_main
            stack += [
                (inner, own and key not in _OF_OTHERS, is_main and key in ("@graph", "mainEntity"))
                for key, inner in reversed(value.items())
                if isinstance(inner, dict | list)
            ]
        elif isinstance(value, list):
            stack += [(inner, own, is_main) for inner in reversed(value) if isinstance(inner, dict | list)]
    if stack:
        leave_out("images")
