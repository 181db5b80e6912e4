r"""JSON by the letter: what readers refuse, or disagree on, becomes text that all of them read as the same values.

One rule for every way out. What the store keeps of such a page, and so what every file and frame shows, is what
``query_engage_page`` and ``export_profiles`` give.

=========================================  ===============================================================
half a surrogate pair, bytes not of UTF-8  U+FFFD, since no UTF-8 database can hold them; counted as replaced
raw control characters in a text           kept, escaped; counted as mended
``NaN``, ``Infinity``, ``-Infinity``       kept as the texts ``"NaN"``, ``"Infinity"``, ``"-Infinity"``; likewise
a comma before a closing bracket           read over: no value is there to be lost
=========================================  ===============================================================

Nesting is a different matter: DuckDB stores any depth, but some of its functions end the process or the database when
they meet tens of thousands of levels (measured with 1.5.6 and 2.0.0: ``json_structure``, casts to ``VARIANT``).
Mixpanel itself accepts three. A value nested deeper than ``MAX_NESTING`` is kept as its JSON text, in a string.
"""

from __future__ import annotations

import codecs
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["MARK", "MAX_NESTING", "REPLACEMENT", "Mended", "flatten", "lift", "mend"]

MAX_NESTING = 1000
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Stands behind a replacement character, with four digits that say what was replaced. No text has it by chance.
MARK = uuid.uuid4().hex

_PLACES = re.compile(
    r'"[^"\\\x00-\x1f\ud800-\udfff]*"'  # a text that needs no mending
    r'|(?P<text>"[^"\\]*(?:\\.[^"\\]*)*(?:"|\Z))'
    r"|(?P<comma>,)(?=[ \t\r\n]*[\]}])"
    r"|(?P<number>(?P<minus>-?)(?i:(?P<nan>nan)|inf(?:inity)?)(?![A-Za-z0-9_]))",
    re.DOTALL,
)
_IN_TEXT = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a whole pair: kept
    r"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2}|[\ud800-\udfff])"
    r"|\\."
    r"|(?P<control>[\x00-\x1f])",
    re.DOTALL,
)
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_WORDS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Mended:
    """JSON that every reader takes.

    Args:
        text: The JSON, in UTF-8.
        replaced: Characters that became U+FFFD.
        mended: Raw control characters, numbers that are none, and commas too many.
        damaged: How many of all these no server writes by itself, so that they may have come about on the way.
    """

    text: bytes
    replaced: int = 0
    mended: int = 0
    damaged: int = 0


def mend(body: bytes, *, marked: bool = False) -> Mended:
    r"""Make JSON readable for everybody.

    Args:
        body: JSON, perhaps with bytes that are not UTF-8, lone surrogates, a byte order mark, raw control characters,
            numbers that are none or commas too many.
        marked: Whether ``MARK`` and what was replaced stand behind each U+FFFD: only that tells some ids apart.

    Example:
        >>> mend(b'{"a":"\\ud83d","b":NaN}').text
        b'{"a":"\xef\xbf\xbd","b":"NaN"}'
    """
    mender = _Mender(MARK if marked else None)
    text = _PLACES.sub(mender, body.removeprefix(codecs.BOM_UTF8).decode("utf-8", _BAD_BYTES))
    # What is left of bad bytes stands outside of texts, where nothing makes JSON of it.
    return Mended(text.encode("utf-8", "replace"), mender.replaced, mender.mended, mender.damaged)


def flatten(text: str, limit: int = MAX_NESTING) -> tuple[str, int]:
    """Turn every value below a depth into a string that holds its JSON text.

    Args:
        text: One valid JSON value.
        limit: Deepest level of lists and objects that stays as it is.

    Returns:
        The new text, and how many values were turned into strings.

    Example:
        >>> flatten('{"a":[[ 1 ]],"b":[]}', limit=2)
        ('{"a":["[1]"],"b":[]}', 1)
    """
    return lift(text, limit, _as_text)


def lift(text: str, limit: int, instead: Callable[[str], str]) -> tuple[str, int]:
    """Take every value below a depth out of a text.

    Args:
        text: One valid JSON value.
        limit: Deepest level of lists and objects that stays as it is.
        instead: Gives what stands in place of such a value.

    Returns:
        What is left, and how many values were taken out.
    """
    parts: list[str] = []
    depth = taken = kept_to = cut_from = 0
    for token in _BRACKET.finditer(text):
        mark = token.group()
        if mark in "[{":
            depth += 1
            if depth == limit + 1:
                cut_from = token.start()
        elif mark in "]}":
            depth -= 1
            if depth == limit:
                parts += [text[kept_to:cut_from], instead(text[cut_from : token.end()])]
                kept_to = token.end()
                taken += 1
    return "".join([*parts, text[kept_to:]]), taken


def _as_text(value: str) -> str:
    """Write a value as a text that holds it, the same for all ways to write that value."""
    words = (
        json.dumps(json.loads(word), ensure_ascii=False) if word[0] == '"' else word for word in _WORDS.findall(value)
    )
    return json.dumps("".join(words), ensure_ascii=False)


class _Mender:
    """A replacement function, for places of a body and for those within one of its texts; it counts.

    Args:
        mark: What stands behind a replacement character, with four digits that say what was replaced; ``None`` for
            nothing.
    """

    def __init__(self, mark: str | None) -> None:
        self._mark = mark
        self.replaced = self.mended = self.damaged = 0

    def __call__(self, found: re.Match[str]) -> str:
        if found["text"]:
            return _IN_TEXT.sub(self._character, found["text"])
        if found["comma"]:
            self.mended += 1
            return ""
        if found["number"]:
            self.mended += 1
            return '"NaN"' if found["nan"] else f'"{found["minus"]}Infinity"'
        return found[0]

    def _character(self, found: re.Match[str]) -> str:
        if lone := found["lone"]:
            self.replaced += 1
            self.damaged += len(lone) == 1
            code = lone[-4:].lower() if len(lone) > 1 else f"{ord(lone):04x}"
            return REPLACEMENT + (self._mark + code if self._mark else "")
        if found["control"]:
            self.mended += 1
            self.damaged += 1
            return rf"\u{ord(found['control']):04x}"
        return found[0]


_BAD_BYTES = "mixpanel_duckdb.bad_bytes"


def _bad_bytes(error: UnicodeError) -> tuple[str, int]:
    """Read a three-byte surrogate as that surrogate, and any other bad byte as one of the last 128 of them."""
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101 - registered for decoding only
    three = error.object[error.start : error.start + 3]
    try:
        return three.decode("utf-8", "surrogatepass"), error.start + 3
    except UnicodeDecodeError:
        return chr(0xDF00 + error.object[error.start]), error.start + 1


codecs.register_error(_BAD_BYTES, _bad_bytes)
