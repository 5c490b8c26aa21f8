"""What a stranger could send to take time and memory: each within bounds, and all of it together in one crawl."""

# ruff: noqa: E501 -- a table of attacks is read by its lines
from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from imgcrawl.cookiesfile import read_cookies
from imgcrawl.exceptions import InputError
from tests.attacks.neighbours import TERMINAL
from tests.attacks.stage import Stage, took
from tests.images import hostile
from tests.images.pictures import encoded
from tests.support.crawling import ROOT, start
from tests.support.processes import children_of
from tests.support.server import Answer, Server, jpeg
from tests.test_large_bodies import large, peak_rss

MB = 1_000_000

# name → code whose value is what comes of it, seconds of CPU time on a slow machine, MB of memory. `w` is a folder.
ATTACKS: dict[str, tuple[str, float, int]] = {
    "sitemap of junk": ("count(read_sitemap(b'<urlset>' + b'<a/>' * 12_000_000, U))", 5, 200),
    "sitemap of junk in gzip": ("count(read_sitemap(compress(b'<urlset>' + b'<a/>' * 12_000_000, 1), U))", 5, 300),
    "sitemap of one entry": ("count(read_sitemap(b'<url>' + b'<loc>a</loc>' * 200_000, U))", 12, 150),
    "sitemap with something in front": ("count(read_sitemap(b'<?a b?><url><loc>http://a/</loc></url>', U)) == 1 or 1 / 0", 1, 50),
    "sitemap of elements": ("count(read_sitemap(b'<urlset>' + b'<a/>' * 300_000, U))", 12, 100),
    "sitemap of references": ("count(read_sitemap(b'<urlset>' + b'&aaaaaaaaa' * 1_000_000, U))", 9, 200),
    "sitemap of entries in one": ("count(read_sitemap(b'<urlset><url>' + b'<url><loc>http://a/</loc></url>' * 40_000, U))", 12, 100),
    "sitemap of attributes": ("count(read_sitemap(b'<urlset><url ' + attributes(3_000_000, b\"a@= '' \") + b'><loc>http://a/</loc></url></urlset>', U))", 6, 250),
    "sitemap of namespaces": ("count(read_sitemap(b'<urlset ' + attributes(1_000_000, b\"xmlns:a@='b' \") + b'><url><loc>http://a/</loc></url></urlset>', U))", 6, 150),
    "sitemap of elements with attributes": ("count(read_sitemap(b'<urlset><url>' + (b'<a ' + attributes(1_000, b\"a@='' \") + b'/>') * 5_000 + b'<loc>http://a/</loc></url></urlset>', U))", 12, 250),
    "sitemap that laughs": (
        "count(read_sitemap(b'<!DOCTYPE l [<!ENTITY a \"lol\">' + b''.join(b'<!ENTITY %c \"%s\">' % (98 + n, b'&%c;' %"
        " (97 + n) * 10) for n in range(12)) + b']><url><loc>http://a/&m;</loc></url>', U))", 1, 50),
    "candidates": ("len(find_images('<img srcset=\"' + ','.join(f'{n}.jpg {n}w' for n in range(50_000)) + '\">', U))", 9, 200),
    "data in addresses": ("len(find_images('<img src=\"data:image/png;base64,' + 'A' * 9_000_000 + '\">', U))", 5, 150),
    "data that refers to one text": ("states(pushed('1:' + J(J([M + '/a.jpg'])), '0:' + J(['$1'] * 2_000)))", 5, 150),
    "data with a key of a megabyte": ("states(J({M: [[{'src': '/a.jpg'}, {'src': f'/{n}.jpg'}] for n in range(300)]}))", 5, 100),
    "data behind 2,000 brackets": ("states('a=[1];' * 2_000 + 'photo' * 100_000 + '/a.jpg')", 5, 100),
    "a long title": ("len(page_facts('<title>' + 'x' * 9_000_000, U).title) <= 1000", 5, 150),
    "many bases": ("len(find_images('<base href=http://b/>' * 100_000 + '<img src=a.jpg>', U))", 9, 100),
    "facts that are nested": ("len(page_facts('<script type=application/ld+json>' + '[' * 900_000 + '</script>', U).images)", 5, 100),
    "robots.txt of stars": ("robots('User-agent: *\\nDisallow: /' + '*a' * 5000 + '$\\n')", 5, 100),
    "robots.txt of agents": ("robots('User-agent: imgcrawl\\n' * 40_000 + 'Disallow: /x\\n')", 5, 100),
    "parameters of a name": ("len(file_name_of(said(Content_Disposition='a;' + 'filename=a;' * 5500)))", 5, 50),
    "pieces of a name": ("len(file_name_of(said(Content_Disposition='a;' + ''.join(f'filename*{n}*=a;' for n in range(3000)))))", 5, 50),
    "digits of seconds": ("said(Retry_After='1' * 60_000)", 1, 50),
    "rows that are nested": ("rows('l.jsonl', b'{\"url\":' + b'[' * 500_000 + b'\\n{\"url\":\"http://a/\"}\\n')", 5, 100),
    "an array that is nested": ("rows('l.json', b'[{\"url\":\"http://a/\"},' + b'[' * 5_000_000)", 5, 150),
    "an array of one text": ("rows('l.json', b'[{\"url\":\"' + b'a' * 30_000_000)", 6, 200),
    "an array of long texts": ("rows('l.json', b'[' + b'{\"url\":\"http://a/' + b'a' * 4_000_000 + b'\"},' * 3 + b'{\"url\":\"http://a/\"}]')", 6, 200),
    "a list in gzip": ("rows('l.csv.gz', compress(b'url\\nhttp://a/\\n' + bytes(60_000_000), 1))", 12, 350),
}  # fmt: skip

