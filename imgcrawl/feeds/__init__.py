"""Feeds that are valid at every moment.

`scrapy crawl X -o images.json` (or `.jsonl`, `.csv`; `-O` to replace) works as in Scrapy, and besides:

- An item is on its way to disk (`write(2)` has returned) when `item_scraped` has been handled: a SIGKILL loses none.
- A local `.json` file is a whole JSON array whenever it is read: it is only ever replaced, by `rename(2)`. A second
  `-o` leaves one array with the items of both runs.
- `-o` mends what a kill left of the last line of a `.jsonl` or `.csv` file, and writes no second CSV header.
- A feed that cannot be written is refused in one sentence before the first request, its file untouched. One that
  cannot be written any more (disk full) is told in one sentence; the items it lacks are counted in `feed/lost`.

How a `.json` feed is written: items go to a journal beside it (`.images.json.journal`). A thread copies the array and
what the journal has more to `.images.json.tmp` and renames that; then it rests `PAUSE` times as long as it took, so
that a large array costs a few per cent of one thread's time, and is a little behind. The journal is removed when the
crawl ends. One that a kill left is taken up by the next `-o` to the same file, as far as it had not come into the
array, and by nothing else: `-O` starts afresh. A running crawl holds a lock on the journal: a second one is refused.

Scrapy's own behaviour remains for other stores (S3, FTP, stdout), devices and pipes, other formats, feeds with
`postprocessing` (a compressed file is whole when it is finished) and JSON in another encoding than UTF-8
(RFC 8259, 8.1, wants UTF-8).
"""
