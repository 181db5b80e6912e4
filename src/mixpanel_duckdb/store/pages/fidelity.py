"""The slower path for the page that needs it: text that DuckDB's JSON reader refuses, or would choke on later.

DuckDB stops a whole statement at one lone surrogate, at bytes that are not UTF-8 and at raw control characters. Here
such a body becomes text that it reads, value for value the same but for what no UTF-8 database can hold: that becomes
U+FFFD and is counted.

Nesting is a different matter: DuckDB stores any depth, but some of its functions end the process or the database when
they meet tens of thousands of levels (measured with 1.5.6 and 2.0.0: ``json_structure``, casts to ``VARIANT``).
Mixpanel itself accepts three. A value nested deeper than ``MAX_NESTING`` is kept as its JSON text, in a string.
"""

from __future__ import annotations

import json
import re

__all__ = ["MAX_NESTING", "REPLACEMENT", "flatten", "mend"]

MAX_NESTING = 1000
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a whole pair: kept
    r"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\."
    r'|(?P<quote>")'
    r"|(?P<control>[\x00-\x1f])",
    re.DOTALL,
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def mend(body: bytes) -> tuple[bytes, int]:
    r"""Make a body readable for DuckDB.

    Args:
        body: JSON, perhaps with bytes that are not UTF-8, lone surrogates, a byte order mark or raw control characters.

    Returns:
        The mended body, and how many characters had to become U+FFFD.

    Example:
        >>> mend(b'{"a":"\\ud83d"}')
        (b'{"a":"\xef\xbf\xbd"}', 1)
    """
    text, replaced = _decode(body)
    mender = _Mender()
    text = _ESCAPE.sub(mender, text.removeprefix("\ufeff"))
    return text.encode("utf-8"), replaced + mender.lone


def flatten(text: str, limit: int = MAX_NESTING) -> tuple[str, int]:
    """Turn every value below a depth into a string that holds its JSON text.

    Args:
        text: One valid JSON value.
        limit: Deepest level of lists and objects that stays as it is.

    Returns:
        The new text, and how many values were turned into strings.

    Example:
        >>> flatten('{"a":[[1]],"b":[]}', limit=2)
        ('{"a":["[1]"],"b":[]}', 1)
    """
    parts: list[str] = []
    depth = flattened = kept_to = cut_from = 0
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if mark in "[{":
            depth += 1
            if depth == limit + 1:
                cut_from = token.start()
        elif mark in "]}":
            depth -= 1
            if depth == limit:
                parts += [text[kept_to:cut_from], json.dumps(text[cut_from : token.end()], ensure_ascii=False)]
                kept_to = token.end()
                flattened += 1
    return "".join([*parts, text[kept_to:]]), flattened


class _Mender:
    """A replacement function: counts the lone surrogates that it replaces, and knows text from white space around."""

    def __init__(self) -> None:
        self.lone = 0
        self._in_text = False

    def __call__(self, found: re.Match[str]) -> str:
        if found["lone"]:
            self.lone += 1
            return REPLACEMENT
        if found["quote"]:
            self._in_text = not self._in_text
        if found["control"] and self._in_text:
            return f"\\u{ord(found['control']):04x}"
        return found[0]


def _decode(body: bytes) -> tuple[str, int]:
    try:
        return body.decode("utf-8"), 0
    except UnicodeDecodeError:
        # Surrogates encoded as three bytes are one character, not three stray bytes.
        text = body.decode("utf-8", _KEEP_SURROGATES)
        text, encoded = _SURROGATE.subn(REPLACEMENT, text)
        return text, encoded


_KEEP_SURROGATES = "mixpanel_duckdb.keep_surrogates"


def _keep_surrogates(error: UnicodeError) -> tuple[str, int]:
    """Read a three-byte surrogate as that surrogate, and any other bad byte as a stand-in that is counted too."""
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101 - registered for decoding only
    three = error.object[error.start : error.start + 3]
    try:
        return three.decode("utf-8", "surrogatepass"), error.start + 3
    except UnicodeDecodeError:
        return "\udfff", error.start + 1


def _register() -> None:
    import codecs  # noqa: PLC0415 - used here only

    codecs.register_error(_KEEP_SURROGATES, _keep_surrogates)


_register()
