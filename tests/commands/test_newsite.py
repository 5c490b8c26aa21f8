"""In a copy of the project, as its user has it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.crawling import ROOT
from tests.support.server import Server

LIST = "<!doctype html><title>Álbumes</title><a class=album href=/a/1>Uno</a><a class=album href=/a/2>Dos</a>"
GALLERY = "<!doctype html><title>Uno</title><h2>Álbum uno</h2><p><img src=/1.jpg><img src=/2.jpg></p>"


class Project:
    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        for name in ("scrapy.cfg", "pyproject.toml", "imgcrawl", "tests"):
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, root / name)  # with what is compiled already
            else:
                shutil.copy(source, root / name)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(self.root)}
        environment.pop("REDIS_URL", None)
        environment.pop("SCRAPY_SETTINGS_MODULE", None)
        return processes.run(
            [sys.executable, "-m", *command],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def newsite(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("scrapy", "newsite", *arguments)

    def tests(self, name: str) -> subprocess.CompletedProcess[str]:
        return self.run("pytest", "-n", "0", "-p", "no:cacheprovider", "tests/test_sites.py", "-k", name)

    @property
    def files(self) -> set[Path]:
        return {path for path in self.root.rglob("*") if path.is_file() and "__pycache__" not in path.parts}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "copy")


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One for all tests that change nothing in it."""
    return Project(tmp_path_factory.mktemp("untouched") / "copy")


def test_from_nothing_to_green(project: Project, server: Server) -> None:
    server.add("/albums?page=1", LIST.encode("latin-1"), headers={"Content-Type": "text/html; charset=latin-1"})
    before = project.files

    live = project.root.parent / "live"
    made = project.newsite("albums", server.url("/albums?page={page}"), "-s", f"LIVE_FOLDER={live}")

    assert made.returncode == 0, made.stderr
    assert not live.exists(), "it is no crawl that `scrapy status` would tell of"
    site = project.root / "tests" / "sites" / "albums"
    spider = project.root / "imgcrawl" / "spiders" / "albums.py"
    assert project.files - before == {spider, *(site / f for f in ("list.html", "gallery.html", "expected.json"))}
    assert (site / "list.html").read_bytes() == LIST.encode("latin-1")
    assert server.count("/robots.txt") == 1

    red = project.tests("albums")
    assert red.returncode == 1, red.stdout
    assert "2 failed" in red.stdout

    source = spider.read_text("utf-8")
    assert f'list_url = "{server.url("/albums?page={page}")}"' in source
    spider.write_text(source.replace("a[@class='gallery']", "a[@class='album']").replace("div[@class='gallery']", "p"))
    (site / "gallery.html").write_text(GALLERY)
    list_case, gallery_case = json.loads((site / "expected.json").read_text("utf-8"))
    list_case["requests"] = [
        ["parse_gallery", server.url("/a/1")],
        ["parse_gallery", server.url("/a/2")],
        ["parse_list", server.url("/albums?page=2")],
    ]
    gallery_case["url"] = gallery_case["items"][0]["url"] = server.url("/a/1")
    gallery_case["items"][0]["title"] = "Álbum uno"
    gallery_case["items"][0]["image_urls"] = [server.url("/1.jpg"), server.url("/2.jpg")]
    (site / "expected.json").write_text(json.dumps([list_case, gallery_case]))

    green = project.tests("albums")
    assert green.returncode == 0, green.stdout
    assert "passed" in green.stdout


def test_what_the_pages_repeat_is_declared_and_green_when_it_is_right(project: Project, server: Server) -> None:
    html = {"Content-Type": "text/html; charset=utf-8"}
    sets = "".join(f'<li class="set"><a href="/s/{n}"><img src="/t/{n}.jpg"></a><b>Set {n}</b></li>' for n in range(9))
    server.add("/sets", f'<ul>{sets}</ul><a class="more" href="/sets?from=9">Weiter »</a>'.encode(), headers=html)
    for n in range(9):
        images = "".join(f'<figure><img src="/i/{n}-{image}.jpg"></figure>' for image in range(3))
        page = f'<meta name="author" content="Ä. Author"><h1>Site</h1><h2>Set {n}</h2><img src="/logo.png">{images}'
        server.add(f"/s/{n}", page.encode(), headers=html)

    made = project.newsite("sets", server.url("/sets"))

    assert made.returncode == 0, made.stderr
    assert 'gallery_links = "li.set a"' in made.stdout
    spider = (project.root / "imgcrawl" / "spiders" / "sets.py").read_text("utf-8")
    for line in (
        f'list_url = "{server.url("/sets")}"',
        "next_link = \"//a[normalize-space()='Weiter »']\"",
        'gallery_links = "li.set a"',
        'image_links = "figure > img"',
        'titles = ("h2",)',
    ):
        assert f"    {line}\n" in spider, spider
    list_case, gallery_case = json.loads((project.root / "tests/sites/sets/expected.json").read_text("utf-8"))
    assert list_case["requests"] == [
        *(["parse_gallery", server.url(f"/s/{n}")] for n in range(9)),
        ["parse_list", server.url("/sets?from=9")],
    ]
    (item,) = gallery_case["items"]
    assert (item["title"], len(item["image_urls"])) == ("Set 0", 3)
    green = project.tests("sets")
    assert green.returncode == 0, green.stdout
    file = project.root / "imgcrawl" / "spiders" / "sets.py"
    file.write_text(spider.replace("figure > img", "img"))
    assert project.tests("sets").returncode == 1


