"""Images that stand elsewhere than in `<img>`: in attributes of any element, styles, JSON, scripts, markup in these.

Each on a page with a logo and an image of its own, as text and as a tree.
"""

from __future__ import annotations

import json
import time
from base64 import b64encode

import pytest
from parsel import Selector

from imgcrawl.pages import find_images, images_in
from imgcrawl.pages.literals import literal

PAGE = "https://site.example/g/1.html"
SHOWN = "<!doctype html><title>x</title><body><img src=/theme/logo.svg><p>Words</p><img src=/i/shown.jpg>"
ONE, TWO = ["/i/a.jpg"], ["/i/a.jpg", "/i/b.jpg"]


def stated(markup: str) -> list[str]:
    html = SHOWN + markup + "<p>End"
    found = find_images(html, PAGE)
    assert find_images(Selector(text=html, type="html"), PAGE) == found
    there = "https://site.example"
    found.remove(f"{there}/i/shown.jpg")
    return [address.removeprefix(there) for address in found]


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        # an attribute of any element
        *(
            (f"<{element} {attribute}='/i/a.jpg'></{element}>", ONE)
            for element in ("li", "figure", "div", "span", "a", "button", "section", "td")
            for attribute in ("data-src", "data-original", "data-lazy", "data-full", "data-image", "data-large")
        ),
        ("<div data-zoom='/i/a.jpg'></div><p data-image-src=/i/b.jpg>", TWO),
        ("<div data-cover='/i/a.jpg'></div><div data-desktop=/i/b.jpg></div>", TWO),
        ("<DIV DATA-SRC = /i/a.jpg></DIV>", ONE),
        ("<div class=x data-src=\"/i/a b.jpg\" data-caption='it is 5.jpg'></div>", ["/i/a%20b.jpg"]),
        ("<div data-src=/i/s.jpg data-full=/i/a.jpg data-thumb=/i/t.jpg></div>", ONE),
        ("<a href=#><div data-thumbnail=/i/a.jpg data-width=300></div></a><p data-thumbnail=/i/b.jpg>", ONE),
        ("<a href=# rel=\"{g: 'g', smallimage: '/t/a.jpg', largeimage: '/i/a.jpg'}\"><img src=/t/a.jpg></a>", ONE),
        ("<div data-before=/i/a.jpg data-after=/i/b.jpg></div>", TWO),
        ("<div data-image1=/i/a.jpg data-image2=/i/b.jpg></div>", TWO),
        # what it is around is its small copy, where it is alone in it, or said to be one
        ("<li data-src=/i/a.jpg data-thumb=/t/a.jpg><a href=#><img src=/t/a.jpg></a></li>", ONE),
        ("<span data-original=/i/a.jpg><picture><source srcset='/t/a.jpg 9w'><img src=/t/b.jpg></picture></span>", ONE),
        ("<li data-src=/i/a.jpg><a href=#><img src=/t/a.jpg></a></li><p data-src=/i/b.jpg><img src=/t/b.jpg></p>", TWO),
        ("<div style='background:url(/i/a.jpg)'><img src=/i/b.jpg></div>", TWO),
        ("<figure data-full=/i/a.jpg><img src=/t/a.jpg></figure><img src=/i/b.jpg>", TWO),
        ("<div data-full=/i/a.jpg></div><img src=/i/b.jpg>", TWO),
        ("<div data-full=/i/a.jpg>Words <img src=/i/b.jpg></div>", TWO),
        ("<div data-image=/i/a.jpg><img src=/i/b.jpg></div>", TWO),
        ("<section data-image-src=/i/a.jpg><div><img src=/i/b.jpg></div></section>", TWO),
        *((f"<section {name}=/i/a.jpg><div><img src=/i/b.jpg></div></section>", TWO)
          for name in ("data-img-src", "data-lazy-src", "data-video-src", "data-srcset", "data-cover-src")),
        ("<div data-src=/i/a.jpg><ul><li><img src=/i/b.jpg><li><img src=/i/c.jpg></ul></div>", [*TWO, "/i/c.jpg"]),
        ("<div data-src=/i/a.jpg><div><img src=/i/b.jpg></div><img src=/i/c.jpg></div>", [*TWO, "/i/c.jpg"]),
        ("<div data-src=/i/a.jpg><div><img src=/t/a.jpg></div></div><div><img src=/i/b.jpg></div>", TWO),
        ("<div data-src1=/i/a.jpg data-src2=/i/b.jpg></div>", TWO),
        ("<div data-before-src=/i/a.jpg data-after-src=/i/b.jpg></div>", TWO),
        ("<div data-large=/i/s.jpg data-zoom=/i/a.jpg></div>", ["/i/s.jpg"]),
        # an address that is a name
        *((f"<a href='#' {name}=a.jpg><img src=s.jpg></a>", ["/g/a.jpg"]) for name in ("data-src", "zoomfile")),
        ("""<div data-images='["a.jpg","b.jpg"]'></div>""", ["/g/a.jpg", "/g/b.jpg"]),
        ("<div data-name=a.jpg data-original-name=a.jpg data-filename=a.jpg></div>", []),
        ("<img src='/i/{summer}.jpg'>", ["/i/%7Bsummer%7D.jpg"]),
        ("<img src='/i/{x}.jpg'>", ["/i/%7Bx%7D.jpg"]),
        ("<img src='/tiles/{z}/{x}/{y}.jpg'><img src='/i/{w}.jpg'><img src='/i/{id}.jpg'>", []),
        # several in one
        *((f"""<div {name}='["/i/a.jpg","/i/b.jpg"]'></div>""", TWO)
          for name in ("data-urls", "data-image-urls", "data-sources", "data-src-list")),
        ("""<div data-sizes='["/i/a.jpg","/i/b.jpg"]'></div>""", ONE),
        ("""<div data-images='["/1/image.jpg","/2/image.jpg"]'></div>""", ["/1/image.jpg", "/2/image.jpg"]),
        ("""<div data-i='[{"src":"/1/image.jpg"},{"src":"/2/image.jpg"}]'></div>""", ["/1/image.jpg", "/2/image.jpg"]),
        *((f"""<div data-i='{{"{one}":"/i/a.jpg","{two}":"/i/b.jpg"}}'></div>""", TWO)
          for one, two in (("image1", "image2"), ("front", "back"), ("1", "2"), ("0", "1"))),
        ("""<div data-i='{"1":{"src":"/i/a.jpg"},"2":{"src":"/i/b.jpg"}}'></div>""", TWO),
        ("""<div data-i='{"full":"/i/a.jpg","original":"/i/b.jpg"}'></div>""", ONE),
        ("<div data-images='/i/a.jpg,/i/b.jpg'></div>", TWO),
        ("<div data-images='/i/a.jpg | /i/b.jpg'></div>", TWO),
        ("<div data-srcset='/i/s.jpg 300w, /i/a.jpg 900w'></div>", ONE),
        ("<div data-bgset='/i/s.jpg 300w, /i/a.jpg 900w'></div>", ONE),
        ("<div data-original-set='/i/s.jpg 1x, /i/a.jpg 2x'></div>", ONE),
        ("<picture><source data-srcset='/i/s.jpg 300w, /i/a.jpg 900w'><img></picture>", ONE),
        ("<img src=/t/a_9x.jpg data-src='/i/a_{width}x.jpg' data-widths='[180, 1080, 360]'>", ["/i/a_1080x.jpg"]),
        ("<img src=/i/a.jpg data-src='/i/a_{width}x.jpg'>", ONE),
        # JSON
        ("""<div data-gallery='[{"src":"/i/a.jpg","thumb":"/t/a.jpg"},{"src":"\\/i\\/b.jpg"}]'></div>""", TWO),
        ("""<div data-gallery='[{"url":"/i/a.jpg","preview_url":"/t/a.jpg"}]'><img src=/t/a.jpg></div>""", ONE),
        ("<div data-gallery='[{&quot;src&quot;:&quot;/i/a.jpg&quot;}]'><img src=/i/b.jpg></div>", TWO),
        ("""<ul data-photos='["/i/a.jpg","/i/b.jpg"]'></ul>""", TWO),
        ("""<div data-image='{"small":"/i/s.jpg","large":"/i/a.jpg"}'></div>""", ONE),
        ("""<p data-i='{"p":{"sizes":{"s":{"url":"/i/s.jpg","width":90},"l":{"url":"/i/a.jpg","width":99}}}}'>""", ONE),
        ("""<img src=/t/a.jpg data-a-dynamic-image='{"/i/s.jpg":[90,90],"/i/a.jpg":[900,900]}'>""", ONE),
        ("""<img src=/t/a.jpg data-src-array="[{'src':'/i/s.jpg','width':9},{'src':'/i/a.jpg','width':99}]">""", ONE),
        ("""<p data-i='{"author":{"i":"/i/x.jpg"},"related":["/i/y.jpg"],"photos":["/i/a.jpg","/i/b.jpg"]}'>""", TWO),
        ("""<p data-src=/i/s.jpg data-src-list='[{"src":"/i/a.jpg","width":9}]'><img src=/t/a.jpg></p>""", ONE),
        ("""<photo-album :photos='[{"url":"/i/a.jpg"},{"url":"/i/b.jpg"}]'></photo-album>""", TWO),
        ("""<div x-data="{ open: false, photos: ['/i/a.jpg', '/i/b.jpg'], next() {} }"></div>""", TWO),
        ("""<div v-lazy="'/i/a.jpg'"></div><my-image src=/i/b.jpg></my-image>""", TWO),
        ("""<div ng-init="list=[{src:'/i/a.jpg',thumb:'/t/a.jpg'},{src:'/i/b.jpg'}]"></div>""", TWO),
        # what a script will show
        ("<a href=# onclick=\"show('/i/a.jpg', 800)\"><img src=/t/a.jpg></a>", ONE),
        ("<a href=\"javascript:show('/i/a.jpg')\"><img src=/t/a.jpg></a>", ONE),
        ("<img src=/t/a.jpg onclick=\"big.src='/i/a.jpg'\">", ONE),
        ("<a href=/page/3 data-pswp-src=/i/a.jpg><img src=/t/a.jpg></a>", ONE),
        ("<a href=/page/3 data-image=/i/a.jpg><img src=/i/b.jpg></a>", TWO),
        # backgrounds
        ("<div style='background-image:url(/i/a.jpg)'></div><div data-bg=/i/b.jpg></div>", TWO),
        ("""<div style='background:image-set("/i/s.jpg" 1x, "/i/a.jpg" 2x)'></div>""", ONE),
        (r"<div style='background:url(\2f i\2f a.jpg)'></div><p style='background:url(\/i\/b\.jpg)'></p>", TWO),
        (r"<div style='background:url(/i/a\ \(1\).jpg?\110000\d800)'></div>", ["/i/a%20%281%29.jpg?"]),
        ("<div style='background:-webkit-image-set(url(/i/s.jpg) 1x, url(/i/a.jpg) 2x), url(/i/b.jpg)'></div>", TWO),
        ("<img src=/blank.gif style='background: url(/i/a.jpg)'>", ONE),
        ("<div style='--hero: url(/i/a.jpg)'></div><div data-bg='url(/i/b.jpg)'></div>", TWO),
        ("<table background=/i/a.jpg><tr><td background='/i/b.jpg'></table>", TWO),
        # other elements
        ("<object data=/i/a.jpg type=image/jpeg></object><embed src=/i/b.jpg>", TWO),
        ("<input type=image src=/i/a.jpg><input type=image src=/theme/send.png>", ONE),
        ("<iframe src=/i/a.jpg></iframe><frame src=x.html>", ONE),
        ("<video poster=/i/a.jpg></video><video data-poster=/i/b.jpg></video>", TWO),
        ("<map name=m><area href=/i/a.jpg><area href=/page/4></map>", ONE),
        ("<template><img src=/i/a.jpg></template><noscript><img src=/i/b.jpg></noscript>", TWO),
        ("<svg><image href=/i/a.jpg /><image xlink:href=/i/b.jpg /></svg>", TWO),
        ("<amp-img src=/i/a.jpg></amp-img><amp-anim src=/i/b.jpg></amp-anim>", TWO),
        # markup that a script will make a part of the page
        ("<div data-content=\"<img src='/i/a.jpg'>\"></div>", ONE),
        (r"""<div data-settings='{"content":"<img src=\"https:\/\/site.example\/i\/a.jpg\">"}'></div>""", ONE),
        (r"""<p data-i='["\u003cimg src=/i/a.jpg>", {"b":"<p><img src=/i/b.jpg>"}]'></p>""", TWO),
        ("<div data-html='<img src=/i/a.jpg><script type=text/template><img src=/i/b.jpg></script>'></div>", TWO),
        ("<img src=/i/a.jpg onclick=\"this.src='/i/b.jpg'\">", ["/i/b.jpg", "/i/a.jpg"]),
        ("<iframe srcdoc='&lt;img src=/i/a.jpg&gt;'></iframe>", ONE),
        ("<script type=text/template><img src=/i/a.jpg><img src='/i/{{name}}.jpg'></script>", ONE),
        ("<script type=text/html><li data-src=/i/a.jpg></li></script>", ONE),
        # RDFa by its other attributes
        ("<div rel=schema:image resource=/i/a.jpg></div><span property=image resource=/i/b.jpg></span>", TWO),
        ("<link rel=foaf:depiction href=/i/a.jpg>", ONE),
        # what is none
        ("<div data-src=/page/3 data-image=true data-title=/i/x.jpg data-share-image=/i/x.jpg></div>", []),
        ("<div data-avatar=/i/x.jpg data-logo-src=/i/x.png data-icon=/i/x.png data-author-image=/i/x.jpg></div>", []),
        ("<div data-image=/theme/logo.png></div><div data-lazy=/i/loading.gif></div><li data-thumb=/t/a.jpg></li>", []),
        ("<div title=/i/x.jpg alt=/i/x.jpg class=/i/x.jpg id=/i/x.jpg></div><input value=/i/x.jpg>", []),
        ("<img src='/i/{{name}}.jpg'><img src='/i/${name}.jpg'><img src='<%= it %>.jpg'><img src='/{width}.jpg'>", []),
        ("<a href=/x/1 onclick=\"track('Click.jpg')\">x</a><img src=/i/a.jpg onerror=\"this.src='/i/x.jpg'\">", ONE),
        ("<!-- <div data-src=/i/x.jpg> --><div style='background:url(/i/x.svg)'></div>", []),
    ],
)  # fmt: skip
def test_markup(markup: str, expected: list[str]) -> None:
    assert stated(markup) == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("""window.galleryData = [{"src":"/i/shown.jpg","thumb":"/t/x.jpg"},{"src":"\\/i\\/a.jpg"}];""", ONE),
        ("""var images = ['/i/shown.jpg', '/i/a.jpg', /* and */ '/i/b.jpg'], n = 3;""", TWO),
        ("""f.push([1,"{\\"images\\":[{\\"src\\":\\"/i/shown.jpg\\"},{\\"src\\":\\"/i/a.jpg\\"}]}"])""", ONE),
        ("""new Slider({slides: [{image: '/i/a.jpg', title: "it's"}, {image: '/i/b.jpg'}, {image: '/i/c.jpg'}]})""",
         [*TWO, "/i/c.jpg"]),
        ("""var imageUrls = ["/i/shown.jpg", "/i/a.jpg", "/i/b.jpg"]""", TWO),
        # an object that is called a gallery
        ("""var gallery = {items: [{src: '/i/shown.jpg'}, {src: '/i/a.jpg'}]}""", ONE),
        ("""site.gallery = {"id": 7, "by": {"a": [3]}, "items": ["/i/shown.jpg", "/i/a.jpg", "/i/b.jpg"]}""", TWO),
        ("""album = JSON.parse('{"photos": {"media": [{"url": "/i/shown.jpg"}, {"url": "/i/a.jpg"}]}}')""", ONE),
        (r"""album = JSON.parse('{\u0022photos\u0022: [\u0022\/i\/shown.jpg\u0022, \x22\/i\/a.jpg\x22]}')""", ONE),
        ("""photos = {"1": {"url": "/i/shown.jpg", "thumb": "/t/1.jpg"}, "2": {"url": "/i/a.jpg"}}""", ONE),
        ("""$.fancybox.open([{src: '/i/shown.jpg'}, {src: '/i/a.jpg'}])""", ONE),
        ("""lightGallery(it, {dynamic: true, dynamicEl: [{src: '/i/shown.jpg'}, {src: '/i/a.jpg'}]})""", ONE),
        ("""new PhotoSwipe({dataSource: [{src: '/i/shown.jpg', width: 9}, {src: '/i/a.jpg', width: 9}]})""", ONE),
        # no list of the images of this page
        ("""related = {items: [{src: '/i/a.jpg', thumb: '/i/shown.jpg'}, {src: '/i/b.jpg', thumb: '/t/b.jpg'}]}""", []),
        ("""items = [{src: '/i/a.jpg', thumb: '/t/a.jpg'}, {src: '/i/b.jpg', thumb: '/t/b.jpg'}]""", []),
        ("""related = {items: ['/i/x.jpg', '/i/y.jpg', '/i/z.jpg']}; gallery = {by: 1}; items = ['/i/x.jpg']""", []),
        ("""relatedAlbums = {items: [{src: '/i/shown.jpg'}, {src: '/i/x.jpg'}]}""", []),
        ("""images = {"320": {"src": "/320/shown.jpg"}, "640": {"src": "/640/shown.jpg"}}""", []),
        ("""x = {"related":["/i/x.jpg","/i/y.jpg","/i/z.jpg"], "relatedImages":["/i/shown.jpg", "/i/x.jpg"]}""", []),
        ("""site.preloadImages(['/i/x.jpg', '/i/y.jpg', '/i/z.jpg'])""", []),
        ("""preload = ['/i/x.jpg', '/i/y.jpg', '/i/z.jpg']; images = ['/icons/icon-1.png', '/icons/icon-2.png']""", []),
        ("""images = [{src: '/s/shown.jpg', width: 9}, {src: '/m/shown.jpg', width: 99}]""", []),
        ("""a = {images: ['/1/a.jpg', '/1/b.jpg', '/1/c.jpg']}; b = {images: ['/2/a.jpg', '/2/b.jpg']}""", []),
        ("""images = ['/i/shown.jpg', '/i/a.jpg'""", []),
    ],
)  # fmt: skip
def test_a_gallery_of_which_the_page_shows_one_is_found_in_its_script(script: str, expected: list[str]) -> None:
    assert stated(f"<script>{script}</script>") == expected


