"""What another user of the machine may leave in folders, what a list may name, what may reach a terminal, and what
others may write into the same Redis."""

# ruff: noqa: E501 -- a table of attacks is read by its lines
from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import redis

from tests.attacks.sites import judged
from tests.attacks.stage import Attack, Done, Outcome, Stage
from tests.feeds.test_atomic import link, others_file, pipe, second_name, seen, unix_socket
from tests.frontier.test_queue import HOSTILE as VALUES
from tests.support.server import JPEG
from tests.test_lines import HOSTILE as TEXT

Put = Callable[[Path, Path], None]
PAGE = b"<title>bad</title><img src=/i/good.jpg>"


def told(done: Done) -> str:
    if not done.is_clean:
        return f"a traceback, exit code {done.code}"
    return (
        f"exit code {done.code}: {done.last_line}"
        if done.code == 2
        else f"exit code {done.code}, {', '.join(sorted(set(done.outcomes))) or 'no image'}"
    )


def link_to_a_folder(place: Path, victim: Path) -> None:
    """As a process that is gone has left it."""
    precious = victim.with_name("precious")
    (precious / "1@gone").mkdir(parents=True)
    (precious / "1@gone" / "letter").write_text("dear")
    place.symlink_to(precious)


def others_folder(place: Path, victim: Path) -> None:
    place.mkdir()
    os.chown(place, 12345, 12345)


def stands(name: str, put: Put, *options: str, **settings: Any) -> Attack:
    """A crawl in a folder where *put* has been at *name*: done beside it, or refused; nothing of others is touched."""

    def attack(stage: Stage) -> Outcome:
        victim, place = stage.folder / "victim", stage.folder / name
        victim.write_text("precious")
        place.parent.mkdir(parents=True, exist_ok=True)
        put(place, victim)
        letter, before = victim.with_name("precious") / "1@gone" / "letter", seen(place)
        had_letter = letter.exists()
        done = stage.crawl("gallery", stage.site(PAGE), options=options or ("-O", "items.json"), **settings)
        if victim.read_text() != "precious" or had_letter != letter.exists():
            return False, "what it leads to was changed"
        if not os.path.lexists(place) or seen(place) != before:
            return False, "what stood there was changed"
        return done.is_clean and done.code in (0, 2), told(done)

    return attack


def catalogued(path: str) -> Attack:
    """A second crawl, with a catalogue in which somebody has named *path* for all files."""

    def attack(stage: Stage) -> Outcome:
        arguments = stage.site(PAGE)
        stage.crawl("gallery", arguments)
        (stage.folder / "outside.jpg").write_bytes(JPEG)
        with closing(sqlite3.connect(stage.folder / "images" / ".catalogue.sqlite3")) as catalogue, catalogue:
            catalogue.execute("UPDATE images SET path = ?", (path,))
        done = stage.crawl("gallery", arguments)
        paths = [image.get("path") for item in done.items.values() for image in item["images"]]
        is_good = done.is_clean and path not in paths and (stage.folder / "outside.jpg").read_bytes() == JPEG
        return is_good, told(done)

    return attack


FILES: dict[str, Attack] = {
    "the staging folder is a link to a folder": stands("images/.incoming", link_to_a_folder),
    "the staging folder is a pipe": stands("images/.incoming", pipe),
    "the staging folder is another user's": stands("images/.incoming", others_folder),
    "a pipe under an image's name": stands("images/gallery/good/good.jpg", pipe, IMAGES_NAME="{spider}/{title}/{basename}"),
    "a link under an image's name": stands("images/gallery/good/good.jpg", link, IMAGES_NAME="{spider}/{title}/{basename}"),
    "a socket under an image's name": stands("images/gallery/good/good.jpg", unix_socket, IMAGES_NAME="{spider}/{title}/{basename}"),
    "a link under the name of the feed's journal": stands(".items.json.journal", link),
    "a second name of a file as the journal": stands(".items.json.journal", second_name),
    "a pipe under the name of the journal": stands(".items.json.journal", pipe),
    "a link under the name of the feed's temporary": stands(".items.json.tmp", link),
    "a pipe under the name of the catalogue": stands("images/.catalogue.sqlite3", pipe),
    "a link under the name of SQLite's own file": stands("images/.catalogue.sqlite3-wal", link),
    "another's folder where --workers keeps its Redis": stands(".imgcrawl", others_folder, "-O", "items.json", "--workers", "1"),
    "a link where --workers keeps its Redis": stands(".imgcrawl", link_to_a_folder, "-O", "items.json", "--workers", "1"),
    "the heartbeat's file is another's": stands("alive", others_file, HEARTBEAT_FILE="alive"),
    "a catalogue names a file outside": catalogued("../outside.jpg"),
    "a catalogue names /etc/passwd": catalogued("/etc/passwd"),
}  # fmt: skip


# ---- addresses

SPELLINGS = "127.0.0.1 127.1 2130706433 0x7f000001 0x7f.1 0177.0.0.1 017700000001 127.0.0.1. localhost LOCALHOST 0 0.0.0.0 [::1] [::ffff:127.0.0.1] [::ffff:7f00:1] %31%32%37.0.0.1 １２７.0.0.1 127。0。0。1"


