"""Runs where Airflow is installed: the DAG of a file, as `dag.test()` runs it, on a database of its own."""

import json
import runpy
import subprocess
import sys

subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True, text=True)
run = runpy.run_path(sys.argv[1])["mixpanel_dag"].test()
(task,) = run.get_task_instances()
print(json.dumps({"state": run.state, "tries": task.try_number, "told": task.xcom_pull(task_ids="profiles")}))
