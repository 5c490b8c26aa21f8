"""Lists whose galleries are declared, and whose next page is not: what the pages themselves say is followed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from parsel import Selector
from scrapy.http import HtmlResponse

from imgcrawl.basespiders.following import next_unnamed
from imgcrawl.pages.saidnext import next_pressed, next_said
from imgcrawl.pages.statednext import more_in_data
from tests.basespiders.test_every_gallery import add, add_galleries, gallery_crawl, links, names
from tests.support.server import Server

LIST = "http://h/list"
URL = f"{LIST}?page=1"


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ('<a href="?page=2">« Older posts</a>', ["http://h/list?page=2"]),
        ('<a href="?page=2" aria-label="Next page">·</a>', ["http://h/list?page=2"]),
        ('<a href="/page/2"><i></i>›</a>', ["http://h/page/2"]),
        ('<div class=more data-next-url="/list?page=2"></div>', ["http://h/list?page=2"]),
        (
            "<form action=/list><input type=hidden name=page value=2><button>Next</button></form>",
            ["http://h/list?page=2"],
        ),
        ("<form><button name=page value=2>Next</button><button>Back</button></form>", ["http://h/list?page=2"]),
        (
            '<form><input name=q value="a b"><input type=submit name=p value=Next></form>',
            ["http://h/list?q=a+b&p=Next"],
        ),
        ('<button hx-get="/list?page=2">Load more</button>', ["http://h/list?page=2"]),
        ('<b>1</b><a href="?page=2">2</a><a href="?page=3">3</a>', ["http://h/list?page=2"]),
        ("<select><option value=/list/page/1>1<option value=/list/page/2>2</select>", ["http://h/list/page/2"]),
        # The number of a page, on a button of a form or in its choice, with what else the form says.
        ("<form><button name=page value=2>2</button><button name=page value=3>3</button></form>", [f"{LIST}?page=2"]),
        (
            "<form action=/list><input name=q value=x><input type=submit name=page value=2></form>",
            [f"{LIST}?q=x&page=2"],
        ),
        ("<form action=/list><select name=page><option>1<option>2<option>3</select></form>", [f"{LIST}?page=2"]),
        (
            "<form><select name=s><option>a<option selected>b</select><button name=p value=9>Next</form>",
            [f"{LIST}?s=b&p=9"],
        ),
        ("<form><button name=start value=20>2</button></form>", [f"{LIST}?start=20"]),
        ('<form><button formaction="/list/page/2">Next</button></form>', [f"{LIST}/page/2?"]),
        ("<form><select name=per_page><option>1<option>2</select><button name=stars value=2>2</form>", []),
        ("<form action=/rate><button name=page value=2>2</button><button name=page value=x>2</button></form>", []),
        # In plain words, wherever it leads to on that host; what "more" and arrows say is believed of pages alone.
        ('<a href="/list/spring">Next page</a>', ["http://h/list/spring"]),
        ('<a href="/summer">Older posts →</a><a href="/g/9">»</a>', ["http://h/summer"]),
        ('<a class="pagination__next" style="display:none" href="/summer">2</a>', ["http://h/summer"]),
        ('<a class="next-post" href="/post/7">The spring</a>', []),
        ('<a class="nav-next" href="/summer">Newer</a><a class="next" href="/g/9"></a>', []),
        ('<div hx-get="/list?page=2" hx-trigger="revealed" hx-swap="afterend"></div>', ["http://h/list?page=2"]),
        ('<turbo-frame id=p2 src="/list?page=2" loading="lazy"></turbo-frame>', ["http://h/list?page=2"]),
        ('<div hx-get="/list?page=2" hx-trigger="click">x</div><turbo-frame src="?page=3"></turbo-frame>', []),
        ('<img onclick="x()" src="/list?page=2" loading=lazy>', []),
        ('<a href="/list/spring">Next page</a><a href="?page=2">2</a>', ["http://h/list?page=2"]),
        ('<a href="/">Next</a><a href="http://other/list/spring">Next</a><a href="/list?page=1#x">Next</a>', []),
        ('<a href="/post/2">2</a><a href="?page=3">3</a>', []),
        # What says "more", or has an arrow: of the only one in the list's own folder.
        ('<a class="load-more" href="/list/abc">Load more</a>', ["http://h/list/abc"]),
        ('<button data-next="/list/abc">Show more albums</button>', ["http://h/list/abc"]),
        ('<a href="/list/abc"><img src=arrow.gif alt="Next page"></a>', ["http://h/list/abc"]),
        ('<p><a href="/list/abc"><i class="pagination-next"></i></a>', ["http://h/list/abc"]),
        ('<a href="/list/abc"><i class="fa fa-chevron-right"></i></a>', ["http://h/list/abc"]),
        ('<a href="#" data-href="/list/abc">Next</a>', ["http://h/list/abc"]),
        ("<button onclick=\"location.href='/list/abc'\">Older posts</button>", ["http://h/list/abc"]),
        ("<button onclick=\"location.href='/list?page=2'\">Older posts</button>", ["http://h/list?page=2"]),
        ('<form action="/list/abc"><input type=submit value="More albums"></form>', ["http://h/list/abc?"]),
        ('<a href="/list/a">‹</a><a href="/list/c">›</a><a href="/g/9">›</a>', ["http://h/list/c"]),
        ('<a href="/list/a">More</a><a href="/list/b">More</a>', []),
        # What says so of something else, or of nothing.
        ("<form method=post><input type=hidden name=page value=2><button>Next</button></form>", []),
        ("<form><input type=hidden name=page value=2><button>Search</button></form>", []),
        ("<form><input type=hidden name=page value=2><button disabled>Next</button></form>", []),
        ('<a href="/about">More</a><a href="/g/17">More</a><a href="http://other/list?page=2">Next</a>', []),
        ('<a href="#top">Next</a><a href="/list?page=1">›</a><a href="?page=0">« Newer posts</a>', []),
        ('<a href="javascript:void(0)">Next</a><a>Next</a>', []),
    ],
)
def test_what_says_that_it_is_the_next_page_of_a_list(markup: str, expected: list[str]) -> None:
    assert next_said(Selector(f"<body>{markup}"), URL, URL, "utf-8") == expected


WRITINGS = [
    "Show more (12)", "Load next page…", "Mehr Alben laden", "Vis flere", "⟶", "➡\ufe0f",
    "Page 2", "2 »", "Next (2/10)", "Next 24 →", "→ Next", "Next Page ›", "next >>", "Older Entries",
    "« Older Entries", "Ältere Beiträge", "Entradas antiguas", "Articles plus anciens", "Mostrar más",
    "Показать ещё", "もっと見る", "下一頁 >", "下一页>>", "后一页", "下页", "Trang sau", "Następna", "Następna strona",
    "Volgende", "Volgende pagina", "Sonraki", "Nästa", "Neste", "Seuraava", "Další", "Következő",
    "Επόμενη", "التالي", "הבא", "ถัดไป", "Berikutnya", "Selanjutnya", "Próximo", "Próxima página",
    "Avanti", "Successivo", "Siguiente página", "Página siguiente", "Page suivante", "Nächste Seite",
    "weiter >", "Weitere laden", "Mehr laden", "Mehr anzeigen", "Charger plus", "Voir plus",
    "Load more...", "Load More Albums", "Show more results", "See more", "View older", "Older →",
    "Older", "Earlier", "Earlier posts", "More »", "more...", "Next 20", "next page »",
    "Go to next page", "Go to page 2", "NEXT", "Next>", ">>", "›", "»", "⟩", "＞", "▶", "⏵", "➡", "→",
    "次の20件", "次のページ", "次へ >", "다음 페이지", "다음 >", "Следующая страница", "След.", "вперёд", "Вперед →",
    "Дальше", "далі", "Наступна", "Sljedeća", "Următoarea", "Pàgina següent", "Seguinte", "Hurrengoa",
    "Järgmine", "Sledeći", "Ďalšia", "Næste", "Næste side", "Neste side", "Nästa sida",
]  # fmt: skip


@pytest.mark.parametrize("said", WRITINGS)
def test_how_sites_say_that_a_link_is_to_the_next_page(said: str) -> None:
    page = Selector(f'<body><a href="/list?page=1">1</a> <a href="/list?page=2">{said}</a>')
    assert next_said(page, "http://h/list", "http://h/list", "utf-8") == ["http://h/list?page=2"]


@pytest.mark.parametrize(
    "said", ["Previous page", "« Newer", "Home", "Vorherige Seite", "上一页", "Page", "2 comments", "全部"]
)
def test_what_does_not_say_so(said: str) -> None:
    page = Selector(f'<body><a href="/list?page=1">1</a> <a href="/list?sort=b">{said}</a>')
    assert next_said(page, "http://h/list", "http://h/list", "utf-8") == []


@pytest.mark.parametrize(
    ("url", "markup", "expected"),
    [
        ("http://h/az/a", "<a href=/az/a>A</a> <a href=/az/b>B</a> <a href=/az/d>D</a>", "http://h/az/b"),
        ("http://h/?l=B", "<a href=/?l=A>A</a> B <a href=/?l=D>D</a>", "http://h/?l=D"),
        ("http://h/az/d", "<a href=/az/a>A</a> <a href=/az/b>B</a>", ""),
        ("http://h/az/a", "<a href=/az/x>X</a> <a href=/fb/b>B</a>", ""),
        ("http://h/2020/03", "<a href=/2020/02>« Feb</a> <a href=/2020/04>Apr »</a>", "http://h/2020/02"),
        ("http://h/2020/01/", "<a href=/2019/12/>« décembre 2019</a>", "http://h/2019/12/"),
        (
            "http://h/2020/03",
            "<a href=/2020/02>« Feb</a> <a href=/2020/03/page/2>«  Older posts</a>",
            "http://h/2020/03/page/2",
        ),
        ("http://h/", "<a href=/2020/02>« Feb</a>", ""),
    ],
)
def test_a_list_by_letters_or_by_months(url: str, markup: str, expected: str) -> None:
    assert next_said(Selector(f"<body>{markup}"), url, url, "utf-8") == [expected] * bool(expected)


def test_more_about_what_a_list_shows_is_no_page_of_it() -> None:
    page = Selector('<body><a href="/list/spring">More »</a>')
    assert next_said(page, URL, URL, "utf-8") == ["http://h/list/spring"]
    assert next_said(page, URL, URL, "utf-8", 1, ["http://h/list/spring"]) == []
    below = "http://h/list/winter"
    assert next_said(page, below, below, "utf-8", 2) == ["http://h/list/spring"]
    assert next_said(page, "http://h/", "http://h/", "utf-8") == []


def test_the_number_behind_that_of_the_page_is_its_next() -> None:
    pager = Selector("<body>" + "".join(f'<a href="/all/{number}">{number}</a>' for number in range(1, 6)))
    assert next_said(pager, "http://h/all/3", "http://h/all/3", "utf-8", 1) == ["http://h/all/4"]
    assert next_said(pager, "http://h/all", "http://h/all", "utf-8", 1) == ["http://h/all/2"]
    assert next_said(pager, "http://h/all/5", "http://h/all/5", "utf-8", 5) == []
    last = Selector('<body><b>1</b><a href="/all/2">2</a><a href="/all/3">3</a><a href="/all/90">»</a>')
    assert next_said(last, "http://h/all", "http://h/all", "utf-8", 1) == ["http://h/all/2"]
    downwards = Selector('<body><a href="/all/6">6</a><b>5</b><a href="/all/4">4</a><a href="/all/4">Older</a>')
    assert next_said(downwards, "http://h/all/5", "http://h/all/5", "utf-8", 2) == ["http://h/all/4"]
    quantity = Selector("<body><select><option value=1>1<option value=2>2</select>")
    assert next_said(quantity, "http://h/all/1", "http://h/all/1", "utf-8", 1) == []
    offsets = Selector('<body><a href="?start=0">1</a><a href="?start=20">2</a><a href="?start=40">3</a>')
    assert next_said(offsets, "http://h/all", "http://h/all", "utf-8", 1) == ["http://h/all?start=20"]
    assert next_said(offsets, "http://h/all?start=20", "http://h/all", "utf-8", 2) == ["http://h/all?start=40"]


MORE = {
    '<button class="load-more btn" data-max-pages=5>Load more</button>': "Load more",
    "<div id=show-more-items><span>Show 20 more items</span></div>": "Show 20 more items",
    '<a class=infinite-more-link href="#">加载更多</a>': "加载更多",
    "<input type=button id=load_more value='Mehr laden'>": "Mehr laden",
    "<a href=\"javascript:__doPostBack('g$Pager','Page$2')\">2</a>": "2",
    "<div><a href=/g/1><img src=1.jpg></a></div><p><button class=show-more>Show more</button>": "Show more",
    '<button class="btn" @click="loadMore">Load more</button>': "Load more",
    '<button wire:click="loadMore">Show 24 more albums</button>': "Show 24 more albums",
    "<div><b>1</b> <a href='javascript:goPage(2)'>2</a></div>": "2",
    "<ul><li>1<li onclick='changePage(this, 2)'>2<li onclick='changePage(this, 3)'>3</ul>": "2",
    "<a href='javascript:setPage(2)'>Next »</a>": "Next »",
    "<ul class=pager><li data-page=1>1<li data-page=2>2</ul>": "2",
    "<ul class=pagination><li><a href='#'>1</a><li><a href='#'>2</a></ul>": "2",
    "<nav><button class=Mui aria-label='page 1'>1</button><button aria-label='Go to page 2'>2</button></nav>": "2",
    # What turns pictures or comments, stands on the page that it names, or leads on by an address.
    "<div class=swiper-pagination><b data-page=2>2</b></div><ol class=comments><li data-page=2>2</ol><li>2</li>": "",
    "<ul class=pagination><li><a href=/list>1</a><li><span>2</span></ul><p class='pager current'>2</p>": "",
    # What may unfold a text or a menu.
    "<nav><a href=/><img></a></nav><main><h1>x</h1><p>x <a class=show-more href=#>Show more</a></main>": "",
    "<ul><li><a href=/?colour=red>red</a></ul><button class=view-more>View more</button><a href=/g/1><img></a>": "",
    # What has an address, is hidden, or is for something else.
    '<a class=load-more href="/list?page=2">Load more</a>': "",
    "<button class=load-more hidden>Load more</button><p class=load-more style='display: none'>Load more</p>": "",
    "<a href='javascript:openPage(7)'>2</a><li onclick='like(2)'>2</li><button @click=open>Load more</button>": "",
    "<button class=slick-next>Next</button><a class=show-more-text href=#>Read more</a><button>Show more</button>": "",
    "<a href=\"javascript:__doPostBack('g','By$2')\">2</a><a href=\"javascript:__doPostBack('g','Page$1')\">1</a>": "",
}


@pytest.mark.parametrize("markup", MORE)
def test_what_leads_on_by_a_script_alone(markup: str) -> None:
    assert next_pressed(Selector(f"<body>{markup}")) == MORE[markup]


def test_a_list_whose_next_page_has_no_address_is_told_and_is_none_that_was_read(
    server: Server, tmp_path: Path
) -> None:
    add_galleries(server)
    add(server, {"/all": links("/g/1") + "<button class=load-more>Load more</button>"})
    run = gallery_crawl(server, tmp_path, "/all", galleries="a.g")
    assert names(run) == ["1"], run.log
    assert run.code == 1
    assert "the walk ended at list page 1" in run.log
    assert "'Load more' is for a script alone there; if its pages have addresses, say -a list= with {page}" in run.log
    assert gallery_crawl(server, tmp_path / "one", "/all", galleries="a.g", pages=1).code == 0


@pytest.mark.parametrize(
    ("says", "is_told"),
    [
        ("Showing 1-2 of 9 albums", True), ("Ergebnisse 1 – 2 von 1.024", True), ("Mostrando 1 a 2 de 5", True),
        ("Showing 1-2 of 2 albums", False), ("Showing 1-24 of 360 photographs", False),
        ("Chapter 1-2 of the book", False),
    ],
)  # fmt: skip
def test_a_list_that_counts_more_than_it_shows_and_names_no_next_page_is_told(says: str, is_told: bool) -> None:
    page = HtmlResponse("http://h/all", body=f"<body><p>{says}</p>".encode(), encoding="utf-8")
    reason = next_unnamed(page, 2)
    assert bool(reason) is is_told
    assert not is_told or "names no page with the others; if its pages have addresses, say -a list= with" in reason


def test_a_list_is_walked_by_what_its_pages_say(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    form = '<form action="/all"><input type="hidden" name="page" value="{}"><button>Next</button></form>'
    add(
        server,
        {
            "/all": links("/g/1") + '<a href="/about">More</a>' + form.format(2),
            "/all?page=2": links("/g/2") + '<a href="/all?page=1">‹</a> <a href="/all?page=3">« Older posts</a>',
            "/all?page=3": links("/g/3")
            + '<a href="/all?page=2">‹</a> <a href="/all?page=3">›</a> 3 <a href="?page=4">4</a>',
            "/all?page=4": links("/g/4") + '<a href="/all?page=2">2</a> <a href="/all?page=3">3</a> 4',
        },
    )
    run = gallery_crawl(server, tmp_path, "/all", galleries="a.g")
    assert names(run) == ["1", "2", "3", "4"], run.log
    assert run.code == 0
    assert not any(request.path == "/about" for request in server.requests)


NUMBERS = {
    "buttons": "".join(f"<button name=page value={number}>{number}</button>" for number in (1, 2, 3)),
    "inputs": "".join(f"<input type=submit name=page value={number}>" for number in (1, 2, 3)),
    "choice": "<select name=page onchange='this.form.submit()'><option>1<option>2<option>3</select>",
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_lists_and_galleries_whose_pager_is_a_form_of_numbers_are_read_to_their_end(
    server: Server, tmp_path: Path, kind: str
) -> None:
    add_galleries(server)
    form = f"<form>{NUMBERS[kind]}</form>"
    add(server, {"/all": links("/g/1") + form} | {f"/all?page={n}": links(f"/g/{n}") + form for n in (2, 3)})
    add(server, {"/g/1": "<img src=/i/1>" + form} | {f"/g/1?page={n}": f"<img src=/i/1{n}>" + form for n in (2, 3)})
    run = gallery_crawl(server, tmp_path, "/all", galleries="a.g")
    assert names(run) == ["1", "2", "3"], run.log
    assert run.code == 0
    images = {item["url"][-1]: [image["url"].rpartition("/")[2] for image in item["images"]] for item in run.items}
    assert images == {"1": ["1", "12", "13"], "2": ["2"], "3": ["3"]}


JSON = "<script type=application/json>{}</script>"
IN_DATA = {
    JSON.format('{"pagination": {"next": "/list?page=2"}}'): ["http://h/list?page=2"],
    JSON.format(r'{"links": {"next": {"href": "http:\/\/h\/list?a=1\u0026page=2"}}}'): ["http://h/list?a=1&page=2"],
    r'<script>self.__next_f.push([1,"{\"nextUrl\":\"/list?page=2\"}"])</script>': ["http://h/list?page=2"],
    '<div data-page=\'{"next_page_url":"/list?page=2"}\'></div>': ["http://h/list?page=2"],
    # Of comments, of a show, without its number, elsewhere, for search engines.
    JSON.format('{"comments": {"next": "/list?page=2"}}'): [],
    JSON.format('{"previous": "/post/1", "next": "/post/3", "nextUrl": "/list?page=", "nextPage": "/list/{page}"}'): [],
    JSON.format('{"next": "http://other/list?page=2", "nextPage": null}'): [],
    '<script type="application/ld+json">{"next": "/list?page=2"}</script>': [],
}


@pytest.mark.parametrize("markup", IN_DATA)
def test_the_next_page_as_the_data_of_a_page_names_it(markup: str) -> None:
    assert next_said(Selector(f"<body>{markup}"), LIST, LIST, "utf-8") == IN_DATA[markup]


COUNTED = {
    '{"albums": [{"id": 7}], "nextPage": 2, "totalPages": 7}': "totalPages: 7",
    '{"meta": {"current_page": 1, "last_page": "3"}}': "last_page: 3",
    '{"content": [], "totalPages": 3, "number": 0}': "totalPages: 3",
    '{"pageInfo": {"endCursor": "x", "hasNextPage": true}}': "hasNextPage: true",
    '{"page": 1, "totalPages": 1, "pageInfo": {"hasNextPage": false}}': "",
    '{"page": 3, "totalPages": 3}': "",
    '{"totalPages": 3}': "",
    '{"related": {"page": 1, "totalPages": 3}}': "",
    '{"albums": {"pageInfo": {"hasNextPage": true}}, "tags": {"pageInfo": {"hasNextPage": true}}}': "",
}


@pytest.mark.parametrize("data", COUNTED)
def test_what_the_data_of_a_page_says_by_which_the_list_has_more(data: str) -> None:
    assert more_in_data(Selector(f"<body>{JSON.format(data)}")) == COUNTED[data]


def test_data_made_to_cost_time_is_read_in_bounded_time() -> None:
    before = time.process_time()
    for text in (
        '"next":{' * 100_000,
        '"next" ' * 100_000 + " " * 500_000,
        '"pager":{' * 100_000,
        '"last_page":2' * 70_000,
    ):
        page = Selector(f"<body><script>{text}</script>")
        next_said(page, LIST, LIST, "utf-8")
        more_in_data(page)
    assert time.process_time() - before < 5


def test_a_list_whose_next_page_stands_in_data_alone_is_walked_or_told(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    add(server, {"/all": links("/g/1") + JSON.format('{"pagination": {"next": "/all?page=2"}}')})
    add(server, {"/all?page=2": links("/g/2") + JSON.format('{"pagination": {"next": null}}')})
    add(server, {"/g/1": "<img src=/i/1>" + JSON.format('{"next": "/g/1?page=2"}'), "/g/1?page=2": "<img src=/i/12>"})
    add(server, {"/told": links("/g/3") + JSON.format('{"nextPage": 2, "totalPages": 7}')})
    run = gallery_crawl(server, tmp_path / "walked", "/all", galleries="a.g")
    assert names(run) == ["1", "2"], run.log
    assert {image["url"].rpartition("/")[2] for image in run.images} == {"1", "12", "2"}
    assert run.code == 0
    told = gallery_crawl(server, tmp_path / "told", "/told", galleries="a.g")
    assert told.code == 1
    assert "its data says 'totalPages: 7', and names no address of the next page; if its pages have" in told.log


def test_a_list_whose_pages_have_words_as_addresses_is_walked(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    add(
        server,
        {
            "/all": links("/g/1") + '<a href="/all/spring">Next page »</a>',
            "/all/spring": links("/g/2") + '<a href="/all">« Previous page</a><a href="/summer">Next page »</a>',
            "/summer": links("/g/3") + '<a href="/all">Next page »</a>',
        },
    )
    run = gallery_crawl(server, tmp_path, "/all", galleries="a.g")
    assert names(run) == ["1", "2", "3"], run.log
    assert run.code == 0


def test_a_page_that_repeats_the_one_before_and_links_on_is_looked_past(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    pages = [links("/g/1"), links("/g/2"), links("/g/2"), links("/g/3"), *[links("/g/4")] * 9]
    slugs = ["/all", *(f"/all/{word}" for word in "abcdefghijkl")]
    following = zip(slugs, pages, [*slugs[1:], "/all"], strict=True)
    add(server, {slug: f'{shown}<b><a href="{after}">on</a></b>' for slug, shown, after in following})
    run = gallery_crawl(server, tmp_path, "/all", galleries="a.g", next="b a")
    assert names(run) == ["1", "2", "3", "4"], run.log
    assert run.code == 0
    asked = [path for path in server.paths() if path.startswith("/all")]
    assert asked == slugs[: len(asked)] and len(asked) <= 8, "what repeats its last page for ever ends"


def test_selectors_of_what_stands_around_links_mean_these(server: Server, tmp_path: Path) -> None:
    add_galleries(server)
    entry = (
        '<li class=item><h2><a href="/g/{0}">Cats</a></h2><a href="/g/{0}#comments">2 comments</a>'
        "<ul><li class=item>x</li></ul></li>"
    )
    pager = '<div class=pager><a href="/all?p={}">Previous</a> <a href="/all">1</a> <a href="/all?p={}">Next</a></div>'
    add(
        server,
        {
            "/all": entry.format(1) + entry.format(2) + pager.format(0, 2),
            "/all?p=2": entry.format(3) + pager.format(1, 3),
            "/all?p=3": entry.format(4) + "<div class=pager><a href=/all?p=2>Previous</a></div>",
        },
    )
    for galleries in ("li.item", "h2", "//li[@class='item']"):
        run = gallery_crawl(server, tmp_path / galleries[:2].strip("/"), "/all", galleries=galleries, next=".pager")
        assert names(run) == ["1", "2", "3", "4"], run.log
        assert run.code == 0
