"""The SQL that takes pages apart: from page indices (``$1``) and lists of profiles (``$2``) to a row for each of them.

A page is parsed once into texts, and each row's properties once more for their ``$last_seen``, unless that comes first.
Nothing is searched for: where it stands, how deep, and in which alphabet, makes no difference.
"""

from __future__ import annotations

from itertools import product

from ...fidelity import MARK, MAX_NESTING
from ..database import readable

__all__ = [
    "CAREFUL",
    "COUNTS",
    "DEEP",
    "FAST",
    "MOMENT",
    "OTHERS",
    "STATISTICS",
    "TOGETHER",
    "columns",
    "has_odd_number",
    "members_but",
]

# Nesting deeper than the limit takes at least so many characters and brackets. Almost never true, and cheap to ask in
# this form: both sides of an AND would be computed for every row.
_BRACKETS = "len(string_split(properties, '{')) + len(string_split(properties, '['))"
DEEP = f"CASE WHEN strlen(properties) > {2 * MAX_NESTING} THEN {_BRACKETS} > {MAX_NESTING} ELSE false END"


def _spellings(word: str) -> list[str]:
    return ["".join(letters) for letters in product(*zip(word, word.upper(), strict=True))]


# DuckDB takes these for numbers, and would write them so. A page that may have one is looked through, since it may
# stand in a text. Sixteen patterns that begin with three letters cost half of four that begin with one, which stop at
# every n and i; one for all of them costs twice the parsing.
_ODD_NUMBERS = (*_spellings("nan"), *(f"{inf}(?i:inity)?" for inf in _spellings("inf")))
_MAY_BE_ODD = " OR ".join(rf"regexp_matches(text, '{each}\s*[,}}\]]')" for each in _ODD_NUMBERS)
_NONE_IS_ODD = r"""regexp_full_match(text, '(?:[^"nNiI]|null|"(?:[^"\\]|\\.)*")*', 's')"""


def has_odd_number(text: str) -> str:
    """Write the condition that a text of JSON has a number that is none."""
    may_be, none_is = (each.replace("text", text) for each in (_MAY_BE_ODD, _NONE_IS_ODD))
    return f"CASE WHEN {may_be} THEN NOT {none_is} ELSE false END"


def members_but(known: str, *, repeated: bool = False) -> str:
    """Write the members of the object ``others`` that are not the known ones, as JSON without the braces, or NULL.

    Args:
        known: Their names, as SQL writes a list.
        repeated: Whether a known one that comes once more is another.
    """
    more = " OR place > list_position(json_keys(others), each[1])" if repeated else ""
    return f"""
        nullif(array_to_string(list_transform(
            list_filter(list_zip(json_keys(others), others->'$.*'),
                        lambda each, place: each[1] NOT IN ({known}){more}),
            lambda each: to_json(each[1])::VARCHAR || ':' || coalesce(each[2]::VARCHAR, 'null')), ','), '')
    """


