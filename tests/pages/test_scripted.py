"""Where the scripts of a page that shows nothing lead."""

from __future__ import annotations

import pytest

from imgcrawl.pages.scripted import scripted_target


@pytest.mark.parametrize(
    "script",
    [
        "location = '/x'", "window.location.href='/x';", "top.location.replace(\"/x\")", "var a = 1; location = '/x'",
        "// moved\nlocation = '/x'", "var home = 'https://h/'; location = '/x'", "var it = \"it's\"; location = '/x'",
    ],
)  # fmt: skip
def test_a_page_leads_on(script: str) -> None:
    assert scripted_target(f"<p>one moment<script>{script}</script>") == "/x"


def test_a_page_leads_on_as_it_is_loaded() -> None:
    assert scripted_target("<body onload=\"location.replace('/x')\">one moment") == "/x"
    assert scripted_target("<body onload=\"if (old) location = '/x'\">one moment") == ""


@pytest.mark.parametrize(
    "page",
    [
        "<script>var location = '/x'</script>", "<script>const  location='/x'</script>",
        "<script>/* location = '/x' */</script>", "<script>// location = '/x'\n</script>",
        "<video src=/v.mp4></video><script>location = '/x'</script>",
        "<iframe src=/f></iframe><script>location = '/x'</script>",
        "<div style='background: url(/i.jpg)'></div><script>location = '/x'</script>",
        "<!-- <body onload=\"location='/x'\"> --><a href=/1.jpg>1</a>", "<p title='x onload=\"location=1\"'>",
        "<body onload=\"setTimeout(function(){location.href='/logout'}, 600000)\"><a href=/1.jpg>1</a>",
        "<body onload=\"top.location.href='/index.html'\"><a href=/1.jpg>1</a>",
        "<script>var page = \"<body onload='location=1'>\"; location = '/x'</script><a onload=go()>",
        "<script>it.location = '/x'</script>", "<script>location = '/x'; location = '/y'</script>",
    ],
)  # fmt: skip
def test_a_page_does_not_lead_on(page: str) -> None:
    assert scripted_target(page) == ""
