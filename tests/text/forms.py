"""How a gateway may write a text that it repeats: as JSON, in a URL, as HTML, and these within one another."""

import html
import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus, unquote


def unicode_escapes(text: str, form: str) -> str:
    units = text.encode("utf-16-be").hex()
    return "".join("\\u" + format(int(units[at : at + 4], 16), form) for at in range(0, len(units), 4))


def inside(encoded: str) -> str:
    """Without the quotes around it."""
    return encoded[1:-1]


FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": lambda text: inside(json.dumps(text)),
    "json, letters as they are": lambda text: inside(json.dumps(text, ensure_ascii=False)),
    "json, slashes escaped": lambda text: inside(json.dumps(text)).replace("/", "\\/"),
    "json, signs escaped": lambda text: re.sub(
        "[+<>&'=]", lambda sign: f"\\u{ord(sign[0]):04x}", inside(json.dumps(text))
    ),
    "json, all escaped": lambda text: unicode_escapes(text, "04x"),
    "json, all escaped in capitals": lambda text: unicode_escapes(text, "04X"),
    "json in json": lambda text: inside(json.dumps(json.dumps(text))).removeprefix('\\"').removesuffix('\\"'),
    "json in json in json": lambda text: inside(json.dumps(inside(json.dumps(inside(json.dumps(text)))))),
    "url": lambda text: quote(text, safe=""),
    "url in small letters": lambda text: re.sub("%..", lambda code: code[0].lower(), quote(text, safe="")),
    "url, spaces as plus": quote_plus,
    "url in url": lambda text: quote(quote(text, safe=""), safe=""),
    "html": html.escape,
    "html, numbers": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "html, hexadecimal": lambda text: "".join(f"&#x{ord(letter):X};" for letter in text),
    "html in html": lambda text: html.escape(html.escape(text)),
    "html in json": lambda text: inside(json.dumps(html.escape(text))),
    "url in html": lambda text: html.escape(quote(text)),
    "python": lambda text: inside(ascii(text)),
    "python, bytes": lambda text: repr(text.encode())[2:-1],
    "read as latin-1": lambda text: text.encode().decode("latin-1"),
    "sent as latin-1": lambda text: text.encode("latin-1", "ignore").decode("utf-8", "replace"),
}


def layers(text: str) -> set[str]:
    """A text, and all that comes to light when its escapes are undone again and again."""
    found, newest = {text}, {text}
    while newest:
        newest = {undo(each) for each in newest for undo in (html.unescape, unquote, _without_escapes)} - found
        found |= newest
    return found


def _without_escapes(text: str) -> str:
    pairs = re.sub(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..", lambda pair: json.loads(f'"{pair[0]}"'), text)
    letters = re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), pairs)
    return re.sub(r"\\(.)", r"\1", letters)
