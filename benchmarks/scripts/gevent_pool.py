"""The script people write with gevent: patched urllib in a pool. LIST FOLDER CONCURRENCY [TIMEOUT]"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402 -- after patching
import urllib.request  # noqa: E402 -- after patching
from pathlib import Path  # noqa: E402 -- after patching

from gevent.pool import Pool  # noqa: E402 -- after patching


def fetch(index: int, url: str, folder: Path, timeout: float) -> None:
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:  # noqa: S310 -- addresses of our own server
            (folder / f"{index:07}.jpg").write_bytes(answer.read())
    except OSError as error:
        print(url, repr(error)[:200])


def main(addresses: str, folder: str, concurrency: str, timeout: str = "60") -> None:
    Path(folder).mkdir(exist_ok=True)
    pool = Pool(int(concurrency))
    for index, url in enumerate(Path(addresses).read_text().split()):
        pool.spawn(fetch, index, url, Path(folder), float(timeout))
    pool.join()


main(*sys.argv[1:])
