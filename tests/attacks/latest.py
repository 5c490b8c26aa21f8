"""What is aimed at what a page makes us ask besides: its style sheets, its forms for the next page, itself again where
addresses have expired; at what it has as data for scripts, and at lists of rows that are large, or change."""

# ruff: noqa: E501 -- a table of attacks is read by its lines
from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

from tests.attacks.neighbours import PAGE
from tests.attacks.outward import GOOD, bomb
from tests.attacks.sites import judged, page, text
from tests.attacks.stage import HTML, MB, Attack, Outcome, Stage
from tests.support import server as sent
from tests.support.server import Answer, Exchange, Misbehaviour, Request, Server, redirect

CSS = {"Content-Type": "text/css"}
NAMED = "<title>bad</title><div class='a b'></div>"


def sheets(make: Callable[[], bytes | Misbehaviour], most: int = 40, headers: dict[str, str] = CSS) -> Attack:
    """A gallery without an image whose ten style sheets are what *make* makes; the site is asked for no more than
    *most*."""

    def attack(stage: Stage) -> Outcome:
        links = "".join(f"<link rel=stylesheet href=/s/{n}.css>" for n in range(10))
        arguments = stage.site(f"{links}{NAMED}".encode())
        for n in range(10):
            stage.server.add(f"/s/{n}.css", make(), headers=headers)
        is_good, words = judged(stage.crawl("gallery", arguments, DOWNLOAD_TIMEOUT="3"))
        asked = len(stage.server.requests)
        return is_good and asked <= most, f"{asked} requests; {words}"

    return attack


SHEETS: dict[str, Attack] = {
    "ten style sheets of 100 MB": sheets(lambda: b"a{}" * 33 * MB),
    "ten style sheets of 9 MB of names": sheets(lambda: b".a,.b{background:url(/i/x.png)}" * 290_000),
    "ten style sheets of 9 MB of one selector": sheets(lambda: b".a" * 4_500_000 + b"{background:url(/i/x.jpg)}"),
    "ten style sheets of 9 MB of selectors": sheets(lambda: b".a,#b:hover," * 750_000 + b".b{background:url(/i/x.jpg)}"),
    "ten style sheets of open comments, texts and addresses": sheets(lambda: b"/*" * MB + b"*/.a{" + b"url('" * MB + b"image-set(" * 200_000),
    "ten style sheets of characters of four bytes": sheets(lambda: ".a{background:url(/i/x.png)}\U0001f600".encode() * 250_000, headers={"Content-Type": "text/css; charset=utf-8"}),
    "ten style sheets of @import": sheets(lambda: b"".join(b"@import url(/s/%d.css?%d);" % (n % 10, n) for n in range(300_000))),
    "ten style sheets of gzip, 600 MB": sheets(lambda: bomb(600 * MB), headers=CSS | {"Content-Encoding": "gzip"}),
    "ten style sheets that drip": sheets(lambda: sent.drip),
    "ten style sheets that never end": sheets(lambda: sent.endless),
    "ten style sheets that lead to each other": sheets(lambda: redirect("/s/0.css"), most=220),
    "50,000 links to style sheets": page(text("".join(f"<link rel=stylesheet href=/s/{n}.css>" for n in range(50_000)) + NAMED)),
    "names of 5 MB": page(text(f"<link rel=stylesheet href=/s.css><title>bad</title><div class='{'a ' * 2 * MB}' id='{'&amp;' * 300_000}'></div>")),
}  # fmt: skip


# ---- forms for the next page


def form(action: str, button: str = "Next", values: str = "<input type=hidden name=page value=2>") -> str:
    return f"<form method=post action='{action}'>{values}<button>{button}</button></form>"


