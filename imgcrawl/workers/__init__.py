"""`scrapy crawl SPIDER --workers N`: the workers of one machine, watched, and what they did made into one.

Each worker is a `scrapy crawl` of its own. All share the Redis of REDIS_URL or, where there is none, a server that
runs as long as they do. Its data, and the workers' segments of the feed, are in `.imgcrawl/<spider>-<hash>/` beside
the feed (or in the current folder, where there is no feed); the hash stands for the spider and its arguments. The
folder is removed when the crawl has come to its end, and no page was given up; after a Ctrl-C, a kill of everything, or
`scrapy queue --requeue`, the same command goes on from there, and the feed has in the end what the first one had got,
too.
"""
