"""The table of what is measured: who takes part, against which server, and which figures come of it."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mixpanel_duckdb.simulator import Shape

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
OURS_NEEDS = ("click>=8.1,<9", "httpx>=0.27,<1", "pydantic>=2.7,<3")
# What a plain install of this package brings: httpx imports more where it finds more.
PLAIN = ("duckdb>=2,<3", *OURS_NEEDS)
# Of the same size, from the easiest to the hardest that one may expect of a real project.
EASIEST, HARDEST = Shape("first", "ascii", nested=False), Shape("last", "mixed", nested=True)


@dataclass(frozen=True)
class Contestant:
    """A function of ``contestants.py``, and what its environment needs; nothing means the one at hand.

    With ``table`` it finds a database that has the profiles already, made from the lines before anything is measured;
    ``before`` names a function that a process of its own runs first, in the same folder.
    """

    name: str
    function: str
    requirements: tuple[str, ...] = PLAIN
    gzip: bool = True
    lines: bool = False
    table: bool = False
    before: str | None = None


OURS = Contestant("ours", "ours")
BY_DEFAULT = Contestant("ours, 60 pages", "ours_by_default")
BUSY = Contestant("ours beside a busy thread", "ours_beside_a_busy_thread")
IN_A_LOOP = Contestant("ours in a thread of an event loop", "ours_from_an_event_loop")
REPLACING = Contestant("ours, replacing", "ours_replacing", table=True)
MERGING = Contestant("ours, merging", "ours_merging", table=True)
PARQUET = Contestant("Parquet", "parquet", table=True)
HISTORY = Contestant("ours, with history", "ours_keeping_history", table=True)
EXPORTED = Contestant("ours, export_profiles", "ours_exported")
DOWNLOAD = Contestant("plain download", "plain_download")
READ_JSON = Contestant("read_json", "read_json", lines=True)
TYPED_VIEW = Contestant("typed view", "typed_view", table=True)
TYPED_TABLE = Contestant("typed table", "typed_table", table=True)
DETECTED = Contestant("read_json, detected columns", "detected_columns", lines=True)
PEERS = {
    "utils": Contestant("mixpanel-utils, list", "mixpanel_utils", ("mixpanel-utils>=2.2,<3",), gzip=False),
    "headless": Contestant("mixpanel-headless, list", "mixpanel_headless", ("mixpanel-headless>=0.4,<0.6",)),
    "hand": Contestant("script by hand", "by_hand", ("requests", "pandas", "duckdb>=2,<3")),
    "dlt": Contestant("dlt", "dlt_pipeline", ("dlt[duckdb]>=1.20,<2", "requests")),
}
# The newest DuckDB that has packages of its extensions.
_LAKE = ("duckdb==1.5.5", "duckdb-extension-ducklake==1.5.5", *OURS_NEEDS)
PLAIN_LAKE = Contestant("CREATE TABLE AS", "plain_lake", _LAKE, table=True)
FIRST_PUBLISH = Contestant("first publish", "first_publish", _LAKE, table=True)
REFRESHING = Contestant("ours, refreshing", "ours_refreshing_a_lake", _LAKE, table=True, before="lake_of_yesterday")
EVENTS = Contestant("ours, events", "our_events")
READ_EVENTS = Contestant("read_json, events", "read_events", lines=True)
EVENT_PEERS = (
    Contestant("mixpanel-utils, list", "utils_events", ("mixpanel-utils>=2.2,<3",), gzip=False),
    Contestant("mixpanel-headless, stream", "headless_events", ("mixpanel-headless>=0.4,<0.6",)),
    Contestant("script by hand", "events_by_hand", ("requests", "pandas", "duckdb>=2,<3")),
)
THROUGH_DLT = Contestant("ours through dlt", "ours_through_dlt", ("dlt[duckdb,parquet]>=1.20,<2", *OURS_NEEDS))
_VERSIONS = {version: (f"duckdb~={version}.0", *OURS_NEEDS) for version in ("1.5", "2.0")}


@dataclass(frozen=True)
class Server:
    """What the simulator serves; ``jitter`` is the share by which an answer comes earlier or later.

    With ``days``, the profiles are events of so many days.
    """

    profiles: int
    page_size: int = 1000
    latency: float = 0.0
    jitter: float = 0.0
    profile_bytes: int = 1000
    shape: Shape = HARDEST
    days: int = 0
    # Another size of page that is prepared, for whoever asks for it.
    larger: int | None = None

    def quick(self) -> "Server":
        """The same job in little, to see that all of it runs."""
        size = min(self.page_size, 500)
        return replace(
            self, profiles=max(self.profiles // 100, 2 * size), page_size=size, latency=min(self.latency, 0.02)
        )


@dataclass(frozen=True)
class Entry:
    """One row of a scenario."""

    label: str
    contestant: Contestant
    server: Server

    def quick(self) -> "Entry":
        """The same with a little server, and in the environment at hand if that is enough."""
        needs = () if self.contestant.requirements == PLAIN else self.contestant.requirements
        return replace(self, contestant=replace(self.contestant, requirements=needs), server=self.server.quick())


@dataclass(frozen=True)
class Sample:
    """One run of one entry: seconds, megabytes, and what the contestant says of itself.

    ``served`` is the processor time that the server took meanwhile.
    """

    rows: int
    wall: float
    seconds: float
    cpu: float
    served: float
    peak_mb: float
    file_mb: float | None
    held: float | None = None

    @property
    def per_million(self) -> float:
        """Wall seconds for a million profiles."""
        return self.wall * 1e6 / self.rows


Round = dict[str, Sample]


@dataclass(frozen=True)
class Figure:
    """A number out of one round of runs; the median over the rounds is compared with the goal."""

    text: str
    of: Callable[[Round], float]
    at_most: float | None = None


@dataclass(frozen=True)
class Scenario:
    """Entries that run in turns, and the figures that compare them."""

    title: str
    entries: tuple[Entry, ...]
    figures: tuple[Figure, ...] = field(default=())

    def quick(self) -> "Scenario":
        """The same scenario with little servers."""
        return replace(self, entries=tuple(entry.quick() for entry in self.entries))


def against(server: Server, *contestants: Contestant) -> tuple[Entry, ...]:
    """Contestants against one server, each labelled with its own name."""
    return tuple(Entry(contestant.name, contestant, server) for contestant in contestants)


def by_size(*sizes: int, **server: float) -> tuple[Entry, ...]:
    """This package alone, over several numbers of profiles."""
    return tuple(Entry(f"ours, {size:,}", OURS, Server(size, **server)) for size in sizes)


def ratio(measure: str, one: str, *others: str, at_most: float | None = None) -> Figure:
    """One entry's measure over the sum of the others'."""

    def value(samples: Round) -> float:
        return getattr(samples[one], measure) / sum(getattr(samples[other], measure) for other in others)

    return Figure(f"{measure}: {one} / {' + '.join(others)}", value, at_most)


def peak(label: str, at_most: float | None = None) -> Figure:
    """An entry's peak memory."""
    return Figure(f"peak MB: {label}", lambda samples: samples[label].peak_mb, at_most)


