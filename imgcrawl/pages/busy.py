"""What a page says that would rather not have been asked."""

from __future__ import annotations

import re

from imgcrawl.possessive import compile_late

# It is short, and it has nothing else to say.
_BUSY = compile_late(
    r"too many (?:requests|connections|attempts|hits|queries|page views)|rate.?limit|slow(?:ing)? down|\bthrottled\b"
    r"|(?:requests?|sending|browsing|clicking|(?:load|request|open|view|refresh)ing pages?) (?:\w+ ){0,3}"
    r"too (?:quickly|fast|often|frequently)"
    r"|(?:requests?|bandwidth|traffic|download|quota|connections?) (?:limit|quota|is|has been|was)? ?(?:exceeded|limit)"
    r"|flood (?:control|protection|limit)|unusual traffic|captcha|are you (?:a )?human"
    r"|(?:try|retry|(?:please|then|[.!,]) come back) (?:again )?(?:later|shortly|soon|in (?:a |an |\d|some))"
    r"|(?:server|service|site)s? (?:(?:is|are|currently|temporarily|too) ){1,4}(?:busy|overloaded|unavailable)"
    r"|servers? (?:busy|overloaded)|service unavailable(?! (?:to|for|in|on) )"
    r"|temporarily (?:unavailable|blocked|overloaded)|just a moment\.\.\.|checking your browser"
    r"|unusual activity (?:from|on|in) (?:you|this)"
    r"|(?:过于|过於|過於|太|操作|访问|訪問|请求|請求)[频頻]繁"
    r"|稍后(?:再|重)试|稍後再試|アクセスが集中|混み合って|너무 많|잠시 후 다시"
    r"|слишком (?:много|часто)|попробуйте позже"
    r"|you must wait [0-9]|experiencing (?:\w+ ){0,2}(?:load|traffic)|resource limit is reached|whoa there, pardner"
    r"|(?:exceeded|reached) (?:your |our |the (?=\w+ limit\b))(?:\w+ ){0,3}(?:limits?|quota)\b"
    r"|\blimit exceeded|excessive page ?loads"
    r"|(?:you have been |your ip (?:address )?(?:has been |is )?(?:temporarily )?)(?:blocked|banned)"
    r"|security check\b|verif\w+ (?:that )?you(?:['’]| a)re (?:a )?human|attention required|robot check|are you a robot"
    r"|ddos protection by|pardon our interruption"
    r"|(?:服务器|服務器|伺服器|系统|系統)(?:正)?[繁忙]忙?|操作(?:太快|过快|過快)|混雑して|しばらくして"
    r"|перегружен|превышен (?:лимит|предел)"
    r"|réessayer plus tard|später (?:erneut|noch ?(?:ein)?mal|wieder)|versuchen sie es später"
    r"|int[eé]nt[ae]lo (?:de nuevo )?más tarde"
    r"|tente (?:novamente )?mais tarde|riprova(?:re)? più tardi|probeer het later|spróbuj (?:ponownie )?później"
    r"|daha sonra tekrar|försök igen senare|thử lại sau|coba lagi nanti|za dużo (?:zapytań|żądań)"
    r"|zbyt wiele (?:żądań|zapytań)|çok fazla istek|för många (?:förfrågningar|anrop)|te veel aanvragen"
    r"|zu viele (?:anfragen|zugriffe)|trop de (?:requêtes|demandes)|demasiad[ao]s (?:solicitudes|peticiones)"
    r"|muitas (?:solicitações|requisições)|troppe richieste|te veel verzoeken",
    re.IGNORECASE,
)
# Names in JSON tell what there is ("captcha": false), unless it is true; and a form may have its guard named below it.
_BESIDE = compile_late(
    r'"[^"\\]*+(?:\\.[^"\\]*+)*+" ?:(?! ?true\b)|protected by (?:google |invisible )*(?:re|h)?captcha', re.IGNORECASE
)
# Of what stands in the place of an image, or of a page of which nothing comes: others may say so of their images.
_NOT_YET = compile_late(
    r"please (?:wait|stand by|hold on|reload|refresh)|(?:one|a) moment,? please"
    r"|^(?:loading|redirecting|processing)\b.{0,40}$"
    r"|(?:is|are) (?:still |now |currently )?being"
    r" (?:generated|processed|prepared|created|made|rendered|resized|converted)",
    re.IGNORECASE,
)
_WENT_WRONG = compile_late(
    r"(?:internal|unexpected|unknown|temporary|database|gateway) (?:\w+ )?error|\berror:? (?:code:? )?5[0-9]{2}\b"
    r"|\b(?:fatal|runtime|application) error\b|\buncaught \S{0,60}(?:exception|error)|maximum execution time"
    r"|(?:could not|can(?:no|')t|unable to|establishing a) (?:connect(?:ion)? to )?(?:\w+ )?(?:database|mysql)"
    r"|parse error: |mysqli?_\w{1,40}\(\)|mysql server has gone|sqlstate\[|web ?server is down|something broke"
    r"|backend fetch failed|guru meditation|no server is available|upstream connect error|no healthy upstream"
    r"|whitelabel error|\bproxy error|\brequest time-?out|服务器错误|伺服器錯誤|维护中"
    r"|(?:系统|网站|網站|系統)(?:错误|錯誤|维护|維護)"
    r"|メンテナンス中|エラーが発生|технические работы|произошла ошибка|wartungsarbeiten|fehler ist aufgetreten"
    r"|erreur est survenue|\b(?:en|in|em) (?:maintenance|mantenimiento|manutenção|manutenzione)\b|ha ocurrido un error"
    r"|ocorreu um erro|verificato un errore|점검 중|오류가 발생|wystąpił błąd|fout opgetreten"
    r"|ett fel (?:har )?uppst|hata oluştu"
    r"|traceback \(most recent|an error (?:has )?occurred|something went wrong|gateway time-?out|bad gateway"
    r"|\b(?:under|down for|scheduled|undergoing) maintenance\b|\bin maintenance mode\b|^maintenance\b"
    r"|\bbe (?:right )?back (?:soon|shortly)",
    re.IGNORECASE,
)
BUSY_TEXT = 2_000  # characters


def says_busy(text: str) -> bool:
    """Whether the *text* of a page, or what stands in the place of an image, says that there were too many requests."""
    text = " ".join(text.split())
    return len(text) <= BUSY_TEXT and _BUSY.search(_BESIDE.sub(" ", text)) is not None


def says_not_yet(text: str) -> bool:
    """Whether the *text* of what stands in the place of an image, or of a page of which nothing comes, says that it may
    be there the next time."""
    text = " ".join(text.split())
    return not text or says_wrong(text) or (len(text) <= BUSY_TEXT and _NOT_YET.search(text) is not None)


def says_wrong(text: str) -> bool:
    """Whether it says that something went wrong."""
    text = " ".join(text.split())
    return len(text) <= BUSY_TEXT and _WENT_WRONG.search(text) is not None
