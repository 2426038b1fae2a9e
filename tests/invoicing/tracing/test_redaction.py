"""What leaves a process in a span, and what stays."""

import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, StatusCode

from invoicing.tracing.redaction import redacted, template_of
from tests.otlp_collector import collecting

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "https://api.stripe.com/v1/customers/search?query=email%3A%22ann@acme.example%22",
            "https://api.stripe.com/v1/customers/search",
        ),
        (
            "https://api.stripe.com/v1/invoices/in_1SAcme/finalize",
            "https://api.stripe.com/v1/invoices/{}/finalize",
        ),
        (
            "https://acme.my.salesforce.com/services/data/v67.0/query/?q=SELECT+Id+FROM+Account",
            "https://acme.my.salesforce.com/services/data/v67.0/query/",
        ),
        (
            "https://acme.my.salesforce.com/services/data/v67.0/sobjects/Account/001Hs00000AcmeXYZ",
            "https://acme.my.salesforce.com/services/data/v67.0/sobjects/Account/{}",
        ),
        (
            "https://api.stripe.com/v1/customers/cus_NeZwdNtLEOXuvB/balance_transactions",
            "https://api.stripe.com/v1/customers/{}/balance_transactions",
        ),
        (
            "https://api.stripe.com/v1/products/prod_abcdefghijklmn",
            "https://api.stripe.com/v1/products/{}",
        ),
        (
            "https://acme.my.salesforce.com/services/data/v67.0/sobjects/Stripe_Invoice__c/describe",
            "https://acme.my.salesforce.com/services/data/v67.0/sobjects/Stripe_Invoice__c/describe",
        ),
        ("http://ann@127.0.0.1:4200/api/health", "http://127.0.0.1:4200/api/health"),
        ("https://files.example.com/invoices/Acme/november.csv", "https://files.example.com/"),
    ],
)
def test_a_url_shows_the_words_of_an_api_only(url: str, shown: str) -> None:
    """Neither query nor ids, and of other hosts' paths nothing."""
    assert template_of(url) == shown


def test_a_span_leaves_without_texts() -> None:
    """Its name, unknown attributes, texts of errors and states, and attributes of links stay."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("other") as other:
        link = Link(other.get_span_context(), {"to": "Acme"})
    attributes = {"http.request.method": "GET", "http.request.header.authorization": "Acme"}
    with tracer.start_as_current_span("to Acme", attributes=attributes, links=[link]) as span:
        span.add_event("Running", {"prefect.state.message": "to Acme"})
        span.record_exception(ValueError("Acme has no address"))
        span.set_status(StatusCode.ERROR, "Acme has no address")
    left = redacted(kept.get_finished_spans()[1], "send-invoice")
    assert "Acme" not in left.to_json()
    assert left.name == "send-invoice"
    assert left.attributes == {"http.request.method": "GET"}
    assert [event.name for event in left.events] == ["Running", "exception"]
    assert left.events[1].attributes == {"exception.type": "ValueError"}
    assert left.status.status_code is StatusCode.ERROR
    assert left.links[0].context == other.get_span_context()


@pytest.mark.parametrize(
    ("states", "code"),
    [("RUNNING FAILED", StatusCode.ERROR), ("RUNNING FAILED RUNNING COMPLETED", StatusCode.OK)],
)
def test_a_run_that_returned_that_it_failed_is_a_failed_span(states: str, code: StatusCode) -> None:
    """Prefect calls it good; what counts is the state in which it ended."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    with provider.get_tracer("test").start_as_current_span("run") as span:
        for state in states.split():
            span.add_event(state, {"prefect.state.type": state})
        span.set_status(StatusCode.OK)
    [run] = kept.get_finished_spans()
    assert redacted(run, "send-invoice").status.status_code is code


PROGRAM = """
import sys
from opentelemetry import trace
import flows.send_invoice
import invoicing.listener.listening, invoicing.receiver.app
from invoicing.tracing import switch
print(trace.get_tracer("prefect").start_span("run").is_recording())
switch.begin("invoicing-receiver").traced(None)
imported = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.instrumentation")
print([name for name in sys.modules if name.startswith(imported)] != [])
"""
"""Says whether runs are traced, and whether anything of the SDK was imported."""


@pytest.mark.standard
@pytest.mark.parametrize(("endpoint", "said"), [("", "False"), ("http://127.0.0.1:9", "True")])
def test_nothing_is_imported_unless_traces_are_on(tmp_path: Path, endpoint: str, said: str) -> None:
    """OpenTelemetry's own variable says so, in the file of settings as in the environment."""
    (tmp_path / "one.env").write_text(f"OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}\n")
    variables = {"INVOICING_ENV_FILE": str(tmp_path / "one.env"), "PREFECT_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=variables, capture_output=True, text=True
    )
    assert done.stdout.split() == [said, said], done.stderr


MANY = """
from opentelemetry import trace
from invoicing.tracing import switch
program = switch.begin("invoicing-runs")
for _ in range(2000):
    trace.get_tracer("prefect").start_span("run").end()
program.end()
"""
"""Makes almost as many spans as are kept, and ends."""


@pytest.mark.standard
def test_what_is_left_goes_in_one_request(tmp_path: Path) -> None:
    """A collector that does not answer is waited for once, not once for each part."""
    with collecting() as collector:
        variables = {
            "INVOICING_ENV_FILE": str(tmp_path / "none.env"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "3600000",
            "PREFECT_HOME": str(tmp_path),
        }
        subprocess.run([sys.executable, "-c", MANY], cwd=ROOT, env=variables, check=True)
        assert len(collector.spans()) == 2000
        assert len(collector.requests) == 1


def test_the_label_is_the_one_that_prefect_reads() -> None:
    """Else each run would be a trace of its own."""
    from prefect.telemetry.run_telemetry import LABELS_TRACEPARENT_KEY

    from invoicing.tracing.propagation import LABEL

    assert LABEL == LABELS_TRACEPARENT_KEY