def named(addresses: Callable[[Stage], list[str]]) -> Attack:
    """A list of *addresses*, none of which is to be asked for."""

    def attack(stage: Stage) -> Outcome:
        stage.server.add("*", JPEG)
        (stage.folder / "list.jsonl").write_text("".join(json.dumps({"url": url}) + "\n" for url in addresses(stage)))
        done = stage.crawl("urls", {"file": "list.jsonl"})
        if stage.server.requests:
            return False, f"{len(stage.server.requests)} of {len(addresses(stage))} were asked for"
        return done.is_clean, f"none asked for: {', '.join(sorted(set(done.outcomes)))}"

    return attack


def port(stage: Stage) -> int:
    return stage.server.port


def with_password(stage: Stage) -> Outcome:
    arguments = stage.site(PAGE)
    done = stage.crawl(
        "gallery", arguments | {"list": arguments["list"].replace("//", "//me:s3cret@")}, LOG_LEVEL="DEBUG"
    )
    referers = [request.headers.get("referer", "") for request in stage.server.requests]
    shown = [name for name, text in (("the log", done.said), ("a Referer", " ".join(referers))) if "s3cret" in text]
    kept = [
        file
        for file in stage.folder.rglob("*")
        if file.is_file() and file.name != "log" and b"s3cret" in file.read_bytes()
    ]
    shown += [str(file.relative_to(stage.folder)) for file in kept]
    return not shown and done.is_clean, f"in {', '.join(shown)}" if shown else f"nowhere; {told(done)}"


def fed(stage: Stage) -> Outcome:
    """Private addresses in `start_urls` of a crawl whose user has named another host."""
    server = stage.redis()
    stage.server.add("/secret", JPEG)
    arguments = stage.site(PAGE)
    with server.client() as client:
        client.rpush(
            "gallery:start_urls",
            *(f"http://{host}:{port(stage)}/secret" for host in ("127.0.0.2", "127.1", "localhost")),
        )
    done = stage.crawl("gallery", arguments, env={"REDIS_URL": server.url})
    asked = stage.server.count("/secret")
    return not asked and done.is_clean, f"{asked} asked for; {told(done)}"


ADDRESSES: dict[str, Attack] = {
    "18 spellings of a private address": named(lambda stage: [f"http://{host}:{port(stage)}/{n}.jpg" for n, host in enumerate(SPELLINGS.split())]),
    "addresses that nobody can ask for": named(lambda _: ["http://h:99999/a", "http://[::1/a", "http:///a", "http://h:0/a", "http://a..b/a", "http://256.1.1.1/a", f"http://{'h' * 70_000}/a"]),
    "other schemes": named(lambda _: ["file:///etc/passwd", "ftp://h/a", "gopher://h/a", "data:image/png,a", "javascript:1", "s3://b/k"]),
    "a redirect to a file": lambda stage: judged(stage.crawl("gallery", stage.site(b"<title>bad</title><img src=/to-file>") | {"images": "//img/@src"})),
    "a redirect that never ends": lambda stage: judged(stage.crawl("gallery", stage.site(b"<title>bad</title><img src=/loop>") | {"images": "//img/@src"})),
    "a password in the address of a list": with_password,
    "private addresses in start_urls": fed,
}  # fmt: skip


# ---- terminal, logs, feeds


def said(stage: Stage, done: Done, *secrets: str) -> Outcome:
    lines = [line for line in done.said.split("\n") if not line.replace("\t", "").isprintable()]
    if lines:
        return False, f"{len(lines)} lines with control characters, as {lines[0][:60]!r}"
    if any(line.startswith("2026-01-01") for line in done.said.split("\n")):
        return False, "a forged line"
    if shown := [secret for secret in secrets if secret in done.said]:
        return False, f"shows {shown[0]}"
    return done.is_clean, told(done)


def hostile_page(stage: Stage) -> Outcome:
    html = f"<title>{TEXT}</title><img src='/i/{TEXT}.jpg'><img src='/i/good.jpg'>"
    return said(
        stage,
        stage.crawl(
            "gallery", stage.site(html.encode(), {"Content-Type": "text/html; charset=utf-8"}), LOG_LEVEL="DEBUG"
        ),
    )


def hostile_list(stage: Stage) -> Outcome:
    rows = [{"url": f"https://me:s3cret@127.0.0.1:1/{TEXT}"}, {"url": TEXT}, {TEXT: 1}]
    (stage.folder / "l.jsonl").write_text("".join(json.dumps(row).replace("\\u0000", "") + "\n" for row in rows))
    return said(stage, stage.crawl("urls", {"file": "l.jsonl", "column": "url"}, LOG_LEVEL="DEBUG"), "s3cret")


def hostile_argument(stage: Stage) -> Outcome:
    text = TEXT.replace("\0", "")
    return said(stage, stage.crawl("gallery", stage.site(PAGE) | {"galleries": text}, BOT_NAME=text))


