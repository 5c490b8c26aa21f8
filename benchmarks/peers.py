"""Who is compared: how each is started for speed, and what it does not do."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPTS = Path(__file__).parent / "scripts"
CONCURRENCY = 64


@dataclass(frozen=True)
class Job:
    """What a peer is to bring home: all of *base*'s galleries, or the *addresses* (a file) of their images."""

    base: str
    addresses: Path
    store: Path
    topic: str = "nvshen"
    concurrency: int = CONCURRENCY
    timeout: float = 60
    redis: str = ""
    worker: str = ""  # which of several, each with a feed of its own

    @property
    def feed(self) -> str:
        return f"{self.store}{self.worker}.json"

    def limits(self) -> dict[str, str]:
        return {
            "CONCURRENT_REQUESTS": str(self.concurrency),
            "CONCURRENT_REQUESTS_PER_DOMAIN": str(self.concurrency),
            "AUTOTHROTTLE_ENABLED": "False",
            "DOWNLOAD_TIMEOUT": f"{self.timeout:g}",
        }


@dataclass(frozen=True)
class Peer:
    """*packages*: what it needs in the peers' environment; nothing for what is run with the Python that runs this."""

    name: str
    lacks: str
    command: Callable[[Job, Path], list[str]]
    packages: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    verifies: str = "length"  # of an image, before it says that it has it
    times: int = 1  # that it is asked for each image, where its start would drown what a thousand cost


def _settings(settings: dict[str, str]) -> list[str]:
    return [part for name, value in settings.items() for part in ("-s", f"{name}={value}")]


def _imgcrawl(job: Job, _: Path) -> list[str]:
    settings = job.limits() | {"IMAGES_STORE": str(job.store)}
    if job.redis:
        settings["REDIS_URL"] = job.redis
    spider = ["crawl", "pximg", "-a", f"base={job.base}", "-a", f"topic={job.topic}"]
    return [sys.executable, "-m", "scrapy", *spider, *_settings(settings), "-O", job.feed]


def _stock(pipeline: str) -> Callable[[Job, Path], list[str]]:
    def command(job: Job, python: Path) -> list[str]:
        store = "IMAGES_STORE" if pipeline == "images.ImagesPipeline" else "FILES_STORE"
        pipelines = json.dumps({f"scrapy.pipelines.{pipeline}": 1})
        settings = job.limits() | {store: str(job.store), "ITEM_PIPELINES": pipelines}
        if job.redis:
            settings |= {
                "REDIS_URL": job.redis,
                "SCHEDULER": "scrapy_redis.scheduler.Scheduler",
                "DUPEFILTER_CLASS": "scrapy_redis.dupefilter.RFPDupeFilter",
                # Without it the first worker to end deletes the queue under the others.
                "SCHEDULER_PERSIST": "True",
            }
        spider = ["crawl", "stock", "-a", f"base={job.base}", "-a", f"topic={job.topic}"]
        return [str(python), "-m", "scrapy", *spider, *_settings(settings), "-O", job.feed]

    return command


def _script(name: str, *middle: str) -> Callable[[Job, Path], list[str]]:
    def command(job: Job, python: Path) -> list[str]:
        filled = [str(job.concurrency) if part == "concurrency" else part for part in middle]
        return [str(python), str(SCRIPTS / name), str(job.addresses), str(job.store), *filled, f"{job.timeout:g}"]

    return command


def with_setting(command: Callable[[Job, Path], list[str]], setting: str) -> Callable[[Job, Path], list[str]]:
    return lambda job, python: [*command(job, python), "-s", setting]


def _img2dataset(job: Job, python: Path) -> list[str]:
    options = {
        "url_list": job.addresses,
        "output_folder": job.store,
        "input_format": "txt",
        "output_format": "files",
        "processes_count": 1,
        "thread_count": job.concurrency,
        "number_sample_per_shard": 10_000,
        "resize_mode": "no",
        "disable_all_reencoding": True,
        "compute_hash": None,
        "timeout": int(job.timeout),
        "enable_wandb": False,
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    return [str(python), str(python.parent / "img2dataset"), *arguments]


def _gallery_dl(job: Job, python: Path) -> list[str]:
    options = ["--config-ignore", "-q", "-o", "sleep-request=0", "-D", str(job.store), "-i", str(job.addresses)]
    return [str(python), "-m", "gallery_dl", *options]


_IN_PROJECT = {"PYTHONPATH": str(ROOT), "SCRAPY_SETTINGS_MODULE": "imgcrawl.settings"}
_IN_STOCK = {"PYTHONPATH": str(SCRIPTS), "SCRAPY_SETTINGS_MODULE": "stock"}

IMGCRAWL = Peer(
    "imgcrawl", "", _imgcrawl, environment=_IN_PROJECT, verifies="every bit decoded, all frames, length, sha256"
)
IMGCRAWL_STRUCTURE = replace(
    IMGCRAWL,
    name="imgcrawl, IMAGES_VERIFY=structure",
    command=with_setting(IMGCRAWL.command, "IMAGES_VERIFY=structure"),
    verifies="all parts of the file, checksums of PNG, length, sha256",
)
IMGCRAWL_BYTES = replace(
    IMGCRAWL,
    name="imgcrawl, IMAGES_VERIFY=bytes",
    command=with_setting(IMGCRAWL.command, "IMAGES_VERIFY=bytes"),
    verifies="both ends of the file, length, sha256",
)
IMAGES = Peer(
    "Scrapy ImagesPipeline",
    "decodes and re-encodes: no file is what was served; no robots.txt",
    _stock("images.ImagesPipeline"),
    ("scrapy", "pillow"),
    _IN_STOCK,
    "the first frame decoded",
)
FILES = Peer(
    "Scrapy FilesPipeline",
    "no decoding, no check, no robots.txt",
    _stock("files.FilesPipeline"),
    ("scrapy",),
    _IN_STOCK,
    "length, MD5",
)
IMG2DATASET = Peer(
    "img2dataset",
    "no decoding, no pages, no robots.txt, no limits a host",
    _img2dataset,
    ("img2dataset",),
    times=8,  # its start takes 5 s, and as much CPU
)
GALLERY_DL = Peer("gallery-dl", "one at a time; no decoding; no robots.txt", _gallery_dl, ("gallery-dl",))
REQUESTS = Peer(
    "requests, 10 threads",
    "no decoding, no pages, no robots.txt",
    _script("requests_threads.py", "1", "10"),
    ("requests",),
)
REQUESTS_PROCESSES = Peer(
    "requests, 2 processes x 10 threads",
    "no decoding, no pages, no robots.txt",
    _script("requests_threads.py", "2", "10"),
    ("requests",),
)
GEVENT = Peer(
    "gevent + urllib",
    "no decoding, no pages, no robots.txt, a connection a request",
    _script("gevent_pool.py", "concurrency"),
    ("gevent",),
)
AIOHTTP = Peer(
    "aiohttp alone", "no decoding, no pages, no robots.txt", _script("aiohttp_plain.py", "concurrency"), ("aiohttp",)
)


def stored(store: Path) -> list[Path]:
    """The images a peer left behind."""
    return [path for path in store.rglob("*.jpg") if path.is_file()] if store.exists() else []


def remove(store: Path) -> None:
    """Remove what a peer left behind."""
    # img2dataset and gallery-dl write into a folder of that name only, the others a feed beside it, too.
    shutil.rmtree(store, ignore_errors=True)
    for feed in store.parent.glob(f"{store.name}*.json"):
        feed.unlink()