def test_long_lists_are_found_whole() -> None:
    images = [f"/i/{number}.jpg" for number in range(1_500)]
    assert stated(f"<ul data-photos='{json.dumps(images)}'></ul>") == images
    listed = [{"src": image, "text": "x" * 200} for image in images]
    assert stated(f"<script>var photos = {json.dumps(listed)}</script>") == images
    several = "".join(f"images{number} = ['/i/shown.jpg', '/i/{number}.jpg'];" for number in range(20))
    assert stated(f"<script>{several}{'x' * 2_000_000}</script>") == images[:20]


def test_a_style_ends_at_its_end() -> None:
    styles = "<style>/* a < b */ div { background: url(/i/a.jpg) }</style>"
    assert find_images(styles, PAGE) == ["https://site.example/i/a.jpg"]


def test_a_script_names_the_originals_of_what_is_shown_small() -> None:
    data = '{"album":{"photos":[{"thumb":"/t/a.jpg","url":"/i/a.jpg"},{"url":"/i/b.jpg","thumb":"/t/b.jpg"}]}}'
    page = f'<img src=/t/a.jpg><img src=/t/b.jpg><script type="application/json">{data}</script>'
    assert find_images(page, PAGE) == ["https://site.example/i/a.jpg", "https://site.example/i/b.jpg"]


