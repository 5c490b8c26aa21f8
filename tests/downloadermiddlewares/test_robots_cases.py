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


GROUPS = [
    Case("nothing at all", "", allowed=("/", "/a")),
    Case("a file that is none of its kind", lines("<html>", "agent: imgcrawl", "forbid: /"), allowed=("/a",)),
    Case("ours", lines("User-agent: imgcrawl", "Disallow: /a"), allowed=("/", "/b"), refused=("/a", "/ab")),
    Case("somebody else's", lines("User-agent: other", "Disallow: /"), allowed=("/a",)),
    Case("everybody's", lines("User-agent: *", "Disallow: /a"), refused=("/a",), allowed=("/b",)),
    Case("ours goes before everybody's", lines("User-agent: *", "Disallow: /", "User-agent: imgcrawl", "Disallow: /a"),
         allowed=("/b",), refused=("/a",)),
    Case("also if it stands first", lines("User-agent: imgcrawl", "Disallow: /a", "User-agent: *", "Disallow: /"),
         allowed=("/b",), refused=("/a",)),
    Case("a blank line ends no head", lines("User-agent: imgcrawl", "", "User-agent: *", "Disallow: /"), refused=("/a",)),
    Case("an empty rule allows all", lines("User-agent: imgcrawl", "Disallow:", "User-agent: *", "Disallow: /"),
         allowed=("/a",)),
    Case("two agents, one group", lines("User-agent: other", "User-agent: imgcrawl", "Disallow: /a"), refused=("/a",)),
    Case("three groups of ours are one",
         lines("User-agent: imgcrawl", "Disallow: /a", "User-agent: x", "Disallow: /b", "User-agent: imgcrawl", "Disallow: /c"),
         refused=("/a", "/c"), allowed=("/b",)),
    Case("two groups of everybody's are one",
         lines("User-agent: *", "Disallow: /a", "User-agent: x", "Disallow: /b", "User-agent: *", "Disallow: /c"),
         refused=("/a", "/c"), allowed=("/b",)),
    Case("rules before any agent are nobody's", lines("Disallow: /", "User-agent: imgcrawl", "Disallow: /a"),
         allowed=("/b",), refused=("/a",)),
    Case("a sitemap between agents ends no head",
         lines("User-agent: imgcrawl", "Sitemap: http://x/s.xml", "User-agent: x", "Disallow: /a"), refused=("/a",)),
    Case("an unknown line between agents ends no head", lines("User-agent: imgcrawl", "Noise: 1", "User-agent: x", "Disallow: /a"),
         refused=("/a",)),
    Case("a line in the middle of a group is passed over", lines("User-agent: imgcrawl", "Disallow: /a", "Noise: 1", "Disallow: /b"),
         refused=("/a", "/b")),
]  # fmt: skip

AGENTS = [
    *(
        Case(f"ours, written {written!r}", lines(f"User-agent: {written}", "Disallow: /a", "User-agent: *", "Disallow: /b"),
             refused=("/a",), allowed=("/b",))
        for written in ("IMGCRAWL", "ImgCrawl", "imgcrawl/2.1", "imgcrawl Bot", "imgcrawl  Bot/1 (+http://x)", "imgcrawl\tx",
                        "imgcrawl # us", "imgcrawl;x", "imgcrawl, other")
    ),
    *(
        Case(f"not ours: {written!r}", lines(f"User-agent: {written}", "Disallow: /a"), allowed=("/a",))
        for written in ("imgcrawler", "img", "my-imgcrawl", "imgcrawl-news", "*imgcrawl", "*bot", "")
    ),
    Case("a star and more is everybody", lines("User-agent: * of you", "Disallow: /a"), refused=("/a",)),
    Case("everybody is not whoever begins with a star", lines("User-agent: *x", "Disallow: /a"), allowed=("/a",)),
    Case("a token with a hyphen and an underline", lines("User-agent: my_img-bot", "Disallow: /a"), refused=("/a",), agent="my_img-bot"),
]  # fmt: skip

