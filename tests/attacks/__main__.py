"""`python -m tests.attacks [--code DIR] [--only WORDS]`: each attack against a crawl of its own, as a table.

DIR is a folder of the project at another commit (`git worktree add DIR COMMIT`); crawls of it run beside the site,
Redis and judgement of this one. It takes some minutes, and longer where attacks work: what takes more than `--seconds`,
or more than `--megabytes`, is ended. Exit code 1 if one did harm.
"""

# ruff: noqa: T201 -- it is a script
from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.attacks.kinds import FURTHER
from tests.attacks.lately import LATELY
from tests.attacks.latest import LATEST
from tests.attacks.neighbours import ADDRESSES, FILES, REDIS, TERMINAL
from tests.attacks.outward import OUTWARD
from tests.attacks.sites import MEMORY, TIME, page
from tests.attacks.stage import Attack, Stage, took
from tests.support.crawling import ROOT
from tests.support.server import Server

NONE: dict[str, Attack] = {"none: what is usual": page(lambda: b"<title>bad</title><img src=/i/good.jpg>")}
KINDS = {
    "-": NONE, "files": FILES, "addresses": ADDRESSES, "time": TIME, "memory": MEMORY, "terminal": TERMINAL,
    "Redis": REDIS, "further": FURTHER, "outward": OUTWARD, "lately": LATELY,
    "latest": LATEST,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--code", type=Path, default=ROOT)
    parser.add_argument("--only", default="", help="attacks in whose kind or name this stands")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--megabytes", type=float, default=3000)
    options = parser.parse_args()
    print("| kind | attack | s | CPU s | MB | longest step, ms | harm | outcome |\n|---|---|---|---|---|---|---|---|")
    harmed = 0
    for kind, attacks in KINDS.items():
        for name, attack in attacks.items():
            if options.only not in f"{kind}: {name}":
                continue
            with tempfile.TemporaryDirectory(prefix="imgcrawl-attack-") as folder, Server() as server:
                bounds = options.seconds, options.megabytes
                stage = Stage(Path(folder), options.code.absolute(), server, *bounds, is_probed=True)
                withstood, words = took(attack, stage)
            harmed += not withstood
            figures = f"{stage.seconds:.1f} | {stage.cpu:.1f} | {stage.megabytes:.0f} | {stage.longest:.0f}"
            shown = words.replace("|", "\\|").replace(folder, "…")
            print(f"| {kind} | {name} | {figures} | {'' if withstood else '**yes**'} | {shown} |", flush=True)
    print(f"\n{harmed} did harm.")
    return 1 if harmed else 0


if __name__ == "__main__":
    sys.exit(main())