def forms(make: Callable[[str], str], most: int, answer: Callable[[str], Misbehaviour] | None = None) -> Attack:
    """A list page with forms, that *make* makes of another host: at most *most* are sent, none to that one or to what
    changes something."""

    def attack(stage: Stage) -> Outcome:
        other = stage.stack.enter_context(Server(("127.0.0.2",)))
        other.add("*", b"")
        base = other.url().rstrip("/")
        arguments = stage.site(PAGE)
        links = "".join(f"<a class=g href=/{name}>{name}</a>" for name in ("bad", "good")).replace(
            "href=", f"href={stage.server.url().rstrip('/')}"
        )
        shown = f"<title>list</title>{links}{make(base)}".encode()
        stage.server.add("/list", shown, headers=HTML)
        stage.server.add("/more", answer(base) if answer else lambda _: Answer(shown, 200, HTML))
        is_good, words = judged(stage.crawl("gallery", arguments))
        posted = [request.path for request in stage.server.requests if request.method == "POST"]
        harmed = [path for path in posted if path != "/more"]
        is_good = is_good and not harmed and len(posted) <= most and not other.requests
        return is_good, f"{len(posted)} sent, {len(other.requests)} to another host {harmed[:3]}; {words}"

    return attack


def numbered() -> Callable[[str], Misbehaviour]:
    """Pages without end, each with a form for the next one, of the same galleries or of new ones."""

    def of(_: str) -> Misbehaviour:
        numbers = count(3)

        def show(_: Request) -> Answer:
            n = next(numbers)
            value = f"<input type=hidden name=page value={n}><input type=hidden name=token value={'x' * 1_000}{n}>"
            return Answer(f"<a class=g href=/good>good</a>{form('/more', values=value)}".encode(), 200, HTML)

        async def answer(exchange: Exchange) -> None:
            await exchange.answer(show(exchange.request))

        return answer

    return of


FORMS: dict[str, Attack] = {
    "forms that log out, delete and buy": forms(lambda _: "".join(form(f"/{name.lower()}", name) for name in ("Logout", "Delete", "Buy now", "Next step", "Next: pay", "Next of kin", "Confirm and go to next")), 1),
    "forms for a next page with something to fill in": forms(lambda _: "".join(form("/buy", values=f"<input type=hidden name=page value=2>{more}") for more in ("<input name=card>", "<input type=password name=p>", "<select name=s></select>", "<textarea name=t></textarea>")), 0),
    "a form for a next page at another host": forms(lambda base: form(f"{base}/more"), 0),
    "a form for a next page at another host, by <base>": forms(lambda base: f"<base href='{base}'>{form('more')}", 0),
    "a form that leads to another host with its body": forms(lambda _: form("/more"), 1, lambda base: redirect(f"{base}/delete", 307)),
    "forms for next pages without end": forms(lambda _: form("/more"), 12, numbered()),
    "1,000 forms of 50 values": forms(lambda _: form("/more", values="<input type=hidden name=page value=2>" * 50) * 1_000, 12),
    "a form with a value of 4 MB": forms(lambda _: form("/more", values=f"<input type=hidden name=page value=2><input type=hidden name=v value='{'v' * 4 * MB}'>"), 12),
}  # fmt: skip


# ---- addresses that expire


def expiring(answer: Callable[[int], Answer | float], most: int, images: int = 100, pages: int = 1) -> Attack:
    """Galleries whose signed addresses are always refused; each look at one after the first is answered as *answer*
    says by its number (None: newer addresses; a number of seconds: so much later). At most *most* looks."""

    def attack(stage: Stage) -> Outcome:
        other = stage.stack.enter_context(Server(("127.0.0.2",)))
        other.add("*", b"<title>other</title>")
        looks = count()
        seen: list[str] = []

        async def bad(exchange: Exchange) -> None:
            n, path = next(looks), exchange.request.path
            seen.append(path)
            shown = "".join(f"<img src='{path}/{i}.jpg?Expires={n}&Signature={n}x{i}'>" for i in range(images))
            said = answer(n) if seen.count(path) > 1 else Answer(f"<title>bad</title>{shown}".encode(), 200, HTML)
            if isinstance(said, float):
                await sent.asyncio.sleep(said)
                said = Answer(f"<title>bad</title>{shown}".encode(), 200, HTML)
            if said.status == 302:
                said = Answer(b"", 302, {"Location": other.url("/x")})
            await exchange.answer(said)

        names = ["bad", *(f"bad{n}" for n in range(1, pages))]
        arguments = stage.site(PAGE)
        links = "".join(f"<a class=g href=/{name}>{name}</a>" for name in (*names, "good"))
        stage.server.add("/list", f"<title>list</title>{links}".encode(), headers=HTML)
        for name in names:
            stage.server.add(f"/{name}", bad)

        async def refused(exchange: Exchange) -> None:
            await sent.asyncio.sleep(0.3)
            await exchange.answer(Answer(b"expired", 403))

        stage.server.add("*", refused)
        is_good, words = judged(stage.crawl("gallery", arguments, DOWNLOAD_TIMEOUT="3"))
        is_good = is_good and len(seen) <= most and len(other.requests) <= most
        return is_good, f"{len(seen)} looks, {len(other.requests)} at another host; {words}"

    return attack