# For pages whose entries are objects, or null, that name nothing twice; DuckDB refuses any other.
FAST = f"""
    SELECT page, id, NULL AS told_apart, properties,
           CASE WHEN cardinality(entry) > (id IS NOT NULL)::INTEGER + (properties IS NOT NULL)::INTEGER
                THEN to_json(entry)::VARCHAR END AS others
    FROM (SELECT *, entry['$distinct_id'] AS id, entry['$properties'] AS properties
    FROM (SELECT page, unnest(from_json_strict(text, '["MAP(VARCHAR, JSON)"]')) AS entry
    FROM (SELECT page, CASE WHEN {_MAY_BE_ODD} THEN CASE WHEN {_NONE_IS_ODD} THEN text ELSE error('an odd number') END
                            ELSE text END AS text
    FROM (SELECT page, decode(profiles) AS text
    FROM (SELECT unnest($1::INTEGER[]) AS page, unnest($2::BLOB[]) AS profiles)))))
"""
# For any page that was mended. What came in place of a profile is kept as its properties.
CAREFUL = f"""
    SELECT page, nullif(entry->'$."$distinct_id"', 'null') AS id,
           replace(marked->'$."$distinct_id"', '{MARK}', '') AS told_apart,
           CASE json_type(entry) WHEN 'OBJECT' THEN nullif(entry->'$."$properties"', 'null')
                                 WHEN 'NULL' THEN NULL ELSE entry END AS properties,
           CASE json_type(entry) WHEN 'OBJECT' THEN entry::VARCHAR END AS others
    FROM (SELECT page, marked, regexp_replace(marked, '{MARK}[0-9a-f]{{4}}', '', 'g')::JSON AS entry
    FROM (SELECT page, unnest(from_json(decode(profiles), '["JSON"]')) AS marked
    FROM (SELECT unnest($1::INTEGER[]) AS page, unnest($2::BLOB[]) AS profiles)))
"""
# The members of an entry that are neither its id nor its properties, as JSON without the braces.
OTHERS = members_but("'$distinct_id', '$properties'")
# They go behind the properties; where those are no object, they are kept as a member themselves.
TOGETHER = """
    CASE WHEN without_properties OR properties = '{}' THEN '{' || others || '}'
         WHEN starts_with(properties, '{') THEN left(properties, -1) || ',' || others || '}'
         ELSE '{"$properties":' || properties || ',' || others || '}' END
"""
# The one place where no parser is needed to know the value.
_COMES_FIRST = r"""regexp_extract(properties, '^\{"\$last_seen":"([0-9-]{10}T[0-9:]{8})"', 1)"""
# Text that DuckDB would cast although it is no moment ("infinity", a named zone, the year 0) counts as unreadable.
_PLAIN = "strlen(seen) = 19 AND seen[17] = ':' AND seen >= '0001' AND seen < ':'"


def columns(profiles: str) -> str:
    """Write the query for a group's table.

    Args:
        profiles: A query for ``page``, ``id``, ``told_apart``, ``properties``, and as ``others`` the whole entry if it
            may have more than these.
    """
    return f"""
        SELECT page, distinct_id, properties, last_seen, sent_as,
               CASE WHEN last_seen IS NULL THEN seen END AS unread, without_properties, others,
               distinct_id IS NULL OR without_properties OR others IS NOT NULL
                   OR (last_seen IS NULL AND seen IS NOT NULL) OR {DEEP} AS odd
        FROM (SELECT *, CASE WHEN {_PLAIN} THEN {readable("try_cast(seen AS TIMESTAMP)")} END AS last_seen
        FROM (SELECT *, CASE WHEN first <> '' THEN first ELSE properties->>'$."$last_seen"' END AS seen
        FROM (SELECT *, {_COMES_FIRST} AS first
        FROM (SELECT page, id->>'$' AS distinct_id, coalesce(properties, '{{}}') AS properties,
                     CASE WHEN told_apart <> id THEN told_apart->>'$' WHEN NOT starts_with(id, '"') THEN 'JSON' END
                         AS sent_as,
                     properties IS NULL AS without_properties, others
        FROM ({profiles})))))
    """


# `last_seen` is UTC without a zone: an offset, which Mixpanel does not send today, is taken off the wall time.
_WALL = "[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\\.[0-9]+)?)?)?"
_ZONE = " ?(?:Z|UTC|([+-])([01][0-9]|2[0-3]):?([0-5][0-9])?)?"
_MINUTES = f"""
    coalesce(try_cast(regexp_extract(unread, '^{_WALL}{_ZONE}$', 1) || '1' AS INTEGER), 1)
    * (coalesce(try_cast(regexp_extract(unread, '^{_WALL}{_ZONE}$', 2) AS INTEGER), 0) * 60
       + coalesce(try_cast(regexp_extract(unread, '^{_WALL}{_ZONE}$', 3) AS INTEGER), 0))
"""
MOMENT = f"""
    CASE WHEN unread >= '0001' AND regexp_full_match(unread, '{_WALL}{_ZONE}')
    THEN {readable(f"try_cast(regexp_extract(unread, '^{_WALL}') AS TIMESTAMP) - to_minutes({_MINUTES})")} END
"""
COUNTS = "SELECT page, count(*), count(*) FILTER (odd)"
STATISTICS = f"""
    SELECT page, count(*), count(*) FILTER (distinct_id IS NULL), count(*) FILTER (without_properties),
           count(others), count(*) FILTER (unread IS NOT NULL AND last_seen IS NULL),
           count(*) FILTER ({DEEP})
"""
