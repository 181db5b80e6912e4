"""Sphinx settings; nothing here needs the network."""

from mixpanel_duckdb import __version__

project = "mixpanel-duckdb"
author = "The mixpanel-duckdb authors"
project_copyright = "2026, the mixpanel-duckdb authors"
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"mixpanel-duckdb {__version__}"
html_static_path = ["_static"]
html_css_files = ["notebooks.css", "pictures.css"]
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
        r"(mixpanel_duckdb\.[\w.]+\.)?(AnyCredentials|AnyDatabase|Format|IfExists|BatchCallback|Pause|Progress|ProfileFilters|TypingOptions)",
    ),
    (
        "py:.*",
        r"(_?duckdb|httpx|pydantic|pandas|polars|pyarrow|dlt|collections|datetime|os|pathlib|random|types|typing|annotated_types)\..*",
    ),
    (
        "py:.*",
        r"(Any|Callable|DltResource|Mapping|Sequence|Iterable|Iterator|Collection|Literal|Self|Unpack|Path|SecretStr|datetime)",
    ),
    ("py:.*", r"(bool|bytes|dict|float|int|list|object|range|str|tuple.*|None|ValueError|BaseException|Exception)"),
]