EXPIRING: dict[str, Attack] = {
    "expired addresses whose page takes longer each time": expiring(lambda n: 0.5 * n, 6),
    "expired addresses whose page leads to another host": expiring(lambda _: Answer(b"", 302), 6),
    "expired addresses whose page is gone": expiring(lambda _: Answer(b"gone", 404), 6),
    "expired addresses whose page is 9 MB of images without a signature": expiring(lambda _: Answer(b"<img src=/i/a.jpg>" * 500_000, 200, HTML), 6),
    "expired addresses whose page fails": expiring(lambda _: Answer(b"", 503), 6),
    "expired addresses of 30 pages": expiring(lambda n: 0.0, 130, 20, 30),
}  # fmt: skip


# ---- data for scripts


def data(make: Callable[[], str]) -> Attack:
    """A page that shows an image which is in its data."""
    return page(lambda: f"{GOOD}{make()}".encode())  # noqa: PLW0108 -- made when it is tried


def pushed(*rows: str) -> str:
    return f"<script>self.__next_f.push([1,{json.dumps(chr(10).join(rows))}])</script>"


def script(value: object) -> str:
    return f"<script>a={value if isinstance(value, str) else json.dumps(value)}</script>"


def in_base64(depth: int) -> str:
    value = json.dumps(["/i/good.jpg", "/i/b.jpg"] * 5)
    for _ in range(depth):
        value = json.dumps([base64.b64encode(value.encode()).decode()] * 2)
    return value


DATA: dict[str, Attack] = {
    "data that is nested 100,000 deep": data(lambda: script("[" * 100_000 + '"/i/good.jpg"' + "]" * 100_000) + script('{"a":' * 100_000 + '"/i/good.jpg"' + "}" * 100_000)),
    "data of 400,000 keys": data(lambda: script({f"k{n}": n for n in range(400_000)} | {"x": "/i/good.jpg"})),
    "data of three million empty lists": data(lambda: script("[" + "[]," * 3 * MB + '"/i/good.jpg"]')),
    "data of a million small objects": data(lambda: script("[" + '{"a":{}},' * 1_000_000 + '"/i/good.jpg"]')),
    "rows of a million small objects": data(lambda: pushed("1:[" + '{"a":{}},' * 700_000 + '"/i/good.jpg"]')),
    "data whose references go round": data(lambda: pushed(*(f'{n:x}:["$1","$2","$3","$L{n:x}","/i/good.jpg"]' for n in range(1, 50)))),
    "data whose references fan out": data(lambda: pushed('1:["/i/good.jpg"]', *(f"{n:x}:[" + ",".join([f'"${n - 1:x}"'] * 300) + "]" for n in range(2, 6)))),
    "data that names one text of a megabyte 50,000 times": data(lambda: pushed("1:" + json.dumps(json.dumps(["a" * MB + "/i/good.jpg"])), "0:[" + ",".join(['"$1"'] * 50_000) + "]")),
    "a list of values that names itself": data(lambda: f"<script type=application/json>{json.dumps([{'a': 0, 'b': 1}, [0, 1, 2], '/i/good.jpg'])}</script>"),
    "a list of values that names one of a megabyte 50,000 times": data(lambda: f"<script type=application/json>{json.dumps([{'a': 1}, [2] * 50_000, json.dumps(['a' * MB + '/i/good.jpg'])])}</script>"),
    "records that refer to each other": data(lambda: script({f"r{n}": {"l": [{"__ref": f"r{m}"} for m in range(60)], "u": "/i/good.jpg"} for n in range(60)})),
    "base64 in base64 in base64": data(lambda: script(repr(base64.b64encode(in_base64(9).encode()).decode()))),
    "100,000 lists in base64": data(lambda: "<script>" + f"a={base64.b64encode(json.dumps(['/i/good.jpg', '/i/b.jpg'] * 2).encode()).decode()!r};" * 100_000 + "</script>"),
    "a key of a megabyte above 5,000 lists": data(lambda: script({"k" * MB: [[{"src": "/i/good.jpg"}, {"src": f"/i/{n}.jpg"}] for n in range(5_000)]})),
    "4 MB behind 2,000 brackets": data(lambda: "".join(f"<img src=/i/photo{n}.jpg>" for n in range(50)) + script("[1];a=" * 2_000 + "photo" * 800_000 + "/i/good.jpg")),
    "functions around data": data(lambda: script("(function(" + "a," * 20_000 + "b){return " + "[a,'/i/good.jpg'];return " * 2_000 + "}(1))")),
    "attributes of data, 5,000 of them": data(lambda: "".join(f"<p wire:snapshot='{json.dumps({'data': {'images': [['/i/good.jpg', f'/i/{n}.jpg'], {'s': 'arr'}]}})}'></p>" for n in range(5_000))),
}  # fmt: skip