def environment_of(**env: str) -> Attack:
    return lambda stage: said(stage, stage.crawl("gallery", stage.site(PAGE), env=env), "s3cret", "s3c/ret", "s3c@ret")


def formulas(stage: Stage) -> Outcome:
    html = b"<title>=HYPERLINK(1)</title><img src=/i/good.jpg alt='@SUM(1)'>"
    done = stage.crawl("gallery", stage.site(html), options=("-O", "items.csv"))
    cells = (stage.folder / "items.csv").read_text("utf-8").replace("\n", ",").split(",")
    run = [cell for cell in cells if cell.strip('"')[:1] in ("=", "@", "+", "-")]
    return done.is_clean and not run, f"a cell is {run[0]}" if run else "each has an apostrophe before it"


TERMINAL: dict[str, Attack] = {
    "a page whose title and addresses are commands": hostile_page,
    "a list of them": hostile_list,
    "an argument of them": hostile_argument,
    "a wrong password of Redis": environment_of(REDIS_URL="redis://me:s3cret@127.0.0.1:1/0"),
    "an address of Redis that cannot be read": environment_of(REDIS_URL="redis://me:s3c/ret@127.0.0.1:x/0"),
    "an address of a proxy that cannot be read": environment_of(http_proxy="http://me:s3c@ret@[127.0.0.1:x"),
    "cells that a spreadsheet would run": formulas,
}  # fmt: skip


# ---- Redis

PREFIX = "{gallery:requests}:"
HUGE = "9" * 5000
Write = Callable[[Any], object]


def written(write: Write, *command: str) -> Attack:
    """A crawl, or *command*, with a Redis where others have written."""

    def attack(stage: Stage) -> Outcome:
        server = stage.redis()
        arguments = stage.site(PAGE)
        with server.client() as client:
            write(client)
        env = {"REDIS_URL": server.url}
        if command:
            done = stage.scrapy(*command, env=env)
            return done.is_clean and done.code in (0, 1), told(done)
        done = stage.crawl("gallery", arguments, env=env)
        return judged(done) if done.items else (done.is_clean and done.code == 2, told(done))

    return attack


def hosts(**fields: Any) -> Write:
    """What is kept of the site's host."""
    return lambda client: client.hset(f"{PREFIX}limits:host:127.0.0.1", mapping=fields)


def run_of(**fields: Any) -> Write:
    return lambda client: client.hset(f"{PREFIX}run", mapping={"id": "1-a", "state": "running", **fields})


def live_row(client: redis.Redis) -> None:
    client.zadd(f"{PREFIX}live:at", {"w": 9e15})
    client.hset(f"{PREFIX}live", "w", '{"rate": ' + "9" * 400 + ', "leases": 1e999, "state": ["x"]}')


REDIS: dict[str, Attack] = {
    "start_urls of pickles, nesting and no text": written(lambda client: client.rpush("gallery:start_urls", *VALUES.values())),
    "a queue of them": written(lambda client: (client.rpush(f"{PREFIX}queue:0:evil", *VALUES.values()), client.zadd("gallery:requests", {"evil": 0}))),
    "instructions in start_urls": written(lambda client: client.rpush("gallery:start_urls", '{"url": "http://127.0.0.1/", "meta": {"download_to": "/tmp/pwned", "proxy": "http://evil/"}}')),
    "a priority of 5,000 digits": written(lambda client: client.rpush("gallery:start_urls", '{"url": "http://a.invalid/", "priority": ' + HUGE + "}")),
    "a text in the place of the run": written(lambda client: client.set(f"{PREFIX}run", "theirs")),
    "a list in the place of the queue": written(lambda client: client.rpush("gallery:requests", "theirs")),
    "limits that are no numbers": written(hosts(paced="nan", blocked="-5", last="inf", slowed="1e300", epoch="x")),
    "10,000 workers at a host": written(hosts(**{f"w:{n}": "1 1 1 0" for n in range(10_000)})),
    "10,000 fields of a host": written(hosts(**{f"f{n}": "x" for n in range(10_000)})),
    "100,000 workers that wait for a host": written(lambda client: client.zadd(f"{PREFIX}limits:waiting:127.0.0.1", {f"w{n}": n for n in range(100_000)})),
    "notes that are no JSON": written(lambda client: client.hset(f"{PREFIX}limits:notes", mapping={f"robots:{n}": b"9999999999999 \n\xff[" for n in range(100)})),
    "counts of 5,000 digits, looked at": written(run_of(queued=HUGE, done=HUGE, started=HUGE), "queue", "gallery"),
    "shards of 5,000 digits, looked at": written(run_of(shards=HUGE), "queue", "gallery"),
    "pages given up at no time": written(lambda client: client.rpush(f"{PREFIX}dead", f"{'9' * 400},1,1,0,h\nreason\n{{}}", f"{HUGE},1,1,0,h\nreason\n{{}}"), "queue", "gallery", "--dead"),
    "a worker's rate of 400 digits, looked at": written(live_row, "status", "gallery", "--once"),
}  # fmt: skip
