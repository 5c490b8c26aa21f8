"""Pages through scrapy-redis: dupefilter and queue as its scheduler uses them.

REDIS_URL PAGES -> pages a second, bytes a page
"""

from __future__ import annotations

import sys
import time

import redis
import scrapy
from scrapy_redis.dupefilter import RFPDupeFilter
from scrapy_redis.queue import PriorityQueue


class BenchSpider(scrapy.Spider):
    name = "bench"

    def parse_gallery(self, response):
        pass

    def gallery_failed(self, failure):
        pass

    def gallery(self, number):
        """The request of a gallery, as the spider `pximg` queues it."""
        host = f"https://host{number % 7}.example.org"
        page = f"{host}/topic/nvshen/page/{number // 25}"
        return scrapy.Request(
            f"{host}/gallery/{number}.html",
            callback=self.parse_gallery,
            errback=self.gallery_failed,
            headers={"Referer": page},
            meta={"depth": number // 25, "page_url": page},
            priority=1,
        )


url, pages = sys.argv[1], int(sys.argv[2])
server = redis.Redis.from_url(url)
server.flushall()
spider = BenchSpider()
seen = RFPDupeFilter(server, "bench:dupefilter")
queue = PriorityQueue(server, spider, "bench:requests")
empty = server.info("memory")["used_memory"]
start = time.perf_counter()
for number in range(pages):
    request = spider.gallery(number)
    if not seen.request_seen(request):
        queue.push(request)
pushed = time.perf_counter()
full = server.info("memory")["used_memory"]
popping = time.perf_counter()
popped = 0
while queue.pop() is not None:
    popped += 1
end = time.perf_counter()
assert popped == pages, (popped, pages)
print(pages / (pushed - start + end - popping), (full - empty) / pages)
