"""Sphinx settings; nothing here needs the network."""

import sys
from pathlib import Path

from mixpanel_duckdb import __version__

sys.path.insert(0, str(Path(__file__).parent))

project = "mixpanel-duckdb"
author = "The mixpanel-duckdb authors"
project_copyright = "2026, the mixpanel-duckdb authors"
version = release = __version__

extensions = [
    "folded",
    "labelled",
    "signatures",
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build"]
# What is typed is copied, what is answered is not.
copybutton_selector = "div:not(.highlight-text):not(.output) > div.highlight > pre"
html_theme = "furo"
html_title = f"mixpanel-duckdb {__version__}"
pygments_dark_style = "github-dark"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
toc_object_entries_show_parents = "hide"
html_domain_indices = False
html_show_sourcelink = False

myst_enable_extensions = ["colon_fence", "fieldlist"]
myst_heading_anchors = 3
# The notebooks were run by tests/notebooks/refresh.py, and are run again by a test; here they are only set.
nb_execution_mode = "off"
# Single backticks in docstrings are code.
default_role = "code"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
maximum_signature_line_length = 90
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# Types of other packages and of the standard library: named, not linked, since there is no intersphinx here.
nitpick_ignore_regex = [
    # Aliases and small types that are described where they are used.
    (
        "py:.*",
        r"(mixpanel_duckdb\.[\w.]+\.)?"
        r"(AnyCredentials|AnyDatabase|Format|IfExists|(Batch|Event)Callback|Pause|Progress|Stop|(Profile|Event)Filters)",
    ),
    (
        "py:.*",
        r"(mixpanel_duckdb\.[\w.]+\.)?(Event)?TypingOptions",
    ),
    (
        "py:.*",
        r"(_?duckdb|httpx|pydantic|pandas|polars|pyarrow|dlt|collections|datetime|os|pathlib|random|threading|types|typing|annotated_types)\..*",
    ),
    (
        "py:.*",
        r"(Any|Callable|DltResource|Event|Mapping|Sequence|Iterable|Iterator|Collection|Literal|Self|Unpack|Path|SecretStr|date|datetime)",
    ),
    (
        "py:.*",
        r"(bool|bytes|dict|float|int|list|object|range|str|tuple.*|None|ValueError|BaseException|Exception)",
    ),
]
