"""Every profile of a Mixpanel project in a DuckDB table: complete and proven so."""