@pytest.mark.parametrize(
    ("shown", "script", "expected"),
    [
        ("/t/a.jpg", "f = () => {var items = [{src: '/i/a.jpg', msrc: '/t/a.jpg'}, {src: '/i/b.jpg', msrc: ''}]}",
         TWO),
        ("/m/a.jpg", "data = [{image: '/m/a.jpg', thumb: '/t/a.jpg', big: '/i/a.jpg'}, {image: '', big: '/i/b.jpg'}]",
         TWO),
        ("/x/blue-1.jpg", """{"mage/gallery/gallery": {"data": [{"full": "/f/blue-1.jpg"}, {"full": "/i/b.jpg"}]}}""",
         ["/x/blue-1.jpg", "/f/blue-1.jpg", "/i/b.jpg"]),
        ("/i/a.jpg", """d = '{"id": 1, "media": [{"mime_type": "x", "url": "/i/a.jpg"}, {"url": "/i/b.jpg"}]}'""", TWO),
        ("/t/a.jpg", "related = {items: [{src: '/i/a.jpg', thumb: '/t/a.jpg'}, {src: '/i/b.jpg', thumb: '/t/b.jpg'}]}",
         ["/t/a.jpg"]),
        ("/t/c.jpg", "items = [{src: '/i/a.jpg', thumb: '/t/a.jpg'}, {src: '/i/b.jpg', thumb: '/t/b.jpg'}]",
         ["/t/c.jpg"]),
    ],
)  # fmt: skip
def test_a_list_of_things_with_small_copies_is_that_of_the_images_that_the_page_shows_small(
    shown: str, script: str, expected: list[str]
) -> None:
    assert find_images(f"<img src={shown}><script>{script}</script>", "https://h/") == [
        f"https://h{each}" for each in expected
    ]


