"""What an index page shows of README: its words, and nothing that leads nowhere there."""

import email
import re
import subprocess
import sys
from zipfile import ZipFile

import pytest

from documents.site import ROOT


def test_the_description_of_the_package_has_no_link_that_leads_nowhere(tmp_path):
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=100)
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as files:
        (metadata,) = [name for name in files.namelist() if name.endswith(".dist-info/METADATA")]
        told = email.message_from_bytes(files.read(metadata))
    text = told.get_payload()
    assert told["Description-Content-Type"] == "text/markdown"
    assert text.startswith("# mixpanel-duckdb\n")
    assert "## On your project" in text
    assert re.findall(r"\]\((?!https?:)[^)\s]*\)", text) == []
    assert "![" not in text
