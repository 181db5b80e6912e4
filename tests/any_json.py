"""Any JSON, as hypothesis draws it, and what a database keeps of it."""

import json

from hypothesis import strategies as st

from store.storing import read

characters = st.one_of(st.characters(codec="utf-8"), st.sampled_from('"\\/\0\x01\x1f\x7f\n\u2028\ud800\udc00\udfff😀'))
texts = st.text(characters, max_size=8)
numbers = st.one_of(
    st.integers(),
    st.sampled_from([2**53 + 1, -(2**63), 2**64, 10**400, -0.0, 5e-324, 0.1 + 0.2]),
    st.floats(),
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)
objects = st.dictionaries(texts, values, max_size=5)
# As the store keeps them: without numbers that are none.
strict_objects = objects.map(lambda each: json.loads(json.dumps(each), parse_constant=str))


def kept(value):
    """A value as the database keeps it: every lone surrogate is one U+FFFD, and numbers that are none are texts."""
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass")
    return read("".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text), odd_number=str)
