r"""The one gate out: what is shown, logged, raised, kept in a journal or drawn has passed ``shown`` or ``one_line``.

Texts of others (a server, a gateway, a caller's client, DuckDB, names of properties and files) may repeat a secret, and
may hold characters that a terminal obeys. Here secrets become ``[secret]`` and control characters visible, in this
order, and before anything is cut to a length, since the beginning of a secret is one, too.

A secret is found however JSON, URLs or HTML write it, also within one another: ``/`` as ``\/``, ``+`` as ``\u002b`` or
``%2B``, ``"`` as ``&quot;``. One of fewer than four characters is not looked for: any text has those by chance.
"""

from __future__ import annotations

import base64
import binascii
import logging
import os
import re
from functools import lru_cache
from typing import Any, ClassVar
from weakref import WeakValueDictionary

__all__ = ["Secrets", "excerpt", "one_line", "plain", "shown"]

MASK = "[secret]"
_SHORTEST = 4
# The beginning of a secret is one, too: half of it, but from so many characters up to so many.
_TELLING = (12, 32)
# Longer texts are cut before they are looked at; none is shown at such a length.
_LONGEST = 20_000
_CUT_OFF = 400
_SPACES = re.compile(r"\s+")
_BREAKS = frozenset("\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029")
# What a terminal obeys, what turns the direction of text or cannot be seen, and what no UTF-8 or XML can hold.
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
# Backslashes, of which each JSON within JSON doubles the number, and one that is itself written in another form.
_GAPS = (re.compile(r"\\{1,64}"), re.compile(r"(?:\\|(?i:u005c|x5c|%(?:25)*5c|&(?:amp;)*(?:#0*92|#x0*5c);)){1,64}"))
_SHORT_ESCAPES = {"\b": "b", "\t": "t", "\n": "n", "\f": "f", "\r": "r", " ": r"\+"}