def test_pages_of_images_are_declared_and_saved(project: Project, server: Server) -> None:
    html = {"Content-Type": "text/html; charset=utf-8"}
    sets = "".join(f'<li class="set"><a href="/s/{n}"><img src="/t/{n}.jpg"></a><b>Set {n}</b></li>' for n in range(9))
    server.add("/sets", f"<ul>{sets}</ul>".encode(), headers=html)
    for n in range(3):
        thumbs = "".join(f'<a class=v href="/v/{n}-{i}"><img src="/t/{n}-{i}.jpg"></a>' for i in range(4))
        server.add(f"/s/{n}", f"<h1>Site</h1><h2>Set {n}</h2><div class=all>{thumbs}</div>".encode(), headers=html)
        for i in range(4):
            page = f'<img src="/logo.png"><img src="/i/{n}-{i}.jpg"><img src="/t/{n}-{i}.jpg">'
            server.add(f"/v/{n}-{i}", page.encode(), headers=html)
    made = project.newsite("deep", server.url("/sets"))
    assert made.returncode == 0, made.stderr
    spider = (project.root / "imgcrawl" / "spiders" / "deep.py").read_text("utf-8")
    assert "class DeepSpider(ImagePagesGallerySpider):" in spider
    assert "image_page_links = " in spider
    assert "image_links = " not in spider.replace("image_page_links", "")
    (item,) = json.loads((project.root / "tests/sites/deep/expected.json").read_text("utf-8"))[1]["items"]
    assert [url.rpartition("/")[2] for url in item["image_urls"]] == ["0-0.jpg", "0-1.jpg", "0-2.jpg"]
    assert item["failed_pages"] == [{"url": server.url("/v/0-3"), "reason": "http_404"}], "of what is not saved"
    green = project.tests("deep")
    assert green.returncode == 0, green.stdout


@pytest.mark.parametrize(
    ("images", "is_found"),
    [
        ('<p style="background-image: url(/i/N-1.jpg)"></p><p style="background-image: url(/i/N-2.jpg)"></p>', True),
        ("<img src=/logo.png><form><input type=password></form>", False),
    ],
)
def test_images_that_are_found_anyhow_need_no_declaration(
    project: Project, server: Server, images: str, is_found: bool
) -> None:
    html = {"Content-Type": "text/html; charset=utf-8"}
    links = "".join(f'<a class="set" href="/s/{n}">Set {n}</a>' for n in range(9))
    server.add("/sets", f"<img src=/logo.png>{links}".encode(), headers=html)
    for n in range(9):
        server.add(f"/s/{n}", f"<h1>Set {n}</h1>{images.replace('N', str(n))}".encode(), headers=html)
    made = project.newsite("styled", server.url("/sets"))
    assert made.returncode == 0, made.stderr
    spider = (project.root / "imgcrawl" / "spiders" / "styled.py").read_text("utf-8")
    assert ("image_links" in spider) is not is_found
    assert ("No images are found on their pages: say in the spider where they are" in made.stdout) is not is_found
    tested = project.tests("styled")
    assert tested.returncode == (0 if is_found else 1), tested.stdout
    (item,) = json.loads((project.root / "tests/sites/styled/expected.json").read_text("utf-8"))[1]["items"]
    assert len(item["image_urls"]) == (2 if is_found else 1)


