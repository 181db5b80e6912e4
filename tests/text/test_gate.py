"""What passes the gate: no secret in any form, no character that a terminal obeys, and everything else as it was."""

import json
import logging
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_duckdb.text import Secrets, excerpt, one_line, plain, shown
from text.forms import FORMS

MASK = "[secret]"
LETTERS = "abuxUX01259ACDF+/=%&#;\"'<>\\ .-_~éß日\U0001f600\ufffd"
# A backslash at either end is no part of what is found; there it may be one of the text's.
SECRETS = st.text(LETTERS, min_size=4, max_size=40).filter(
    lambda word: word == word.strip(" \\") and len(word.replace("\\", "")) >= 4 and MASK not in word
)


@contextmanager
def hidden(*words: str) -> Iterator[Secrets]:
    """Hidden while the block lasts, even if a failing example keeps what it held."""
    mine = Secrets()
    mine.hide(*words)
    try:
        yield mine
    finally:
        mine._words.clear()


@pytest.fixture
def mine() -> Iterator[Secrets]:
    with hidden() as secrets:
        yield secrets


@pytest.mark.parametrize("form", FORMS)
@given(word=SECRETS)
def test_a_secret_is_found_in_any_form(form: str, word: str) -> None:
    if form == "sent as latin-1":
        word = word.encode("latin-1", "ignore").decode("latin-1").strip("\\")
    sent = f"header {FORMS[form](word)} end"
    with hidden(word):
        assert shown(sent) == f"header {MASK} end" or len(word.replace("\\", "")) < 4


@given(word=SECRETS, data=st.data())
def test_a_secret_is_found_though_each_letter_has_a_form_of_its_own(word: str, data: st.DataObject) -> None:
    names = ["json", "json, all escaped", "json, all escaped in capitals", "url", "html", "html, hexadecimal"]
    sent = "".join(FORMS[data.draw(st.sampled_from(names))](letter) for letter in word)
    with hidden(word):
        assert shown(f"<{sent}>") == f"<{MASK}>"


