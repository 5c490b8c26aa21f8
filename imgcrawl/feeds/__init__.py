"""Feeds that are valid at every moment.

`scrapy crawl X -o images.json` (or `.jsonl`, `.csv`; `-O` to replace) works as in Scrapy, and besides:

- An item is on its way to disk (`write(2)` has returned) when `item_scraped` has been handled: a SIGKILL loses none.
- A local `.json` file is a whole JSON array whenever it is read: it is only ever replaced, by `rename(2)`. A second
  `-o` leaves one array with the items of both runs.
- With `-O` the old feed stays until the first item takes its place: a site that is down leaves it as it was, told.
- `-o` mends what a kill left of the last line of a `.jsonl` or `.csv` file, and writes no second CSV header.
- A feed that cannot be written is refused in one sentence before the first request, its file untouched. One that
  cannot be written any more (disk full) is told in one sentence; the items it lacks are counted in `feed/lost`.

How a `.json` feed is written: items go to a journal beside it (`.images.json.journal`). A thread copies the array and
what the journal has more to `.images.json.tmp` and renames that; then it rests `PAUSE` times as long as it took, so
that a large array costs a few per cent of one thread's time, and is a little behind. The journal is removed when the
crawl ends. One that a kill left is taken up by the next `-o` to the same file, as far as it had not come into the
array, and by nothing else: `-O` starts afresh. A running crawl holds a lock on the journal: a second one is refused.

With DURABILITY="fsync" an item is on the disk when `item_scraped` has been handled, and its page is acknowledged after
that: it survives a power cut, too. Items that come while the disk is busy share one `fsync`.

A journal or a temporary file is never made through a link, and what stands under its name and is not surely ours (a
link, a pipe, a socket, a device, a folder, another user's file) is refused in one sentence, or stepped around.

Scrapy's own behaviour remains for other stores (S3, FTP), devices and pipes, other formats, feeds with `postprocessing`
and JSON in another encoding than UTF-8 (RFC 8259, 8.1, wants UTF-8). What a kill costs there: all of a feed that goes
to another store; of XML, pickle and marshal what Python had not written yet (8 KiB); of a compressed feed what the
plugin had in hand, it can be read up to there, and nothing is added to it. Workers that share a queue refuse such
feeds, because a page that was acknowledged is not done again; `scrapy merge` and `scrapy crawl --workers` write them at
the end, from segments.
"""