SPELLING = [
    *(
        Case(f"the agent's line as {key!r}", lines(f"{key}imgcrawl", "Disallow: /a"), refused=("/a",))
        for key in ("user-agent: ", "USER-AGENT: ", "User-agent : ", "  User-agent:", "User agent: ", "useragent: ", "User-agent ")
    ),
    *(
        Case(f"a rule as {key!r}", lines("User-agent: imgcrawl", f"{key}/a"), refused=("/a",), allowed=("/b",))
        for key in ("disallow: ", "DISALLOW:", "Disallow : ", "\tDisallow:\t", "Dissallow: ", "Dissalow: ", "Disalow: ",
                    "Diasllow: ", "Disallaw: ", "Disallow ")
    ),
    Case("an allowing rule in any case", lines("User-agent: imgcrawl", "Disallow: /", "ALLOW: /a"), allowed=("/a",), refused=("/b",)),
    Case("an allowing rule with a typing error is none", lines("User-agent: imgcrawl", "Disallow: /", "Alow: /a"), refused=("/a",)),
    Case("a comment behind a rule", lines("User-agent: imgcrawl", "Disallow: /a # /b"), refused=("/a",), allowed=("/b",)),
    Case("a comment before all", lines("# User-agent: imgcrawl", "#Disallow: /a"), allowed=("/a",)),
    Case("spaces behind a path", lines("User-agent: imgcrawl", "Disallow: /a   "), refused=("/a", "/ab")),
    *(
        Case(f"lines that end with {end!r}", lines("User-agent: imgcrawl", "Disallow: /a", "Disallow: /b", end=end),
             refused=("/a", "/b"), allowed=("/c",))
        for end in ("\n", "\r\n", "\r", "\n\n")
    ),
    Case("no end of the last line", "User-agent: imgcrawl\nDisallow: /a", refused=("/a",)),
    Case("a byte order mark", "\ufeffUser-agent: imgcrawl\nDisallow: /a\n", refused=("/a",)),
    Case("half of a byte order mark", "\ufffdUser-agent: imgcrawl\nDisallow: /a\n", allowed=("/a",)),
    Case("a mark in the middle spoils its line", lines("User-agent: imgcrawl", "Disallow: /a", "\ufeffDisallow: /b"),
         refused=("/a",), allowed=("/b",)),
]  # fmt: skip

PATHS = [
    Case("paths have their case", lines("User-agent: imgcrawl", "Disallow: /X/"), refused=("/X/a",), allowed=("/x/a",)),
    Case("a rule is a beginning", lines("User-agent: imgcrawl", "Disallow: /fish"),
         refused=("/fish", "/fish.html", "/fish/salmon", "/fishheads?x=1"), allowed=("/Fish", "/catfish", "/?id=fish")),
    Case("a folder is what is in it", lines("User-agent: imgcrawl", "Disallow: /fish/"),
         refused=("/fish/", "/fish/?id=1", "/fish/a.htm"), allowed=("/fish", "/fish.html")),
    Case("a star at the end changes nothing", lines("User-agent: imgcrawl", "Disallow: /fish*"), refused=("/fish", "/fish/a")),
    Case("a star is anything", lines("User-agent: imgcrawl", "Disallow: /*.php"),
         refused=("/a.php", "/d/a.php?x", "/a.php/", "/x.php5"), allowed=("/", "/a.PHP")),
    Case("a dollar is the end", lines("User-agent: imgcrawl", "Disallow: /*.php$"),
         refused=("/a.php", "/d/a.php"), allowed=("/a.php?x", "/a.php/", "/a.php5")),
    Case("a dollar elsewhere is a dollar", lines("User-agent: imgcrawl", "Disallow: /a$b"), refused=("/a$b",), allowed=("/a",)),
    Case("a star amid", lines("User-agent: imgcrawl", "Disallow: /a*b*c"), refused=("/abc", "/a1b2c3"), allowed=("/acb",)),
    Case("a dollar alone is the empty path", lines("User-agent: imgcrawl", "Disallow: $"), allowed=("/", "/a")),
    Case("only the start page", lines("User-agent: imgcrawl", "Allow: /$", "Disallow: /"), allowed=("/",), refused=("/a",)),
    Case("a rule that does not begin with a slash", lines("User-agent: imgcrawl", "Disallow: a"), allowed=("/a", "/b")),
    Case("the query is a part of it", lines("User-agent: imgcrawl", "Disallow: /a?id="), refused=("/a?id=1",), allowed=("/a?x=1", "/a")),
    Case("a semicolon, too", lines("User-agent: imgcrawl", "Disallow: /a;b"), refused=("/a;b", "/a;bc"), allowed=("/a",)),
]  # fmt: skip

