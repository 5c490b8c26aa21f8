from __future__ import annotations

import pytest
from parsel import Selector

from imgcrawl.pages.login import is_login_address, login_forms, question_of

FORM = '<form action="/enter"><input name="user"><input type="password" name="pass"></form>'
IMAGE = "http://h/photos/1.jpg"


@pytest.mark.parametrize(
    ("address", "asks"),
    [
        *(
            (f"https://h.example{path}", True)
            for path in (
                "/login", "/login/?next=/g/1", "/users/sign_in", "/wp-login.php?redirect_to=x", "/log_in", "/logon.asp",
                "/ServiceLogin", "/account/login", "/accounts/login/", "/signin", "/Sign-In", "/auth/realms/x",
                "/session/new", "/sessions", "/oauth2/authorize", "/member.php?mod=logging&action=login",
                "/index.php?action=login", "/index.php?route=account/login", "/user-login.html",
                "/cas/login?service=x", "/cas", "/account/",
            )
        ),
        *(
            (f"https://h.example{path}", False)
            for path in (
                "/sessions/summer", "/g/1", "/blog/in-town", "/albums/authors", "/g/logins-of-the-past", "/author/me",
                "/album/sign-in-the-rain", "/catalogue", "/accounting", "/?tag=login-screens", "/neon-sign-on-a-wall",
                "/cas/galeria/1", "/accounts/anna/albums/7", "/account/anna.html",
            )
        ),
    ],
)  # fmt: skip
def test_addresses_of_pages_to_log_in(address: str, asks: bool) -> None:
    assert is_login_address(address) is asks


@pytest.mark.parametrize(
    ("page", "images", "searched", "asks"),
    [
        (FORM, [], True, True),
        (FORM, [], False, True),
        (FORM, ["http://h/img/logo.png"], False, True),
        (FORM, ["http://h/site-logo-2x.png", "http://h/captcha.php?x=1", "http://h/login-bg.jpg"], False, True),
        (FORM, [IMAGE], True, True),
        (FORM, [IMAGE], False, False),
        (FORM + "words " * 100, [IMAGE], True, False),
        (FORM.replace("/enter", "http://[[h]]/login"), [], True, True),
        (FORM, ["http://h/1.jpg?w=8&bg=fff"], False, False),
        (FORM, [f"http://h/{n}.jpg?icon=/logo.png" for n in range(3)], True, False),
        (FORM, [f"http://h/background-{n}.jpg" for n in range(30)], False, False),
        (FORM, [IMAGE, IMAGE + "x", IMAGE + "y"], True, False),
        (f"<header>{FORM}</header>", [IMAGE], True, False),
        (f"<header>{FORM}</header>", [], True, False),
        (f'<div class="wide site-header"><p>{FORM}</div>', [], True, False),
        (f'<body class="header"><div id=login-box>{FORM}</div>', [], True, True),
        (f"<header>{FORM}</header><main>{FORM.replace('/enter', '/login')}</main>", [], True, True),
        ("<form><input type=text></form>", [], True, False),
        ("<p>Please log in to view this gallery. <a href=/login>Log in</a>", [], True, True),
        ("<p>Members only<form action=login.php><input type=email></form>", ["http://h/logo.png"], False, True),
        ("<p>Для просмотра войдите<a href='/accounts/login/?next=/g/1'>Вход</a>", [], True, True),
        ("<p>请先登录<a href='http://h/user/login'>登录</a>", [], True, True),
        ("<p>Please log in to view this gallery. <a href=/help>Help</a>", [], True, False),
        ("<p>Nothing here yet. <a href=/login>Log in</a> to comment", [], True, False),
        ("<p>Please log in to view more<a href=/login>Log in</a>", [IMAGE], True, False),
        ("<p>" + "words " * 100 + "log in to view<a href=/login>Log in</a>", [], True, False),
    ],
)
def test_pages_that_are_a_form_to_log_in(page: str, images: list[str], searched: bool, asks: bool) -> None:
    assert question_of(Selector(page), images, searched=searched) == ("login" if asks else "")


def test_a_form_that_stands_on_pages_which_show_something_tells_nothing() -> None:
    known = login_forms(Selector(f"<p>list{FORM}"))
    assert not question_of(Selector(FORM), [IMAGE], searched=True, known=known)
    other = FORM.replace("/enter", "/login")
    assert question_of(Selector(FORM + other), [IMAGE], searched=True, known=known) == "login"


@pytest.mark.parametrize(
    ("page", "images", "asks"),
    [
        ("<h1>Age verification</h1><a href='?age=ok'>I am over 18</a>", [], True),
        (
            "<p>You must be at least 18 to see this.<form><input type=submit value=Enter></form>",
            ["http://h/logo.png"],
            True,
        ),
        ("<p>This site is for adults only<button>Yes, I agree</button>", [IMAGE], True),
        ("<p>未满18岁禁止进入<a href=/enter>进入</a>", [], True),
        ("<p>Are you over 18?<a href=/y>Oui</a>", [], True),
        ("<p>Are you over 18?<a href=/y>Oui</a>", [IMAGE] * 3, False),
        (
            "<p>Are you over 18?<a href=/y>Oui</a>",
            ["http://h/i/blur1.jpg", "http://h/a-blurred.jpg", IMAGE, IMAGE],
            True,
        ),
        ("<p>You must be 18 or older<a href=/y>Ja</a>", [], True),
        ("<p>You must be 18 or older<a href=/y>18+</a>", [IMAGE], True),
        ("<p>Are you 21 or older?<a href=/y>Si, ho 21 anni</a>", [], True),
        ("<p>You must be 18 or older<a href='?page=18'>18</a>", [], False),
        ("<p>You must be 18 or older<a href=/ja>ja</a><a href=/si>SI</a>", [], False),
        ("<p>The exhibition will be open until 21 June<a href=/more>Enter</a>", [], False),
        ("<p>The tickets must be paid before 21 June<a href=/more>Enter</a>", [], False),
        ("<p>You are viewing 18 of 200<a href=/more>Enter</a>", [], False),
        ("<p>You must be 18 or older<a href=/more>Continue reading</a>", [], False),
        ("<p>" + "words " * 100 + "You must be 18 or older<a href=/more>Enter</a>", [IMAGE], False),
        ("<p>" + "words " * 100 + "You must be 18 or older<a href=/more>Enter</a>", [], True),
        ("<p>18 photographs of my garden<a href=/next>Next</a>", [], False),
        ("<p>You must be over 18", [], False),
        ("<p>" + "words " * 400 + "You must be 18<a href=/y>Yes</a>", [], False),
    ],
)
def test_pages_that_ask_how_old_one_is(page: str, images: list[str], asks: bool) -> None:
    assert question_of(Selector(page), images, searched=True) == ("age_gate" if asks else "")
