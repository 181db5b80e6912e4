"""The table of what is measured: who takes part, against which server, and which figures come of it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

OURS_NEEDS = ("click>=8.1,<9", "httpx>=0.27,<1", "pydantic>=2.7,<3")
# What a plain install of this package brings: httpx imports more where it finds more.
PLAIN = ("duckdb>=2,<3", *OURS_NEEDS)


@dataclass(frozen=True)
class Contestant:
    """A function of ``contestants.py``, and what its environment needs; nothing means the one at hand.

    With ``table`` it finds a database that has the profiles already, made from the lines before anything is measured.
    """

    name: str
    function: str
    requirements: tuple[str, ...] = PLAIN
    gzip: bool = True
    lines: bool = False
    table: bool = False


OURS = Contestant("ours", "ours")
BUSY = Contestant("ours beside a busy thread", "ours_beside_a_busy_thread")
IN_A_LOOP = Contestant("ours in a thread of an event loop", "ours_from_an_event_loop")
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
THROUGH_DLT = Contestant("ours through dlt", "ours_through_dlt", ("dlt[duckdb,parquet]>=1.20,<2", *OURS_NEEDS))
_VERSIONS = {version: (f"duckdb~={version}.0", *OURS_NEEDS) for version in ("1.5", "2.0")}


@dataclass(frozen=True)
class Server:
    """What the simulator serves; ``jitter`` is the share by which an answer comes earlier or later."""

    profiles: int
    page_size: int = 1000
    latency: float = 0.0
    jitter: float = 0.0
    profile_bytes: int = 1000

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
    """One run of one entry: seconds, megabytes, and what the contestant says of itself."""

    rows: int
    wall: float
    seconds: float
    cpu: float
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
        ratio("cpu", "ours", DOWNLOAD.name, READ_JSON.name, at_most=cpu),
        ratio("file_mb", "ours", READ_JSON.name, at_most=file),
        peak("ours"),
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