@pytest.mark.parametrize(
    "script", ["images:[{" * 200_000, "images=['" * 200_000, "items=[{x:1" * 200_000, '\\"' * 500_000 + "images:[["]
)
def test_lists_in_scripts_are_looked_through_in_bounded_time(script: str) -> None:
    begin = time.process_time()
    stated(f"<script>{script}</script>")
    assert time.process_time() - begin < 5


SERIES = [f"/o/{number}.jpg" for number in range(1, 5)]
QUOTED = ", ".join(f"'{image}'" for image in SERIES)


@pytest.mark.parametrize(
    "script",
    [
        f"var pages = [{QUOTED}]",
        f"pic = new Array({QUOTED}); x = '/o/9.jpg'",
        f"start('#g', [{QUOTED}], 3000)",
        "".join(f"list.push('{image}');\n" for image in SERIES),
        "".join(f"full[{number}] = '{image}';" for number, image in enumerate(SERIES)),
        f"pics = '{'|'.join(SERIES)}'.split('|')",
        json.dumps({"a": {"b": dict(enumerate(SERIES))}}).replace("/", "\\/"),
        "x = [" + ",".join(f'"<img src={image}>"' for image in SERIES) + "]",
    ],
)
def test_images_that_a_script_names_one_after_the_other_are_those_of_the_page_that_shows_one(script: str) -> None:
    page = f"<img src=/o/2.jpg><script>{script}</script>"
    assert sorted(find_images(page, "https://h/")) == [f"https://h{image}" for image in SERIES]
    other = f"<img src=/p/2.jpg><script>{script}</script>"
    assert find_images(other, "https://h/") == ["https://h/p/2.jpg"]