def limit(samples: Round, download: str, reader: str) -> float:
    """The least time a machine may need: to fetch, to read into the same storage, and to serve, on all its cores."""
    return (samples[download].cpu + samples[reader].cpu + samples[download].served) / CORES


def beside_the_limit(one: str, download: str, reader: str, at_most: float | None = None) -> Figure:
    """An entry's wall clock over the limit."""
    return Figure(f"wall: {one} / limit", lambda samples: samples[one].wall / limit(samples, download, reader), at_most)


def busy(one: str) -> Figure:
    """The share of all cores' time that an entry and its server worked."""
    return Figure(
        f"cores busy: {one}", lambda samples: (samples[one].cpu + samples[one].served) / (CORES * samples[one].wall)
    )


def _shapes(profiles: int, shapes: tuple[Shape, ...], at_most: float) -> tuple[tuple[Entry, ...], tuple[Figure, ...]]:
    entries, figures = [], []
    for shape in shapes:
        ours, download, reader = (f"{each}: {shape.name}" for each in ("ours", DOWNLOAD.name, READ_JSON.name))
        server = Server(profiles, shape=shape)
        entries += [Entry(ours, OURS, server), Entry(download, DOWNLOAD, server), Entry(reader, READ_JSON, server)]
        figures += [beside_the_limit(ours, download, reader, at_most), busy(ours)]

    def slowest(samples: Round) -> float:
        walls = [samples[f"ours: {shape.name}"].wall for shape in shapes]
        return max(walls) / min(walls)

    return tuple(entries), (*figures, Figure("wall: slowest shape / fastest", slowest, 1.15))


