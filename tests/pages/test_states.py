"""Data that pages hold for their scripts, in the forms of the frameworks that write them: the images beside the one
that is shown, whatever stands between them; and not those of others."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Callable
from html import escape
from typing import Any
from urllib.parse import quote

import pytest

from imgcrawl.pages import find_images

PAGE = "https://site.example/g/1"
NAMES = [f"{number * 7919:05x}f{number}" for number in range(1, 6)]
IMAGES = [f"/u/{name[:2]}/{name}.jpg" for name in NAMES]
CAPTION = "What is to be seen here, told at such a length that what stands before and behind it is far from it"
THINGS: list[dict[str, Any]] = [
    {"id": name, "caption": CAPTION, "url": url} for name, url in zip(NAMES, IMAGES, strict=True)
]
OTHERS = [{"slug": f"album-{number}", "title": CAPTION, "cover": f"/o/{number}.jpg"} for number in range(4)]
TWO = ["/i/a.jpg", "/i/b.jpg"]
AROUND = {
    "author": {"avatar": "/o/ann.jpg", "photos": [{"url": "/o/ann-1.jpg"}, {"url": "/o/ann-2.jpg"}]},
    "related": OTHERS,
    "albums": [{"slug": "this", "cover": IMAGES[0]}, *OTHERS],
}


def in_astro(data: Any) -> list[Any]:
    if isinstance(data, list):
        return [1, [in_astro(each) for each in data]]
    return [0, {key: in_astro(each) for key, each in data.items()} if isinstance(data, dict) else data]


def in_livewire(data: Any) -> Any:
    if isinstance(data, list):
        return [[in_livewire(each) for each in data], {"s": "arr"}]
    return {key: in_livewire(each) for key, each in data.items()} if isinstance(data, dict) else data


def in_indexes(data: Any, reactive: str = "", key: str = "{}") -> list[Any]:
    """As devalue has it (Nuxt, SvelteKit), or turbo-stream (React Router), which has numbers for its keys, too."""
    values: list[Any] = [[reactive, 1]] if reactive else []

    def put(value: Any) -> int:
        index = len(values)
        values.append(None)
        if isinstance(value, list):
            values[index] = [put(each) for each in value]
        elif isinstance(value, dict):
            values[index] = {f"_{put(name)}" if key == "_" else name: put(each) for name, each in value.items()}
        else:
            values[index] = value
        return index

    put(data)
    return values


def in_apollo(data: dict[str, Any]) -> dict[str, Any]:
    photos = {f"Photo:{thing['id']}": {"__typename": "Photo", **thing} for thing in data["album"]["photos"]}
    album = {"__typename": "Album", "photos": [{"__ref": key} for key in photos]}
    loop = {"User:1": {"album": {"__ref": "Album:1"}, "friends": [{"__ref": "User:1"}], **data["author"]}}
    return {"ROOT_QUERY": {'album({"id":1})': {"__ref": "Album:1"}}, "Album:1": album, **photos, **loop}


def pushed(text: str) -> str:
    """As Next.js streams it: in pieces, anywhere."""
    pieces = (text[start : start + 90] for start in range(0, len(text), 90))
    return "".join(f"<script>self.__next_f.push([1,{json.dumps(piece)}])</script>" for piece in pieces)


def in_rows(data: dict[str, Any]) -> str:
    rows = "".join(f"{number:x}:{json.dumps(thing)}\n" for number, thing in enumerate(data["album"]["photos"], 0x20))
    album = {"photos": [f"${number:x}" for number in range(0x20, 0x20 + len(NAMES))]}
    return f'1:I["x.js"]\n2:["$","$L3",null,{json.dumps(data | {"album": album})}]\n{rows}'


def script(code: str, attributes: str = "") -> str:
    return f"<script{attributes}>{code}</script>"


def text(data: Any) -> str:
    return json.dumps(json.dumps(data))


def escaped(data: Any, mark: str) -> str:
    return json.dumps(data).replace('"', mark)


def in_arguments(data: Any) -> str:
    used = json.dumps(data).replace(json.dumps(IMAGES[2]), "a")
    return f"window.__NUXT__=(function(a,b){{return {{state:{used},ok:!0}}}}({json.dumps(IMAGES[2])},void 0));"


def fetched(data: Any) -> str:
    return json.dumps({"status": 200, "body": json.dumps(data)})


FORMS: dict[str, Callable[[Any], str]] = {
    "next": lambda data: script(json.dumps(data), " id=__NEXT_DATA__ type=application/json"),
    "next, streamed": lambda data: pushed(f'5:["$","$L8",null,{json.dumps(data)}]\n'),
    "next, by reference": lambda data: pushed(in_rows(data)),
    "nuxt 2": lambda data: script(in_arguments(data)),
    "nuxt 3": lambda data: script(json.dumps(in_indexes(data, "ShallowReactive")), " id=__NUXT_DATA__"),
    "react router": lambda data: script(f"c.enqueue({text(in_indexes(data, key='_'))});"),
    "remix": lambda data: script(f"window.__remixContext = {json.dumps({'state': {'loaderData': {'a/$id': data}}})};"),
    "sveltekit": lambda data: script(f"{{const d = [null, {{type: 'data', data: {json.dumps(data)}, uses: {{}}}}];}}"),
    "sveltekit, fetched": lambda data: script(fetched(data), " type=application/json"),
    "apollo": lambda data: script(f"window.__APOLLO_STATE__={json.dumps(in_apollo(data))}"),
    "redux": lambda data: script(f"(function () {{ if (x) {{ y() }} window.__STATE__ = JSON.parse({text(data)}) }})()"),
    "redux, as escapes": lambda data: script(f"s = JSON.parse('{escaped(data, chr(92) + 'u0022')}')"),
    "redux, as hexadecimals": lambda data: script(f"s = JSON.parse('{escaped(data, chr(92) + 'x22')}')"),
    "redux, as an address": lambda data: script(f"s = JSON.parse(decodeURIComponent('{quote(json.dumps(data))}'))"),
    "hypernova": lambda data: script(f"<!--{json.dumps(data)}-->", " type=application/json"),
    "gatsby": lambda data: script(f"/*<![CDATA[*/window.pageData={json.dumps({'result': data})};/*]]>*/"),
    "an argument": lambda data: script(f"start(document.body, {json.dumps(data)}, 5)"),
    "livewire 3": lambda data: f'<p wire:snapshot="{escape(json.dumps({"data": in_livewire(data)}))}">',
    "livewire 2": lambda data: f'<p wire:initial-data="{escape(json.dumps({"serverMemo": {"data": data}}))}">',
    "inertia": lambda data: f'<div id=app data-page="{escape(json.dumps({"props": data}))}"></div>',
    "astro": lambda data: f'<astro-island props="{escape(json.dumps(in_astro(data)[1]))}"></astro-island>',
    "alpine": lambda data: f'<div x-data="gallery({escape(json.dumps(data))})"></div>',
    "stimulus": lambda data: f'<div data-controller=g data-g-album-value="{escape(json.dumps(data))}"></div>',
    "vue": lambda data: f'<album :album="{escape(json.dumps(data))}"></album>',
    "knockout": lambda data: f'<p data-bind="component: {{ name: \'g\', params: {escape(json.dumps(data))} }}">',
    "react-rails": lambda data: f'<div data-react-props="{escape(json.dumps(data))}"></div>',
    "a form": lambda data: f'<input type=hidden value="{escape(json.dumps(data))}">',
}  # fmt: skip


def found(body: str, *shown: str) -> list[str]:
    html = "<title>x</title><h1>An album</h1>" + "".join(f"<img src='{each}'>" for each in shown) + body + "<p>End"
    return sorted(each.removeprefix("https://site.example") for each in find_images(html, PAGE))


@pytest.mark.parametrize("form", FORMS)
def test_the_images_that_a_page_holds_as_data_are_its_own(form: str) -> None:
    assert found(FORMS[form]({"album": {"photos": THINGS}, **AROUND}), IMAGES[0]) == sorted(IMAGES)


@pytest.mark.parametrize("form", [form for form in FORMS if form not in ("apollo", "next, by reference")])
def test_data_holds_them_in_any_shape(form: str) -> None:
    write = FORMS[form]
    small = [url.replace("/u/", "/t/") for url in IMAGES]
    pairs = [{"thumb": thumb, "full": url, "caption": CAPTION} for thumb, url in zip(small, IMAGES, strict=True)]
    assert found(write({"post": {"images": pairs}, "more": OTHERS}), *small[:2]) == sorted(IMAGES)
    sizes = [
        {"link": f"/p/{url[-7:]}", "sizes": {"large": f"/l{url}", "original": url, "small": f"/s{url}"}}
        for url in IMAGES
    ]
    assert found(write({"photos": sizes}), f"/s{IMAGES[0]}") == sorted(IMAGES)
    plain = [f"https://cdn.example/{name}" for name in NAMES]
    nodes = [{"asset": {"url": url, "alt": CAPTION}} for url in plain]
    assert found(write({"post": {"gallery": {"nodes": nodes}}, "more": OTHERS}), plain[0]) == sorted(plain)
    files = [{"file": f"{name}.jpg", "title": CAPTION} for name in NAMES]
    folder = [f"/gal/x/{name}.jpg" for name in NAMES]
    assert found(write({"album": {"dir": "/gal/x/", "files": files}}), folder[0]) == sorted(folder)


@pytest.mark.parametrize("form", [form for form in FORMS if form not in ("apollo", "next, by reference")])
def test_the_images_of_other_pages_are_not_those_of_the_page(form: str) -> None:
    own = {"slug": "this", "title": CAPTION, "cover": IMAGES[0]}
    assert found(FORMS[form]({"album": own, "list": [own, *OTHERS]}), IMAGES[0]) == IMAGES[:1]
    posts = [{"id": number, "title": CAPTION, "cover": each["cover"]} for number, each in enumerate([own, *OTHERS])]
    assert found(FORMS[form]({"album": own, "posts": posts}), IMAGES[0]) == IMAGES[:1]


def test_the_models_of_flickr() -> None:
    def model(number: int) -> str:
        sizes = ",".join(
            f'"{size}":{{"data":{{"displayUrl":"\\/\\/live.example\\/{number}_{size}.jpg","width":{width}}}}}'
            for size, width in (("sq", 75), ("m", 240), ("6k", 6000), ("k", 2048))
        )
        return f'{{"_flickrModelRegistry":"photo-lite-models","data":{{"id":{number},"sizes":{{"data":{{{sizes}}}}}}}}}'

    models = ",".join(map(model, range(20, 25)))
    body = f'<script>var auth = {{}};\nmodelExport: {{"main":{{"photo-models":[{models}]}}}},\nx: 1</script>'
    assert found(body, "//live.example/20_m.jpg") == [
        f"https://live.example/{number}_6k.jpg" for number in range(20, 25)
    ]


def test_what_things_have_beside_the_image_that_is_shown_may_differ() -> None:
    media = [{"id": 1, "preview": {"src": IMAGES[0]}, "src": IMAGES[0]}, *({"id": 2, "src": url} for url in IMAGES[1:])]
    assert found(script(json.dumps({"media": media})), IMAGES[0]) == sorted(IMAGES)


@pytest.mark.parametrize("key", ["content", 1])
def test_pages_beside_the_image_in_metadata_are_no_images(key: str | int) -> None:
    values = [PAGE, f"https://site.example{IMAGES[0]}?w=9", f"{PAGE}?amp=true", "https://social.example/us"]
    data = [{"name": "og", key: value} if key == "content" else ["og", value] for value in values]
    assert found(script(f"x = {json.dumps({'meta': data})}"), IMAGES[0]) == [IMAGES[0]]


def test_names_beside_that_of_the_image_that_is_shown() -> None:
    files = [f"{name}.jpg" for name in NAMES]
    folder = [f"/gal/x/{name}.jpg" for name in NAMES]
    assert found(script(f"var base = '/gal/x/', pages = {json.dumps(files)};"), folder[0]) == sorted(folder)


def test_what_is_shown_in_folders_of_its_own_is_not_looked_for_in_that_of_another() -> None:
    sizes = [f"/max/{number}00/{name}.jpg" for number, name in enumerate(NAMES, 1)]
    files = [{"id": f"{name}.jpg", "text": CAPTION} for name in NAMES]
    assert found(script(json.dumps({"references": files})), *sizes) == sorted(sizes)


def test_data_of_many_levels() -> None:
    data: Any = {"entry": THINGS}
    for _ in range(40):
        data = {"children": [data]}
    assert found(script(f"x = {json.dumps(data)}"), IMAGES[0]) == sorted(IMAGES)


def test_numbered_things_and_lists_side_by_side() -> None:
    entities = {"photos": {str(number): thing for number, thing in enumerate(THINGS)}}
    assert found(script(f"x = {json.dumps(entities)}"), IMAGES[0]) == sorted(IMAGES)
    small = [url.replace("/u/", "/t/") for url in IMAGES]
    beside = {"thumbs": small, "originals": IMAGES}
    assert set(IMAGES) <= set(found(f'<div data-page="{escape(json.dumps(beside))}"></div>', small[0]))


STOCK = [{"id": number, "url": f"/s/{number * 7919:05x}s.jpg", "alt": CAPTION} for number in range(40)]
COVERS = [{"id": name, "title": CAPTION, "cover": f"/o/{name}.jpg"} for name in NAMES]


@pytest.mark.parametrize(
    ("data", "shown", "expected"),
    [
        ({"media": STOCK, "gallery": THINGS}, [IMAGES[0], STOCK[3]["url"]], [*IMAGES, STOCK[3]["url"]]),
        ({"gallery": THINGS, "assets": STOCK}, [IMAGES[0], STOCK[3]["url"]], [*IMAGES, STOCK[3]["url"]]),
        ({"mediaLibrary": STOCK}, [STOCK[3]["url"]], [STOCK[3]["url"]]),
        ({"items": COVERS, "photos": THINGS}, [IMAGES[0], COVERS[2]["cover"]], [*IMAGES, COVERS[2]["cover"]]),
        # The page of one of a gallery's images, the first of some, and several of the stock.
        ({"media": STOCK}, [STOCK[3]["url"]], [each["url"] for each in STOCK]),
        (
            {"assets": THINGS, "photos": STOCK},
            [IMAGES[0], STOCK[0]["url"]],
            [*IMAGES, *(each["url"] for each in STOCK)],
        ),
        ({"mediaLibrary": STOCK}, [STOCK[3]["url"], STOCK[5]["url"]], [each["url"] for each in STOCK]),
        (
            {"photos": STOCK, "gallery": THINGS},
            [IMAGES[0], STOCK[3]["url"]],
            [*IMAGES, *(each["url"] for each in STOCK)],
        ),
    ],
)
def test_the_stock_of_a_site_s_images_is_not_the_page_s(data: Any, shown: list[str], expected: list[str]) -> None:
    assert found(script(json.dumps(data)), *shown) == sorted(expected)


@pytest.mark.parametrize(
    "body",
    [
        script(f"x = {'[' * 100_000}'{IMAGES[0]}'"),
        script(f"x = {'(function(){ y = {a: ' * 20_000}'{IMAGES[0]}'"),
        script(f"x = {'[{' * 20_000}'{IMAGES[0]}'{'}]' * 20_000}"),
        script(f"x = '{IMAGES[0]}'; {'y = [1]; ' * 200_000}"),
        script(json.dumps([*([{"a": 1}] + [[number, number] for number in range(2, 40)]), IMAGES[0]])),
        script(json.dumps({f"A:{n}": [{"__ref": f"A:{m}"} for m in range(60)] for n in range(60)} | {"x": IMAGES[0]})),
        pushed("".join(f'{number:x}:["${number + 1:x}","${number + 1:x}","{IMAGES[0]}"]\n' for number in range(200))),
        script(json.dumps({"a": [{"u": url} for url in [*IMAGES, *(f"/n/{number}.jpg" for number in range(20_000))]]})),
        script(f"x = JSON.parse(\"{'[' * 500_000}{IMAGES[0]}"),
        script("return " * 300_000 + IMAGES[0]),
        script(f"'{'eyJ' + 'A' * 2_000_000}' '{IMAGES[0]}'"),
        script(f"'{'L2' + 'A' * 50}=' " * 20_000 + IMAGES[0]),
        script(f"x = (function({'a,' * 20_000}b){{{'return ' * 10_000}{{u:'{IMAGES[0]}'}}}}({'1,' * 20_000}2))"),
    ],
    ids=lambda body: body[:30],
)  # fmt: skip
def test_data_of_malice_is_read_in_bounded_time(body: str) -> None:
    before = time.process_time()
    found(body, IMAGES[0])
    assert time.process_time() - before < 4


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<img data-interchange='[/s/a.jpg, small], [/m/a.jpg, medium], [/i/a.jpg, large]'>", ["/i/a.jpg"]),
        ("<img src=/s/a.jpg data-interchange='[/s/a.jpg, (default)], [/i/a.jpg, (large)]'>", ["/i/a.jpg"]),
        ("<div data-interchange='[/s/a.html, small], [/i/a.html, large]'></div>", []),
        (
            "<img src='/m/Ab?format=jpg&name=small'><img src='/m/Ab?format=jpg&name=orig'>",
            ["/m/Ab?format=jpg&name=orig"],
        ),
        ("<img src=/m/a.jpg:small><a href=/m/a.jpg:orig>o</a>", ["/m/a.jpg:orig"]),
        ("<a href=/file/3 download=a.jpg><img src=/s/a.jpg></a>", ["/file/3"]),
        (
            "<img src='/i/a.jpg?imageView2/2/w/300'><a href=/i/a.jpg><img src='/i/a.jpg?imageView2/2/w/9'></a>",
            ["/i/a.jpg"],
        ),
        ("<img src=/i/a.jpg!w300><img src=/i/a.jpg!w1200><img src=/i/b.jpg!big>", ["/i/a.jpg!w1200", "/i/b.jpg!big"]),
        ("<a title='&lt;img src=/i/a.jpg&gt;'>a</a><a data-content='&lt;img src=/i/b.jpg&gt;'>b</a>", TWO),
        ("<p data-background-image=/i/a.jpg,/i/b.jpg>", TWO),
        (
            "<picture data-iesrc=/i/a.jpg></picture><picture data-src=/i/b.jpg><img></picture>",
            TWO,
        ),
        ("<span data-img-large=/i/a_12.jpg data-img-original=/i/a.jpg><img src=/i/a_9.jpg></span>", ["/i/a.jpg"]),
        ('<meta name=data content=\'{"p":{"urls":{"mini":"/t/a.jpg","original":"/i/a.jpg"}}}\'>', TWO[:1]),
        ("<a href=# data-xlarge=/i/a.jpg data-medium=/m/a.jpg><img data-src=/s/a.jpg></a>", TWO[:1]),
        (f"<img src=/i/a.jpg><script>i='{b64encode(','.join(TWO * 2).encode()).decode()}'</script>", TWO),
        (f"<img src=/i/a.jpg><script>i='{b64encode(json.dumps(TWO * 2).encode()).decode()}'</script>", TWO),
        ("<select><option value=/i/a.jpg>1<option value=/i/b.jpg>2</select>", TWO),
    ],
)
def test_sizes_and_names_in_the_attributes_of_frameworks_and_forms(body: str, expected: list[str]) -> None:
    assert found(body) == expected
