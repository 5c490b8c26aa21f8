from __future__ import annotations

import json

import pytest

from imgcrawl.basespiders.walk import LAST_PATIENCE, LONG_PATIENCE, PATIENCE, Walk
from imgcrawl.pages.busy import says_busy, says_wrong


def walked(pages: list[list[str]], named: int = 0, most: int = 60) -> tuple[int, bool]:
    """How many pages are asked for of a list that shows *pages*, the last of them for ever, and whether that is
    doubtful."""
    walk = Walk()
    for page in range(1, most + 1):
        step = Walk.from_wire(json.loads(json.dumps(walk.to_wire()))).after(pages[min(page, len(pages)) - 1], named)
        if not step.goes_on(page):
            return page, step.walk.is_in_doubt(page)
        walk = step.walk
    return most, True


def pages_asked(pages: list[list[str]], named: int = 0, most: int = 60) -> int:
    return walked(pages, named, most)[0]


PINNED = [f"pin{k}" for k in range(6)]
PLAIN = [[f"{page}-{k}" for k in range(20)] for page in range(10)]


@pytest.mark.parametrize(
    ("pages", "asked"),
    [
        (PLAIN, 11),
        ([*PLAIN, PLAIN[0]], 11),  # the first page again
        ([PINNED + page[:5] for page in PLAIN], 11),
        ([PINNED * 3 + page[:3] for page in PLAIN], 11),
        ([[*page, f"ad{n}"] for n, page in enumerate(PLAIN)], 11),
        *(
            ([[f"pin{k}" for k in range(pins)] + page[:own] for page in PLAIN], 11)
            for pins, own in (
                (8, 2),
                (12, 3),
                (20, 4),
                (20, 5),
                (1, 1),
                (2, 1),
                (40, 2),
            )
        ),
        ([PLAIN[0]], 2),
        ([["only one"]], 2),
        ([["a", "b"], ["b", "c"], ["c", "d"]], 4),
    ],
)
def test_a_walk_ends_with_what_repeats(pages: list[list[str]], asked: int) -> None:
    assert pages_asked(pages) == asked


def test_of_a_list_that_counts_from_0_the_second_page_may_be_the_first_once_more() -> None:
    step = Walk().after(PLAIN[0])
    again = step.walk.after(PLAIN[0])
    assert not again.brings_new
    assert [again.goes_on(1, first=0), again.goes_on(2)] == [True, False]
    once_more = again.walk.after(PLAIN[0])
    assert not once_more.goes_on(2, first=0), "it shows that one for ever"
    assert again.walk.after(PLAIN[1]).goes_on(2, first=0)


def test_an_advertisement_that_changes_does_not_keep_a_list_alive() -> None:
    pages = PLAIN + [[*PLAIN[-1], f"ad{n}"] for n in range(60)]
    assert pages_asked(pages) == len(PLAIN) + PATIENCE
    one_page = [[*PLAIN[0], f"ad{n}"] for n in range(60)]
    assert pages_asked(one_page) == 1 + PATIENCE


@pytest.mark.parametrize("size", [2, 3, 4])
def test_a_short_last_page_that_comes_again_with_an_advertisement_is_the_end(size: int) -> None:
    pages = [page[:size] for page in PLAIN]
    again = [[*pages[-1], f"ad{n}"] for n in range(60)]
    assert walked(pages + again) == (len(pages) + PATIENCE, False)
    in_turns = [[*pages[-1], f"ad{n % 5}", f"ad{n % 7}"] for n in range(60)]
    assert pages_asked(PLAIN + in_turns) <= len(PLAIN) + 2 * PATIENCE


