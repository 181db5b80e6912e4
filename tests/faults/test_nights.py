"""Nights of a live project, exactly: what changed is counted, listed and kept, also where a night was killed -9."""

import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import duckdb
import pytest

import mixpanel_duckdb as md
from mixpanel_duckdb.simulator import Behaviour, Limits, Population, Simulator

FREE = Limits(quota=None, concurrency=None)
# A process of its own, since it kills itself in the middle.
NIGHT = """
import os, signal, sys
import mixpanel_duckdb as md
def killed(progress):
    if progress.completed_pages == progress.total_pages // 2:
        os.kill(os.getpid(), signal.SIGKILL)
md.fetch_profiles(sys.argv[1], if_exists="replace", keep_history=True, on_batch_complete=killed)
"""


@dataclass
class People:
    """Profiles by number, each with how many times it has changed; of every hundredth there are two whose ids are one
    as text, the second of which changes by itself."""

    versions: dict[tuple[int, bool], int]
    born: int
    changed: set[str] = field(default_factory=set)
    added: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)

    @classmethod
    def first(cls, many: int) -> "People":
        twins = many // 100
        singles = range(twins, many - twins)
        return cls({(i, False): 0 for i in range(twins)} | {(i, True): 0 for i in (*range(twins), *singles)}, many)

    def after_a_night(self, night: int) -> "People":
        """Two of a hundred change, one is new, one of two hundred is gone; none of it in both of a pair."""
        many = len(self.versions)
        as_text = sorted(key for key in self.versions if key[1])
        step = many // 50
        changed = {as_text[(night * 13 + i * (len(as_text) // step)) % len(as_text)] for i in range(step)}
        left = [key for key in as_text if key not in changed]
        gone = {left[(night * 17 + i * (len(left) // (many // 200))) % len(left)] for i in range(many // 200)}
        new = {(self.born + i, True) for i in range(many // 100)}
        after = {key: version + (key in changed) for key, version in self.versions.items() if key not in gone}
        return People(
            after | dict.fromkeys(new, 0), self.born + len(new),
            *({str(number) for number, _ in keys} for keys in (changed, new, gone)),
        )  # fmt: skip

    def served(self) -> Population:
        return Population.raw(
            b'{"$distinct_id":%b,"$properties":{"n":%d,"as_text":%d,"v":%d,"$last_seen":"2026-01-%02dT00:00:00"}}'
            % (b'"%d"' % number if as_text else b"%d" % number, number, as_text, version, version % 28 + 1)
            for (number, as_text), version in self.versions.items()
        )

    def rows(self) -> Counter[tuple[str, int, int]]:
        return Counter((str(number), int(as_text), version) for (number, as_text), version in self.versions.items())


def counts(result: md.ParallelProfileFetchResult) -> tuple[int | None, ...]:
    return result.added_rows, result.changed_rows, result.removed_rows, result.unchanged_rows


def kept(database: str, moment: datetime | None) -> Counter[tuple[str, int, int]]:
    """The rows that the history has for a moment; those of the table for none."""
    columns = "distinct_id, (properties->>'as_text')::INTEGER, (properties->>'v')::INTEGER"
    valid = "_history WHERE valid_from <= $1 AND (valid_to IS NULL OR valid_to > $1)" if moment else ""
    with duckdb.connect(database, read_only=True) as connection:
        sql = f"SELECT {columns} FROM profiles{valid}"
        return Counter(connection.execute(sql, [moment] if moment else []).fetchall())


@pytest.mark.parametrize(
    "many", [4_000, pytest.param(200_000, marks=[pytest.mark.timed, pytest.mark.timeout(900)])], ids="{:,}".format
)
def test_five_nights_are_exact_one_of_them_killed_in_the_middle(many: int, database: str) -> None:
    people = People.first(many)
    nights = [people]
    pages = Behaviour(page_size=max(100, many // 50))
    with Simulator(people.served(), behaviour=pages, limits=FREE) as sim:
        who = md.Credentials.from_env(sim.environment())

        def fetch() -> md.ParallelProfileFetchResult:
            return md.fetch_profiles(
                database, credentials=who, base_url=sim.base_url, if_exists="replace", keep_history=True, progress=None
            )

        assert fetch().total_rows == many
        for night in range(5):
            before, people = people, people.after_a_night(night)
            sim.replace_population(people.served())
            if night == 2:
                environment = {**os.environ, **sim.environment()}
                done = subprocess.run([sys.executable, "-c", NIGHT, database], env=environment, check=False)
                assert done.returncode == -signal.SIGKILL
                assert kept(database, None) == before.rows()  # readers see the night before
            result = fetch()
            assert (night == 2) == (result.resumed_pages > 0)
            stay = len(before.versions) - len(people.changed) - len(people.removed)
            assert counts(result) == (len(people.added), len(people.changed), len(people.removed), stay)
            assert kept(database, None) == people.rows()
            nights.append(people)
    changes = md.changes(database)
    moments = sorted({each.at for each in changes})
    assert len(moments) == 5
    for moment, night_of in zip(moments, nights[1:], strict=True):
        for kind in ("added", "changed", "removed"):
            listed = [each.distinct_id for each in changes if each.at == moment and each.change == kind]
            assert sorted(listed, key=str) == sorted(getattr(night_of, kind)), kind
        assert kept(database, moment.replace(tzinfo=None)) == night_of.rows()
    with duckdb.connect(database, read_only=True) as connection:
        ((rows,),) = connection.execute("SELECT count(*) FROM profiles_history").fetchall()
    assert rows == many + sum(len(each.added) + len(each.changed) for each in nights[1:])


@pytest.mark.parametrize("kept_as", [{"if_exists": "merge"}, {"if_exists": "replace", "keep_history": True}], ids=str)
def test_a_file_does_not_grow_with_the_number_of_nights(kept_as: dict[str, Any], database: str) -> None:
    people, sizes, seen = People.first(2_000), [], 0
    with Simulator(people.served(), limits=FREE) as sim:
        who = md.Credentials.from_env(sim.environment())
        for night in range(18):
            result = md.fetch_profiles(database, credentials=who, base_url=sim.base_url, progress=None, **kept_as)
            seen += 2_000 if not night else (result.added_rows or 0) + (result.changed_rows or 0)
            sizes.append(os.path.getsize(database))
            people = people.after_a_night(night)
            sim.replace_population(people.served())
    assert max(sizes[9:]) < 1.2 * max(sizes[:9]), sizes
    if kept_as["if_exists"] == "replace":
        with duckdb.connect(database, read_only=True) as connection:
            assert connection.execute("SELECT count(*) FROM profiles_history").fetchall() == [(seen,)]