MEASURE = """
import json, re, sys, time
from gzip import compress
from pathlib import Path
from scrapy.http import Response
from imgcrawl.downloadermiddlewares.robotstxt import _parse, our_rules
from imgcrawl.exceptions import InputError
from imgcrawl.pages import find_images, page_facts
from imgcrawl.pages.sitemaps import read_sitemap
from imgcrawl.pages.sizes import size_of
from imgcrawl.pages.states import lists_in_states
from imgcrawl.pipelines.servernames import file_name_of
from imgcrawl.rows import open_address_list
U, w, J, M = "http://a/", Path(sys.argv[1]), json.dumps, "m" * 1_000_000
count = lambda them: sum(1 for _ in them)
robots = lambda text: _parse(our_rules(text, "imgcrawl")).can_fetch(U + "a" * 5000, "imgcrawl")
said = lambda **fields: Response(U, headers={name.replace("_", "-"): value for name, value in fields.items()})
states = lambda script: len(lists_in_states([script], U, "utf-8", SHOWN).lists)
SHOWN = {size_of(f"{U}{name}.jpg").image for name in ("a", *(f"photo{n}" for n in range(49)))}
pushed = lambda *rows: f"__next_f.push([1,{J(chr(10).join(rows))}])"
def attributes(count, one):
    thousand = b"".join(one.replace(b"@", b"%d_@" % n) for n in range(1_000))
    return b"".join(thousand.replace(b"@", b"%d" % n) for n in range(count // 1_000))
def rows(name, content):
    (w / name).write_bytes(content)
    return sum(len(page.rows) for page in open_address_list(w / name)[0].pages(100))
def memory(what):
    return int(re.findall(what + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[0]) / 1024
for name, code in json.loads(sys.argv[2]).items():
    Path("/proc/self/clear_refs").write_text("5")
    before, began = memory("VmRSS"), time.process_time()
    try:
        told = str(eval(code))[:40]
    except (ValueError, InputError) as error:
        told = f"{type(error).__name__}: {error}"[:40]
    print(json.dumps([name, time.process_time() - began, memory("VmHWM") - before, told]), flush=True)
"""


@pytest.mark.alone
def test_each_takes_bounded_time_and_memory(tmp_path: Path) -> None:
    codes = json.dumps({name: code for name, (code, *_) in ATTACKS.items()})
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path), codes], capture_output=True, text=True, check=False
    )
    measured = {line[0]: line[1:] for line in map(json.loads, ran.stdout.splitlines())}
    assert measured.keys() == ATTACKS.keys(), ran.stderr[-2000:]
    table = "\n".join(f"{name:28} {took:6.2f} s {mb:6.0f} MB  {told}" for name, (took, mb, told) in measured.items())
    for name, (_, seconds, megabytes) in ATTACKS.items():
        took, mb, _ = measured[name]
        assert took < seconds and mb < megabytes, f"{name}\n{table}"


