"""Pages that say, with a good status, that what was asked for is not there, and galleries that are only called so."""

from __future__ import annotations

import pytest
from parsel import Selector

from imgcrawl.pages import find_images
from imgcrawl.pages.gone import says_gone

URL = "http://h/g/2"
RELATED = '<div class=related><a href="/g/1"><img src="/t/1.jpg"></a><a href="/g/8"><img src="/t/8.jpg"></a></div>'
OWN = '<img src="/i/1.jpg"><img src="/i/2.jpg">'
NO_IMAGE = "<h2>Image not found</h2><p>Sorry, the image could not be found."
ASTRONAUT = '<img src="/assets/astronaut.png">'


@pytest.mark.parametrize(
    ("title", "body"),
    [
        ("404 Not Found", f"<h1>Page not found</h1><p>This album was deleted.</p>{RELATED}"),
        ("Page not found | Site", f"<h1>Page not found</h1><p>The page you asked for could not be found.{RELATED}"),
        ("Site", f"<h1>Site</h1><h2>Gallery not found</h2><p>This gallery does not exist.{RELATED}"),
        ("Site", f"<h1>Album not found</h1><p>This album does not exist.{RELATED}<aside>{ASTRONAUT}</aside>"),
        ("404 – Site", f"<h1>404</h1><p>The page you requested was not found.{ASTRONAUT}{RELATED}"),
        ("404", "<h1>404</h1><img src=/assets/404.png>"),
        ("404 | Site", f"<form id=aspnetForm><h1>Page not found</h1><p>The page was not found.{RELATED}</form>"),
        ("Error 404 (Not Found)!!1", "<p>nothing"),
        ("Seite nicht gefunden – Fotos", f"<h1>Fehler 404</h1><p>Die Seite wurde leider nicht gefunden.{RELATED}"),
        ("Page introuvable", f"<h1>Oups</h1><p>Cet album n'existe plus.{RELATED}"),
        ("Página no encontrada", f"<h1>404</h1>{RELATED}"),
        ("页面不存在", f"<h1>404</h1><p>您访问的相册已被删除{RELATED}"),
        ("Страница не найдена", f"<h1>Ошибка 404</h1><p>Альбом удалён{RELATED}"),
        ("ページが見つかりません", f"<h1>404 Not Found</h1>{RELATED}"),
    ],
)
def test_what_is_not_there_is_told(title: str, body: str) -> None:
    assert _gone(title, body)


@pytest.mark.parametrize(
    ("title", "body"),
    [
        ("Not found - Jane Doe", f"<h1>Not found</h1>{OWN}"),
        ("404", f"<h1>404</h1>{OWN}{RELATED}"),
        ("404 Not Found", "<h1>404 Not Found</h1><img src=/works/astronaut.png>"),
        ("404 - Jane", f"<h1>404</h1><p>Photographs of pages not found{RELATED}"),
        ("Page not found", f"<h1>Page not found</h1>{RELATED}"),  # it may be a gallery of pages
        ("404", f"<h1>404</h1><p>The page was not found.{RELATED.replace('/g/', '/g/2/')}"),
        (
            "404",
            f"<h1>404</h1><p>The page was not found.{RELATED.replace('/g/1', '/i/1.jpg').replace('/g/8', '/i/8.jpg')}",
        ),
        ("How to make a 404 page - Blog", f"<h1>Page not found</h1><p>This page does not exist.{OWN}"),
        ("Page not found: 20 of the best | Blog", f"<h1>20 of the best</h1><p>The page was not found.{OWN}{RELATED}"),
        ("Page not found", f"<h1>404</h1><p>The page was not found.{'Many words. ' * 200}{RELATED}"),
        ("Holiday", f"<h1>Holiday</h1><p>This album was deleted, and is here again.{RELATED}"),
        ("Holiday", "<h1>Holiday</h1>"),
        ("404 - Jane", f"<a href=/>Home</a> » <span>404</span><h1>404</h1>{RELATED}"),  # where the reader is
        ("Holiday", f"<h1>Holiday</h1>{RELATED}<div style='display: none'>{NO_IMAGE}</div>"),
        ("Holiday", f"<div class=modal aria-hidden=true>{NO_IMAGE}</div>{RELATED}"),
        ("Holiday - Jane", f"<h1>Holiday</h1>{RELATED}<h3>No posts found</h3><p>No posts were found."),
        ("Page not found - Site", f"<h1>Holiday</h1>{RELATED}<p hidden>No images found"),
        ("Photos that were removed", f"<h1>Photos that were removed, by Jane</h1>{RELATED}"),
    ],
)
def test_a_gallery_is_not_gone_for_what_it_is_called(title: str, body: str) -> None:
    assert not _gone(title, body)


def _gone(title: str, body: str) -> bool:
    page = f"<html><head><title>{title}</title></head><body>{body}</body></html>"
    return says_gone(Selector(page), URL, find_images(page, URL))
