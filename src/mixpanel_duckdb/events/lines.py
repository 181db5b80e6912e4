"""Bytes as they come to whole lines, and whether a stream has ended where it should.

A line ends at a line feed and nowhere else: texts hold U+2028 and its like, and a character may be cut between two
pieces. A stream is whole when its transport says so, its last line is an event, and nothing stands behind that: under
status 200, Mixpanel ends some with the words ``terminated early`` or inside a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import UnreadableAnswerError
from ..fidelity import decoded
from ..http import server_words

__all__ = ["PIECE_BYTES", "event_of", "whole_lines"]

# Enough for one statement of DuckDB's, and little in memory.
PIECE_BYTES = 2_000_000
# Mixpanel takes no event of more than a megabyte.
_LONGEST_LINE = 64_000_000
# Around the properties of an event.
_LEVELS = 1


def whole_lines(pieces: Iterable[bytes], asked: str, *, size: int = PIECE_BYTES) -> Iterator[bytes]:
    r"""Give a stream as pieces of whole lines, each of which ends in a line end.

    Args:
        pieces: The stream's bytes.
        asked: What was asked for, for the errors.
        size: About how many bytes a piece has.

    Raises:
        UnreadableAnswerError: It does not end as it should, or a line does not end at all.

    Example:
        >>> line = b'{"event":"a","properties":{}}'
        >>> list(whole_lines([line[:9], line[9:]], "2026-01-01")) == [line + b"\n"]
        True
    """
    parts: list[bytes] = []
    held, last, has_end = 0, b"", False
    for piece in pieces:
        parts.append(piece)
        held += len(piece)
        has_end = has_end or b"\n" in piece
        if held >= size and has_end:
            text = b"".join(parts)
            end = text.rfind(b"\n") + 1
            parts, held, has_end = [text[end:]], len(text) - end, False
            # The last line of all decides, and it may be in this piece: this one goes when another follows.
            if last:
                yield last
            last = text[:end]
        elif held > _LONGEST_LINE and not has_end:
            raise UnreadableAnswerError(f"{asked}: a line of more than {_LONGEST_LINE:,} bytes is no event.")
    text = last + b"".join(parts)
    _check_end(text, asked)
    if text.strip():
        yield text if text.endswith(b"\n") else text + b"\n"


def event_of(line: bytes) -> dict[str, Any] | None:
    """Decode a line as the store would keep it; ``None`` if it is no event.

    Example:
        >>> event_of(b'{"event": "a", "properties": {"v": [NaN,]}}')
        {'event': 'a', 'properties': {'v': ['NaN']}}
    """
    try:
        event, _ = decoded(line, _LEVELS)
    except ValueError:
        return None
    if isinstance(event, dict) and "event" in event and isinstance(event.get("properties"), dict):
        return event
    return None


def _check_end(text: bytes, asked: str) -> None:
    """Look at the last line of all."""
    line = text.rstrip().rpartition(b"\n")[2].strip()
    if line and event_of(line) is None:
        words = _words(line)
        raise UnreadableAnswerError(f"{asked}: the export did not end as it should: {words}.", server_text=words)


def _words(line: bytes) -> str:
    """What the server says in place of an event, or that it says nothing."""
    said = b"terminated early"
    if line.endswith(said):
        return said.decode()
    return server_words(line) or "its last line is no whole event"
