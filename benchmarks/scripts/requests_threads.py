"""The script people write with requests: processes x threads and a queue. LIST FOLDER PROCESSES THREADS [TIMEOUT]"""

from __future__ import annotations

import multiprocessing
import queue
import sys
import threading
from pathlib import Path

import requests


def work(waiting, folder: Path, timeout: float) -> None:
    session = requests.Session()
    while True:
        try:
            index, url = waiting.get_nowait() if isinstance(waiting, queue.Queue) else waiting.get()
        except queue.Empty:
            return
        if url is None:
            return
        try:
            answer = session.get(url, timeout=timeout)
            answer.raise_for_status()
            (folder / f"{index:07}.jpg").write_bytes(answer.content)
        except requests.RequestException as error:
            print(url, repr(error)[:200])


def threads(waiting, folder: Path, count: int, timeout: float) -> None:
    pool = [threading.Thread(target=work, args=(waiting, folder, timeout)) for _ in range(count)]
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()


def main(addresses: str, folder: str, processes: str, count: str, timeout: str = "60") -> None:
    jobs = list(enumerate(Path(addresses).read_text().split()))
    Path(folder).mkdir(exist_ok=True)
    if int(processes) == 1:
        waiting = queue.Queue()
        for job in jobs:
            waiting.put(job)
        threads(waiting, Path(folder), int(count), float(timeout))
        return
    shared = multiprocessing.Queue()
    pool = [
        multiprocessing.Process(target=threads, args=(shared, Path(folder), int(count), float(timeout)))
        for _ in range(int(processes))
    ]
    for process in pool:
        process.start()
    for job in jobs + [(0, None)] * (int(processes) * int(count)):
        shared.put(job)
    for process in pool:
        process.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
