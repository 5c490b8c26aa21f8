"""What the catalogue costs: time to note an image and to look one up, and bytes, at growing numbers of addresses.

    python -m benchmarks.costs_of_catalogue --to 1000000 [--url postgresql://…]

CPU time is that of this process: of PostgreSQL the client's part only, so the time on the clock stands beside it.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha1, sha256
from pathlib import Path

from imgcrawl.catalogue import Catalogue, GalleryVisit, LastOutcome, Record, SqliteCatalogue
from imgcrawl.catalogue.sql import IMAGES, SqlCatalogue, gallery_key

PER_GALLERY = 60
SAMPLE = 3_000  # addresses that are noted, or looked up, to measure


def key(number: int) -> bytes:
    return sha1(b"%d" % number, usedforsecurity=False).digest()


def gallery(number: int) -> tuple[list[Record], GalleryVisit]:
    """A gallery as an ordinary site has it."""
    url = f"https://example.org/galleries/{number}.html"
    records, outcomes = [], []
    for index in range(PER_GALLERY):
        n = number * PER_GALLERY + index
        path = f"example/A title of usual length {number}/{index:03}.jpg"
        image = f"https://img.example.org/uploads/2018/02/{sha1(b'%d' % n, usedforsecurity=False).hexdigest()[:15]}.jpg"
        digest = sha256(b"%d" % n).hexdigest()
        modified, fetched = "Wed, 21 Oct 2015 07:28:00 GMT", "2026-11-26T22:00:00+00:00"
        facts = (53_000 + index, "JPEG", 1200, 800, 1, image, '"5f3a-1b2c"', modified, fetched, 1e9, "", 10**18 + n, n)
        records.append(Record(key(n), path[:-4], path, digest, *facts))
        status, reason = ("failed", "http_404") if index == 0 and number % 20 == 0 else ("downloaded", "")
        seen = 1.0 + number
        outcomes.append(
            LastOutcome(key(n), image, "s", gallery_key("s", url), url, status, reason, "", "", 1, seen, seen)
        )
    fields = {"spider": "s", "url": url, "title": f"A title of usual length {number}", "scraped_at": "2026-11-26"}
    return records, GalleryVisit("s", url, str(fields["title"]), fields, IMAGES, outcomes, 1.0 + number, True)


def note(catalogue: Catalogue, numbers: range, together: int = 50) -> None:
    """Note galleries, so many in a transaction."""
    for start in numbers[::together]:
        made = [gallery(number) for number in range(start, min(start + together, numbers.stop))]
        with catalogue.transaction():
            catalogue.put(*(record for records, _ in made for record in records))
        catalogue.note([visit for _, visit in made])


def steps(to: int) -> Iterator[int]:
    size = 10_000
    while size <= to:
        yield size
        size *= 10


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", type=int, default=100_000)
    parser.add_argument("--url", default="")
    given = parser.parse_args()
    folder = tempfile.TemporaryDirectory()
    catalogue: SqlCatalogue
    if given.url:
        from imgcrawl.catalogue.postgresql import PostgresCatalogue  # noqa: PLC0415 - only where there is a server

        catalogue = PostgresCatalogue(given.url)
    else:
        catalogue = SqliteCatalogue(Path(folder.name) / "catalogue")
    print("addresses  us CPU to note one (clock)  us CPU to look one up (clock)  bytes each  10 failures, ms")
    done = 0
    for size in steps(given.to):
        target = size // PER_GALLERY
        sample = SAMPLE // PER_GALLERY
        note(catalogue, range(done, target - sample))
        made = [gallery(number) for number in range(target - sample, target)]
        cpu, clock = time.process_time(), time.perf_counter()
        for records, visit in made:
            with catalogue.transaction():
                catalogue.put(*records)
            catalogue.note([visit])
        noted = [(time.process_time() - cpu) / SAMPLE * 1e6, (time.perf_counter() - clock) / SAMPLE * 1e6]
        done = target
        keys = [key(random.randrange(done * PER_GALLERY)) for _ in range(SAMPLE)]
        cpu, clock = time.process_time(), time.perf_counter()
        for start in range(0, SAMPLE, PER_GALLERY):
            assert all(catalogue.find_all(keys[start : start + PER_GALLERY]))
        found = [(time.process_time() - cpu) / SAMPLE * 1e6, (time.perf_counter() - clock) / SAMPLE * 1e6]
        clock = time.perf_counter()
        for _, _failure in zip(range(10), catalogue.not_had("s"), strict=False):
            pass
        failures = (time.perf_counter() - clock) * 1e3
        size_each = catalogue._size() / (done * PER_GALLERY)
        print(
            f"{done * PER_GALLERY:9,}  {noted[0]:12.0f} ({noted[1]:.0f})  {found[0]:20.1f} ({found[1]:.1f})"
            f"  {size_each:16.0f}  {failures:10.1f}",
            flush=True,
        )
    catalogue.close()
    folder.cleanup()


if __name__ == "__main__":
    main()
