"""Frameworks that load profiles through this package: ``dlt``, imported by its users only."""