@pytest.mark.parametrize(
    "script",
    [
        f"pages = [{QUOTED[:26]}]",  # two
        "x = ['/o/1.jpg', '/p/2.jpg', '/q/3.jpg', '/r/4.jpg']",
        "x = '/o/1.jpg 300w, /o/1-600.jpg 600w, /o/1-900.jpg 900w, /o/1-1200.jpg 1200w'",
        "x = ['/o/1.jpg', '/o/icon-2.jpg', '/o/3.jpg']",
        "x = [{u: '/o/1.jpg', t: 'one', href: '/1'}, {u: '/o/2.jpg', href: '/2'}, {u: '/o/3.jpg'}]",
        "x = ['/o/1.jpg/a', '/o/1.jpg.html', '/o/2.jpg.html', '/o/3.jpg.html']",
    ],
)
def test_what_is_no_series_of_images(script: str) -> None:
    assert find_images(f"<img src=/o/1.jpg><script>{script}</script>", "https://h/") == ["https://h/o/1.jpg"]


def test_widths_of_an_image_are_no_series() -> None:
    script = "x = ['/o/a-300.jpg', '/o/a-600.jpg', '/o/a-900.jpg']"
    assert find_images(f"<img src=/o/a-600.jpg><script>{script}</script>", "https://h/") == ["https://h/o/a-600.jpg"]


