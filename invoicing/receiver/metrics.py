"""Prometheus metrics of all worker processes together, and of the ledger they share.

Each worker counts in files that whichever worker is asked adds up:
https://prometheus.github.io/client_python/multiprocess/. The ledger is looked at when asked.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from invoicing.errors import TransientError
from invoicing.ledger import inbox, run_durations, sync_history
from invoicing.ledger.models import EventState

WATCHED_REASONS = ("ledger_away", "signature")
"""Reasons that an alarm waits for."""

METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""Names the directory of those files; has to be set before this module is imported."""

SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)


class Metrics:
    """Counters of one worker."""

    def __init__(self) -> None:
        """Begin at zero, which Prometheus has to see of what an alarm waits for."""
        self._registry = CollectorRegistry()
        self._received = Counter(
            "invoicing_events_received",
            "Events written down, and those that were there already.",
            ["news"],
            registry=self._registry,
        )
        self._refused = Counter(
            "invoicing_events_refused",
            "Requests that were not acknowledged, by reason.",
            ["reason"],
            registry=self._registry,
        )
        for news in ("new", "known"):
            self._received.labels(news)
        for reason in WATCHED_REASONS:
            self._refused.labels(reason)
        self.seconds = Histogram(
            "invoicing_event_receive_seconds",
            "Time from a request's headers to its answer.",
            buckets=SECONDS,
            registry=self._registry,
        )

    def received(self, events: int, new: int) -> None:
        """Count a commit."""
        self._received.labels("new").inc(new)
        self._received.labels("known").inc(events - new)

    def refused(self, reason: str) -> None:
        """Count a request that was not acknowledged."""
        self._refused.labels(reason).inc()

    def exposition(self) -> bytes:
        """Everything in Prometheus's text format; reads the ledger."""
        registry = CollectorRegistry()
        if METRICS_DIRECTORY in os.environ:
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        else:
            registry.register(self._registry)
        registry.register(LedgerCollector())
        return generate_latest(registry)


class LedgerCollector(Collector):
    """What waits, how long events took, the last full sync; nothing while the ledger is away."""

    def collect(self) -> Iterator[Metric]:
        """Look."""
        try:
            states, oldest, times, sync, runs = (
                inbox.backlog(),
                inbox.oldest_waiting(),
                inbox.processing_times(),
                sync_history.last_finished(),
                run_durations.run_times(),
            )
        except TransientError:
            return
        if sync and sync.finished_at:
            yield GaugeMetricFamily(
                "invoicing_full_sync_finished_timestamp_seconds",
                "When the last full sync that ended came to its end.",
                value=sync.finished_at.timestamp(),
            )
            invoices = GaugeMetricFamily(
                "invoicing_full_sync_invoices",
                "What it compared, and what differed.",
                labels=["are"],
            )
            invoices.add_metric(["compared"], max(sync.in_stripe, sync.in_salesforce))
            invoices.add_metric(["differed"], sync.differed)
            yield invoices
        backlog = GaugeMetricFamily(
            "invoicing_inbox_events", "Events in the inbox that are not done.", labels=["state"]
        )
        for state in EventState:
            if state is not EventState.DONE:
                backlog.add_metric([state], states.get(state, 0))
        yield backlog
        age = (datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0
        yield GaugeMetricFamily(
            "invoicing_inbox_oldest_seconds",
            "Age of the oldest event that is not processed.",
            value=age,
        )
        counts = accumulate(row.events for row in times)
        yield HistogramMetricFamily(
            "invoicing_event_settle_seconds",
            "Time from an event's coming in until Salesforce was in step.",
            buckets=[(t.within, n) for t, n in zip(times, counts, strict=True)],
            sum_value=sum(row.seconds for row in times),
        )
        took = HistogramMetricFamily(
            "invoicing_run_seconds",
            "How long runs of a flow worked that ended in a state.",
            labels=["flow", "state"],
        )
        for kind, rows in runs.items():
            counts = accumulate(row.runs for row in rows)
            buckets = [(row.within, n) for row, n in zip(rows, counts, strict=True)]
            took.add_metric(kind, buckets, sum(row.seconds for row in rows))
        yield took
