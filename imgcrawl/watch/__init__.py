"""A page that shows a crawl while it runs, and steers it: `scrapy watch`.

It knows no Redis and no spider: what it is given tells how the crawl is (`Overview`) and passes on what a person asks
for (`Controls`).
"""
