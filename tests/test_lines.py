"""Lines for people: no control characters, no forged lines, no passwords, whoever sent them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from scrapy import Spider
from scrapy.crawler import Crawler
from scrapy.statscollectors import StatsCollector
from scrapy.utils.misc import build_from_crawler, load_object

from imgcrawl.commands.galleries import _print
from imgcrawl.console import main
from imgcrawl.exceptions import record_fatal_error
from imgcrawl.feeds.storage import StdoutFeedStorage
from imgcrawl.lines import printable, shown_address
from imgcrawl.samples import Samples
from tests.support import processes
from tests.support.crawling import FAST, environment, project_settings
from tests.support.sharing import scrapy

HOSTILE = "\x1b]0;owned\x07\r\n2026-01-01 00:00:00 [scrapy] ERROR: forged\u202e\x00\x9b31m\u2028next"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://me:secret@host:1/0", "redis://host:1/0"),
        ("redis://:sec/ret@host:1/0 is away", "redis://host:1/0 is away"),
        ("rediss://me:sec@ret@host/0", "rediss://host/0"),
        ("unix:///run/redis.sock?password=secret&db=1", "unix:///run/redis.sock?password=***&db=1"),
        ("redis://host/0?username=secret&password=secret", "redis://host/0?username=***&password=***"),
        ("proxy http://me:secret@proxy:3128 refused", "proxy http://proxy:3128 refused"),
        ("http://me:sec/ret@proxy:3128", "http://proxy:3128"),
        ("socks5://me:secret@proxy", "socks5://proxy"),
        ("-a url='https://secret@host/a.jpg'", "-a url='https://host/a.jpg'"),
        ("REDIS://me:secret@host:1/0", "REDIS://host:1/0"),
        ("redis://me:sec'r\"et@host:1 is away", "redis://host:1 is away"),
        ("Unix:///run/redis.sock?PASSWORD=secret", "Unix:///run/redis.sock?PASSWORD=***"),
        ("rediss+unix://me:secret@/run/r.sock", "rediss+unix:///run/r.sock"),
        (
            "{'REDIS_PARAMS': {'username': 'me', 'password': 'secret'}}",
            "{'REDIS_PARAMS': {'username': 'me', 'password': '***'}}",
        ),
        # What only looks like it.
        ("https://host/@name/a.jpg", "https://host/@name/a.jpg"),
        ("https://host:8080/@name/a.jpg", "https://host:8080/@name/a.jpg"),
        ("http://h/: nothing matches //a[@class='g']/@href", "http://h/: nothing matches //a[@class='g']/@href"),
        ("http://h/: //img[@src] in //me:secret@h/", "http://h/: //img[@src] in //h/"),
        ("http://h/: //img[re:test(./@src, 'x')]", "http://h/: //img[re:test(./@src, 'x')]"),
        ("http://h/: no -a x=//a[contains(@class,'g')]/@href", "http://h/: no -a x=//a[contains(@class,'g')]/@href"),
        (
            "http://h/: //svg:a[not(@x)]|.//@src, //*[@*]//b[1<@c]",
            "http://h/: //svg:a[not(@x)]|.//@src, //*[@*]//b[1<@c]",
        ),
        ("http://h/: //me:sec[@ret@h/ //me[1]@h/ x://me:[@h/", "http://h/: //h/ //h/ x://h/"),
        ("mail to me@host", "mail to me@host"),
        ("https://host/a?password=mine", "https://host/a?password=mine"),
    ],
)
def test_who_we_are_is_shown_in_no_address(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("redis://:secret/x@host:1/0", "redis://host:1/0"),
        ("redis://me:se cret@host:port", "redis://host:port"),
        ("redis://:12/secret@host:1", "redis://host:1"),
        ("me:secret@host:1", "host:1"),
        ("me:secret://x@host:1", "host:1"),
        ("http:/me:secret@host", "host"),
        ("http://me:12/34secret@proxy:3128", "http://proxy:3128"),
        ('http://me:pa"secret@proxy', "http://proxy"),
        ("unix://me:secret@/run/r.sock?password=secret", "unix:///run/r.sock?password=***"),
        ("rediss://host:1/0\x1b[2J", "rediss://host:1/0\N{REPLACEMENT CHARACTER}[2J"),
        ("host", "host"),
    ],
)
def test_of_an_address_of_ours_nothing_is_shown_that_may_be_a_password(address: str, shown: str) -> None:
    assert shown_address(address) == shown


def test_what_others_are_told_of_a_crawl_has_no_password_of_an_address() -> None:
    """Which goes to files of a crawl, to Redis, and to whoever is told of its end."""
    stats = StatsCollector(Crawler(Spider))
    address = "http://me:s3cret@host/list"
    record_fatal_error(stats, f"{address}: the start page could not be had")
    samples = Samples()
    samples.add("list/failed/invalid_url", address, address)
    for status in ("downloaded", "failed"):
        samples.add_image({"status": status, "reason": "timeout", "url": address, "path": "a"}, address, "t")
    told = repr((stats.get_stats(), samples.newest, samples.failures, samples.of_reason))
    assert told.count("http://host/list") == 11
    assert "s3cret" not in told


def test_a_line_stays_one_line() -> None:
    line = printable(HOSTILE)
    assert line.isprintable()
    assert "forged" in line
    assert printable("\tcolumn") == "\tcolumn"


class Stream(io.BytesIO):
    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


TOLD = "é漢\x1b]0;\x07\x7f\x9b31m\u202e\u2066\rover\ttab"


def on_stdout(format: str, *, is_terminal: bool, **options: Any) -> bytes:
    """What a feed of one item is on stdout."""
    crawler = Crawler(Spider, project_settings())
    crawler.stats = StatsCollector(crawler)
    spider = Spider.from_crawler(crawler, "x")
    stream = Stream(is_terminal=is_terminal)
    storage = StdoutFeedStorage.from_crawler(crawler, "stdout:", feed_options={"format": format, **options})
    storage._stdout = stream
    file = storage.open(spider)
    kind = load_object(crawler.settings.getwithbase("FEED_EXPORTERS")[format])
    exporter = build_from_crawler(kind, crawler, file, encoding=options.get("encoding"))
    exporter.start_exporting()
    exporter.export_item({"title": TOLD, TOLD: 1})
    exporter.finish_exporting()
    return stream.getvalue()


@pytest.mark.parametrize("is_terminal", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8", None])
def test_json_on_stdout_says_all_and_tells_a_terminal_nothing(is_terminal: bool, encoding: str | None) -> None:
    for format in ("json", "jsonl"):
        told = on_stdout(format, is_terminal=is_terminal, encoding=encoding).decode()
        assert all(line.isprintable() for line in told.split("\n"))
        data = json.loads(told)
        assert (data[0] if format == "json" else data) == {"title": TOLD, TOLD: 1}
        assert ("é漢" in told) == (encoding == "utf-8")


@pytest.mark.parametrize("format", ["csv", "xml"])
def test_other_text_on_stdout_is_as_it_is_for_a_program_and_harmless_for_a_terminal(format: str) -> None:
    told = on_stdout(format, is_terminal=True, encoding="utf-8").decode()
    assert all(line.replace("\t", "").isprintable() for line in told.replace("\r\n", "\n").split("\n"))
    assert "é漢\N{REPLACEMENT CHARACTER}]0;" in told
    assert TOLD.encode() in on_stdout("csv", is_terminal=False, encoding="utf-8")
    assert TOLD.encode() in on_stdout("csv", is_terminal=True, encoding="utf-8", postprocessing=["gzip"])  # no text


def test_a_command_prints_galleries_and_its_refusals_without_commands_for_a_terminal(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SCRAPY_SETTINGS_MODULE", raising=False)  # which `main` sets
    _print([{"title": TOLD}])
    out = capfd.readouterr().out
    assert out.rstrip("\n").isprintable()
    assert json.loads(out) == {"title": TOLD}
    with pytest.raises(SystemExit):
        main(["imgcrawl", "--config", f"{TOLD}\nsecond", "list"])
    err = capfd.readouterr().err
    assert err.endswith("\n")
    assert err[:-1].replace("\t", "").isprintable()


def test_a_log_has_only_lines_of_its_own(tmp_path: Path) -> None:
    page = tmp_path / "list.jsonl"
    hostile = HOSTILE.replace("\0", "")  # which no list may hold, and no command line
    rows = [{"url": f"https://me:secret@127.0.0.1:1/{hostile}"}, {"url": hostile}, {hostile: 1}]
    page.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, "-m", "scrapy", "crawl", "urls", "-a", f"file={page}", "-a", "column=url"]
    for name, value in {**FAST, "LOG_LEVEL": "DEBUG", "LOG_FILE": "log", "RETRY_TIMES": 0, "STATS_DUMP": 1}.items():
        command += ["-s", f"{name}={value}"]
    command += ["-s", "REDIS_URL=", "-s", "HTTPPROXY_ENABLED=0", "-s", f"BOT_NAME={hostile}"]
    done = processes.run(
        [*command, "-O", "items.json"], cwd=tmp_path, env=environment(), capture_output=True, check=False, timeout=300
    )
    log = (tmp_path / "log").read_text("utf-8")
    for text in (log, done.stdout.decode(), done.stderr.decode()):
        assert all(line.isprintable() for line in text.split("\n")), text
    assert "forged" in log
    assert not [line for line in log.splitlines() if line.startswith("2026-01-01 00:00:00")]
    assert "secret" not in log


def test_a_command_tells_what_a_feed_holds_in_lines_of_its_own(tmp_path: Path) -> None:
    image = {"url": f"https://me:secret@host/{HOSTILE}.jpg", "status": "failed", "reason": HOSTILE}
    (tmp_path / "feed.jsonl").write_text(json.dumps({"url": HOSTILE, "images": [image]}) + "\n")
    code, out, err = scrapy(tmp_path, "failed", "feed.jsonl")
    assert code == 0, err
    assert len(out.splitlines()) == 1
    assert all(line.isprintable() for line in out.split("\n"))
    assert "secret" not in out
    # An address that cannot be shown is still that address.
    assert json.loads(out)["image_urls"] == [f"https://host/{HOSTILE}.jpg"]
    code, out, err = scrapy(tmp_path, "options", HOSTILE.replace("\0", ""))
    assert (code, len(err.split("\n"))) == (2, 2), err
    assert all(line.isprintable() for line in err.split("\n"))