def test_what_ends_a_walk_on_suspicion_only_is_doubtful_and_the_site_s_own_word_goes_before_it() -> None:
    pinned = [[*PINNED, page[0]] for page in PLAIN * 3]
    pages = [[*page[:-1], f"{number}-own"] for number, page in enumerate(pinned)]
    assert walked(pages) == (1 + PATIENCE, True)
    assert walked(pages, named=30) == (30, False)
    short_end = [[*PINNED * 3, *page] for page in [*PLAIN[:-1], PLAIN[-1][:2]]]
    assert walked(short_end) == (11, False)
    assert walked([*short_end, *([*short_end[-1], f"ad{n}"] for n in range(60))])[1] is False
    assert walked([[*PINNED, f"ad{n}"] for n in range(999)], named=10**9, most=999)[0] < 200
    assert walked([["one", f"ad{n}"] for n in range(999)], most=999) == (LAST_PATIENCE + 1, True)
    assert walked([[*PLAIN[0], f"ad{n}", f"ad{n}b"] for n in range(999)], most=999) == (LAST_PATIENCE + 1, True)


@pytest.mark.parametrize("pages", [[PLAIN[0], PLAIN[1][:3]], PLAIN[:2], PLAIN])
@pytest.mark.parametrize("changes", [0, 1])
def test_the_first_page_that_comes_again_with_an_advertisement_is_the_end(pages: list[list[str]], changes: int) -> None:
    first = [*pages[0], *["ad of the first page"] * changes]
    again = [[*pages[0], f"ad{n}"] for n in range(999)]
    assert walked([first, *pages[1:], *again], most=999) == (len(pages) + PATIENCE, False)


def test_to_a_page_that_makes_up_some_of_itself_the_end_comes_soon_unless_links_name_a_later_one() -> None:
    made_up = [[*PLAIN[0], f"ad{n}", f"ad{n}b"] for n in range(999)]
    assert walked(made_up, most=999)[0] < 50
    sparse = [[*(f"pin{k}" for k in range(12)), *(f"{n}-{k}" for k in range(8))] for n in range(120)]
    assert walked([*sparse, PLAIN[0]], named=120, most=999) == (120, False)
    walk = Walk()
    for page in range(1, 60):
        step = walk.after(made_up[page])
        assert step.goes_on(page, links_on=True)
        walk = step.walk


def test_what_was_posted_while_the_crawl_ran_is_no_new_page() -> None:
    moved = [["posted", *PLAIN[0][:-1]]] * 20
    assert pages_asked(PLAIN + moved) <= len(PLAIN) + PATIENCE


def test_where_the_site_says_that_there_is_more_the_walk_is_patient_and_not_for_ever() -> None:
    assert pages_asked([*PLAIN, PLAIN[-1]], named=10**9) == len(PLAIN) + LONG_PATIENCE


def test_what_travels_stays_small_on_a_page_of_a_hundred_thousand_links() -> None:
    walk = Walk().after([f"/g/{n}" for n in range(100_000)]).walk
    assert len(json.dumps(walk.to_wire())) < 64_000


@pytest.mark.parametrize(
    "text",
    [
        "Too many requests, please slow down",
        "访问过于频繁，请稍后再试",
        "Please solve the CAPTCHA",
        '{"error": "Rate limit exceeded: try again"}',
        '{"captcha": true, "url": "/ask"}',
        "Too many requests. This site is protected by reCAPTCHA",
        "You are sending requests too quickly. Come back in a few seconds.",
        "Flood control is enabled",
        "Request limit exceeded",
        "509 Bandwidth Limit Exceeded",
        "Download quota exceeded",
        "The server is currently overloaded",
        "Just a moment... Checking your browser before accessing the site",
        "Слишком много запросов",
        "Zu viele Anfragen",
        "操作过于频繁，请稍后再试",
        "Demasiadas solicitudes",
        "503 Service Unavailable",
        "Server busy",
        "We saw unusual activity from your network",
        "Please come back later.",
        "You must wait 15 seconds between searches",
        "Sorry, you have been blocked",
        "This site is experiencing heavy load",
        "508 Resource Limit Is Reached",
        "You have exceeded your quota",
        "You have exceeded your image viewing limits",
        "Your IP address has been temporarily banned for excessive pageloads",
        "You have reached the daily limit",
        "Please complete the security check",
        "Verify you are human",
        "DDoS protection by",
        "Robot check",
        "Pardon Our Interruption",
        "服务器繁忙",
        "操作太快了",
        "しばらくしてからアクセスしてください",
        "ただいま混雑しております",
        "Сервер перегружен",
        "Превышен лимит",
        "Veuillez réessayer plus tard",
        "Bitte versuchen Sie es später erneut",
        "Inténtalo más tarde",
        "Tente novamente mais tarde",
        "Riprova più tardi",
        "Te veel aanvragen",
        "Zbyt wiele żądań",
        "Za dużo zapytań",
        "Çok fazla istek",
        "För många förfrågningar",
    ],
)
def test_pages_that_would_rather_not_have_been_asked(text: str) -> None:
    assert says_busy(text)
    assert not says_busy("photos " * 1000 + text)
    assert not says_busy("Nothing here")


