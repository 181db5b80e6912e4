"""The version, written down once: the build reads it from here."""

__version__ = "0.2.0"
