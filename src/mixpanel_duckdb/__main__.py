"""``python -m mixpanel_duckdb`` is ``mp-fetch``."""

from .cli import main

if __name__ == "__main__":
    main()
