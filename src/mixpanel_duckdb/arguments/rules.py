"""Which kind each argument of a public call is: a name means the same in every call."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from ..errors import ConfigurationError
from .kinds import FLAG, FUNCTION, NAME, PATH, Kind, one_of, refusal, seconds, whole, with_methods

__all__ = ["RULES", "check"]

_DAY = 86_400.0
_POSITIVE = seconds(above=0, what="a number")

_OF_A_CALL = {
    "table": NAME,
    "into": NAME.or_none(),
    "fetch_id": NAME.or_none(),
    "file": PATH,
    "path": PATH,
    "format": one_of("parquet", "csv", "ndjson").or_none(),
    "if_exists": one_of("error", "replace", "merge"),
    "parallel": FLAG,
    "resume": FLAG,
    "replace": FLAG,
    "materialize": FLAG,
    "keep_properties": FLAG,
    "resume_max_age": seconds().or_none(),
    "rate_limit_wait": seconds().or_none(),
    "max_workers": whole(1, 5).or_none(),
    "on_batch_complete": FUNCTION.or_none(),
    "observer": with_methods(
        "an object with the methods of FetchObserver", "planned", "page_done", "waiting", "notice", "ticked"
    ).or_none(),
    "progress": Kind("'auto', True or False", lambda value: FLAG.fits(value) or one_of("auto").fits(value)).or_none(),
    "client": with_methods(
        "a MixpanelClient, or an object with a method query_engage_page", "query_engage_page"
    ).or_none(),
    "store": with_methods("a ProfileStore", "begin", "publish", "leave"),
    "page": whole(0),
    "session_id": NAME.or_none(),
}
_OF_A_CLIENT = {
    "base_url": NAME.or_none(),
    "allow_http": FLAG,
    "timeout": Kind(
        "a number of seconds, more than 0, or an httpx.Timeout",
        lambda value: _POSITIVE.fits(value) or with_methods("", "as_dict").fits(value),
    ).or_none(),
    "retry": with_methods("a RetryPolicy", "delay").or_none(),
    "rate_limiter": with_methods("a RateLimiter", "slot", "hit").or_none(),
    "http_client": with_methods("an httpx.Client", "stream", "__enter__").or_none(),
    "max_body_bytes": whole(1),
    "answer_timeout": seconds(above=0),
    "attempts": whole(1),
    "first_delay": seconds(most=_DAY),
    "longest_delay": seconds(most=_DAY),
    "jitter": seconds(most=1, what="a number"),
    "draw": FUNCTION,
    "max_in_flight": whole(1, 5),
    "clock": FUNCTION,
}
RULES: Final[Mapping[str, Kind]] = _OF_A_CALL | {
    name: kind.raising(ConfigurationError) for name, kind in _OF_A_CLIENT.items()
}


def check(arguments: Mapping[str, object], *, but: Collection[str] = (), required: Collection[str] = ()) -> None:
    """Refuse the first argument that is not what its name says it must be.

    Args:
        arguments: Values by name: ``locals()``, as the first statement of a call.
        but: Names of those that are checked elsewhere.
        required: Names of those that this call cannot do without, though others can.

    Raises:
        QueryError: Names the argument, what was given and what it must be.
        ConfigurationError: The same, for one that says how the server is asked.

    Example:
        >>> check({"table": "profiles", "resume": True})
        >>> check({"resume": "yes"})
        Traceback (most recent call last):
        mixpanel_duckdb.errors.QueryError: resume is 'yes'; it must be True or False.
    """
    for name, value in arguments.items():
        if name in but:
            continue
        kind, optional = RULES[name], RULES[name].optional and name not in required
        if not (value is None and optional) and not kind.fits(value):
            raise refusal(name, value, f"{kind.must}, or None" if optional else kind.must, kind.error)
