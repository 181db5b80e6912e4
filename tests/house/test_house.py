"""The page for whoever takes over, and its picture, agree with the code."""

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from house.picture import FILE, PLACES, WAY, picture, widths
from house.rooms import FLOORS, HEIGHT, known, thinned

TESTS = Path(__file__).resolve().parents[1]
PAGE = (TESTS.parent / "docs" / "house.md").read_text(encoding="utf-8")


def test_the_picture_is_what_the_code_gives():
    assert FILE.read_text(encoding="utf-8") == picture(), "run python tests/house/draw.py, and look at docs/house.md"


def test_the_script_draws_the_same_in_any_process():
    code = "import house.picture; print(house.picture.picture(), end='')"
    where = {**os.environ, "PYTHONPATH": str(TESTS), "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], env=where, check=True, capture_output=True, encoding="utf-8")
    assert done.stdout == picture()


def test_every_room_has_a_place_and_none_stands_in_another():
    assert set(PLACES) == set(HEIGHT)
    for floor in FLOORS.split("\n"):
        for (_, right), (left, _) in pairwise(sorted(PLACES[room] for room in floor.split())):
            assert right < left


@pytest.mark.parametrize("room", PLACES)
def test_what_is_written_on_a_room_fits_it(room):
    needed, there = widths(room)
    assert needed <= there


@pytest.mark.parametrize("thread", WAY)
def test_each_step_of_a_page_is_an_import(thread):
    arrows = known()
    for here, there in pairwise(WAY[thread]):
        assert there in arrows[here] or here in arrows[there]


def test_arrows_that_follow_from_others_are_left_out():
    arrows = {"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set()}
    assert thinned(arrows) == {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": set()}


@pytest.mark.parametrize("room", [room for room in HEIGHT if not room.startswith("_")])
def test_the_page_tells_of_every_room(room):
    assert f"`{room}`" in PAGE


def test_the_page_names_files_and_variables_that_exist():
    for path in re.findall(r"(?:tests|docs)/[\w/]+(?:\.\w+)?", PAGE):
        assert path.startswith("docs/_build") or (TESTS.parent / path).exists(), path
    used = {
        name for path in TESTS.rglob("*.py") for name in re.findall(r'environ\.get\("(MP_TEST_\w+)', path.read_text())
    }
    assert set(re.findall(r"MP_TEST_\w+", PAGE)) == used
