"""Runs of the command as a seed draws them: a server, its trouble, flags, and the moment of an interrupt."""

import base64
import random
from dataclasses import dataclass
from typing import Any

from helpers import PAGE
from mixpanel_duckdb.simulator import Behaviour, Fault, FaultKind, Limits, Population, Simulator

SECRETS = ("s3cr3t-of-the-account", 'p/s+"w\\ö>?é~?>', "ein Geheimnis & <noch> eins%25")
KINDS: tuple[FaultKind, ...] = (
    "status", "status", "page_as", "echo", "fields", "fields", "fields", "garbage_200", "delay", "delay", "redirect",
    "html_200", "error_key_200", "quota", "concurrency", "shedding", "lost_session", "empty_page", "short_page",
    "duplicates", "wrong_page", "missing_total", "wrong_total", "gzip_members", "bad_gzip", "cut_gzip", "hang", "reset",
    "cut", "cut_chunked", "slow",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1.5, 7, 10**18, -(10**30), 1e300, "", "7", "ok", "error", "null", "\x1b[31m", "\ud800",
    "x" * 5000, [], [1], {}, {"error": "shard timeout"}, [[[[]]]], "Bearer ***",
)  # fmt: skip
# What would be another result, and a true one for all that anybody can tell.
LIES = (True, 0, 1, 7, "7", False)
FIELDS = ("status", "error", "total", "page", "page_size", "session_id", "results", "computed_at", "failed", "")
HEADERS = (
    {"RateLimit": '"project";r=0;t=nan'}, {"RateLimit": '"project";r=-1;t=-5, ;;;='},
    {"RateLimit-Policy": '"project";q=inf;w=nan', "RateLimit": '"project";r=0;t=1e400'},
    {"Retry-After": "1790000000"}, {"Retry-After": "99999999999999999999"}, {"Retry-After": "-1"},
    {"Retry-After": "Mon, 01 Jan 2026 00:00:00 +9999999999999999"}, {"Retry-After": "1_0"}, {"Retry-After": "\xff"},
    {"Content-Type": "text/html; charset=nonsense"}, {"Content-Type": ""}, {"Content-Encoding": "x-gzip"},
    {"Content-Encoding": "zstd"}, {"Content-Encoding": "br, gzip"}, {"Content-Encoding": "identity"},
    {"content-length": "7"}, {"Content-length": "999999"}, {"Transfer-Encoding": "chunked"},
    {"Location": "http://["}, {"Set-Cookie": "a=\x01"}, {"X-Long": "y" * 40_000}, {"Date": "yesterday"},
)  # fmt: skip
# What announces more than comes: only a read timeout ends the wait for it.
ENDLESS = ("999999", "chunked")
GARBAGE = ("\x00", "\x1b[31m", "\x07}", '\x01"', "\x00<!-- upstream")
BREAKS = ('"}', '"{', '\x00"]', '"\x1b', '}"')


@dataclass(frozen=True)
class Case:
    """What one seed means."""

    seed: int
    population: Population
    behaviour: Behaviour
    faults: tuple[Fault, ...]
    flags: tuple[str, ...]
    secret: str
    limit: int | None
    # The share of an undisturbed run after which a signal comes.
    interrupt: float | None
    # Whether a table of other profiles stands there before.
    replaces: bool
    # Whether it runs as a process of its own.
    apart: bool

    def server(self) -> Simulator:
        return Simulator(
            self.population,
            behaviour=self.behaviour,
            limits=Limits(quota=None, concurrency=None),
            faults=self.faults,
            secret=self.secret,
        )

    def hidden(self) -> tuple[str, ...]:
        """The secret, and the header that holds it."""
        return self.secret, base64.b64encode(f"simulator:{self.secret}".encode()).decode().rstrip("=")


