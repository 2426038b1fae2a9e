"""What Stripe does not have is a type error, and an answer of another shape is said in words."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from invoicing.connectors.stripe import Stripe
from invoicing.domain.stripe.payments import PaymentName
from invoicing.errors import TransientError
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


@pytest.fixture
def answered() -> Iterator[Callable[[object], Stripe]]:
    """A Stripe that answers everything with 200 and the same JSON."""
    body = b""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def client(answer: object) -> Stripe:
        nonlocal body
        body = json.dumps(answer).encode()
        account = {"api_key": "sk_test_1", "account_id": "acct_1", "livemode": False}
        url = f"http://127.0.0.1:{server.server_port}"
        return Stripe(StripeSettings.model_validate({**account, "base_url": url}))

    yield client
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
def test_an_answer_of_another_shape_passes_with_time(
    answered: Callable[[object], Stripe], call: Callable[[Stripe], object], answer: object
) -> None:
    """A list, nothing or half of what was asked for: said in words, and tried again."""
    with pytest.raises(TransientError, match="while trying to"):
        call(answered(answer))
