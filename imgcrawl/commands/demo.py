"""`scrapy demo`: a whole crawl of a site that runs on this machine."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import signal
import subprocess
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapy.commands import ScrapyCommand

from imgcrawl.children import crawl_command, import_path
from imgcrawl.commands.base import BaseCommand, say
from imgcrawl.commands.progress import no_progress
from imgcrawl.exceptions import InputError

if TYPE_CHECKING:
    from imgcrawl.demo.server import Replica

# The same addresses at every run, so that a second run finds its images where the first one stored them.
PORT = 8977
# The replica is ours and near: it need not be approached as carefully as a stranger's site.
RELAXED = {"AUTOTHROTTLE_START_DELAY": 0.05, "AUTOTHROTTLE_TARGET_CONCURRENCY": 8.0, "LIMITS_SPEEDUP": 50.0}


class Command(BaseCommand, ScrapyCommand):
    """Starts the replica, crawls it with the site's own spider in a run of its own, and says where everything is.

    The exit code is the crawl's; 2 for bad input.
    """

    def syntax(self) -> str:
        return "[options] [site]"

    def short_desc(self) -> str:
        return "Crawl a site that runs on this machine and shows what imgcrawl does"

    def long_desc(self) -> str:
        return (
            "Starts a local copy of a site (default: pximg) with pictures made by code, some of which misbehave as on "
            "real sites, and crawls it with the site's spider. For a spider of lists the list is made, too, and put "
            "beside the images. Nothing leaves this machine. Example: scrapy demo pximg --out /tmp/demo"
        )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--out", default="demo-out", metavar="DIR", help="where images go (default: %(default)s)")
        parser.add_argument("--serve", action="store_true", help="only serve the site, until Ctrl-C")
        parser.add_argument("--list", action="store_true", help="only name the sites")
        parser.add_argument(
            "--port", type=int, help=f"port of the site (default: {PORT}, or a free one if it is taken)"
        )

    def execute(self, args: list[str], opts: argparse.Namespace) -> int:
        from imgcrawl.demo.server import SITES  # noqa: PLC0415 -- no crawl needs it

        if opts.list:
            for name in SITES:
                say(f"{name:10}{' '.join((SITES[name].__doc__ or '').split())}")
            return 0
        try:
            with ExitStack() as stack:
                replica = _start(stack, _site(args), opts.port)
                if opts.serve:
                    with suppress(KeyboardInterrupt), no_progress():
                        _tell(replica)
                        replica.wait()
                    return 0
                command = crawl_command(self.project_settings, replica.site)
                return _crawl(replica, command, Path(opts.out).absolute(), opts.set)
        except KeyboardInterrupt:
            return 128 + signal.SIGINT


def _crawl(replica: Replica, command: list[str], out: Path, settings: list[str]) -> int:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {out} cannot be made: {error.strerror}.") from error
    try:
        replica.write_lists(out)
    except OSError as error:
        raise InputError(f"A list cannot be written into {out}: {error}.") from error
    feed, images = out / "images.json", out / "images"
    for name, value in replica.arguments.items():
        command += ["-a", f"{name}={out / value if name == 'file' else value}"]
    command += ["-O", str(feed), "-s", f"IMAGES_STORE={images}"]
    for setting in [*(f"{name}={value}" for name, value in (RELAXED | replica.settings).items()), *settings]:
        command += ["-s", setting]
    for line in (f"A replica of {replica.site} is at {replica.base}/", shlex.join(command[2:]), ""):
        say(line)
    start = time.monotonic()
    crawl = subprocess.Popen(  # noqa: S603  # our own command
        command,
        cwd=out,  # where no project is
        env={**os.environ, "SCRAPY_SETTINGS_MODULE": "imgcrawl.settings", **import_path()},
    )
    with no_progress():  # but the crawl's
        while crawl.returncode is None:
            # Ctrl-C reaches the crawl too, which ends in its own way: the site must stay until then.
            with suppress(KeyboardInterrupt):
                crawl.wait()
    for line in _report(replica, feed, images, time.monotonic() - start):
        say(line)
    # As a shell has it: 128 and the number of the signal.
    return crawl.returncode if crawl.returncode >= 0 else 128 - crawl.returncode


def _site(args: list[str]) -> str:
    if len(args) > 1:
        raise InputError(f"scrapy demo takes one site, not {len(args)}: {' '.join(args)}")
    return args[0] if args else "pximg"


def _start(stack: ExitStack, site: str, port: int | None) -> Replica:
    from imgcrawl.demo.server import serve  # noqa: PLC0415 -- no crawl needs it

    if port is not None:
        return stack.enter_context(serve(site, port))
    try:
        return stack.enter_context(serve(site, PORT))
    except InputError:
        # Somebody else's 8977 is no reason to fail where no port was asked for.
        return stack.enter_context(serve(site))


def _tell(replica: Replica) -> None:
    say(f"{replica.site} is at {replica.base}/ until Ctrl-C, its {replica.media}s at {replica.image_base}")
    for name in replica.lists:
        say(f"list    {replica.base}/_replica/list/{name}")


def _report(replica: Replica, feed: Path, images: Path, seconds: float) -> list[str]:
    try:
        galleries: list[dict[str, Any]] = json.loads(feed.read_bytes())
    except (OSError, ValueError) as error:
        return ["", f"The crawl left no feed that can be read at {feed}: {error}"]
    outcomes = [image for gallery in galleries for image in gallery[f"{replica.media}s"]]
    stored = {images / outcome["path"]: outcome for outcome in outcomes if "path" in outcome}
    sent = replica.stats()["sent"]
    new = {path: sent[outcome["final_url"]] for path, outcome in stored.items() if outcome["final_url"] in sent}
    same = sum(path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == new[path] for path in new)
    size = sum(path.stat().st_size for path in stored if path.is_file())
    fresh = f"{len(new)} of them sent just now, {same} bit for bit as sent" if new else "none had to be sent again"
    counts = Counter(outcome["status"] for outcome in outcomes)
    told = ", ".join(f"{n} {status}" for status, n in counts.most_common())
    return [
        "",
        f"{len(galleries)} {replica.noun}, {len(outcomes)} {replica.media}s: {told}",
        f"{len(stored)} files, {size / 1e6:.1f} MB, in {seconds:.0f} s; {fresh}",
        f"images  {images}",
        f"feed    {feed}",
    ]
