"""Photograph pages: ``python tests/documents/look.py FOLDER [PAGE ...]`` takes each at every width, light and dark.

With ``--notebooks`` it takes a part of each notebook's page, as ``docs/notebooks.md`` shows it: the top, or what has
more to see.
"""

import sys
import tempfile
from pathlib import Path

# Where the picture of a notebook begins, if not at its top.
BEGINS = {"events-and-profiles": "fetch-both"}

if __name__ == "__main__":
    # This folder off the path, where its modules would hide others; the tests' folder on it.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from documents.browser import Browser
    from documents.site import ROOT, SCHEMES, WIDTHS, build, pages

    small = sys.argv[1:] == ["--notebooks"]
    goal, names = (ROOT / "docs" / "notebooks", []) if small else (Path(sys.argv[1]), sys.argv[2:])
    widths = [760] if small else WIDTHS
    with tempfile.TemporaryDirectory() as folder, Browser() as browser:
        site = build(Path(folder))
        for page in pages(site / "notebooks" if small else site):
            if names and page.stem not in names:
                continue
            browser.open(page)
            for width in widths:
                browser.resize(width)
                for scheme in SCHEMES:
                    browser.run(f"document.body.dataset.theme = '{scheme}'")
                    name = f"{page.stem}-{scheme}.png" if small else f"{page.stem}-{width}-{scheme}.png"
                    begin = f"document.querySelector('#{BEGINS.get(page.stem, 'nothing')}')"
                    top = browser.run(f"{begin}?.offsetTop - 20 || 50")
                    (goal / name).write_bytes(browser.photograph((0, top, 760, 950) if small else None))
