"""What the replicas serve, asked by a client that is not Scrapy: their quirks are those of SITES.md."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections import Counter
from pathlib import Path

import aiohttp
import pytest
from parsel import Selector

from imgcrawl.demo.server import Replica, serve
from imgcrawl.demo.videos import CONTAINERS, video
from imgcrawl.images.containers import examine_video


async def get(url: str, **headers: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.text(errors="replace")


@pytest.mark.parametrize("site", ["mzitu", "douban", "weibo", "douyin"])
def test_the_same_options_make_the_same_site(site: str) -> None:
    small = {"galleries": 8, "images": 3, "width": 40}
    with serve(site, **small) as one, serve(site, **small) as other:
        there, here = ([[(i["sha256"], i["paths"]) for i in g["images"]] for g in r.galleries] for r in (one, other))
        assert there == here


def port(replica: Replica) -> str:
    return replica.base.rpartition(":")[2]


async def test_mzitu_looks_at_the_referer_and_loads_lazily() -> None:
    with serve("mzitu", galleries=2, images=3, width=40) as replica:
        image = replica.galleries[0]["images"][1]
        page = replica.galleries[0]["item"]["image_pages"][1]
        assert page == f"{replica.galleries[0]['url']}/2"
        for referer, status in ((page, 200), (replica.galleries[0]["url"], 403), (f"{page}/", 403), ("", 403)):
            assert (await get(image["clean"], Referer=referer))[0] == status
        entries = Selector((await get(f"{replica.base}/page/1"))[1]).xpath("//ul[@id='pins']/li")
        assert len(entries) == 2
        assert [len(set(entry.xpath(".//a/@href").getall())) for entry in entries] == [1, 1]
        assert [len(entry.xpath(".//a/@href")) for entry in entries] == [2, 2]
        assert {src.rpartition("/")[2] for src in entries.xpath(".//img/@src").getall()} == {"lazy.png"}


async def test_mzitus_numbers_lie() -> None:
    with serve("mzitu", galleries=4, images=10, width=40) as replica:
        said = []
        for gallery in replica.galleries:
            page = Selector((await get(gallery["url"]))[1])
            said.append(int(page.xpath("//div[@class='pagenavi']/a[last() - 1]//text()").get() or 0))
        assert said == [10, 12 + 30, 2, 10]
        assert (await get(f"{replica.galleries[1]['url']}/13"))[0] == 404
        assert (await get(f"{replica.galleries[3]['url']}/3"))[0] == 500


async def test_doutulas_images_are_lazy_and_its_badges_are_no_images() -> None:
    with serve("doutula", galleries=1, images=24, width=60) as replica:
        html = (await get(f"{replica.base}/photo/list/?page=1"))[1]
        shown = Selector(html).xpath('//div[@class="page-content text-center"]//img')
        images = [img for img in shown if img.attrib["class"] != "gif"]
        true = replica.galleries[0]["images"]
        assert [img.attrib["data-original"] for img in images] == [image["address"] for image in true]
        assert len(shown) - len(images) == sum(image["format"] == "GIF" for image in true) > 0
        assert {image["frames"] > 1 for image in true if image["format"] == "GIF"} == {True}
        assert max(Counter(img.attrib["alt"] for img in images).values()) > 1
        for mark in ("!dta", "//127.0.0.2", "data-original=http"):
            assert mark in html, mark


async def test_douban_refuses_libraries() -> None:
    with serve("douban", galleries=30, width=40) as replica:
        url = f"{replica.base}/top250?start=25&filter="
        for agent in ("python-requests/2.32", "Scrapy/2.19 (+https://scrapy.org)", "curl/8.5.0", ""):
            assert (await get(url, **{"User-Agent": agent}))[0] == 403, agent
        status, html = await get(url, **{"User-Agent": "imgcrawl/1"})
        assert (status, len(Selector(html).xpath("//ol/li"))) == (200, 5)
        small = replica.truth["others"][0]
        assert "/s_ratio_poster/" in small
        assert (await get(small, **{"User-Agent": "imgcrawl/1"}))[0] == 200


def test_weibos_rows_are_printed_in_every_way(tmp_path: Path) -> None:
    with serve("weibo", galleries=50, width=40) as replica:
        replica.write_lists(tmp_path)
        bad = replica.truth["bad_rows"]
    lines = (tmp_path / "weibo.csv").read_bytes().splitlines()
    assert len(bad) == 7
    assert lines[bad[0] - 1].count(b",") == 2
    text = b"\n".join(lines).decode("utf-8", "replace")
    for printed in ("['https://", '[""https://', "u'https://", ",[],", "［‘https://", "None", "两行\n文字"):
        assert printed in text, printed


def test_urls_are_the_same_in_every_list(tmp_path: Path) -> None:
    with serve("urls", galleries=12, width=40) as replica:
        replica.write_lists(tmp_path)
        true = [image["address"] for gallery in replica.galleries for image in gallery["images"]]
    text = (tmp_path / "urls.txt").read_text("utf-8-sig").splitlines()
    assert [line.strip() for line in text if not line.startswith("#")] == true
    table = gzip.decompress((tmp_path / "urls.csv.gz").read_bytes()).decode().splitlines()
    assert [row["address"] for row in csv.DictReader(table)] == true
    with zipfile.ZipFile(tmp_path / "urls.tsv.zip") as archive:
        tabbed = archive.read("urls.tsv").decode().splitlines()
    assert [line.split("\t")[1] for line in tabbed if line] == true
    lines = (tmp_path / "urls.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["image"] for line in lines if line] == true
    other = (tmp_path / "urls-gbk.csv").read_text("gb18030").splitlines()
    assert [row["address"] for row in csv.DictReader(other, delimiter=";")] == true


@pytest.mark.parametrize("form", CONTAINERS)
def test_a_video_is_whole_and_one_cut_short_is_not(form: str, tmp_path: Path) -> None:
    body = video("seed", form, 10_000)
    assert body == video("seed", form, 10_000) != video("other", form, 10_000)
    (tmp_path / "whole").write_bytes(body)
    assert examine_video(tmp_path / "whole").format == form
    (tmp_path / "cut").write_bytes(body[:-1])
    with pytest.raises(Exception, match="truncated"):
        examine_video(tmp_path / "cut")


async def test_douyin_leads_to_another_host_on_another_port() -> None:
    with serve("douyin", galleries=1, width=1000) as replica:
        url = replica.galleries[0]["images"][0]["clean"]
        async with aiohttp.ClientSession() as session, session.get(url, allow_redirects=False) as response:
            assert response.status == 302
            assert response.headers["Location"].startswith(f"{replica.image_base}/")
        assert replica.base.split(":")[1:] != replica.image_base.split(":")[1:]
        assert port(replica) != replica.image_base.rpartition(":")[2]


async def test_each_domain_of_alexa_is_a_host_of_its_own(tmp_path: Path) -> None:
    with serve("alexa", galleries=50, width=40) as replica:
        replica.write_lists(tmp_path)
        with zipfile.ZipFile(io.BytesIO((tmp_path / "top-1m.csv.zip").read_bytes())) as archive:
            rows = [line.split(",") for line in archive.read("top-1m.csv").decode().splitlines()]
        domains = dict(rows[:50])
        assert len(set(domains.values())) == 50
        for rank, robots, status in (("1", 200, 200), ("8", 200, 404), ("14", 404, 200), ("38", 503, 200)):
            assert (await get(f"http://{domains[rank]}/robots.txt"))[0] == robots
            assert (await get(f"http://{domains[rank]}/"))[0] == status
        assert "Disallow: /\n" in (await get(f"http://{domains['20']}/robots.txt"))[1]
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(f"http://{domains['26']}/")
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(0.5)) as session:
            with pytest.raises(TimeoutError):
                await session.get(f"http://{domains['2']}/")
