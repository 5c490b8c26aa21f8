"""The script people write with aiohttp: N workers, a list, one write a file. LIST FOLDER CONCURRENCY TIMEOUT"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiohttp


async def worker(session: aiohttp.ClientSession, urls, folder: Path) -> None:
    for index, url in urls:
        try:
            async with session.get(url) as answer:
                answer.raise_for_status()
                (folder / f"{index:07}.jpg").write_bytes(await answer.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            print(url, repr(error))


async def main(addresses: list[str], folder: Path, concurrency: int, timeout: float) -> None:
    urls = enumerate(addresses)
    connector = aiohttp.TCPConnector(limit=concurrency, limit_per_host=0)
    limits = aiohttp.ClientTimeout(total=timeout)
    async with aiohttp.ClientSession(connector=connector, timeout=limits) as session:
        await asyncio.gather(*(worker(session, urls, folder) for _ in range(concurrency)))


listed, store, at_once, seconds = sys.argv[1:]
Path(store).mkdir(exist_ok=True)
asyncio.run(main(Path(listed).read_text().split(), Path(store), int(at_once), float(seconds)))
