"""The documents as HTML: built, listed, and their links followed."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = (390, 900, 1400)
SCHEMES = ("light", "dark")


def build(folder: Path) -> Path:
    """Build the documents into a folder, warnings being errors."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", folder / "doctrees", ROOT / "docs", folder / "html"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


def pages(site: Path) -> list[Path]:
    """Every page that is written by us; the index and the search are the theme's."""
    return [page for page in sorted(site.rglob("*.html")) if page.name not in {"genindex.html", "search.html"}]


class _Links(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.goals: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in {"href", "src", "data"} and value and not (tag == "link" and "canonical" in str(attributes)):
                self.goals.append(value)
            if name in {"id", "name"} and value:
                self.anchors.add(value)


def broken_links(site: Path) -> list[str]:
    """Links, pictures, styles and scripts whose file or place in it is not there."""
    read = {page: _Links(page.read_text(encoding="utf-8")) for page in site.rglob("*.html")}
    broken = []
    for page, links in read.items():
        for goal in links.goals:
            parts = urlsplit(goal)
            if parts.scheme or parts.netloc:
                continue
            file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            anchor = unquote(parts.fragment)
            if not file.is_file() or (anchor and file in read and anchor not in read[file].anchors):
                broken.append(f"{page.relative_to(site)}: {goal}")
    return broken
