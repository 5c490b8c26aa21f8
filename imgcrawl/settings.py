"""Every default with its reason, in the order an image travels.

Only what differs from Scrapy's default, or what is imgcrawl's own, stands here. Change a value for one crawl
with `-s NAME=VALUE`.
"""

from imgcrawl import __version__, identity

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
LIMITS_SHARED = True  # with REDIS_URL a host's limits hold for all workers of a spider together
LIMITS_SPEEDUP = 2.0  # requests a second that a host which slowed us gets back, each second
LIMITS_BY_ADDRESS = False  # True: hosts with the same address have their limits together
BANDWIDTH = 0.0  # bytes a second for all workers together; 0: no limit
BUDGET_PAGES = 0  # what one crawl may fetch: pages, images, bytes; 0: no limit
BUDGET_IMAGES = 0  # the same
BUDGET_BYTES = 0  # the same
BUDGET_HOST_PAGES = 0  # the same of each host
BUDGET_HOST_IMAGES = 0  # the same
BUDGET_HOST_BYTES = 0  # the same
CRAWL_HOURS: dict[str, str] = {}  # hours, local time, in which a host may be asked: 22-6, or {"example.org": "22-6"}
REQUEST_FINGERPRINTER_CLASS = "imgcrawl.fingerprints.Fingerprinter"  # a page may be a list page and a gallery, too
PAGES_QUERY_IGNORED = identity.SESSIONS  # parameters that tell no page from another: else new sessions are new pages
SHUTDOWN_TIMEOUT = 5  # seconds that downloads may go on after Ctrl-C or SIGTERM: half of what `docker stop` allows
ASYNCIO_EVENT_LOOP = "imgcrawl.eventloop.EventLoop"  # many connections with something to read keep nobody else waiting
DOWNLOADER = "imgcrawl.downloader.Downloader"  # the limits, kept for images too
SCHEDULER_PRIORITY_QUEUE = "imgcrawl.priorityqueue.PriorityQueue"  # a host that hangs hides no other
DUPEFILTER_CLASS = "imgcrawl.jobdir.DupeFilter"  # a crawl that was killed begins anew: its JOBDIR lacks pages

ADDONS = {
    "imgcrawl.playwright.Addon": 0,  # only with PAGES_PLAYWRIGHT
    "imgcrawl.warc.Addon": 50,  # only with WARC_FOLDER
    "imgcrawl.frontier.Addon": 100,  # only with REDIS_URL: all workers share one queue
    "imgcrawl.telemetry.Addon": 200,  # only with METRICS_PORT, TRACES_ENDPOINT or LOG_JSON
    "imgcrawl.hooks.Addon": 300,  # only with RUN_SUMMARY, NOTIFY_URLS or a command
    "imgcrawl.unused.Addon": 900,  # what is switched off is not loaded
}
FRONTIER_LEASE_TIMEOUT = 30  # seconds until the pages of a worker that is silent go back
FRONTIER_MAX_DELIVERIES = 5  # failures and deaths of workers until a page is set aside
FRONTIER_META_ALLOWED: list[str] = []  # instructions in a request's meta that may come from Redis: "proxy"
FRONTIER_SHARDS = 1  # hash tags over which a queue is spread by host, for the nodes of a Redis Cluster to share
FRONTIER_PREFETCH = 16  # pages leased ahead: enough never to wait, few enough that a late worker finds work

