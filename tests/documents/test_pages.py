"""The documents as a reader sees them: each page in a browser, as wide as a telephone, a tablet and a desk."""

import os
from base64 import b64encode
from importlib.util import find_spec
from pathlib import Path

import pytest

from documents.browser import PROGRAM, Browser
from documents.site import ROOT, SCHEMES, WIDTHS, broken_links, build, pages

pytestmark = pytest.mark.timeout(400)
FAULTS, INK = (Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("faults.js", "ink.js"))
PICTURES = """[...document.querySelectorAll("article img[src$='.svg']")].map((each) => {
    const { x, y, width, height } = each.getBoundingClientRect();
    return [each.getAttribute("src"), x, y, width, height];
})"""
AT_THE_EDGE = """[...document.querySelectorAll("text")].filter((each) => {
    const [word, page] = [each, document.documentElement].map((any) => any.getBoundingClientRect());
    return each.checkVisibility() && (word.left < page.left + 2 || word.right > page.right - 2);
}).map((each) => each.textContent)"""
LAST_ROW = """[...[...document.querySelectorAll("table.docutils tr")].at(-1).cells].map(
    (each) => each.innerText.trim().replace(/\\s+/g, " "))"""
MISSING = [name for name in ("sphinx", "furo", "myst_nb", "sphinx_copybutton", "sphinx_design") if not find_spec(name)]


def needed(there, what):
    """Skip where something is missing, but not where CI would have brought it."""
    if not there:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"needs {what}")


@pytest.fixture(scope="module")
def chromium():
    needed(PROGRAM, "Chromium")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    needed(not MISSING, ", ".join(MISSING))
    return build(tmp_path_factory.mktemp("site"))


def test_every_link_leads_somewhere(site):
    assert broken_links(site) == []


def test_every_signature_is_one_that_python_could_read(site):
    text = (site / "api.html").read_text(encoding="utf-8")
    assert "mixpanel_duckdb.simulator.Fault" in text
    assert [each for each in ("&lt;factory", "&lt;built-in", "~typing", "~collections") if each in text] == []


def test_no_page_clips_code_breaks_words_or_scrolls_sideways_at_any_width_in_light_or_dark(chromium, site):
    found = []
    with Browser() as browser:
        for page in pages(site):
            browser.open(page)
            for width in WIDTHS:
                browser.resize(width)
                for scheme in SCHEMES:
                    browser.run(f"document.body.dataset.theme = '{scheme}'")
                    place = f"{page.relative_to(site)}, {width} pixels, {scheme}"
                    found += [f"{place}: {fault}" for fault in browser.run(FAULTS)]
    assert found == [], "\n".join(found)


def test_pictures_follow_the_readers_switch_whatever_the_system_prefers(chromium, site):
    looked, wrong = set(), []
    with Browser() as browser:
        browser.resize(1400, 3000)
        for page in pages(site):
            browser.open(page)
            for scheme, other in (SCHEMES, SCHEMES[::-1]):
                browser.prefer(other)
                browser.run(f"document.body.dataset.theme = '{scheme}'")
                for name, *area in browser.run(PICTURES):
                    png = b64encode(browser.photograph(area)).decode()
                    mean, dark, bright = browser.run(f"({INK})('{png}')")
                    looked.add(Path(name).name)
                    if not (mean > 170 and dark > 0.001 if scheme == "light" else mean < 90 and bright > 0.001):
                        wrong.append(f"{page.name}, {name}, {scheme}: {mean:.0f}, {dark:.3f} dark, {bright:.3f} bright")
    assert {"flow.svg", "timeline.svg", "house.svg", "others.svg", "growth.svg", "limit.svg"} <= looked
    assert wrong == []


def test_no_word_of_a_picture_touches_its_edge(chromium):
    found = []
    with Browser() as browser:
        for picture in sorted((ROOT / "docs").rglob("*.svg")):
            browser.open(picture)
            found += [f"{picture.name}: {word}" for word in browser.run(AT_THE_EDGE)]
    assert found == []


def test_a_table_that_becomes_a_list_on_a_telephone_keeps_the_names_of_its_columns(chromium, site):
    with Browser() as browser:
        browser.open(site / "tables.html")
        browser.resize(390)
        assert browser.run(LAST_ROW) == [
            "limit",
            "--replace needs the same, a larger one or none",
            "--merge needs anything",
        ]
        browser.resize(900)
        assert browser.run(LAST_ROW) == ["limit", "the same, a larger one or none", "anything"]
        browser.open(site / "storage.html")
        browser.resize(390)
        assert browser.run(LAST_ROW)[:2] == ["max_vacuum_tasks", "0"]


def test_code_has_a_button_that_copies_it(chromium, site):
    with Browser() as browser:
        browser.open(site / "quickstart.html")
        assert browser.run("document.querySelectorAll('.highlight-sh .copybtn').length") >= 2
        browser.open(site / "every-night.html")
        assert browser.run("document.querySelectorAll('.highlight-none .copybtn').length") == 2
