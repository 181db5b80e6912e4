"""README as an index page shows it: without its pictures, and without links to files."""

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE = re.compile(r"^!\[[^\]]*\]\([^)]*\)\n\n", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)\s]+\)")


class Readme(MetadataHookInterface):
    """Gives the text to whoever builds the package."""

    def update(self, metadata):
        """Set the description: what a link leads to is not there, its words are."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        text = _LINK.sub(r"\1", _PICTURE.sub("", text))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
