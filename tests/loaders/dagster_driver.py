"""Runs where Dagster is installed: materializes the asset of a file."""

import json
import runpy
import sys

import dagster as dg

outcome = dg.materialize([runpy.run_path(sys.argv[1])["profiles"]], raise_on_error=False)
done = outcome.asset_materializations_for_node("profiles")
told = {name: value.value for name, value in done[0].metadata.items()} if done else None
retries = sum(event.is_step_restarted for event in outcome.events_for_node("profiles"))
print(json.dumps({"success": outcome.success, "retries": retries, "told": told}))