@pytest.mark.parametrize(
    "text",
    [
        '{"items":[],"rate_limit":{"remaining":10}}',
        '{"rate_limit_remaining": 59, "photos":[{"src":"https://cdn/abc"}]}',
        '{"captcha" : false, "say \\"captcha\\"": null, "items": []}',
        "Page 7 This site is protected by reCAPTCHA and the Google Privacy Policy applies",
        "Protected by hCaptcha",
        "Album 7: bandwidth, and other limits of the 1980s",
        "Try the next page",
        "No results. Try fewer words",
        "The site busy street",
        "This service unavailable to guests",
        "Photos of an unusual activity",
        "The photos come back soon",
        "Pages turned too often",
        "频繁的雨",
        "We reached the limits of the forest",
        "Photographs of a traffic jam, and of the blocked road",
        "No more results for this system",
    ],
)
def test_what_names_a_limit_or_a_guard_is_no_page_that_says_so(text: str) -> None:
    assert not says_busy(text)


@pytest.mark.parametrize(
    "text",
    [
        "Fatal error: Allowed memory size of 134217728 bytes exhausted in /www/x.php on line 12",
        "PHP Fatal error: Uncaught PDOException: SQLSTATE[HY000]",
        "Maximum execution time of 30 seconds exceeded",
        "Error establishing a database connection",
        "Could not connect to the database server",
        "Can't connect to local MySQL server through socket",
        "Traceback (most recent call last): File x.py",
        "Server Error in '/' Application. Runtime Error",
        "Something broke",
        "Web server is down",
        "MySQL server has gone away",
        "SQLSTATE[HY000] [2002] Connection refused",
        "网站维护中",
        "服务器错误",
        "メンテナンス中",
        "エラーが発生しました",
        "Технические работы",
        "Произошла ошибка",
        "Wartungsarbeiten",
        "Ein Fehler ist aufgetreten",
        "Une erreur est survenue",
        "Site en maintenance",
        "Ha ocurrido un error",
        "Sitio en mantenimiento",
        "Ocorreu um erro",
        "Si è verificato un errore",
        "점검 중",
        "Error 503 Backend fetch failed Guru Meditation",
        "No server is available to handle this request",
        "upstream connect error or disconnect/reset before headers",
        "no healthy upstream",
        "Whitelabel Error Page",
        "Proxy Error",
        "Request Timeout",
        "Parse error: syntax error, unexpected",
        "Warning: mysqli_connect(): (HY000/2002)",
    ],
)
def test_what_a_script_that_broke_says_went_wrong(text: str) -> None:
    assert says_wrong(text)
    assert not says_wrong("Fatal attraction, photographs from memory")


def test_a_walk_ends_at_what_is_known_only_if_one_before_reached_the_end_and_knows_that_it_looked_past_a_page() -> None:
    shown = ["a", "b", "c"]
    ends = [Walk(may_stop=may).after(shown, 0, [True] * 3).walk.ends_known(3) for may in (True, False)]
    assert ends == [True, False]
    walk = Walk.from_wire(json.loads(json.dumps(Walk(may_stop=True).after(shown).walk.without().to_wire())))
    assert not walk.lacks
    assert walk.after(["d"]).walk.after(["e"]).walk.lacks
    assert walk.may_stop
