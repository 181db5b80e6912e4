"""The pictures and figures of the documents are those of the results file."""

import json
from statistics import median
from xml.etree import ElementTree

import pytest

from benchmarks.charts import LETTER
from benchmarks.questions import answers
from benchmarks.reports import RESULTS, documents, files
from benchmarks.tables import middle

REPORT = json.loads(RESULTS.read_text())


def test_the_documents_show_what_the_results_file_says():
    drawn = {RESULTS.parent / name: text for name, text in files(REPORT).items()} | documents(REPORT)
    assert [path.name for path, text in drawn.items() if path.read_text() != text] == [], (
        "run python tests/benchmarks/draw.py, and look at docs/benchmarks.md"
    )


def test_the_page_of_loaders_has_the_seconds_of_the_results_file():
    outcome = REPORT["scenarios"]["dlt"]
    ours, theirs = (middle(outcome, label, "wall") for label in ("ours through dlt", "dlt"))
    text = " ".join((RESULTS.parents[1] / "loaders.md").read_text().split())
    assert f"took {ours:.1f} s on two cores, a resource that yields pages of dicts {theirs:.1f} s" in text


def test_nothing_is_left_of_earlier_pictures():
    assert {path.name for path in RESULTS.parent.iterdir()} == {"results.json", *files(REPORT)}


@pytest.mark.parametrize("answer", answers(REPORT), ids=lambda answer: answer.name)
def test_each_question_has_a_sentence_and_a_picture_of_several_marks(answer):
    assert answer.question.endswith("?")
    assert answer.sentence.endswith(".")
    marks = [each for each in ElementTree.fromstring(answer.picture).iter() if each.tag.endswith(("rect", "circle"))]
    assert len(marks) > 3


@pytest.mark.parametrize("answer", answers(REPORT), ids=lambda answer: answer.name)
def test_no_word_leaves_its_picture(answer):
    picture = ElementTree.fromstring(answer.picture)
    for text in picture.iter("{http://www.w3.org/2000/svg}text"):
        wide = LETTER * len(text.text)
        left = float(text.get("x")) - wide * {"start": 0, "middle": 0.5, "end": 1}[text.get("text-anchor")]
        assert left >= 0, text.text
        assert left + wide <= float(picture.get("width")), text.text


def test_events_are_compared_where_they_were_measured():
    names = ("ours, events", "mixpanel-utils, list", "script by hand")
    runs = [{name: {"rows": 200_000, "wall": place + 1.0, "peak_mb": 300.0} for place, name in enumerate(names)}]
    *_, answer = answers({"machine": {"cores": 2}, "scenarios": {"events-peers": {"runs": runs}}})
    assert answer.sentence.startswith("200,000 events")
    assert "this package" in answer.picture


def test_memory_is_drawn_as_memory():
    (growth,) = [answer for answer in answers(REPORT) if answer.name == "growth"]
    rounds = REPORT["scenarios"]["growth-5m"]["runs"]
    texts = "".join(ElementTree.fromstring(growth.picture).itertext())
    peaks = [median(each[label]["peak_mb"] for each in rounds) for label in rounds[0]]
    assert len(peaks) > 1
    assert all(f"{peak:,.0f}" in texts for peak in peaks)