# ---- ASK: how we present ourselves, what we refuse ----------------------------------------------------
USER_AGENT = f"imgcrawl/{__version__} (image crawler; obeys robots.txt for imgcrawl)"  # names the project
ROBOTSTXT_OBEY = True  # for images too
ROBOTSTXT_USER_AGENT = "imgcrawl"  # the product token that sites name in robots.txt (RFC 9309, 2.2.1)
ROBOTSTXT_TTL = 86400  # seconds that a robots.txt counts (RFC 9309, 2.4)
ROBOTSTXT_WAIT = 150  # seconds that a request waits for a robots.txt that answers 5xx, before it is refused
ROBOTSTXT_MAX_DELAY = 60.0  # seconds; no Crawl-delay counts for more
ROBOTSTXT_RETRY = 60  # seconds until one that could not be had is asked for again
COOKIES_ENABLED = False  # no site here needs them, and they would tell workers apart; COOKIES_FILE switches them on
COOKIES_FILE = None  # what to begin with, exported from a browser (Netscape format); all workers begin with the same
HOST_HEADERS: dict[str, dict[str, str]] = {}  # only for that host: {"img.example.org": {"X-Key": "…"}}
METAREFRESH_MAXDELAY = 2  # seconds; what waits longer is a page that is read, or pictures that change by themselves
METAREFRESH_IGNORE_TAGS = ["script", "noscript"]  # what is for browsers without scripts leads to where nothing is
DOWNLOAD_HANDLERS = {
    "http": "imgcrawl.downloadhandler.DownloadHandler",  # the least CPU a request, and judges addresses
    "https": "imgcrawl.downloadhandler.DownloadHandler",
    "file": None,  # pages name file:///etc/passwd
    "ftp": None,  # not asked for by any site here
    "s3": None,  # the same
    "data": None,  # the same
}
WARC_FOLDER = ""  # a folder for WARC files of all requests and answers, as archives have them; needs imgcrawl[warc]
WARC_MAX_BYTES = 1_000_000_000  # of one such file; beyond, another is begun
PAGES_PLAYWRIGHT = False  # True: pages (not images) go through a browser; needs scrapy-playwright
PRIVATE_HOSTS_ALLOWED: list[str] = []  # names, addresses and networks of your own that pages and lists may name
DOWNLOADER_MIDDLEWARES = {
    "imgcrawl.downloadermiddlewares.rows.RowsMiddleware": 40,  # pages of rows need no network
    "imgcrawl.downloadermiddlewares.addressguard.AddressGuardMiddleware": 90,
    "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
    "imgcrawl.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": 100,
    "imgcrawl.downloadermiddlewares.budgets.BudgetsMiddleware": 110,  # what a host may be asked for, and when
    "imgcrawl.downloadermiddlewares.pages.PagesMiddleware": 120,  # what a page may cost
    "scrapy.downloadermiddlewares.retry.RetryMiddleware": None,
    "imgcrawl.downloadermiddlewares.retry.RetryMiddleware": 550,
    "scrapy.downloadermiddlewares.redirect.MetaRefreshMiddleware": None,
    "imgcrawl.downloadermiddlewares.redirect.MetaRefreshMiddleware": 580,
    "scrapy.downloadermiddlewares.httpcompression.HttpCompressionMiddleware": None,
    "imgcrawl.downloadermiddlewares.httpcompression.HttpCompressionMiddleware": 590,
    "scrapy.downloadermiddlewares.redirect.RedirectMiddleware": None,
    "imgcrawl.downloadermiddlewares.redirect.RedirectMiddleware": 600,
    "scrapy.downloadermiddlewares.httpproxy.HttpProxyMiddleware": None,
    "imgcrawl.downloadermiddlewares.credentials.HttpProxyMiddleware": 750,  # knows all_proxy, too; Scrapy's place
    "scrapy.downloadermiddlewares.httpauth.HttpAuthMiddleware": None,
    "imgcrawl.downloadermiddlewares.credentials.HttpAuthMiddleware": 640,  # behind the redirects, which take it nowhere
    "imgcrawl.downloadermiddlewares.credentials.HostHeadersMiddleware": 650,
    "scrapy.downloadermiddlewares.stats.DownloaderStats": None,
    "imgcrawl.downloadermiddlewares.stats.DownloaderStats": 850,
    "scrapy.downloadermiddlewares.cookies.CookiesMiddleware": None,
    "imgcrawl.downloadermiddlewares.cookies.CookiesMiddleware": 700,
    "scrapy.downloadermiddlewares.httpcache.HttpCacheMiddleware": None,
    "imgcrawl.downloadermiddlewares.unchanged.HttpCacheMiddleware": 900,  # a site that is down has no pages
    "imgcrawl.downloadermiddlewares.simulation.SimulationMiddleware": 950,  # only with IMAGES_SIMULATE
}
SPIDER_MIDDLEWARES = {
    "imgcrawl.spidermiddlewares.PageUrlMiddleware": 850,  # who named an address decides what it may be
    "imgcrawl.retries.RetryStart": 845,  # only of `scrapy retry`
    "imgcrawl.spidermiddlewares.OptOutsMiddleware": 840,  # what a page says about the use of its images
    "imgcrawl.spidermiddlewares.ReferrerPolicyMiddleware": 835,  # and about the Referer to ask for them with
}
OPT_OUTS_OBEYED = ["noai", "noimageai", "tdm-reservation"]  # also: noindex, noimageindex, which are for search engines
HTTPPROXY_AUTH_ENCODING = "utf-8"  # as curl sends a user and password; with Scrapy's, other letters meant no proxy
DOWNLOAD_VERIFY_CERTIFICATES = True  # Scrapy leaves it off
DOWNLOAD_TIMEOUT = 120  # seconds for a whole answer
DOWNLOAD_CONNECT_TIMEOUT = 10  # seconds to a connection
DOWNLOAD_IDLE_TIMEOUT = 30  # seconds between two pieces of an answer
DOWNLOAD_MAXSIZE = 128 * 1024 * 1024  # bytes; larger images are scans that this crawler is not made for
PAGES_MAXSIZE = 10 * 1024 * 1024  # bytes; a page of more is a mistake or an attack, and parsed takes fifteen times that
DOWNLOAD_WARNSIZE = 0  # what is too large is an outcome, what is not needs no warning
RETRY_TIMES = 3  # tries after the first, with growing pauses
RETRY_EXCEPTIONS = [  # Scrapy's, but for those of its own download handler, which would be loaded for their sake
    "scrapy.exceptions.CannotResolveHostError",
    "scrapy.exceptions.DownloadConnectionRefusedError",
    "scrapy.exceptions.DownloadFailedError",
    "scrapy.exceptions.DownloadTimeoutError",
    "scrapy.exceptions.ResponseDataLossError",
    OSError,
]
RETRY_DELAY = 1.0  # seconds before the first of them, doubled for each that follows, give or take half
RETRY_MAX_DELAY = 60.0  # seconds at the most
RETRY_GIVE_UP_LOG_LEVEL = "DEBUG"  # what is given up has an outcome, which is logged where outcomes are
RETRY_AFTER_TIMES = 10  # Retry-Afters in a row that a request waits for; they do not count as retries
RETRY_AFTER_MAX = 300.0  # seconds that a Retry-After may ask for; longer, and the address is given up

