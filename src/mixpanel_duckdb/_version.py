"""The version, read from the installed package so that it is written down once."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("mixpanel-duckdb")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"