@pytest.mark.parametrize("script", [".jpg" * 500_000, ".jpg?" * 400_000, "'a/.jpg'," * 200_000, "/" * 2_000_000])
def test_series_are_looked_for_in_bounded_time(script: str) -> None:
    begin = time.process_time()
    find_images(f"<img src=/a/.jpg><img src=/b.jpg><script>{script} b.jpg</script>", "https://h/")
    assert time.process_time() - begin < 3


def test_a_list_in_base64_is_read_where_the_page_shows_nothing_else() -> None:
    for data in (
        [{"url": "https://h/i/a.jpg"}, {"url": "https://h/i/b.jpg"}],
        {"x": 1, "pages": ["/i/a.jpg", "/i/b.jpg"]},
    ):
        code = b64encode(json.dumps(data).encode()).decode()
        page = f'<div id=r></div><script>var p = JSON.parse(atob("{code}")); x = "W3not+{"a" * 80}"</script>'
        assert find_images(page, "https://h/") == ["https://h/i/a.jpg", "https://h/i/b.jpg"]


def test_an_image_by_itself_is_the_original_that_the_element_around_it_states() -> None:
    html = """<ul><li data-src=/i/1.jpg><a href=#><img src=/t/1.jpg></a></li>
    <li data-src=/i/2.jpg><img src=/t/2.jpg>2</li><li data-src=/i/3.jpg><img src=/t/3.jpg><img src=/t/4.jpg></li>
    <li style='background:url(/i/5.jpg)'><img src=/t/5.jpg></li>
    <li data-full=/i/6.jpg><div><picture><img src=/t/6.jpg></picture></div></li><li><img src=/t/7.jpg></ul>"""
    found = [images_in([image], PAGE, PAGE) for image in Selector(text=html).css("img")]
    expected = ["/i/1.jpg", "/t/2.jpg", "/t/3.jpg", "/t/4.jpg", "/t/5.jpg", "/i/6.jpg", "/t/7.jpg"]
    assert found == [[f"https://site.example{path}"] for path in expected]


