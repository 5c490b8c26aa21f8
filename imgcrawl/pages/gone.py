"""Pages that say, though their status is a good one, that what they should show is not there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from lxml import etree
from parsel import Selector

from imgcrawl.pages.candidates import is_empty, is_file, is_shown
from imgcrawl.pages.images import images_in
from imgcrawl.pages.sizes import size_of
from imgcrawl.pages.tags import base_of
from imgcrawl.pages.visible import is_unseen, texts_of
from imgcrawl.possessive import compile_late
from imgcrawl.urls import absolute

_THING = (
    r"(?:pages?|files?|(?:photo ?)?albums?|(?:photo ?)?galler(?:y|ies)|photos?|photoset|images?|pictures?|posts?"
    r"|topics?|threads?|contents?|articles?|items?|urls?|address|documents?|resources?|users?|profiles?|chapters?|manga"
    r"|comics?|sets?|entry|links?|listings?|products?|collections?|submissions?|uploads?|artworks?)"
)
# But for "photos that were removed", of which others tell.
_NEAR, _NEARER = r"(?:(?! (?:that|which) (?:were|are|have)\b)[^.!?]){0,60}?", r"[^。！？]{0,20}?"
_OF_PAGES = r"(?:页面|頁面|网页|網頁|相[册冊]|图集|圖集|图片|圖片|文章|内容|內容|帖子|主题|主題|专辑|專輯|作品)"
# A sentence that says so. What it is about stands beside it: of other things other pages say this.
_SAYS = compile_late(
    rf"\b{_THING}\b{_NEAR}\b(?:(?:cannot|(?:can|could|was|were|is|are|do|does) not"
    r"|\w{2,6}n['’]t) (?:be |been )?(?:found|exist|available|located)"
    r"|no longer (?:exists?|available|here|online)|unavailable"
    r"|(?:been|was|were|is|are) (?:\w+ or )?(?:permanently )?(?:deleted|removed|taken down))\b"
    r"|\b(?:cannot|can['’]t|could(?: ?not|n['’]t)|unable to|did(?: not|n['’]t)) (?:find|locate) (?:\w+ ){0,4}"
    rf"(?:{_THING}|you)\b|\bno such {_THING}\b|\bno {_THING} (?:was |were )?found\b"
    rf"|\b(?:seite|album|galerie|bild|datei|beitrag|inhalt)\b{_NEAR}\b(?:nicht (?:\w+ )?(?:gefunden|verfügbar"
    r"|vorhanden)|existiert nicht|gelöscht|entfernt)\b"
    rf"|\b(?:page|album|galerie|photo|image|contenu)\b{_NEAR}(?:introuvable|non trouvée?|n['’]existe (?:pas|plus)"
    r"|a été (?:supprim|retir)ée?)"
    rf"|\b(?:página|álbum|galer[ií]a|foto|imagen|imagem|contenido)\b{_NEAR}\b(?:n(?:o|ão) (?:fue |foi )?"
    r"(?:encontrad[oa]|existe|disponible|disponível)|(?:sido|fue|foi) (?:eliminad|borrad|removid|excluíd|apagad)[oa])"
    r"|\bno se (?:ha |pudo )?encontr\w+ (?:la página|el álbum|la galería)"
    rf"|\b(?:pagina|album|galleria|foto|immagine)\b{_NEAR}\b(?:non (?:trovat[oa]|esiste)|stat[oa] (?:rimoss|eliminat|"
    r"cancellat)[oa]|niet gevonden|bestaat niet|verwijderd)"
    r"|\bnie znaleziono (?:strony|albumu|galerii)|\b(?:strona|album|galeria) nie istnieje"
    rf"|\b(?:страниц|альбом|галере|фото|файл|материал)\w{{0,6}}\b{_NEAR}\b(?:не (?:найден|существует)|удал[её]н)"
    rf"|\b(?:sayfa|albüm|galeri)\w{{0,4}}\b{_NEAR}\b(?:bulunamadı|mevcut değil|silin)"
    rf"|{_OF_PAGES}{_NEARER}(?:不存在|找不到|未找到|[没沒]有找到|已(?:被|经|經)?(?:删除|刪除|移除|下架))"
    rf"|(?:找不到|未找到|[没沒]有找到){_NEARER}{_OF_PAGES}"
    rf"|(?:ページ|アルバム|ギャラリー|画像|記事|作品){_NEARER}(?:見つかりません|存在しません|削除され)"
    rf"|(?:페이지|앨범|갤러리|게시물){_NEARER}(?:찾을 수 없|존재하지 않|삭제)",
    re.IGNORECASE,
)
# What a page is called that says it; by itself it may be called so for another reason.
_NAME = compile_late(
    r"(?:(?:o+ps|whoops|sorry|uh oh|ups|hoppla|désolé|http|(?:an )?error|fehler|erreur|ошибка|错误)\W+)*"
    rf"(?:404(?:\W+(?:error|fehler|page))?|(?:404\W+)?(?:(?:the|this|that|your|requested)\W+)*(?:{_THING}\W+)?not found"
    rf"(?:\W+404)?|410(?:\W+gone)?|nothing found|{_THING} (?:deleted|removed|unavailable))\W*1?",
    re.IGNORECASE,
)
_TO_VISITORS = re.compile(r"\b(?:you|back|return|home ?page)\b", re.IGNORECASE)
_BETWEEN = compile_late(r"\s[-–—:~/]+\s|:\s|[|·•»›«‹]|::")  # the parts of a title
_LONGEST = 100  # characters of what says no more than this
_OWN_TEXT = 1_500  # of a page that says it, besides what its links and its headings do
_MOST_HEADINGS, _MOST_AROUND, _MOST_LINKS = 6, 50, 500
_HEADINGS = ("h1", "h2", "h3")
# What stands on each page of a site, and what nobody reads.
_AROUND = ("header", "nav", "footer", "aside")
_APART = frozenset(("a", "select", "button", "dialog", *_AROUND[1:]))


def says_gone(page: Selector, url: str, images: Sequence[str], encoding: str = "utf-8") -> bool:
    """Whether *page* at *url*, on which *images* were found, says that what was asked for is not there, and shows
    nothing but what leads to other pages.

    Its title, a heading and a sentence may say so. Two have to, where there are images, and in other words: the same
    are what a gallery is called. Beside one image all three have to. Where the title does not, only the first heading
    counts: below the name of a gallery others say what there is none of.
    """
    root: Any = page.root
    if not etree.iselement(root):
        return False
    called: Any = next(root.iter("title"), None)
    name = "" if called is None else "".join(called.itertext())[: 3 * _LONGEST]
    title = _said_in(name)
    of_page = (heading for heading in _headings_of(root) if title or heading != _plain(name))
    headings = [heading for heading in islice(of_page, None if title else 1) if _is_said(heading)]
    if not (title or headings):  # as of nearly all pages
        return False
    texts = texts_of(page, _OWN_TEXT, _is_none_of_its_text)
    if sum(map(len, texts)) > _OWN_TEXT:
        return False
    known = {*title, *headings}
    text = " ".join(each for each in texts if _plain(each) not in known)
    is_sentence = _SAYS.search(text) is not None or any(map(_NAME.fullmatch, {*map(_plain, texts)} - known))
    told = bool(title) + bool(headings) + is_sentence
    if told == 2 and not is_sentence and {*title} == {*headings}:
        told = 1
    shown = [image for image in images if is_shown(image)]
    if not shown:
        return bool(title) or told > 1
    if told < 2:
        return False
    others = {size_of(image).image for image in _of_others(page, url, encoding)}
    own = {size_of(image).image for image in shown} - others
    return not own or (len(own) == 1 and told > 2 and _TO_VISITORS.search(text) is not None)


def _said_in(title: str) -> list[str]:
    """The parts of a *title*, one of which may be the site's name, that say so."""
    return [part for part in map(_plain, (title, *_BETWEEN.split(title))) if _is_said(part)]