WEIGHT = [
    Case("the longest rule says it", lines("User-agent: imgcrawl", "Disallow: /a", "Allow: /a/b"), allowed=("/a/b",), refused=("/a/c",)),
    Case("in any order", lines("User-agent: imgcrawl", "Allow: /a/b", "Disallow: /a"), allowed=("/a/b",), refused=("/a/c",)),
    Case("of equals the allowing one", lines("User-agent: imgcrawl", "Disallow: /a", "Allow: /a"), allowed=("/a",)),
    Case("an empty rule weighs nothing", lines("User-agent: imgcrawl", "Disallow: /a", "Allow:"), refused=("/a",)),
    Case("two empty rules", lines("User-agent: imgcrawl", "Disallow:", "Allow:"), allowed=("/a",)),
    Case("the longest refuses", lines("User-agent: imgcrawl", "Disallow: /x/page.html", "Allow: /x/"),
         refused=("/x/page.html",), allowed=("/x/", "/x/page")),
    Case("the end is a character more", lines("User-agent: imgcrawl", "Allow: /x/page.html", "Disallow: /*.html$"),
         allowed=("/x/page.html",), refused=("/x/pag.html",)),
    Case("a star counts as a character", lines("User-agent: imgcrawl", "Allow: /page", "Disallow: /*.php"),
         refused=("/page.php",), allowed=("/page",)),
    Case("what a star and a longer path say", lines("User-agent: imgcrawl", "Allow: /folder/page", "Disallow: /folder"),
         allowed=("/folder/page",), refused=("/folder/p",)),
]  # fmt: skip

ENCODED = [
    Case("letters that are none of ASCII, as they are", lines("User-agent: imgcrawl", "Disallow: /鳥"), refused=("/%E9%B3%A5", "/%e9%b3%a5/1")),
    Case("and as percents", lines("User-agent: imgcrawl", "Disallow: /%e9%b3%A5"), refused=("/%E9%B3%A5", "/%e9%b3%a5")),
    Case("an address that is not encoded", lines("User-agent: imgcrawl", "Disallow: /%E9%B3%A5"), refused=("/鳥",),
         theirs="allowed: it is given encoded addresses only; RFC 9309, 2.2.2, has both compared as octets"),
    Case("a letter of ASCII as percents", lines("User-agent: imgcrawl", "Disallow: /%62%61"), refused=("/ba", "/%62%61"),
         theirs="/ba is allowed: it compares texts; RFC 9309, 2.2.2, has unreserved letters decoded first"),
    Case("and in the address", lines("User-agent: imgcrawl", "Disallow: /ba"), refused=("/ba", "/%62%61"),
         theirs="/%62%61 is allowed, as above"),
    Case("what is reserved stays encoded", lines("User-agent: imgcrawl", "Disallow: /a%2Fb"), refused=("/a%2Fb", "/a%2fb"), allowed=("/a/b",)),
    Case("an encoded star is a star", lines("User-agent: imgcrawl", "Disallow: /a%2A"), refused=("/a%2A",), allowed=("/ab",)),
    Case("an encoded dollar is a dollar", lines("User-agent: imgcrawl", "Disallow: /a%24"), refused=("/a%24", "/a%24b"), allowed=("/a",)),
]  # fmt: skip

INDEX = [
    Case("a rule for index.html is one for its folder", lines("User-agent: imgcrawl", "Disallow: /", "Allow: /s/index.html"),
         allowed=("/s/", "/s/index.html", "/s/index.htmlx"), refused=("/s", "/s/index.htm")),
]  # fmt: skip


@pytest.mark.parametrize(
    "case", [*GROUPS, *AGENTS, *SPELLING, *PATHS, *WEIGHT, *ENCODED, *INDEX], ids=lambda case: case.name
)
def test_what_is_allowed(case: Case) -> None:
    rules = _parse(
        our_rules(case.text.encode().decode("utf-8-sig", "replace"), case.agent)
    )  # as the middleware reads it
    said = {path: rules.can_fetch(HOST + path, "*") for path in (*case.allowed, *case.refused)}
    assert said == dict.fromkeys(case.allowed, True) | dict.fromkeys(case.refused, False)