def test_a_gallery_goes_on_on_its_further_pages(project: Project, server: Server) -> None:
    html = {"Content-Type": "text/html; charset=utf-8"}
    sets = "".join(f'<li class="set"><a href="/s/{n}.html"><img src="/t/{n}.jpg"></a></li>' for n in range(9))
    server.add("/sets", f"<ul>{sets}</ul>".encode(), headers=html)
    for n in range(9):
        for page, address in enumerate((f"/s/{n}.html", f"/s/{n}_2.html"), 1):
            more = f'<a href="{n}_2.html">下一页</a>' if page == 1 else ""
            shown = f"<h1>Set {n}</h1><div id=content><p><img src=/i/{n}/{page}.jpg></p></div>{more}"
            server.add(address, shown.encode(), headers=html)
    made = project.newsite("paged", server.url("/sets"))
    assert made.returncode == 0, made.stderr
    assert project.tests("paged").returncode == 0
    gallery_case = json.loads((project.root / "tests/sites/paged/expected.json").read_text("utf-8"))[1]
    assert gallery_case["pages"] == {server.url("/s/0_2.html"): "image-1.html"}
    assert len(gallery_case["items"][0]["image_urls"]) == 2
    crawled = project.run("scrapy", "crawl", "paged", "--simulate", "-s", "LOG_ENABLED=False")
    assert sorted(line.split("\t")[1] for line in crawled.stdout.splitlines()) == [
        server.url(f"/i/{n}/{page}.jpg") for n in range(9) for page in (1, 2)
    ], crawled.stderr


def test_what_could_not_be_written_leaves_nothing_behind(project: Project, tmp_path: Path) -> None:
    saved = tmp_path / "saved.html"
    saved.write_bytes(b"<title>Birds</title>" + b" " * 200_000)
    before = project.files
    newsite = f"{sys.executable} -B -m scrapy newsite kept https://example.org/ --page {saved}"
    made = subprocess.run(
        ["/bin/sh", "-c", f"ulimit -f 100; exec {newsite}"],  # of 512 or 1,024 bytes each
        cwd=project.root,
        env=os.environ | {"PYTHONPATH": str(project.root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 1
    assert made.stderr == f"{project.root / 'tests/sites/kept/list.html'}: File too large\n"
    assert project.files == before
    assert not (project.root / "tests/sites/kept").exists()


def test_a_saved_page(project: Project, tmp_path: Path) -> None:
    saved = tmp_path / "saved.html"
    saved.write_bytes(b"\x00 as it is \xff")
    made = project.newsite("kept", 'https://example.org/"{x}"', "--page", str(saved))
    assert made.returncode == 0, made.stderr
    assert "Nothing is proposed: https://example.org/" in made.stdout
    assert (project.root / "tests/sites/kept/list.html").read_bytes() == saved.read_bytes()
    namespace: dict[str, object] = {}
    exec((project.root / "imgcrawl/spiders/kept.py").read_text("utf-8"), namespace)  # noqa: S102 -- what was written
    assert namespace["KeptSpider"].list_url == 'https://example.org/"{{x}}"'
    assert project.tests("kept").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "scrapy newsite : expected a name and the address of a list page"),
        (["one"], "scrapy newsite one: expected a name and the address of a list page"),
        (["pximg", "https://example.org/"], "the name 'pximg' of a site is taken: there is a spider of that name"),
        (["__init__", "https://example.org/"], "the name '__init__' of a site: expected small letters, digits"),
        (["../evil", "https://example.org/"], "the name '../evil' of a site: expected small letters, digits"),
        (["class", "https://example.org/"], "the name 'class' of a site: expected small letters, digits"),
        (["new", "example.org"], "the address 'example.org' of a list page: expected one that begins with http://"),
        (["new", "http://127.0.0.1:9/"], "http://127.0.0.1:9/ could not be had (connection); give a saved page"),
        (
            ["new", "https://example.org/api", "--page", "../list.json"],
            "https://example.org/api could not be had (it is JSON, of which nothing is proposed); try scrapy crawl "
            "gallery -a list=https://example.org/api -a galleries=JMESPATH, and declare what holds",
        ),
        (["new", "https://example.org/", "--page", "nowhere.html"], "--page nowhere.html cannot be read: No such file"),
    ],
)
def test_bad_input_writes_nothing(untouched: Project, arguments: list[str], sentence: str) -> None:
    (untouched.root.parent / "list.json").write_text('{"items": [{"url": "/1"}, {"url": "/2"}]}')
    before = untouched.files
    made = untouched.newsite(*arguments, "-s", "RETRY_TIMES=0")
    assert (made.returncode, made.stdout) == (2, ""), made.stderr
    assert made.stderr.startswith(sentence), made.stderr
    assert made.stderr.count("\n") == 1
    assert untouched.files == before
