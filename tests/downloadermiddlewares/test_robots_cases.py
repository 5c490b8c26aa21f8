"""What robots.txt allows, case by case: where RFC 9309 speaks, and where the parser that Google publishes decides.

Each case is of our own making. `theirs` stands where Google's parser answers otherwise, with the reason why we do not.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from imgcrawl.downloadermiddlewares.robotstxt import _parse, our_rules

HOST = "http://pictures.example"
AGENT = "imgcrawl"


class Case(NamedTuple):
    name: str
    text: str
    allowed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    agent: str = AGENT
    theirs: str = ""


def lines(*each: str, end: str = "\n") -> str:
    return "".join(line + end for line in each)


def ours(*rules: str, end: str = "\n") -> str:
    return lines("User-agent: imgcrawl", *rules, end=end)


GROUPS = [
    Case("nothing at all", "", allowed=("/", "/a")),
    Case("a file that is none of its kind", lines("<html>", "agent: imgcrawl", "forbid: /"), allowed=("/a",)),
    Case("ours", ours("Disallow: /a"), allowed=("/", "/b"), refused=("/a", "/ab")),
    Case("somebody else's", lines("User-agent: other", "Disallow: /"), allowed=("/a",)),
    Case("everybody's", lines("User-agent: *", "Disallow: /a"), refused=("/a",), allowed=("/b",)),
    Case(
        "ours goes before everybody's",
        lines("User-agent: *", "Disallow: /", "User-agent: imgcrawl", "Disallow: /a"),
        allowed=("/b",),
        refused=("/a",),
    ),
    Case(
        "also if it stands first",
        ours("Disallow: /a", "User-agent: *", "Disallow: /"),
        allowed=("/b",),
        refused=("/a",),
    ),
    Case("a blank line ends no head", ours("", "User-agent: *", "Disallow: /"), refused=("/a",)),
    Case("an empty rule allows all", ours("Disallow:", "User-agent: *", "Disallow: /"), allowed=("/a",)),
    Case("two agents, one group", lines("User-agent: other", "User-agent: imgcrawl", "Disallow: /a"), refused=("/a",)),
    Case(
        "three groups of ours are one",
        ours("Disallow: /a", "User-agent: x", "Disallow: /b", "User-agent: imgcrawl", "Disallow: /c"),
        refused=("/a", "/c"),
        allowed=("/b",),
    ),
    Case(
        "two groups of everybody's are one",
        lines("User-agent: *", "Disallow: /a", "User-agent: x", "Disallow: /b", "User-agent: *", "Disallow: /c"),
        refused=("/a", "/c"),
        allowed=("/b",),
    ),
    Case(
        "rules before any agent are nobody's",
        lines("Disallow: /", "User-agent: imgcrawl", "Disallow: /a"),
        allowed=("/b",),
        refused=("/a",),
    ),
    Case(
        "a sitemap between agents ends no head",
        ours("Sitemap: http://x/s.xml", "User-agent: x", "Disallow: /a"),
        refused=("/a",),
    ),
    Case(
        "an unknown line between agents ends no head",
        ours("Noise: 1", "User-agent: x", "Disallow: /a"),
        refused=("/a",),
    ),
    Case(
        "a line in the middle of a group is passed over",
        ours("Disallow: /a", "Noise: 1", "Disallow: /b"),
        refused=("/a", "/b"),
    ),
]

AGENTS = [
    *(
        Case(
            f"ours, written {written!r}",
            lines(f"User-agent: {written}", "Disallow: /a", "User-agent: *", "Disallow: /b"),
            refused=("/a",),
            allowed=("/b",),
        )
        for written in (
            "IMGCRAWL",
            "ImgCrawl",
            "imgcrawl/2.1",
            "imgcrawl Bot",
            "imgcrawl  Bot/1 (+http://x)",
            "imgcrawl\tx",
            "imgcrawl # us",
            "imgcrawl;x",
            "imgcrawl, other",
        )
    ),
    *(
        Case(f"not ours: {written!r}", lines(f"User-agent: {written}", "Disallow: /a"), allowed=("/a",))
        for written in ("imgcrawler", "img", "my-imgcrawl", "imgcrawl-news", "*imgcrawl", "*bot", "")
    ),
    Case("a star and more is everybody", lines("User-agent: * of you", "Disallow: /a"), refused=("/a",)),
    Case("everybody is not whoever begins with a star", lines("User-agent: *x", "Disallow: /a"), allowed=("/a",)),
    Case(
        "a token with a hyphen and an underline",
        lines("User-agent: my_img-bot", "Disallow: /a"),
        refused=("/a",),
        agent="my_img-bot",
    ),
]

SPELLING = [
    *(
        Case(f"the agent's line as {key!r}", lines(f"{key}imgcrawl", "Disallow: /a"), refused=("/a",))
        for key in (
            "user-agent: ",
            "USER-AGENT: ",
            "User-agent : ",
            "  User-agent:",
            "User agent: ",
            "useragent: ",
            "User-agent ",
        )
    ),
    *(
        Case(f"a rule as {key!r}", ours(f"{key}/a"), refused=("/a",), allowed=("/b",))
        for key in (
            "disallow: ",
            "DISALLOW:",
            "Disallow : ",
            "\tDisallow:\t",
            "Dissallow: ",
            "Dissalow: ",
            "Disalow: ",
            "Diasllow: ",
            "Disallaw: ",
            "Disallow ",
        )
    ),
    Case("an allowing rule in any case", ours("Disallow: /", "ALLOW: /a"), allowed=("/a",), refused=("/b",)),
    Case("an allowing rule with a typing error is none", ours("Disallow: /", "Alow: /a"), refused=("/a",)),
    Case("a comment behind a rule", ours("Disallow: /a # /b"), refused=("/a",), allowed=("/b",)),
    Case("a comment before all", lines("# User-agent: imgcrawl", "#Disallow: /a"), allowed=("/a",)),
    Case("spaces behind a path", ours("Disallow: /a   "), refused=("/a", "/ab")),
    *(
        Case(
            f"lines that end with {end!r}",
            ours("Disallow: /a", "Disallow: /b", end=end),
            refused=("/a", "/b"),
            allowed=("/c",),
        )
        for end in ("\n", "\r\n", "\r", "\n\n")
    ),
    Case("no end of the last line", "User-agent: imgcrawl\nDisallow: /a", refused=("/a",)),
    Case("a byte order mark", "\ufeffUser-agent: imgcrawl\nDisallow: /a\n", refused=("/a",)),
    Case("half of a byte order mark", "\ufffdUser-agent: imgcrawl\nDisallow: /a\n", allowed=("/a",)),
    Case(
        "a mark in the middle spoils its line",
        ours("Disallow: /a", "\ufeffDisallow: /b"),
        refused=("/a",),
        allowed=("/b",),
    ),
]

PATHS = [
    Case("paths have their case", ours("Disallow: /X/"), refused=("/X/a",), allowed=("/x/a",)),
    Case(
        "a rule is a beginning",
        ours("Disallow: /fish"),
        refused=("/fish", "/fish.html", "/fish/salmon", "/fishheads?x=1"),
        allowed=("/Fish", "/catfish", "/?id=fish"),
    ),
    Case(
        "a folder is what is in it",
        ours("Disallow: /fish/"),
        refused=("/fish/", "/fish/?id=1", "/fish/a.htm"),
        allowed=("/fish", "/fish.html"),
    ),
    Case("a star at the end changes nothing", ours("Disallow: /fish*"), refused=("/fish", "/fish/a")),
    Case(
        "a star is anything",
        ours("Disallow: /*.php"),
        refused=("/a.php", "/d/a.php?x", "/a.php/", "/x.php5"),
        allowed=("/", "/a.PHP"),
    ),
    Case(
        "a dollar is the end",
        ours("Disallow: /*.php$"),
        refused=("/a.php", "/d/a.php"),
        allowed=("/a.php?x", "/a.php/", "/a.php5"),
    ),
    Case("a dollar elsewhere is a dollar", ours("Disallow: /a$b"), refused=("/a$b",), allowed=("/a",)),
    Case("a star amid", ours("Disallow: /a*b*c"), refused=("/abc", "/a1b2c3"), allowed=("/acb",)),
    Case("a dollar alone is the empty path", ours("Disallow: $"), allowed=("/", "/a")),
    Case("only the start page", ours("Allow: /$", "Disallow: /"), allowed=("/",), refused=("/a",)),
    Case("a rule that does not begin with a slash", ours("Disallow: a"), allowed=("/a", "/b")),
    Case("the query is a part of it", ours("Disallow: /a?id="), refused=("/a?id=1",), allowed=("/a?x=1", "/a")),
    Case("a semicolon, too", ours("Disallow: /a;b"), refused=("/a;b", "/a;bc"), allowed=("/a",)),
]

WEIGHT = [
    Case("the longest rule says it", ours("Disallow: /a", "Allow: /a/b"), allowed=("/a/b",), refused=("/a/c",)),
    Case("in any order", ours("Allow: /a/b", "Disallow: /a"), allowed=("/a/b",), refused=("/a/c",)),
    Case("of equals the allowing one", ours("Disallow: /a", "Allow: /a"), allowed=("/a",)),
    Case("an empty rule weighs nothing", ours("Disallow: /a", "Allow:"), refused=("/a",)),
    Case("two empty rules", ours("Disallow:", "Allow:"), allowed=("/a",)),
    Case(
        "the longest refuses",
        ours("Disallow: /x/page.html", "Allow: /x/"),
        refused=("/x/page.html",),
        allowed=("/x/", "/x/page"),
    ),
    Case(
        "the end is a character more",
        ours("Allow: /x/page.html", "Disallow: /*.html$"),
        allowed=("/x/page.html",),
        refused=("/x/pag.html",),
    ),
    Case(
        "a star counts as a character",
        ours("Allow: /page", "Disallow: /*.php"),
        refused=("/page.php",),
        allowed=("/page",),
    ),
    Case(
        "what a star and a longer path say",
        ours("Allow: /folder/page", "Disallow: /folder"),
        allowed=("/folder/page",),
        refused=("/folder/p",),
    ),
]

ENCODED = [
    Case("letters that are none of ASCII, as they are", ours("Disallow: /鳥"), refused=("/%E9%B3%A5", "/%e9%b3%a5/1")),
    Case("and as percents", ours("Disallow: /%e9%b3%A5"), refused=("/%E9%B3%A5", "/%e9%b3%a5")),
    Case(
        "an address that is not encoded",
        ours("Disallow: /%E9%B3%A5"),
        refused=("/鳥",),
        theirs="allowed: it is given encoded addresses only; RFC 9309, 2.2.2, has both compared as octets",
    ),
    Case(
        "a letter of ASCII as percents",
        ours("Disallow: /%62%61"),
        refused=("/ba", "/%62%61"),
        theirs="/ba is allowed: it compares texts; RFC 9309, 2.2.2, has unreserved letters decoded first",
    ),
    Case(
        "and in the address", ours("Disallow: /ba"), refused=("/ba", "/%62%61"), theirs="/%62%61 is allowed, as above"
    ),
    Case("what is reserved stays encoded", ours("Disallow: /a%2Fb"), refused=("/a%2Fb", "/a%2fb"), allowed=("/a/b",)),
    Case("an encoded star is a star", ours("Disallow: /a%2A"), refused=("/a%2A",), allowed=("/ab",)),
    Case("an encoded dollar is a dollar", ours("Disallow: /a%24"), refused=("/a%24", "/a%24b"), allowed=("/a",)),
]

INDEX = [
    Case(
        "a rule for index.html is one for its folder",
        ours("Disallow: /", "Allow: /s/index.html"),
        allowed=("/s/", "/s/index.html", "/s/index.htmlx"),
        refused=("/s", "/s/index.htm"),
    ),
]


@pytest.mark.parametrize(
    "case", [*GROUPS, *AGENTS, *SPELLING, *PATHS, *WEIGHT, *ENCODED, *INDEX], ids=lambda case: case.name
)
def test_what_is_allowed(case: Case) -> None:
    rules = _parse(
        our_rules(case.text.encode().decode("utf-8-sig", "replace"), case.agent)
    )  # as the middleware reads it
    said = {path: rules.can_fetch(HOST + path, "*") for path in (*case.allowed, *case.refused)}
    assert said == dict.fromkeys(case.allowed, True) | dict.fromkeys(case.refused, False)
