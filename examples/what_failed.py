"""What failed of the last hundred runs, and why: ``python examples/what_failed.py``."""

from prefect_api import call

FAILED = {
    "flow_runs": {"state": {"type": {"any_": ["FAILED", "CRASHED"]}}},
    "sort": "START_TIME_DESC",
    "limit": 100,
}
for run in call("POST", "/flow_runs/filter", FAILED):
    print(f"{run['start_time']}  {run['name']}: {run['state']['message']}")
