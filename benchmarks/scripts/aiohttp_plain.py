"""The script people write with aiohttp: N workers, a list, one write a file. LIST FOLDER CONCURRENCY TIMEOUT [STEP]

With STEP all that an image needs is done, up to it (`keeping`).
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiohttp


async def worker(session: aiohttp.ClientSession, urls, folder: Path, keeper) -> None:
    for index, url in urls:
        try:
            async with session.get(url) as answer:
                answer.raise_for_status()
                if keeper:
                    keeper.keep(url, await answer.read())
                else:
                    (folder / f"{index:07}.jpg").write_bytes(await answer.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            print(url, repr(error))


async def main(addresses: list[str], folder: Path, concurrency: int, timeout: float, *last: str) -> None:
    keeper = None
    if last:
        from keeping import Keeper  # noqa: PLC0415 -- it loads Pillow and SQLite

        keeper = Keeper(folder, *last)
    urls = enumerate(addresses)
    connector = aiohttp.TCPConnector(limit=concurrency, limit_per_host=0)
    limits = aiohttp.ClientTimeout(total=timeout)
    async with aiohttp.ClientSession(connector=connector, timeout=limits) as session:
        await asyncio.gather(*(worker(session, urls, folder, keeper) for _ in range(concurrency)))
    if keeper:
        keeper.note()


listed, store, at_once, seconds, *last_step = sys.argv[1:]
Path(store).mkdir(exist_ok=True)
asyncio.run(main(Path(listed).read_text().split(), Path(store), int(at_once), float(seconds), *last_step))
