"""What failed of the last hundred runs, and why: ``python examples/what_failed.py``."""

from prefect_api import call

FAILED = {
    "flow_runs": {"state": {"type": {"any_": ["FAILED", "CRASHED"]}}},
    "sort": "START_TIME_DESC",
    "limit": 100,
}
for run in call("POST", "/flow_runs/filter", FAILED):
    asked = run["name"].rpartition(" · ")[2]  # before it, a run's name says what came of it
    print(f"{run['state']['timestamp'][:16]}  {asked}: {run['state']['message']}")