# ---- lists of rows


def listed(name: str, write: Callable[[Path], None], codes: tuple[int, ...] = (0, 1, 2)) -> Attack:
    """A crawl of the list that *write* has written; others may go on writing."""

    def attack(stage: Stage) -> Outcome:
        write(stage.folder / name)
        done = stage.crawl("urls", {"file": name}, CLOSESPIDER_TIMEOUT="15")
        return done.is_clean and done.code in codes, f"exit code {done.code}: {done.last_line}"

    return attack


def one_line(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"url\nhttp://a.invalid/")
        for _ in range(300):
            file.write(b"a" * MB)


def same_rows(path: Path) -> None:
    path.write_bytes(b"url\n" + b"http://127.0.0.1:9/1.jpg\n" * 1_000_000)


def meanwhile(path: Path, change: Callable[[Path, int], None]) -> None:
    def work() -> None:
        end = time.monotonic() + 12
        for n in count():
            with suppress(OSError):
                change(path, n)
            time.sleep(0.02)
            if time.monotonic() > end:
                return

    path.write_bytes(b"url\n" + b"".join(b"http://127.0.0.1:9/%d.jpg\n" % n for n in range(20_000)))
    threading.Thread(target=work, daemon=True).start()


def grow(path: Path, n: int) -> None:
    with path.open("ab") as file:
        file.write(b"http://127.0.0.1:9/more%d.jpg\n" % n)


def shrink(path: Path, n: int) -> None:
    os.truncate(path, 500_000 - n * 1_000)


def replace(path: Path, n: int) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(b"url,other\n" + b"http://127.0.0.1:9/x,%d\n" % n * 9_000)
    other.replace(path)


def pipe(content: Callable[[], Iterator[bytes]]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        os.mkfifo(path)

        def work() -> None:
            with suppress(OSError), path.open("wb") as file:
                for part in content():
                    file.write(part)

        threading.Thread(target=work, daemon=True).start()

    return write


LISTS: dict[str, Attack] = {
    "a list of 300 MB in one line": listed("l.csv", one_line),
    "a list of text, 300 MB in one line": listed("l.txt", one_line),
    "a list of JSON Lines, 300 MB in one line": listed("l.jsonl", one_line),
    "a list of a million times one row": listed("l.csv", same_rows, (0, 1, 2, 3)),
    "a list that grows while it is read": listed("l.csv", lambda path: meanwhile(path, grow), (0, 1, 2, 3)),
    "a list that shrinks while it is read": listed("l.csv", lambda path: meanwhile(path, shrink), (0, 1, 2, 3)),
    "a list that is replaced while it is read": listed("l.csv", lambda path: meanwhile(path, replace), (0, 1, 2, 3)),
    "a list that is a pipe": listed("l.csv", pipe(lambda: iter([b"url\n", b"http://127.0.0.1:9/1.jpg\n" * 1_000])), (0, 1, 2)),
}  # fmt: skip

LATEST: dict[str, Attack] = {**SHEETS, **FORMS, **EXPIRING, **DATA, **LISTS}
