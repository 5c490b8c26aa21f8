"""What a perceptual hash finds and costs: `scrapy duplicates`, and IMAGES_SIMILAR=refuse in a crawl.

    python -m benchmarks.lookalikes

Copies of the demo's pictures, encoded anew, scaled and cut, are compared with all pictures; then the time an image
takes, beside that of its verification, and that of a look among many that are known.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable

from PIL import Image

from imgcrawl.demo.pictures import picture
from imgcrawl.images.lookalikes import DISTANCE, Looks, hash_of
from imgcrawl.images.verify import examine

COUNT, WIDTH = 60, 240
KNOWN = (10_000, 100_000, 1_000_000)
ROUNDS = 20


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.convert("RGB").save(file, kind, **options)
    return file.getvalue()


def scaled(image: Image.Image, factor: float) -> Image.Image:
    return image.convert("RGB").resize((round(image.width * factor), round(image.height * factor)))


def cut(image: Image.Image, share: float) -> Image.Image:
    """*image* without *share* of its width and of its height at each side."""
    across, down = round(image.width * share), round(image.height * share)
    return image.crop((across, down, image.width - across, image.height - down))


COPIES: dict[str, Callable[[Image.Image], bytes]] = {
    "JPEG of quality 90": lambda image: encoded(image, "JPEG", quality=90),
    "JPEG of quality 60": lambda image: encoded(image, "JPEG", quality=60),
    "WebP of quality 70": lambda image: encoded(image, "WEBP", quality=70),
    "half the size, PNG": lambda image: encoded(scaled(image, 0.5), "PNG"),
    "a third of the size, JPEG": lambda image: encoded(scaled(image, 1 / 3), "JPEG"),
    "twice the size, JPEG": lambda image: encoded(scaled(image, 2), "JPEG"),
    "1 % cut off at each side": lambda image: encoded(cut(image, 0.01), "JPEG"),
    "2.5 % cut off at each side": lambda image: encoded(cut(image, 0.025), "JPEG"),
    "5 % cut off at each side": lambda image: encoded(cut(image, 0.05), "JPEG"),
}


def look(body: bytes) -> bytes:
    found = hash_of(body)
    assert found is not None
    return found


def recall_and_precision() -> None:
    originals = [picture(number, ("JPEG", "WEBP", "PNG")[number % 3], WIDTH) for number in range(COUNT)]
    known = Looks()
    for body in originals:
        known.add(look(body))
    print(f"{'copy of ' + str(COUNT) + ' pictures':30} found  taken for another")
    for name, make in COPIES.items():
        found = wrong = 0
        for number, body in enumerate(originals):
            with Image.open(io.BytesIO(body)) as image:
                places = known.like(look(make(image)), DISTANCE)
            found += number in places
            wrong += len(set(places) - {number})
        print(f"{name:30} {found:5}  {wrong:5}")


def cost_of_an_image() -> None:
    print("\nimage                          ms CPU to verify  ms CPU of its look")
    for width in (240, 1200, 4000):
        with Image.open(io.BytesIO(picture("hills/1", "JPEG", 1200))) as image:
            body = encoded(scaled(image, width / 1200), "JPEG", quality=90)
        times = []
        for ask in (examine, look):
            start = time.process_time()
            for _ in range(ROUNDS):
                ask(body)
            times.append((time.process_time() - start) / ROUNDS * 1e3)
        print(f"JPEG, {width:4} wide, {len(body):9,} bytes  {times[0]:12.1f}  {times[1]:18.1f}")


def cost_of_many() -> None:
    print("\nlooks that are known  ms CPU to compare one with them")
    known, count = Looks(), 0
    for size in KNOWN:
        while count < size:
            known.add(os.urandom(40))
            count += 1
        start = time.process_time()
        for _ in range(ROUNDS):
            known.like(os.urandom(40))
        print(f"{size:20,}  {(time.process_time() - start) / ROUNDS * 1e3:10.2f}")


if __name__ == "__main__":
    recall_and_precision()
    cost_of_an_image()
    cost_of_many()