@given(word=SECRETS.filter(lambda word: len(word.replace("\\", "")) >= 12), data=st.data())
def test_the_beginning_of_a_secret_is_one_too(word: str, data: st.DataObject) -> None:
    letters = word.replace("\\", "")
    cut = letters[: data.draw(st.integers(max(12, min(len(letters) // 2, 32)), len(letters)))]
    with hidden(word):
        assert shown(FORMS["json, all escaped"](cut) + "…") == f"{MASK}…"


def test_a_cut_never_leaves_the_beginning_of_a_secret(mine: Secrets) -> None:
    mine.hide("0123456789abcdef")
    for place in range(19_970, 20_010):
        text = "." * place + "0123456789abcdef"
        assert "0123456789" not in one_line(text, 20_000) + excerpt(text.encode(), 20_000)
    for most in range(1, 60):
        assert "01234" not in one_line("key=0123456789abcdef&" * 3, most)


@pytest.mark.parametrize("header", ["Basic bWU6cGEvc3Mrd29yZD8/", "basic bWU6cGEvc3Mrd29yZD8/"])
def test_the_password_in_a_basic_header_is_hidden_with_the_header(mine: Secrets, header: str) -> None:
    mine.hide_header(header)
    assert shown(rf"{header} bWU6cGEvc3Mrd29yZD8\/ pa\/ss\u002bword??") == f"{header[:5]} {MASK} {MASK} {MASK}"


def test_a_secret_is_hidden_as_long_as_somebody_holds_it() -> None:
    mine, other = Secrets(), Secrets()
    mine.hide("s3cret-word")
    other.hide("s3cret-word")
    del mine
    assert shown("s3cret-word") == MASK
    del other
    assert shown("s3cret-word") == "s3cret-word"


def test_the_secrets_of_the_environment_are_always_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MP_USERNAME", "me")
    monkeypatch.setenv("MP_SECRET", "s3cret-word\n")
    monkeypatch.setenv("MP_OAUTH_TOKEN", "t0ken-word")
    assert shown("s3cret-word, t0ken-word, bWU6czNjcmV0LXdvcmQ=") == f"{MASK}, {MASK}, {MASK}"


@pytest.mark.parametrize("word", ["", "a", "1", '"', "no", "abc", "\\", "\\\\\\\\", "a\\b\\c"])
def test_a_secret_of_fewer_than_four_letters_turns_no_text_to_stars(mine: Secrets, word: str) -> None:
    mine.hide(word)
    text = r'a 1 no page of abc "was" a\b\c \\\\ stored'
    assert shown(text) == text


@pytest.mark.parametrize(
    "word", ["null", "true", "false", "12345", "{}[]", '":"', '", "', "name", "secret", "[secret]"]
)
def test_a_secret_that_json_is_made_of_leaves_json_as_it_is(mine: Secrets, word: str) -> None:
    mine.hide(word)
    values = {"name": word, "null": None, "rows": [True, False, 12345, 1.5, {}], "text": f"<{word}>", "secret": ""}
    again = json.loads(json.dumps(plain(values)))
    assert again["rows"] == values["rows"]
    assert list(again) == list(values)
    assert (again["null"], again["secret"]) == (None, "")
    if len(word) > 3:
        assert (again["name"], again["text"]) == (MASK, f"<{MASK}>")


def test_a_text_that_has_passed_may_pass_again(mine: Secrets) -> None:
    mine.hide("secret")
    mine.hide("[secret]")
    once = shown("a secret [secret] \x1b")
    assert shown(once) == once == rf"a {MASK} {MASK} \x1b"


@given(st.text())
def test_no_control_character_passes(text: str) -> None:
    kinds = {unicodedata.category(letter) for letter in shown(text)}
    assert not kinds & {"Cc", "Cs", "Zl", "Zp"}
    assert shown(shown(text)) == shown(text)
    assert len(one_line(text, 9)) <= 9


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.just(" ")))
def test_what_can_be_seen_stays_as_it_is(text: str) -> None:
    assert shown(text) == one_line(text, 10_000) == text


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\r\x08b\x7f", r"a\r\x08b\x7f"),
        ("two\nlines\ttab", r"two\nlines\ttab"),
        ("exe.\u202egnp", r"exe.\u202egnp"),
        ("\ud800 \udcff \uffff \ufeff", r"\ud800 \udcff \uffff \ufeff"),
        (
            "\N{ZERO WIDTH JOINER} é 日 \U0001f468‍\U0001f469 C:\\new",
            "\N{ZERO WIDTH JOINER} é 日 \U0001f468‍\U0001f469 C:\\new",
        ),
    ],
)
def test_control_characters_become_visible(text: str, visible: str) -> None:
    assert shown(text) == visible
    assert shown(f"{text}\n", keep="\n") == visible.replace(r"\nl", "\nl") + "\n"


@pytest.mark.parametrize("unit", ["\\", " ", "%25", "&amp;", "s\\", "s3cr", "\\u005c", "&#0", "\n ", "s3cret-wor"])
def test_a_long_text_of_any_kind_is_looked_through_in_one_go(mine: Secrets, unit: str) -> None:
    mine.hide("s3cret-word", "%25%25", "&amp;&amp;", "\\s\\s\\s\\s\\", "u123", "0123", "5123", "c123", "%123", "&123")
    started = time.process_time()
    shown(unit * 20_000)
    one_line(unit * 20_000, 100)
    assert time.process_time() - started < 5  # half a second at most; what tries every length takes minutes


def test_prose_of_others_becomes_one_line() -> None:
    assert one_line("two  \r\n\r\n lines\tof\x85text\u2028\x1b", 40) == r"two lines\tof text \x1b"


def test_whatever_is_logged_has_passed(mine: Secrets, caplog: pytest.LogCaptureFixture) -> None:
    mine.hide("s3cret-word")
    logging.getLogger("mixpanel_duckdb").warning("%s says %d \x1b", "s3cret-word", 7)
    assert [record.getMessage() for record in caplog.records] == [rf"{MASK} says 7 \x1b"]
    assert "s3cret-word" not in str(vars(caplog.records[0]))


def test_the_traceback_of_what_is_logged_has_passed(mine: Secrets, caplog: pytest.LogCaptureFixture) -> None:
    mine.hide("s3cret-word")
    with caplog.at_level(logging.DEBUG, "mixpanel_duckdb"):
        try:
            int("s3cret-word \x1b")
        except ValueError as error:
            logging.getLogger("mixpanel_duckdb").debug("a job", exc_info=error)
    (record,) = caplog.records
    written = logging.Formatter().format(record)
    assert written.startswith("a job\nTraceback (most recent call last):\n")
    assert MASK in written.splitlines()[-1]
    assert "s3cret-word" not in written
    assert record.exc_info is None