def _is_said(words: str) -> bool:
    return len(words) <= _LONGEST and (_NAME.fullmatch(words) is not None or _SAYS.search(words) is not None)


def _plain(text: str) -> str:
    return " ".join(text.split()).strip(" .!?…:()[]").lower()


def _headings_of(root: Any) -> Iterator[str]:
    """The first headings of a page, but for those that are links, or around one, or that stand apart."""
    for heading in islice(root.iter(*_HEADINGS), _MOST_HEADINGS):
        if heading.find(".//a") is not None or any(map(_is_apart, chain((heading,), heading.iterancestors()))):
            continue
        yield _plain("".join(islice(heading.itertext(), _LONGEST)))


def _is_apart(element: Any) -> bool:
    """Whether *element* is a link, or stands around what the page shows, or is not seen."""
    return is_unseen(element) or element.tag in _APART


def _is_none_of_its_text(element: Any) -> bool:
    return _is_apart(element) or element.tag in ("header", *_HEADINGS)


def _of_others(page: Selector, url: str, encoding: str) -> Iterator[str]:
    """The images on *page* that lead to other pages, stand around what it shows, or stand for it where it is shared."""
    base = base_of(page, url)
    below = url.partition("?")[0].rstrip("/") + "/"

    def leads_away(link: Selector) -> bool:
        href = link.root.get("href")
        address = "" if is_empty(href) or is_file(href) else absolute(base, href, encoding)
        return bool(address) and address != url and not str(address).startswith((below, f"{url}?", f"{url}&"))

    links: Iterable[Selector] = filter(leads_away, islice(page.xpath("/descendant::a[@href][*]"), _MOST_LINKS))
    around = islice(chain.from_iterable(page.xpath(f"//{name}") for name in _AROUND), _MOST_AROUND)
    yield from images_in(chain(around, links), url, base, encoding)
    for stated in page.xpath("//meta/@content").getall()[:_MOST_LINKS]:
        if "/" in stated and (address := absolute(base, stated[: 40 * _LONGEST], encoding)):
            yield address
