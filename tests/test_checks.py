"""Settings that are mistyped or make no sense are one sentence, whoever wrote them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from scrapy.settings import Settings
from scrapy.utils.test import get_crawler

from imgcrawl import Addon
from imgcrawl import settings as project_module
from imgcrawl.checks import check_given, check_kind, check_values
from imgcrawl.components import check_orders, check_paths, wrong_kind
from imgcrawl.exceptions import InputError
from imgcrawl.pipelines.settings import PipelineSettings
from tests.support.crawling import crawl, project_settings


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("IMAGE_STORE=x", "-s: no setting IMAGE_STORE; did you mean IMAGES_STORE?"),
        ("CONCURRENT_REQUEST=8", "-s: no setting CONCURRENT_REQUEST; did you mean CONCURRENT_REQUESTS?"),
        ("IMAGES_MIN_WIDHT=8", "-s: no setting IMAGES_MIN_WIDHT; did you mean IMAGES_MIN_WIDTH?"),
        ("COOKIE_FILE=x", "-s: no setting COOKIE_FILE; did you mean COOKIES_FILE?"),
        ("REDIS_URI=x", "-s: no setting REDIS_URI; did you mean REDIS_URL?"),  # one letter of a short name
        ("LOG_LEVLE=INFO", "-s: no setting LOG_LEVLE; did you mean LOG_LEVEL?"),
        ("SENTRY_DSN=x", None),  # like none: may be a plug-in's
        ("download_delay=1", "-s: 'download_delay' is no name of a setting; expected capitals, digits and _"),
        ("CRAWL_HOURS=22-6", None),
        ('CRAWL_HOURS={"example.org": "22-6"}', None),
        ("SHUTDOWN_TIMEOUT=x", "-s SHUTDOWN_TIMEOUT=x: expected a number, 0 or more"), ("SHUTDOWN_TIMEOUT=0.5", None),
        ("RETRY_TIMES=-1", "-s RETRY_TIMES=-1: expected a whole number, 0 or more"),
        ("RETRY_TIMES=1.5", "-s RETRY_TIMES=1.5: expected a whole number, 0 or more"),
        ("IMAGES_MIN_WIDTH=-5", "-s IMAGES_MIN_WIDTH=-5: expected a whole number, 0 or more"),
        ("IMAGES_THREADS=0", "-s IMAGES_THREADS=0: expected a whole number, 1 or more"),
        ("DOWNLOAD_TIMEOUT=0", "-s DOWNLOAD_TIMEOUT=0: expected a number above 0"),
        ("DOWNLOAD_TIMEOUT=nan", "-s DOWNLOAD_TIMEOUT=nan: expected a number above 0"),
        ("DOWNLOAD_DELAY=-0.5", "-s DOWNLOAD_DELAY=-0.5: expected a number, 0 or more"),
        ("VERDICT_MAX_FAILED=20", "-s VERDICT_MAX_FAILED=20: expected a number from 0 to 1"),
        ("RETRY_HTTP_CODES=500,abc", "-s RETRY_HTTP_CODES=500,abc: expected whole numbers with commas between"),
        ("HTTPERROR_ALLOWED_CODES=4xx", "-s HTTPERROR_ALLOWED_CODES=4xx: expected whole numbers with commas between"),
        ("IMAGES_MAX_MEMORY=12XB", "-s IMAGES_MAX_MEMORY=12XB: expected a whole number, 0 or more"),
        ("BANDWIDTH=fast", "-s BANDWIDTH=fast: expected a number, 0 or more"),
        ("LIMITS_SPEEDUP=x", "-s LIMITS_SPEEDUP=x: expected a number, 0 or more"),
        ("CONCURRENT_REQUESTS_PER_DOMAIN=x", "-s CONCURRENT_REQUESTS_PER_DOMAIN=x: expected a whole number, 0 or more"),
        ("DOWNLOAD_DELAY_JITTER=x", "-s DOWNLOAD_DELAY_JITTER=x: expected a number, 0 or more"),
        ("RETRY_HTTP_CODES=500, 503", None), ("RETRY_HTTP_CODES=", None),
        ("USER_AGENT=", "-s USER_AGENT=: expected some text"),
        ("ROBOTSTXT_OBEY=nope", "-s ROBOTSTXT_OBEY=nope: expected True or False"),
        ("DOWNLOAD_SLOTS={", '-s DOWNLOAD_SLOTS={: expected a mapping, as in {"name": 1}'),
        ("DOWNLOAD_DELAY=0.5", None), ("DOWNLOAD_TIMEOUT=1e2", None), ("RETRY_PRIORITY_ADJUST=-2", None),
        ("CONCURRENT_REQUESTS=0", None), ("MY_OWN_SETTING=x", None), ('DOWNLOAD_SLOTS={"x.org": {"delay": 1}}', None),
    ],
)  # fmt: skip
def test_what_is_given_is_a_setting_and_makes_sense(given: str, sentence: str | None) -> None:
    settings = project_settings()
    try:
        check_given(settings, [given])
    except InputError as error:
        assert str(error) == sentence
    else:
        assert sentence is None
        name, value = given.split("=", 1)
        settings.set(name, value, "cmdline")
        check_values(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RETRY_TIMES", -1),
        ("USER_AGENT", " "),
        ("DOWNLOAD_TLS_MIN_VERSION", "TLSv9"),
        ("DOWNLOAD_TLS_MAX_VERSION", "1.2"),
        ("DOWNLOADER_CLIENT_TLS_CIPHERS", "nonsense"),
        ("DOWNLOAD_TIMEOUT", "0"),
        ("COOKIES_ENABLED", "perhaps"),
        ("DOWNLOAD_SLOTS", 5),
        ("ITEM_PIPELINES", "5"),
        ("DEFAULT_REQUEST_HEADERS", [1]),
        ("BANDWIDTH", [1]),
        ("CONCURRENT_REQUESTS_PER_DOMAIN", {"a": 1}),
        ("CATALOGUE_FILE", 5),
        ("LOG_FORMAT", 5),
        ("RETRY_HTTP_CODES", 5),
        ("HTTPCACHE_DIR", None),
    ],
)
def test_what_a_project_or_a_file_says_makes_sense(name: str, value: object) -> None:
    if name == "HTTPCACHE_DIR":
        check_values(Settings({name: value}, "project"))
        return
    if name not in ("ITEM_PIPELINES", "DOWNLOAD_SLOTS", "DEFAULT_REQUEST_HEADERS"):  # Scrapy itself takes no other
        with pytest.raises(InputError, match=re.escape(f"{name}={value!r}: expected ")):
            check_values(Settings({name: value}, "project"))
    if (not isinstance(value, str) and name != "RETRY_TIMES") or name == "ITEM_PIPELINES":
        with pytest.raises(InputError, match=re.escape(f"x.toml: {name} is {value!r}; expected ")):
            check_kind(project_settings(), name, value, "x.toml")


def test_a_name_that_a_project_has_mistyped_is_told(caplog: pytest.LogCaptureFixture) -> None:
    settings = project_settings()
    settings.setdict({"IMAGES_MIN_WIDHT": 5, "MY_OWN": 1, "IMAGES_THUMBS": {"a": (9, 9)}}, "project")
    check_values(settings)
    assert [record.getMessage() for record in caplog.records] == [
        "There is no setting IMAGES_MIN_WIDHT; did you mean IMAGES_MIN_WIDTH?"
    ]


def test_a_project_with_the_add_on_is_told_what_makes_no_sense() -> None:
    with pytest.raises(InputError, match="RETRY_TIMES=-1: expected a whole number, 0 or more"):
        Addon(get_crawler()).update_settings(Settings({"RETRY_TIMES": -1}, "project"))


@pytest.mark.parametrize("sizes", ["x", {"small": 5}, {"small": ["a", 5]}, {"small": [5]}])
def test_sizes_of_thumbnails_that_are_none_are_told_by_the_setting_s_name(sizes: object) -> None:
    settings = project_settings()
    settings.set("IMAGES_THUMBS", sizes, "cmdline")
    with pytest.raises(InputError, match=r"IMAGES_THUMBS is .*: expected names and sizes, as in "):
        PipelineSettings.from_settings(settings, "IMAGES_NAME")


def test_the_defaults_make_sense() -> None:
    check_values(project_settings())


@pytest.mark.parametrize(
    ("store", "package", "extra"), [("s3://b/x", "botocore", "s3"), ("gs://b/x", "google.cloud", "gcs")]
)
def test_a_store_without_its_library_is_one_sentence(tmp_path: Path, store: str, package: str, extra: str) -> None:
    given = {"list": "http://127.0.0.1:9/", "galleries": "a"}
    addons = json.dumps({"tests.spiders.hidden.Hidden": -1})
    run = crawl(tmp_path, "gallery", given, options=[], IMAGES_STORE=store, ADDONS=addons, HIDDEN_PACKAGE=package)
    assert run.code == 2
    last = run.log.splitlines()[-1]
    assert last.startswith(f"IMAGES_STORE='{store}' needs a library (") and f"imgcrawl[{extra}]" in last, run.log


def test_a_damaged_catalogue_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    file = tmp_path / "images" / ".catalogue.sqlite3"
    file.write_bytes(b"SQLite format 3\0" + bytes(range(200)) * 40)
    run = crawl(tmp_path, "gallery", {"list": "http://127.0.0.1:9/", "galleries": "a"}, options=[])
    assert run.code == 2
    last = run.log.splitlines()[-1]
    assert last.startswith(str(file.relative_to(tmp_path))) and "move a damaged one away" in last, run.log


CLASS = "expected the path of a class, as in 'package.module.Class'"
RETRY = "imgcrawl.downloadermiddlewares.retry.RetryMiddleware"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("ADDONS", {"imgcrawl.Adon": 1}, "did you mean 'imgcrawl.Addon'?"),
        (
            "ADDONS",
            {"nowhere.Addon": 1},
            f"ADDONS: 'nowhere.Addon' cannot be loaded (No module named 'nowhere'); {CLASS}",
        ),
        (
            "ADDONS",
            {"imgcrawl.Addon": "first"},
            "'imgcrawl.Addon' has the order 'first'; expected a number or None (off)",
        ),
        ("DOWNLOADER_MIDDLEWARES", {RETRY: "550"}, f"{RETRY!r} has the order '550'; expected a number or None (off)"),
        ("DOWNLOADER_MIDDLEWARES", {RETRY[:-1]: 550}, f"did you mean {RETRY!r}?"),
        ("SPIDER_MIDDLEWARES", {"x.Y": True}, "has the order True"),
        (
            "ITEM_PIPELINES",
            {"imgcrawl.pipelines.ImagePipeline": 1},
            "did you mean 'imgcrawl.pipelines.ImagesPipeline'?",
        ),
        ("EXTENSIONS", {"scrapy.extensions.nothing.X": 5}, "No module named 'scrapy.extensions.nothing'"),
        ("DOWNLOAD_HANDLERS", {"http": "imgcrawl.downloadhandler.Handler"}, "cannot be loaded"),
        ("SCHEDULER", "x", f"SCHEDULER: 'x' cannot be loaded (Error loading object 'x': not a full path); {CLASS}"),
        ("LOG_FORMATTER", "x.Y", f"LOG_FORMATTER: 'x.Y' cannot be loaded (No module named 'x'); {CLASS}"),
        ("SPIDER_LOADER_CLASS", "a.B", "SPIDER_LOADER_CLASS: 'a.B' cannot be loaded"),
        ("SPIDER_MODULES", ["imgcrawl.nothing"], "SPIDER_MODULES: there is no module 'imgcrawl.nothing'"),
        ("ITEM_PIPELINES", {"no.Such": None}, ""),
    ],
)
def test_components_that_cannot_be_are_named(name: str, value: Any, sentence: str) -> None:
    settings = project_settings()
    settings.set(name, value, "project")
    try:
        check_orders(settings)
        check_paths(settings)
    except InputError as error:
        assert sentence
        assert sentence in str(error)
    else:
        assert not sentence


def test_a_module_with_a_setting_of_the_wrong_kind_is_told() -> None:
    wrong = wrong_kind({"BOT_NAME": "x", "ITEM_PIPELINES": ["a.B"]})
    assert wrong == "ITEM_PIPELINES is ['a.B']; expected a mapping, as in {\"name\": 1}"
    assert not wrong_kind(vars(project_module))


@pytest.mark.parametrize(
    ("name", "value"),
    [("ITEM_PIPELINES", '{"imgcrawl.nothing.X": 1}'), ("DOWNLOADER_MIDDLEWARES", f'{{"{RETRY}": "1"}}')],
)
def test_a_crawl_with_a_component_that_cannot_be_is_one_sentence(tmp_path: Path, name: str, value: str) -> None:
    run = crawl(tmp_path, "urls", {"url": "http://127.0.0.1:1/a.jpg"}, **{name: value})
    assert run.code == 2
    assert run.log.startswith(f"{name}: ")
    assert run.log.count("\n") == 1
