"""One full sync in a process of its own, on a Prefect server that is already at work.

Arguments: Stripe's URL, Salesforce's URL, a working folder, Stripe calls a second. Prints one
JSON line: seconds of the flow run, seconds of processor that this process spent on it, its
sentence, peak memory of this process in megabytes.
"""

import json
import os
import resource
import sys
import time

from sandbox.salesforce.oauth import CONSUMER_KEY, CONSUMER_SECRET


def main() -> None:
    """Sync, and say what it took."""
    stripe_url, salesforce_url, folder, rate = sys.argv[1:5]
    values = {
        "STRIPE__API_KEY": "sk_live_sandbox",
        "STRIPE__ACCOUNT_ID": "acct_1SandboxAcme",
        "STRIPE__LIVEMODE": "true",
        "STRIPE__BASE_URL": stripe_url,
        "STRIPE__REQUESTS_PER_SECOND": rate,
        "SALESFORCE__URL": salesforce_url,
        "SALESFORCE__DOMAIN": "northwind.my",
        "SALESFORCE__CONSUMER_KEY": CONSUMER_KEY,
        "SALESFORCE__CONSUMER_SECRET": CONSUMER_SECRET,
        "SALESFORCE__ORG_ID": "00DHs0000000001MAA",
        "LEDGER__URL": f"sqlite:///{folder}/ledger.db",
        "REPORTS": f"{folder}/reports",
    }
    os.environ.update({f"INVOICING_{name}": value for name, value in values.items()})
    os.environ.update(DO_NOT_TRACK="1", PREFECT_SERVER_ANALYTICS_ENABLED="false")
    from prefect.testing.utilities import prefect_test_harness

    from benchmarks._noop_flow import trivial
    from flows.full_sync import full_sync
    from invoicing.ledger import database

    database.migrate()
    with prefect_test_harness(server_startup_timeout=120):
        trivial()
        began, used = time.perf_counter(), time.process_time()
        outcome = full_sync(approve_above=1)
        seconds, used = time.perf_counter() - began, time.process_time() - used
    figures = {
        "seconds": round(seconds, 1),
        "processor_seconds": round(used, 1),
        "sentence": outcome.sentence,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
