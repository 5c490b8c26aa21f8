"""The catalogue under several processes; `tests/pipelines` has what one process does with it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from imgcrawl.catalogue import Catalogue
from tests.support.crawling import ROOT

PROCESSES, IMAGES = 4, 150

# Stores images as the pipeline does. All processes want the same names; every third image has bytes of its own, so
# that three of four processes find the name taken by another image, and the rest has the same bytes everywhere.
STORES = """
import hashlib, json, sys, time
from pathlib import Path
from imgcrawl.catalogue import Catalogue, Record
from imgcrawl.pipelines.stores import FileStore

root, me, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
while not (root.parent / "go").exists():
    time.sleep(0.001)
store, catalogue = FileStore(str(root)), Catalogue(root / ".catalogue.sqlite3")
store.open()
told = []
for number in range(count):
    body = f"{number} {me if number % 3 == 0 else ''}".encode()
    checksum = hashlib.sha256(body).hexdigest()
    key = f"{number} by {me}".encode()
    with store.staged(body) as staged, catalogue.transaction():
        for same in catalogue.same_bytes(checksum):
            if store.checksum(same.path) == checksum:
                path, status = same.path, "duplicate"
                break
        else:
            ours = lambda name: checksum in catalogue.checksums_at(name)
            path, status = store.publish(staged, f"a/{number:03}", ".jpg", checksum, ours), "downloaded"
        facts = (len(body), "JPEG", 1, 1, 1, "", "", "", "", time.time())
        catalogue.put(Record(key, f"a/{number:03}", path, checksum, *facts))
    told.append([key.decode(), path, checksum, status])
catalogue.close()
store.close()
print(json.dumps(told))
"""


def test_processes_share_it_without_a_lock_error_a_duplicate_or_an_overwrite(tmp_path: Path) -> None:
    root = tmp_path / "images"
    root.mkdir()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", STORES, str(root), str(me), str(IMAGES)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for me in range(PROCESSES)
    ]
    (tmp_path / "go").touch()
    told = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        told += json.loads(out)

    files = {
        str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file() and "." not in p.parts[-2]
    }
    files = {name: body for name, body in files.items() if name.startswith("a/")}
    sums = {name: hashlib.sha256(body).hexdigest() for name, body in files.items()}
    assert {path: checksum for _, path, checksum, _ in told} == sums  # every name has the bytes that it was given for
    assert max(Counter(sums.values()).values()) == 1  # no bytes twice
    own = IMAGES // 3
    assert len(files) == own * PROCESSES + (IMAGES - own)
    assert Counter(status for *_, status in told)["downloaded"] == len(files)
    catalogue = Catalogue(root / ".catalogue.sqlite3")
    for key, path, checksum, _ in told:
        record = catalogue.find(key.encode())
        assert record and (record.path, record.checksum) == (path, checksum)
    catalogue.close()