def _uses(profiles: int) -> tuple[tuple[Entry, ...], tuple[Figure, ...]]:
    entries = [
        Entry(f"{use.name}: {shape.name}", use, Server(profiles, shape=shape))
        for use in (REPLACING, MERGING, TYPED_VIEW, PARQUET, EXPORTED)
        for shape in (EASIEST, HARDEST)
    ]
    pairs = zip(entries[::2], entries[1::2], strict=True)
    return tuple(entries), tuple(ratio("wall", hard.label, easy.label, at_most=2.0) for easy, hard in pairs)


def spread(at_most: float) -> Figure:
    """The largest peak of all entries over the smallest."""

    def value(samples: Round) -> float:
        peaks = [sample.peak_mb for sample in samples.values()]
        return max(peaks) / min(peaks)

    return Figure("peak MB: largest / smallest", value, at_most)


def _versions_side_by_side(server: Server) -> tuple[Entry, ...]:
    return tuple(
        Entry(f"{one.name}, DuckDB {version}", replace(one, requirements=needs), server)
        for version, needs in _VERSIONS.items()
        for one in (OURS, READ_JSON)
    )


def custom(server: Server, peers: tuple[str, ...]) -> Scenario:
    """A server of one's own, for this package, both yardsticks and the peers that are named."""
    entries = against(server, OURS, DOWNLOAD, READ_JSON, *(PEERS[name] for name in peers))
    rest = [ratio("wall", "ours", entry.label) for entry in entries[1:]]
    return Scenario(
        "a server of one's own", entries, (*rest, ratio("seconds", "ours", DOWNLOAD.name), *_yardsticks(None, None))
    )


def _yardsticks(cpu: float | None, file: float | None) -> tuple[Figure, ...]:
    return (
        beside_the_limit("ours", DOWNLOAD.name, READ_JSON.name),
        busy("ours"),
        ratio("cpu", "ours", DOWNLOAD.name, READ_JSON.name, at_most=cpu),
        ratio("file_mb", "ours", READ_JSON.name, at_most=file),
        peak("ours"),
    )


