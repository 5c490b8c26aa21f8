"""What the next page of a list is called, in the languages of the web: words that stand alone, or beside "page"."""

from __future__ import annotations

import re

from imgcrawl.possessive import compile_late

_EDGES = " \t\n\r\xa0\u200e\u200f.…:;·|-–—_()[]*+»›>→⟩❯▶►⟶＞⏵➡\ufe0f➔➜⇒⏩«‹<←0123456789"
_CALLED = compile_late(
    r"[\s\[(]*(?:(?:go to )?(?:page|seite|p[áà]gin[ae]|стр\w{0,6}\.?|第)\s?)?"
    r"([0-9]{1,5})\s?(?:页|頁|ページ|[»›>→])?[\s\]).]*",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"[\s\xa0()\[\]/|:·.,0-9-]+")
# What it is the next of, which says nothing by itself.
_THINGS = frozenset({
    "alben", "bilder", "fotos", "photos", "images", "pictures", "álbumes", "albumes", "albuns", "álbuns",
    "go", "to", "the", "of", "page", "pages", "post", "posts", "entries", "results", "galleries", "albums",
    "items", "seite", "seiten", "beiträge", "einträge", "ergebnisse", "página", "páginas", "pagina", "pàgina",
    "entradas", "publicaciones", "resultados", "articles", "résultats", "articoli", "artikel", "side", "sida",
    "sivu", "strona", "stronę", "strony", "stránka", "stránky", "oldal", "σελίδα", "sayfa", "stranica", "stran",
    "страница", "страницы", "страницу", "стр", "сторінка", "페이지", "ページ", "页", "頁", "halaman", "trang", "หน้า",
    "صفحة", "الصفحة", "עמוד", "صفحه",
})  # fmt: skip
_NEXT = frozenset({
    "next", "load next", "show next", "older", "earlier", "nächste", "nächster", "nächsten", "weiter",
    "ältere", "suivant", "suivante",
    "suivants", "suivantes", "plus anciens", "plus anciennes", "siguiente", "siguientes", "próximo", "próxima",
    "próximos", "próximas", "proximo", "proxima", "antiguas", "más antiguas", "seguinte", "seguintes",
    "mais antigas", "següent", "hurrengoa", "successivo", "successiva", "successivi", "avanti", "prossima",
    "prossimo", "volgende", "oudere", "nästa", "äldre", "neste", "eldre", "næste", "ældre", "seuraava",
    "järgmine", "nākamā", "kitas", "następna", "następne", "następny", "dalej", "starsze", "další", "ďalšia",
    "ďalšie", "ďalej", "starší", "következő", "régebbi", "următoarea", "următorul", "înainte", "sljedeća",
    "sljedeće", "sledeća", "sledeći", "naslednja", "sonraki", "ileri", "επόμενη", "επόμενο", "επόμενα", "далее",
    "дальше", "след", "следующая", "следующие", "следующий", "вперёд", "вперед", "далі", "наступна", "следваща",
    "следећа", "التالي", "التالية", "بعدی", "הבא", "הבאה", "ถัดไป", "sau", "tiếp", "tiếp theo", "berikutnya",
    "selanjutnya", "下一页", "下一頁", "下页", "下頁", "后一页", "後一頁", "次へ", "次", "次のページ", "다음",
})  # fmt: skip
_MORE = frozenset({
    "load more", "show more", "view more", "see more", "vis flere", "last inn flere", "visa mer",
    "ladda fler", "hent flere",
    "view older", "mehr laden", "weitere laden", "mehr anzeigen", "charger plus", "voir plus", "afficher plus",
    "cargar más", "mostrar más", "ver más", "carregar mais", "mostrar mais", "carica altri", "mostra altri",
    "meer laden", "visa fler", "vis mere", "vis mer", "pokaż więcej", "załaduj więcej", "daha fazla",
    "xem thêm", "загрузить ещё", "загрузить еще", "показать ещё", "показать еще", "加载更多", "加載更多", "載入更多",
    "もっと見る", "더보기", "더 보기",
})  # fmt: skip


def is_next_word(text: str, *, plainly: bool = False) -> bool:
    """Whether *text* is a word for "next" or "older", with what it is the next of and numbers beside it, or, unless
    *plainly*, one for "load more"."""
    words = (word for word in _BETWEEN.split(text.lower().strip(_EDGES)) if word not in _THINGS)
    said = " ".join(filter(None, words)).strip(_EDGES)
    return said in _NEXT or (not plainly and said in _MORE)


def number_said(text: str) -> str:
    """The number of the page that *text* says it leads to: "2", "[2]", "Page 2", "2 »". Empty where it says none."""
    match = _CALLED.fullmatch(text)
    return match[1] if match else ""
