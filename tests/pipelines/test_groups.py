"""Images that are verified are published in groups, and nobody waits for one that does not come."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from scrapy.http import Response

from imgcrawl.catalogue import SqliteCatalogue
from imgcrawl.exceptions import ImageError
from imgcrawl.pipelines.examiners import ImageExaminer
from imgcrawl.pipelines.local import LocalKeeper
from imgcrawl.pipelines.placeholders import Placeholders
from imgcrawl.pipelines.receivers import Arrival
from imgcrawl.pipelines.settings import PipelineSettings
from imgcrawl.pipelines.stores import FileStore
from tests.pipelines.test_images import picture
from tests.support.crawling import project_settings


class Counting(SqliteCatalogue):
    transactions = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.transactions += 1
        with super().transaction():
            yield


def arrival(number: int, body: bytes) -> Arrival:
    name = f"g/{number:03}"
    return Arrival(Response(f"http://h/{number}.jpg", body=body), bytes([number]) * 20, name, name)


@pytest.mark.parametrize("last", ["an image", "no image"])
async def test_those_that_are_coming_are_published_with_those_before(last: str, tmp_path: Path) -> None:
    """In one transaction, though the last of them fails."""
    bodies = [picture("JPEG", (60 + number, 50)) for number in range(5)]
    if last == "no image":
        bodies.append(b"neither a picture nor a page")
    store = FileStore(tmp_path / "images")
    store.staging.open()
    config = PipelineSettings.from_settings(project_settings(), "IMAGES_NAME")
    catalogue, threads, go = Counting(tmp_path / "catalogue.sqlite3"), ThreadPoolExecutor(1), threading.Event()
    with closing(store.staging), closing(catalogue), threads:
        keeper = LocalKeeper(store, catalogue, threads, config)
        begun = catalogue.transactions
        threads.submit(go.wait)
        examiner, placeholders = ImageExaminer(config), Placeholders([], 0)
        keeping = [
            asyncio.ensure_future(keeper.keep(arrival(number, body), placeholders, threads, examiner))
            for number, body in enumerate(bodies)
        ]
        await asyncio.sleep(0)  # each has begun
        go.set()
        found = await asyncio.wait_for(asyncio.gather(*keeping, return_exceptions=True), 30)
        assert [outcome[0] for outcome in found[:5] if isinstance(outcome, tuple)] == ["downloaded"] * 5
        assert [type(outcome) for outcome in found[5:]] == [ImageError] * (last == "no image")
        assert catalogue.transactions - begun == 1
        assert [(tmp_path / "images" / outcome[1].path).read_bytes() for outcome in found[:5]] == bodies[:5]  # type: ignore[index] # those are outcomes
        another = ThreadPoolExecutor(1)  # what it has to do is waited for by nobody else
        with another:
            assert (await keeper.keep(arrival(9, picture("PNG")), placeholders, another, examiner))[0] == "downloaded"
    with pytest.raises(RuntimeError):  # as a pool does that is shut down
        await keeper.keep(arrival(10, bodies[0]), placeholders, threads, examiner)
    assert not keeper._coming
