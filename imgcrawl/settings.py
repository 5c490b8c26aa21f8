"""Every default with its reason, in the order an image travels.

Only what differs from Scrapy's default, or what is imgcrawl's own, stands here. Change a value for one crawl
with `-s NAME=VALUE`.
"""

from imgcrawl import __version__

BOT_NAME = "imgcrawl"
SPIDER_MODULES = ["imgcrawl.spiders"]
NEWSPIDER_MODULE = "imgcrawl.spiders"
COMMANDS_MODULE = "imgcrawl.commands"
TELNETCONSOLE_ENABLED = False  # an open port into the process
REMOTE_CONTROL_ENABLED = False  # an HTTP server that runs Python code

# ---- WAIT: how many at once, how fast -----------------------------------------------------------------
CONCURRENT_REQUESTS = 64  # images of many galleries at once; each host has its own limit below
CONCURRENT_REQUESTS_PER_DOMAIN = 8  # what a browser opens to one host, roughly
AUTOTHROTTLE_ENABLED = True  # slower when the site gets slower
AUTOTHROTTLE_START_DELAY = 0.5  # Scrapy's 5 s would spend the first minute on ten images
AUTOTHROTTLE_TARGET_CONCURRENCY = 4.0  # Scrapy's 1.0 never has two images on the way
DOWNLOADER = "imgcrawl.downloader.Downloader"  # the limits, kept for images too

# ---- ASK: how we present ourselves, what we refuse ----------------------------------------------------
USER_AGENT = f"imgcrawl/{__version__} (image crawler; obeys robots.txt for imgcrawl)"
ROBOTSTXT_OBEY = True
ROBOTSTXT_USER_AGENT = "imgcrawl"  # the product token that sites name in robots.txt (RFC 9309, 2.2.1)
COOKIES_ENABLED = False  # no site here needs them, and they would tell workers apart
METAREFRESH_ENABLED = False  # error pages that refresh to the front page would count as galleries
