"""JSON by the letter: what readers refuse or disagree on becomes text that all read alike.

Bytes of a server come in; JSON that every reader takes goes out, or the values that the store would keep of it. One
rule for pages of profiles and lines of events. Called by ``engage``, ``events`` and ``store``.

===========  ==================================================================
``mending``  text to text: what is replaced, what is kept as a text, how deep
``values``   JSON and Python values, by the same rules
===========  ==================================================================
"""

from .mending import MARK, MAX_NESTING, Mended, flatten, mend
from .values import decoded, encoded

__all__ = ["MARK", "MAX_NESTING", "Mended", "decoded", "encoded", "flatten", "mend"]