@pytest.mark.parametrize(
    "value",
    ["[" * 300_000, "[" + "{'a':" * 100_000, "[" + "'/i/a.jpg'," * 100_000, "{" + "a:'/b.jpg'," * 100_000,
     "." * 2_000_000, "/i/a" + " " * 2_000_000, "url(" * 500_000, "image-set(" * 200_000, "image-set((" * 200_000,
     "/a.jpg 1" * 200_000, "{&quot;" + "1" * 40 + "!&quot;:[],&quot;b&quot;:1}", "[&quot;" + "\\&quot;" * 200_000,
     "[" + "/* " * 300_000 + "]", "['" + "\\'" * 300_000,
     "{&quot;sizes&quot;:" * 900 + "1" + "}" * 900],
    ids=["brackets", "objects", "list", "object", "dots", "spaces", "urls", "sets", "nested sets", "widths", "digits",
         "double", "comments", "single", "depth"],
)  # fmt: skip
def test_a_value_of_malice_is_read_in_linear_time(value: str) -> None:
    begin = time.process_time()
    stated(f'<div data-gallery="{value}.jpg"></div>')
    assert time.process_time() - begin < 5


def test_the_values_of_an_element_are_read_once_for_all_images_in_it() -> None:
    listed = json.dumps([{"src": f"/i/{number}.jpg"} for number in range(3_000)])
    page = Selector(f"<div><p data-full='{listed}'>{'<img src=/i/a.jpg>' * 200}</p></div>")
    begin = time.process_time()
    images_in(page.css("img"), PAGE, PAGE)
    assert time.process_time() - begin < 1


def test_literals() -> None:
    assert literal("x = [1, {a: 'b\\'c', \"d\": null, e: f,},] // [", 4) == [1, {"a": "b\\'c", "d": None, "e": None}]
    assert literal("[1, 2") is None
    assert literal("[function() { return 1 }]") is None