# ---- DOWNLOAD, VERIFY, STORE --------------------------------------------------------------------------
ITEM_PIPELINES = {"imgcrawl.pipelines.ImagesPipeline": 300}  # every address one outcome, every image as served
IMAGES_STORE = "images"  # a directory, or s3://, gs://, ftp:// as in Scrapy
IMAGES_NAME = "{spider}/{title}/{index:03}"  # the name of a file; its extension follows from its bytes
IMAGES_NAME_CHECKSUM = False  # True: several machines write into one directory; s3://, gs://, ftp:// always have it
IMAGES_SAME_BYTES = "once"  # bytes that another address has brought: stored "once", as a hard "link", or "again"
IMAGES_SIMILAR = "keep"  # "refuse": what looks like an image that is stored, and is not larger; needs imagehash
IMAGES_LAST_MODIFIED = False  # True: a file in a directory has the time that its site says (Last-Modified)
IMAGES_THREADS = 4  # that decode, hash and write; more than cores, because some wait for the disk or the interpreter
IMAGES_UPLOADS = 32  # to an object store at a time: at 50 ms each 640 images a second
IMAGES_STORE_TIMEOUT = 20.0  # seconds that S3 (for each try of its library) or FTP may take to answer
IMAGES_MAX_PIXELS = 100_000_000  # in one image; beyond, decoding takes many seconds
IMAGES_MAX_MEMORY = 160_000_000  # bytes that decoding one may take, with its file: so all processes stay below 500 MB
IMAGES_MAX_WIDTH = 0  # with IMAGES_MIN_WIDTH and IMAGES_MIN_HEIGHT of Scrapy: judged by the first KiB; 0: any
IMAGES_MAX_HEIGHT = 0  # the same
IMAGES_MIN_PIXELS = 0  # the same, of width times height
IMAGES_MIN_BYTES = 0  # judged by Content-Length, where there is one; DOWNLOAD_MAXSIZE is the other bound
IMAGES_MIN_ASPECT = 0.0  # width by height; 0: any
IMAGES_MAX_ASPECT = 0.0  # the same
IMAGES_FORMATS: list[str] = []  # those wanted, by the first bytes, as Content-Type is often wrong: JPEG, PNG; []: any
GALLERIES_TITLE = ""  # a regular expression that the title of a gallery must contain, else no image is asked for
GALLERIES_SINCE = ""  # the first day of galleries that are wanted, by the date of their page; without one all are
GALLERIES_UNTIL = ""  # the last day, included
GALLERIES_RANGE = ""  # which galleries (rows, entries) of a list, by their numbers: 1-50, or 3,7-9,100-; "": all
IMAGES_RANGE = ""  # which images of each gallery, the same way
IMAGES_STRICT = False  # True: small damage that every viewer overlooks (`warnings` of an outcome) is a failure
IMAGES_VERIFY = "decode"  # "structure": containers walked, "bytes": both ends; only what is odd is decoded (docs)
IMAGES_KEEP: list[str] = []  # formats kept by their first bytes, unverified: "SVG" (may hold scripts), "HEIF", "MP4" …
IMAGES_PLACEHOLDERS: list[str] = []  # "image removed": sha256, or a regular expression of its address; !sha256: is none
IMAGES_PLACEHOLDERS_LEARNED = 10  # addresses that lead to the same image until it is taken for a placeholder; 0: never
IMAGES_BACKLOG_BYTES = 64 * 1024 * 1024  # received and not yet stored; beyond, nothing new is asked for
IMAGES_QUERY_IGNORED = identity.SIGNATURES  # parameters that tell no image from another: what is signed anew is not new
IMAGES_SIMULATE = False  # True: no image is asked for; `scrapy crawl --simulate` tells what would be
IMAGES_CHECK = "stat"  # a file of the size, time and inode that were noted is intact; "hash": its bytes are read
IMAGES_KEEP_DELETED = False  # True: a file that is gone was deleted on purpose, and does not come back
IMAGES_EXPIRES = 90  # days after which a server is asked (conditionally) whether its image has changed
HTTPCACHE_POLICY = "imgcrawl.downloadermiddlewares.unchanged.UnchangedPages"  # HTTPCACHE_ENABLED: of pages only
GALLERIES_EXPIRES = 0.0  # days that a gallery which is complete in the catalogue is not opened again; 0: always opened
GALLERIES_TRIES = 3  # visits after which an image without an answer keeps no gallery from being complete; 0: never
VIDEOS_NAME = "{spider}/{name}"  # as IMAGES_NAME, for spiders that yield videos
VIDEOS_MAXSIZE = 4 * 1024**3  # bytes; they are written as they come, not held
VIDEOS_TIMEOUT = 3600  # seconds for a whole video; DOWNLOAD_IDLE_TIMEOUT tells a dead connection sooner
MEDIA_ALLOW_REDIRECTS = True  # images behind a redirect are normal
DURABILITY = "write"  # "fsync": images, catalogue and feed outlive a power cut, too, for some time an image
CATALOGUE_URL = None  # postgresql://user:password@host/database: one catalogue for many machines; needs psycopg
CATALOGUE_TIMEOUT = 60.0  # seconds that its server may take for an answer, then the crawl stops; 0: any time
CATALOGUE_FILE = None  # the record of every image stored; None: .catalogue.sqlite3 in IMAGES_STORE, or here

