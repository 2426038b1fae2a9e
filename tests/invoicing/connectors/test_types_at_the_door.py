"""What Stripe does not have is a type error, and an answer of another shape is said in words."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from invoicing.connectors.prefect import Prefect
from invoicing.connectors.salesforce import Salesforce
from invoicing.connectors.stripe import Stripe
from invoicing.domain.salesforce.queries import Query
from invoicing.domain.stripe.payment_facts import PaymentName
from invoicing.errors import TransientError
from invoicing.settings import Salesforce as SalesforceSettings
from invoicing.settings import Stripe as StripeSettings

ROOT = Path(__file__).parents[3]

WRONG = """
from invoicing.connectors.stripe import Stripe


def wrong(client: Stripe) -> None:
    client._v1.invoice_payments.list({"payment": {"type": "charge", "charge": "ch_1"}})
    client.update_invoice("in_1", {"footr": "Thank you"})
    found = client.invoice("in_1")
    if found:
        print(found["amount_remaning"])
"""


@pytest.mark.standard
def test_what_stripe_does_not_have_is_a_type_error(tmp_path: Path) -> None:
    """A parameter of a list, a parameter of an update, and a field of an answer."""
    path = tmp_path / "wrong.py"
    path.write_text(WRONG)
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
    said = subprocess.run(
        [*command, str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    payment, header, read = [line for line in said.splitlines() if " error: " in line]
    assert 'expected "InvoicePaymentListParams' in payment
    assert '"footr"' in header
    assert "InvoiceUpdateParams" in header
    assert 'TypedDict "WholeInvoice" has no key "amount_remaning"' in read


LOGIN = {"access_token": "token", "instance_url": "https://acme.my.salesforce.com"}

Answering = Callable[[object], str]


@pytest.fixture
def answering() -> Iterator[Answering]:
    """A service that lets everybody log in, and answers all else with 200 and the same JSON."""
    body = b""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(body)

        def do_PATCH(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            login = self.path.endswith("/oauth2/token")
            self.answer(json.dumps(LOGIN).encode() if login else body)

        def answer(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def with_answer(answer: object) -> str:
        nonlocal body
        body = json.dumps(answer).encode()
        return f"http://127.0.0.1:{server.server_port}"

    yield with_answer
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("answer", [[], {}, None, "", 1, {"data": None}, {"id": 1}])
@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.invoice("in_1"),
        lambda client: client.invoice_with_payments("in_1"),
        lambda client: client.invoice_lines("in_1"),
        lambda client: client.customers_by_email("a@example.com"),
        lambda client: client.refunds(PaymentName("charge", "ch_1")),
        lambda client: client.invoice_page(0, 1, None),
        lambda client: client.invoice_of_payment(PaymentName("charge", "ch_1")),
    ],
)
def test_an_answer_of_stripe_of_another_shape_passes_with_time(
    answering: Answering, call: Callable[[Stripe], object], answer: object
) -> None:
    """A list, nothing or half of what was asked for: said in words, and tried again."""
    account = {"api_key": "sk_test_1", "account_id": "acct_1", "livemode": False}
    settings = StripeSettings.model_validate({**account, "base_url": answering(answer)})
    with pytest.raises(TransientError, match="while trying to"):
        call(Stripe(settings))


@pytest.mark.parametrize("answer", [[], {}, None, "", 1, {"records": []}, {"graphs": [{}]}])
@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.query(Query("Account", ("Id",))),
        lambda client: client.object_names(),
        lambda client: client.api_usage(),
        lambda client: client.write_graphs(
            [[{"method": "PATCH", "path": "sobjects/Account/001", "referenceId": "a", "body": {}}]]
        ),
    ],
)
def test_an_answer_of_salesforce_of_another_shape_passes_with_time(
    answering: Answering, call: Callable[[Salesforce], object], answer: object
) -> None:
    """The same on the other side."""
    org = {"domain": "acme.my", "org_id": "00D000000000001", "url": answering(answer)}
    login = {"consumer_key": "key", "consumer_secret": "secret"}
    settings = SalesforceSettings.model_validate({**org, **login})
    with pytest.raises(TransientError, match="while trying to"):
        call(Salesforce(settings))


@pytest.mark.parametrize("answer", [[], {}, None, "", 1, {"name": 1}])
@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.start("send-invoice", {}, "key"),
        lambda client: client.state("run"),
        lambda client: client.forms(["send-invoice"]),
    ],
)
def test_what_is_no_prefect_server_is_said_in_words(
    answering: Answering, call: Callable[[Prefect], object], answer: object
) -> None:
    """A page of a proxy, say, where the server should be."""
    if answer == []:  # no deployments: a list as it should be
        answer = [{}]
    with pytest.raises(TransientError, match="is no Prefect server"):
        call(Prefect(answering(answer)))