def case(seed: int) -> Case:
    rng = random.Random(seed)
    population = Population(PAGE * rng.randint(2, 9) - rng.randrange(PAGE), seed=seed)
    pages, rate = -(-len(population) // PAGE), rng.choice((0.1, 0.4, 0.8))
    apart = seed % 10 == 9
    faults = [_trouble(rng, page, apart) for page in range(pages) if rng.random() < rate]
    limit = rng.choice((None, None, None, None, rng.randint(1, len(population) + 5)))
    replaces = rng.random() < 0.2
    flags = [*rng.choice(((), (), ("--json",), ("-q",), ("-v",))), *rng.choice(((), ("--no-parallel",)))]
    return Case(
        seed,
        population,
        _behaviour(rng, seed),
        tuple(each for each in faults if not _is_a_lie(each)),
        (*flags, *(("--replace", "--allow-other") if replaces else ()), *(("--limit", str(limit)) if limit else ())),
        rng.choice(SECRETS),
        limit,
        rng.random() * 1.2 if rng.random() < 0.3 else None,
        replaces,
        apart,
    )


def _behaviour(rng: random.Random, seed: int) -> Behaviour:
    return Behaviour(
        gzip=rng.random() < 0.7,
        page_size=rng.choice((PAGE, PAGE, 7)),
        max_page_size=rng.choice((50_000, 50_000, 11)),
        ignore_page_size_request=rng.random() < 0.1,
        rotate_session_ids=rng.random() < 0.2,
        total=rng.choice(("page0", "every_page", "drifting")),
        page_size_field=rng.choice(("every_page", "page0", "never")),
        past_end_session_id=rng.random() < 0.5,
        uncached_status=rng.choice((400, 404, 410)),
        uncached_text=rng.choice(("request for page in uncached query for params", "who are you?", "")),
        honour_limit=rng.choice((True, False, "each_page")),
        page_echo_offset=rng.choice((0, 0, 1)),
        seed=seed,
    )


def _trouble(rng: random.Random, page: int, apart: bool) -> Fault:
    """One fault; most pass after a request or two, some stay until the simulator is told otherwise."""
    kind = rng.choice(KINDS)
    if apart and kind == "hang":
        kind = "reset"  # nobody shortens the read timeout of another process
    options: dict[str, Any] = {
        "status": rng.choice((rng.randint(100, 599), 500, 502, 503, 504, 429, 408, 200, 201, 206)),
        "text": rng.choice((None, None, "unknown error", "", "a\x1b[31m\nb\ud83d\x00", "<html>" + "z" * 9000)),
        "retry_after": rng.choice((None, 0, 0.05, "soon", "1e3", 99999999999)),
        "after": rng.choice((0.0, 1.0, rng.random())),
        "seconds": 0.02,
        "of_page": rng.randrange(4),
        "total": rng.choice((0, 7, 1000)),
        "headers": rng.choice(HEADERS) if rng.random() < 0.3 or kind == "delay" else {},
        "fields": {rng.choice(FIELDS): rng.choice(VALUES) for _ in range(rng.choice((1, 1, 2)))},
        "attempts": rng.choice((1, 1, 2) if apart else (1, 1, 1, 2, 3, 6, None)),
    }
    if kind == "garbage_200":
        # Between tokens it is damage; inside a string, a stray control character is a value like any other, and only
        # what breaks the string is none.
        edge = {"text": rng.choice(GARBAGE), "after": rng.choice((0.0, 1.0))}
        options |= rng.choice((edge, {"text": rng.choice(BREAKS), "after": rng.random()}))
    elif options["text"] and "\ud83d" in options["text"]:
        options["text"] = options["text"].replace("\ud83d", "")
    if apart:
        options["headers"] = {name: text for name, text in options["headers"].items() if text not in ENDLESS}
    if kind == "lost_session":
        options |= {"attempts": None, "times": 1}
    return Fault(kind, page=page, **options)


def _is_a_lie(fault: Fault) -> bool:
    """Page 0 with another total is another, shorter result, and a true one for all that anybody can tell."""
    total = fault.fields.get("total", "")
    return fault.page == 0 and (
        fault.kind == "wrong_total"
        or (fault.kind == "fields" and total in LIES)
        or (fault.kind == "fields" and fault.fields.get("total") == "")
    )