SHAPES = (
    EASIEST,
    Shape("last", "ascii", nested=False),
    Shape("shuffled", "ascii", nested=True),
    Shape("shuffled", "escaped", nested=True),
    Shape("shuffled", "mixed", nested=False),
    HARDEST,
)
USUAL = ("stored", "latency", "memory")
SCENARIOS = {
    "stored": Scenario(
        "200,000 profiles of 1 KB, no latency",
        against(Server(200_000), OURS, DOWNLOAD, READ_JSON),
        (
            ratio("wall", "ours", READ_JSON.name, at_most=2.0),
            ratio("wall", "ours", DOWNLOAD.name),
            *_yardsticks(1.4, 1.15),
        ),
    ),
    "shapes": Scenario("200,000 profiles of 1 KB in several shapes, no latency", *_shapes(200_000, SHAPES, 1.65)),
    "shapes-million": Scenario(
        "1,000,000 profiles of 1 KB in several shapes, no latency", *_shapes(1_000_000, SHAPES, 1.5)
    ),
    "uses": Scenario(
        "what is done with 1,000,000 profiles of 1 KB, in the easiest and the hardest shape", *_uses(1_000_000)
    ),
    "latency": Scenario(
        "41 pages of 1,000 at 0.3 s a page",
        against(Server(41_000, latency=0.3), OURS, DOWNLOAD),
        (ratio("seconds", "ours", DOWNLOAD.name, at_most=1.08), ratio("wall", "ours", DOWNLOAD.name)),
    ),
    "memory": Scenario(
        "peak memory at 50,000 and 200,000 profiles",
        by_size(50_000, 200_000),
        (spread(1.15), peak("ours, 50,000", 350), peak("ours, 200,000", 350)),
    ),
    "million": Scenario(
        "1,000,000 profiles of 1 KB, no latency",
        against(Server(1_000_000), OURS, DOWNLOAD, READ_JSON),
        (
            ratio("wall", "ours", READ_JSON.name, at_most=1.5),
            ratio("wall", "ours", DOWNLOAD.name),
            *_yardsticks(1.4, 1.15),
        ),
    ),
    "peers": Scenario(
        "100,000 profiles of 1 KB, no latency, against what else one could use",
        against(Server(100_000), OURS, *PEERS.values()),
        (
            ratio("wall", "ours", PEERS["utils"].name, at_most=1 / 2),
            ratio("wall", "ours", PEERS["headless"].name),
            ratio("wall", "ours", PEERS["hand"].name, at_most=1 / 5),
            ratio("wall", "ours", PEERS["dlt"].name, at_most=1 / 15),
        ),
    ),
    "events": Scenario(
        "1,000,000 events of 0.7 KB on four days, no latency",
        against(Server(1_000_000, days=4, profile_bytes=700), EVENTS, READ_EVENTS),
        (
            ratio("wall", EVENTS.name, READ_EVENTS.name, at_most=1.8),
            ratio("cpu", EVENTS.name, READ_EVENTS.name),
            ratio("file_mb", EVENTS.name, READ_EVENTS.name),
            peak(EVENTS.name, 400),
        ),
    ),
    "events-one-day": Scenario(
        "1,000,000 and 10,000,000 events of 0.7 KB on one day, no latency",
        tuple(
            Entry(f"ours, {size:,}", EVENTS, Server(size, days=1, profile_bytes=700))
            for size in (1_000_000, 10_000_000)
        ),
        (
            peak("ours, 1,000,000", 400),
            peak("ours, 10,000,000", 400),
            ratio("per_million", "ours, 10,000,000", "ours, 1,000,000"),
        ),
    ),
    "events-peers": Scenario(
        "200,000 events of 0.7 KB on four days, no latency, against what else one could use",
        against(Server(200_000, days=4, profile_bytes=700), EVENTS, *EVENT_PEERS),
        tuple(ratio("wall", EVENTS.name, peer.name) for peer in EVENT_PEERS),
    ),
    "page-size": Scenario(
        "1,000,000 profiles of 1 KB, no latency, in 1,000 pages and in 60 as by default",
        against(Server(1_000_000, larger=16_667), OURS, BY_DEFAULT),
        (ratio("wall", BY_DEFAULT.name, "ours"), peak("ours", 350), peak(BY_DEFAULT.name, 350)),
    ),
    "dlt": Scenario(
        "100,000 profiles of 1 KB, no latency, into a DuckDB of dlt's",
        against(Server(100_000), THROUGH_DLT, PEERS["dlt"], OURS),
        (
            ratio("wall", THROUGH_DLT.name, PEERS["dlt"].name, at_most=1 / 4),
            ratio("wall", THROUGH_DLT.name, "ours"),
            peak(THROUGH_DLT.name),
        ),
    ),
    "hundred-pages": Scenario(
        "100 pages of 1,000 at 0.3 s a page",
        against(Server(100_000, latency=0.3), OURS, DOWNLOAD),
        (ratio("seconds", "ours", DOWNLOAD.name, at_most=1.03), ratio("wall", "ours", DOWNLOAD.name)),
    ),
    "jitter": Scenario(
        "41 pages of 1,000 at 1.5 s a page, give or take a fifth",
        against(Server(41_000, latency=1.5, jitter=0.2), OURS, DOWNLOAD),
        (ratio("seconds", "ours", DOWNLOAD.name),),
    ),
    "peers-latency": Scenario(
        "100 pages of 1,000 at 0.3 s a page, against what else one could use",
        against(Server(100_000, latency=0.3), OURS, *PEERS.values()),
        tuple(ratio("wall", "ours", peer.name) for peer in PEERS.values()),
    ),
    "export": Scenario(
        "41 pages of 1,000 at 0.3 s a page, profile by profile",
        against(Server(41_000, latency=0.3), EXPORTED, DOWNLOAD, PEERS["headless"]),
        (
            ratio("seconds", EXPORTED.name, DOWNLOAD.name, at_most=1.08),
            ratio("wall", EXPORTED.name, PEERS["headless"].name),
            peak(EXPORTED.name),
            peak(PEERS["headless"].name),
        ),
    ),
    "pages-5000": Scenario(
        "500,000 profiles in pages of 5,000",
        against(Server(500_000, page_size=5_000), OURS, DOWNLOAD, READ_JSON),
        (ratio("wall", "ours", READ_JSON.name), peak("ours", 350)),
    ),
    "pages-50000": Scenario(
        "1,000,000 profiles in pages of 50,000",
        against(Server(1_000_000, page_size=50_000), OURS, DOWNLOAD, READ_JSON),
        (ratio("wall", "ours", READ_JSON.name), peak("ours", 700)),
    ),
    "large-profiles": Scenario(
        "200,000 profiles of 3 KB, no latency",
        against(Server(200_000, profile_bytes=3000), OURS, DOWNLOAD, READ_JSON),
        (ratio("wall", "ours", READ_JSON.name), *_yardsticks(None, 1.15)),
    ),
    "duckdb": Scenario(
        "200,000 profiles of 1 KB, DuckDB 1.5 and 2.0",
        _versions_side_by_side(Server(200_000)),
        tuple(
            ratio(measure, f"ours, DuckDB {version}", f"read_json, DuckDB {version}")
            for version in _VERSIONS
            for measure in ("wall", "file_mb")
        ),
    ),
    "typed": Scenario(
        "typed columns of 1,000,000 profiles of 1 KB",
        against(Server(1_000_000), TYPED_VIEW, TYPED_TABLE, DETECTED),
        (
            ratio("wall", TYPED_VIEW.name, DETECTED.name),
            ratio("wall", TYPED_TABLE.name, DETECTED.name),
            ratio("cpu", TYPED_TABLE.name, DETECTED.name),
            peak(TYPED_VIEW.name),
            peak(TYPED_TABLE.name),
        ),
    ),
    "nights": Scenario(
        "1,000,000 profiles of 1 KB, no latency, over those of last night, of which 2 % changed",
        against(Server(1_000_000), OURS, REPLACING, HISTORY),
        (
            ratio("seconds", REPLACING.name, "ours", at_most=1.15),
            ratio("seconds", HISTORY.name, "ours", at_most=1.4),
            peak(REPLACING.name, 400),
            peak(HISTORY.name, 400),
        ),
    ),
    "lake": Scenario(
        "1,000,000 profiles of 1 KB, no latency, into a DuckLake: made, and refreshed when 3.5 % are others",
        against(Server(1_000_000), FIRST_PUBLISH, PLAIN_LAKE, REFRESHING),
        (
            ratio("seconds", FIRST_PUBLISH.name, PLAIN_LAKE.name, at_most=1.5),
            ratio("cpu", FIRST_PUBLISH.name, PLAIN_LAKE.name),
            peak(FIRST_PUBLISH.name, 450),
            peak(PLAIN_LAKE.name),
            peak(REFRESHING.name, 450),
        ),
    ),
    "busy": Scenario(
        "200,000 profiles beside a thread that burns processor time",
        against(Server(200_000), OURS, BUSY),
        (ratio("seconds", BUSY.name, "ours", at_most=2.0),),
    ),
    "event-loop": Scenario(
        "100,000 profiles, no latency, in a thread of a running event loop",
        against(Server(100_000), IN_A_LOOP),
        (Figure("longest hold of the loop, ms", lambda samples: 1000 * (samples[IN_A_LOOP.name].held or 0.0), 50),),
    ),
    "growth": Scenario(
        "from 50,000 to 1,000,000 profiles",
        by_size(50_000, 200_000, 500_000, 1_000_000),
        (ratio("per_million", "ours, 1,000,000", "ours, 500,000"), spread(1.15), peak("ours, 1,000,000", 350)),
    ),
    "growth-5m": Scenario(
        "from 50,000 to 5,000,000 profiles",
        by_size(50_000, 500_000, 1_000_000, 5_000_000),
        (
            ratio("per_million", "ours, 5,000,000", "ours, 500,000", at_most=1.1),
            spread(1.15),
            peak("ours, 5,000,000", 350),
        ),
    ),
}
