"""Lets dlt's REST source pull everything from the sandbox into DuckDB.

Run by ``stripe_dlt`` with dlt on its path. Arguments: sandbox URL, API key, working folder. Prints
one JSON line: how many of each dlt has stored.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import dlt  # type: ignore[import-not-found,unused-ignore]
from dlt.sources.rest_api import rest_api_source  # type: ignore[import-not-found,unused-ignore]

PAGINATOR = {
    "type": "cursor",
    "cursor_path": "data[-1].id",
    "cursor_param": "starting_after",
    "has_more_path": "has_more",
}


def pull(url: str, key: str, folder: str) -> dict[str, int]:
    """Pull customers and invoices and count what arrived."""
    config: Any = {
        "client": {
            "base_url": f"{url}/v1/",
            "auth": {"type": "bearer", "token": key},
            "paginator": PAGINATOR,
        },
        "resource_defaults": {"endpoint": {"params": {"limit": 100}, "data_selector": "data"}},
        "resources": ["customers", "invoices"],
    }
    pipeline = dlt.pipeline(
        "stripe_sandbox",
        destination=dlt.destinations.duckdb(f"{folder}/mirror.duckdb"),
        dataset_name="stripe",
        pipelines_dir=folder,
    )
    pipeline.run(rest_api_source(config))
    with pipeline.sql_client() as client:
        row = client.execute_sql(
            "SELECT (SELECT count(*) FROM customers), count(*), CAST(sum(total) AS BIGINT),"
            " count(*) FILTER (WHERE status = 'paid') FROM invoices"
        )[0]
    return dict(zip(("customers", "invoices", "total", "paid"), map(int, row), strict=True))


if __name__ == "__main__":
    print(json.dumps(pull(*sys.argv[1:4])))  # noqa: T201