# ---- TELL ---------------------------------------------------------------------------------------------
FEED_EXPORT_ENCODING = "utf-8"  # titles stay readable
FEED_ROWS = "galleries"  # "images": a row, or an object, for each image in place of each gallery, with plain columns
FEED_CSV_FORMULAS = "escape"  # an apostrophe before what a spreadsheet would run, whatever its separator; or "keep"
FEED_URI_PARAMS = "imgcrawl.feeds.segments.uri_params"  # %(worker)s in the address of a feed
FEED_STORAGES = {
    "": "imgcrawl.feeds.storage.FileFeedStorage",  # a .json that is whole at every moment, nothing buffered
    "file": "imgcrawl.feeds.storage.FileFeedStorage",
    "stdout": "imgcrawl.feeds.storage.StdoutFeedStorage",  # whoever reads it has each item at once
    "s3": "imgcrawl.feeds.elsewhere.S3FeedStorage",  # a site that is down replaces no feed by an empty one
    "gs": "imgcrawl.feeds.elsewhere.GCSFeedStorage",
    "ftp": "imgcrawl.feeds.elsewhere.FTPFeedStorage",
    "ftps": "imgcrawl.feeds.elsewhere.FTPFeedStorage",
}
FEED_EXPORTERS = {  # items reach the disk one by one; one CSV header a file
    "json": "imgcrawl.feeds.exporters.JsonItemExporter",
    "jsonlines": "imgcrawl.feeds.exporters.JsonLinesItemExporter",
    "jsonl": "imgcrawl.feeds.exporters.JsonLinesItemExporter",
    "jl": "imgcrawl.feeds.exporters.JsonLinesItemExporter",
    "csv": "imgcrawl.feeds.exporters.CsvItemExporter",
    "xml": "imgcrawl.feeds.exporters.XmlItemExporter",  # which can be read
    "plan": "imgcrawl.feeds.exporters.PlanExporter",  # of `scrapy crawl --simulate`
}
EXTENSIONS = {
    "imgcrawl.extensions.loglines.LogLines": -1,  # first: what the others tell is told in lines, too
    "imgcrawl.extensions.progress.Progress": 0,
    "imgcrawl.extensions.verdict.Verdict": 0,
    "imgcrawl.extensions.heartbeat.Heartbeat": 0,
    "imgcrawl.live.publisher.Publisher": 0,
    "scrapy.extensions.closespider.CloseSpider": None,
    "imgcrawl.extensions.closespider.CloseSpider": 0,  # a crawl that is paused is not one that brings nothing
    "scrapy.extensions.throttle.AutoThrottle": None,  # the Downloader throttles, for all workers
    "scrapy.extensions.logstats.LogStats": None,  # Progress tells more
}
WATCH_TOKEN = ""  # what the page of `scrapy watch` asks for; "": a new one at every start, as nobody needs to keep it
REPORT_TOKEN = ""  # the same of `scrapy report --serve`: on a command line all users of the machine see it
STATS_CLASS = "imgcrawl.statscollectors.StatsCollector"  # Scrapy's, at a fifth of its price
LOG_JSON = False  # True: each record of the log is one line of JSON, for what collects logs
LOG_LEVEL = "INFO"  # DEBUG is a line for each image and more
STATS_DUMP = False  # the summary says what a person needs
SUMMARY_ENABLED = True  # the table at the end of `scrapy crawl`
VERDICT_MAX_FAILED = 0.2  # the share of images, and of galleries, that may fail before the exit code says so
HEARTBEAT_FILE = ""  # touched while a crawl lives: what starts crawls again where they die asks `imgcrawl health`
LIVE_ENABLED = True  # False: `scrapy status` and `scrapy watch` do not find the crawl
LIVE_FOLDER = ""  # where each crawl says how it is; "": the user's own folder for the state of programs
VERDICT_IMAGES_EXPECTED = True  # False for crawls that bring no images home (alexa)
RUN_SUMMARY = ""  # a file with how the run ended, as JSON; beside the feed: "summary.json", "%(name)s-%(time)s.json"
METRICS_PORT: int | None = None  # a port for Prometheus, or, if it is taken, one of the 99 behind it; 0: any
METRICS_ADDRESS = "127.0.0.1"  # who can reach it reads the names of hosts that are crawled
METRICS_TARGETS = ""  # a folder in which each process says where it is, for Prometheus' file_sd_configs
METRICS_HOSTS = 20  # hosts with metrics of their own: each is a series that Prometheus keeps for weeks
TRACES_ENDPOINT = ""  # an OpenTelemetry collector (OTLP over HTTP) that is sent the ways of pages
TRACES_SAMPLED = 0.02  # the share of pages that are sent: a trace of each costs a tenth of a crawl
NOTIFY_URLS: list[str] = []  # mail, chat, webhooks, as apprise writes them: secrets, so better in a file than in -s
NOTIFY_ON = ["trouble"]  # also "end": every end, not only one with exit code 1, and what goes wrong before
COMMAND_FOR_GALLERY: list[str] = []  # a program and its arguments, run for each gallery when it is in the feed
COMMAND_AT_END: list[str] = []  # the same, at the end of a run
COMMAND_TIMEOUT = 60.0  # seconds for a command, then it is ended
COMMAND_AT_ONCE = 2  # commands that run at a time; pages wait for them