def test_a_file_of_cookies_is_no_endless_one(tmp_path: Path) -> None:
    file = tmp_path / "cookies"
    file.write_bytes(b"a.example\tTRUE\t/\tFALSE\t0\tname\tvalue\n" * 400_000)
    with pytest.raises(InputError, match="more than 8 MiB"):
        read_cookies(str(file))


def test_the_table_of_attacks_says_what_each_takes_and_what_comes_of_it(tmp_path: Path, server: Server) -> None:
    stage = Stage(tmp_path, ROOT, server)
    assert took(TERMINAL["a page whose title and addresses are commands"], stage)[0]
    assert stage.cpu > 0 and stage.megabytes > 10
    stage.most_seconds = 0.01
    assert took(lambda stage: (stage.scrapy("version").code == 0, ""), stage) == (False, "more than 0 s: ended by us")


@pytest.mark.alone
def test_all_of_it_together_leaves_room_and_threads_for_good_images(server: Server, tmp_path: Path) -> None:
    bad = {
        "junk.jpg": hostile.jpeg_of_junk(36 * MB),
        "plain.webp": hostile.plain_webp(9900, 10_000),
        "progressive.jpg": hostile.progressive_jpeg(9000, 8000),
        "tile.tif": hostile.tiff_of_a_large_tile(11_000),
        "loud.tif": hostile.loud_tiff(),
        "large.png": encoded(Image.new("RGBA", (6000, 6000)), "PNG", compress_level=1),
        "layers.jp2": hostile.plain_jpeg2000(5000, 4900),
    }
    html = {"Content-Type": "text/html"}
    paths = ["/bad", "/title", "/links", *(f"/g/{n}" for n in range(10))]
    server.add("/list", "".join(f'<a class=g href="{path}">a</a>' for path in paths).encode(), headers=html)
    server.add(
        "/bad", ("<title>bad</title>" + "".join(f"<img src=/bad/{name}>" for name in bad)).encode(), headers=html
    )
    server.add("/title", large(b"<!doctype html><title>", 99 * MB))
    links = "".join(f"<a href=/l/{n}>l</a>" for n in range(300_000))
    server.add("/links", f"<title>links</title><img src=/i/links.jpg>{links}".encode(), headers=html)
    server.add("/i/links.jpg", jpeg(colour=(0, 0, 0)))
    for name, body in bad.items():
        server.add(f"/bad/{name}", body)
    for n in range(10):
        server.add(f"/g/{n}", f"<title>{n}</title><img src=/i/{n}.jpg>".encode(), headers=html)
        server.add(f"/i/{n}.jpg", lambda _, n=n: Answer(jpeg(colour=(20 * n + 10, 99, 0)), delay=0.5))
    arguments = {"list": server.url("/list"), "galleries": "a.g", "images": "img"}
    process = start(tmp_path, "gallery", arguments, IMAGES_THREADS="1", CONCURRENT_REQUESTS_PER_DOMAIN="32")
    peaks: dict[int, int] = {}  # of the crawl, and of its process that decodes
    while process.poll() is None:
        for pid in (process.pid, *children_of(process.pid)):
            peaks[pid] = max(peaks.get(pid, 0), peak_rss(pid))
        time.sleep(0.02)
    log, _ = process.communicate()
    items = {item["url"].rpartition("/")[2]: item for item in json.loads((tmp_path / "items.json").read_text("utf-8"))}
    assert len(items) == len(paths)
    assert items["title"]["error"] == "too_large"
    told = {image["url"].rpartition("/")[2]: image.get("reason", image["status"]) for image in items["bad"]["images"]}
    assert told.pop("large.png") == told.pop("loud.tif") == told.pop("layers.jp2") == "downloaded"
    assert set(told.values()) == {"too_many_pixels"}
    good = [image["status"] for name, item in items.items() for image in item["images"] if name != "bad"]
    assert good == ["downloaded"] * 11
    ended = list(items)  # that of very many links may be as late as the bad images
    assert ended.index("bad") > max(ended.index(str(n)) for n in range(10)), "what takes long keeps no good one waiting"
    assert "TIFF" not in log
    assert "Traceback" not in log
    crawl, *decoders = peaks.values()
    assert decoders
    # The most that each ever had, together, though they did not have it at the same time.
    assert crawl + max(decoders) < 500 * MB