class Secrets:
    r"""Words that no text may show, for as long as somebody holds this; any thread may call any method.

    Example:
        >>> mine = Secrets()
        >>> mine.hide("pa/ss+word")
        >>> shown(r'{"sent": "pa\/ss\u002bword"}')
        '{"sent": "[secret]"}'
    """

    _living: ClassVar[WeakValueDictionary[int, Secrets]] = WeakValueDictionary()

    def __init__(self) -> None:
        self._words: dict[str, None] = {}
        self._living[id(self)] = self

    def hide(self, *words: str) -> None:
        """Hide words from now on."""
        self._words.update(dict.fromkeys(words))

    def hide_account(self, username: str, secret: str) -> None:
        """Hide a secret, also as it is sent beside its user name."""
        self.hide(secret, _pair(username, secret))

    def hide_header(self, value: str) -> None:
        """Hide what an ``Authorization`` header holds."""
        scheme, _, sent = value.rpartition(" ")
        self.hide(sent)
        if scheme.lower() == "basic":
            try:
                username, _, secret = base64.b64decode(sent, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return
            self.hide_account(username, secret)

    @classmethod
    def known(cls) -> set[str]:
        """Give all words that are hidden now, those of the environment among them."""
        living = [secrets for reference in cls._living.valuerefs() if (secrets := reference()) is not None]
        words = {word for secrets in living for word in list(secrets._words)} | _of_the_environment()
        # How many backslashes a text has for one is its own business, so they are not compared.
        return {letters for word in words if len(letters := word.replace("\\", "")) >= _SHORTEST}


def shown(text: str, *, keep: str = "") -> str:
    r"""Take secrets out of a text and make its control characters visible.

    Args:
        text: Anybody's.
        keep: Control characters that stay as they are, such as the line breaks of a table.

    Example:
        >>> print(shown("plan\x1b[31m"))
        plan\x1b[31m
    """
    return _CONTROL.sub(
        lambda found: found[0] if found[0] in keep else found[0].encode("unicode_escape").decode(), _secretless(text)
    )


def one_line(text: str, most: int) -> str:
    r"""Do the same for prose of others: without line breaks, and cut to a length.

    Example:
        >>> one_line("502\n  Bad Gateway", 7)
        '502 Bad'
    """
    return shown(_SPACES.sub(lambda run: run[0] if _BREAKS.isdisjoint(run[0]) else " ", _start(text)))[:most]


def excerpt(text: str | bytes, most: int = 300) -> str:
    r"""Quote the beginning of what a server sent: in one line, and with all white space as plain as can be.

    Example:
        >>> excerpt(b"<h1>\t502</h1>", 6)
        '<h1> 5'
    """
    head = text[: 4 * _LONGEST].decode("utf-8", "replace") if isinstance(text, bytes) else text
    return shown(" ".join(_start(head).split()))[:most]


def plain(value: Any) -> Any:
    """Take secrets out of the texts of a value that becomes JSON; its names, numbers and nulls stay.

    Example:
        >>> plain({"null": [None, 1, "text"]})
        {'null': [None, 1, 'text']}
    """
    if isinstance(value, str):
        return _secretless(value)
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def _start(text: str) -> str:
    """The beginning of a text without secrets, nor the first letters of one that was cut off."""
    clean = _secretless(text[:_LONGEST])
    return clean if len(text) <= _LONGEST else clean[:-_CUT_OFF]


def _secretless(text: str) -> str:
    for word in sorted(Secrets.known(), key=len, reverse=True):
        text = MASK.join(_without(word, part) for part in text.split(MASK))
    return text


def _without(word: str, text: str) -> str:
    kept, at = [], 0
    for found in _beginning(word).finditer(text):
        if found.start() >= at and (end := _end(word, text, found.start())):
            kept += [text[at : found.start()], MASK]
            at = end
    return "".join([*kept, text[at:]])


def _end(word: str, text: str, start: int) -> int | None:
    """Say where a secret that begins at a place ends; ``None`` if it is none.

    A letter may be read in two ways (``%25`` is a percent sign, or the beginning of ``%250``), so all are followed.
    """
    least, most = _TELLING
    telling = min(len(word), max(least, min(len(word) // 2, most)))
    ends, farthest = {start}, start
    for number, letter in enumerate(word):
        places = ends | {found.end() for end in ends for gap in _GAPS if (found := gap.match(text, end))}
        ends = {found.end() for place in places for way in _ways(letter) if (found := way.match(text, place))}
        if not ends:
            return farthest if number >= telling else None
        farthest = max(farthest, *ends)
    return farthest


def _of_the_environment() -> set[str]:
    """A caller's own client may use these, too, and fail with them in its text."""
    username, secret, token = (
        os.environ.get(name, "").strip() for name in ("MP_USERNAME", "MP_SECRET", "MP_OAUTH_TOKEN")
    )
    return {secret, token, _pair(username, secret) if secret else ""}


def _pair(username: str, secret: str) -> str:
    return base64.b64encode(f"{username}:{secret}".encode(errors="replace")).decode("ascii")


@lru_cache(maxsize=4096)
def _beginning(word: str) -> re.Pattern[str]:
    """A pattern for places where a secret may begin."""
    letters = (f"(?:{'|'.join(way.pattern for way in _ways(letter))})" for letter in word[:_SHORTEST])
    return re.compile(r"\\{0,7}" + f"(?:{_GAPS[-1].pattern})?".join(letters))


@lru_cache(maxsize=1024)
def _ways(letter: str) -> tuple[re.Pattern[str], ...]:
    """Patterns for a character as it is, and for its escapes without the backslashes before them."""
    from html.entities import codepoint2name  # noqa: PLC0415 - two thousand names, for secrets only

    code, encoded = ord(letter), letter.encode("utf-8", "surrogatepass")
    units = re.findall("....", letter.encode("utf-16-be", "surrogatepass").hex())
    name = "apos" if letter == "'" else codepoint2name.get(code, "#")
    escapes = [
        r"\\+".join(f"u{unit}" for unit in units),
        r"\\+".join(f"x{byte:02x}" for byte in encoded),
        "".join(f"%(?:25)*{byte:02x}" for byte in encoded),
        f"&(?:amp;)*(?:#0*{code}|#x0*{code:x}|{name});",
    ]
    if letter in _SHORT_ESCAPES:
        escapes.append(_SHORT_ESCAPES[letter])
    others = [f"%(?:25){{{times}}}" for times in (1, 2)] if letter == "%" else []
    if code > 0x7F:  # also read as if it were of another encoding, or as what cannot be read
        escapes += [f"x{code:02x}", f"%(?:25)*{code:02x}", f"U{code:08x}", re.escape(encoded.decode("latin-1"))]
        others = ["\ufffd", f"\ufffd{{{len(encoded)}}}"]
    return tuple(map(re.compile, (re.escape(letter), f"(?i:{'|'.join(escapes)})", *others)))


class _LogGate(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = shown(record.getMessage()), None
        if record.exc_info:  # the text is what a formatter writes, and no other is made of the error
            record.exc_text = shown(logging.Formatter().formatException(record.exc_info), keep="\n\t")
            record.exc_info = None
        return True


logging.getLogger("mixpanel_duckdb").addFilter(_LogGate())
