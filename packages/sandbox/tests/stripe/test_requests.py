"""What a request may say: keys, parameters, idempotency, expansion, lists, search, limits."""

import functools
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe

from sandbox.common.serve import running
from sandbox.stripe.app import make_app

MakeDraft = Callable[..., stripe.Invoice]
Connect = Callable[[str], stripe.StripeClient]


def test_an_unknown_key_is_refused(connect: Connect) -> None:
    """A wrong key gets 401."""
    with pytest.raises(stripe.AuthenticationError):
        connect("sk_test_wrong").v1.customers.list()


def test_a_caller_that_goes_away_is_not_answered(admin: httpx.Client) -> None:
    """A client that is killed in the middle of its request is no failure of the service."""
    with socket.create_connection((admin.base_url.host, admin.base_url.port or 80)) as caller:
        caller.sendall(
            b"POST /v1/customers HTTP/1.1\r\nHost: stripe\r\nContent-Length: 100\r\n"
            b"Authorization: Bearer sk_live_sandbox\r\n\r\nname=Ac"
        )
    requests: list[dict[str, Any]] = []
    while not requests or requests[0]["seconds"] is None:
        requests = admin.get("/_sandbox/requests").json()["requests"]
    assert requests[0]["status"] is None


def test_a_moment_that_was_kept_comes_back(admin: httpx.Client, live: stripe.StripeClient) -> None:
    """Objects and idempotency keys are as they were, again and again; the settings stay."""
    customers = live.v1.customers
    before = customers.create({"name": "Acme"}, {"idempotency_key": "first"})
    admin.put("/_sandbox/moments/begun").raise_for_status()
    admin.post("/_sandbox/settings", json={"search_lag": 1}).raise_for_status()
    for _ in range(2):
        customers.update(before.id, {"name": "Globex"})
        customers.create({"name": "Initech"}, {"idempotency_key": "second"})
        admin.post("/_sandbox/moments/begun").raise_for_status()
        assert [found.name for found in customers.list().data] == ["Acme"]
    assert customers.create({"name": "Acme"}, {"idempotency_key": "first"}).id == before.id
    customers.create({"name": "Umbrella"}, {"idempotency_key": "second"})
    assert admin.get("/_sandbox/settings").json()["search_lag"] == 1
    assert admin.post("/_sandbox/moments/never").status_code == 404


def test_another_account_is_refused(live: stripe.StripeClient) -> None:
    """A key opens its own account only."""
    assert live.v1.accounts.retrieve_current().id == "acct_1SandboxAcme"
    with pytest.raises(stripe.PermissionError):
        live.v1.customers.list({}, {"stripe_account": "acct_other"})


def test_live_and_test_are_separate(live: stripe.StripeClient, test: stripe.StripeClient) -> None:
    """An object of the other mode is named in the refusal."""
    customer = live.v1.customers.create({"email": "a@b.example"})
    with pytest.raises(stripe.InvalidRequestError, match="similar object exists in live mode"):
        test.v1.customers.retrieve(customer.id)
    assert test.v1.customers.list().data == []


@pytest.mark.parametrize(
    ("path", "form", "code", "param"),
    [
        ("invoices", {"foo": "1"}, "parameter_unknown", "foo"),
        ("invoices", {"due_date": "soon"}, "parameter_invalid_integer", "due_date"),
        ("invoices", {"collection_method": "post"}, None, "collection_method"),
        ("invoices", {}, "parameter_missing", "customer"),
        ("invoiceitems", {"customer": "c", "price": "p"}, "parameter_unknown", "price"),
        ("customers", {"address[zip]": "1"}, "parameter_unknown", "address[zip]"),
        ("customers", {"metadata[k]": "v" * 501}, None, "metadata[k]"),
        ("customers", {"email": "nobody"}, "email_invalid", "email"),
        ("prices", {"currency": "usd", "product": "no"}, "resource_missing", "product"),
        ("products", {"active": "true"}, "parameter_missing", "name"),
    ],
)
def test_bad_parameters_are_named(
    admin: httpx.Client, path: str, form: dict[str, str], code: str | None, param: str
) -> None:
    """Each mistake gets Stripe's code and the parameter's name."""
    answer = admin.post(f"/v1/{path}", data=form, auth=("sk_live_sandbox", ""))
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert (error.get("code"), error["param"]) == (code, param)


def test_contradicting_prices(live: stripe.StripeClient, make_draft: MakeDraft) -> None:
    """A line has one way of being priced."""
    draft = make_draft(None)
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        live.v1.invoice_items.create(
            {
                "customer": str(draft.customer),
                "invoice": draft.id,
                "amount": 100,
                "pricing": {"price": "price_1"},
            }
        )
    assert refusal.value.code == "parameters_exclusive"


def test_a_product_id_is_taken_once(live: stripe.StripeClient) -> None:
    """A second product of the same id is refused."""
    live.v1.products.create({"id": "sf_01t", "name": "Widget"})
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        live.v1.products.create({"id": "sf_01t", "name": "Widget"})
    assert refusal.value.code == "resource_already_exists"


def test_same_key_same_answer(live: stripe.StripeClient, admin: httpx.Client) -> None:
    """An idempotency key answers for a day, for one request only."""
    params: Any = {"email": "once@b.example"}
    first = live.v1.customers.create(params, {"idempotency_key": "k"})
    again = live.v1.customers.create(params, {"idempotency_key": "k"})
    assert again.id == first.id
    assert again.last_response
    assert again.last_response.headers["idempotent-replayed"] == "true"

    with pytest.raises(stripe.IdempotencyError):
        live.v1.customers.create({"email": "other@b.example"}, {"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError):
        live.v1.products.create({"name": "x"}, {"idempotency_key": "k"})

    admin.post("/_sandbox/clock", json={"advance": 25 * 3600})
    assert live.v1.customers.create(params, {"idempotency_key": "k"}).id != first.id


def test_a_failure_is_remembered_but_bad_parameters_are_not(
    live: stripe.StripeClient, admin: httpx.Client, customer: stripe.Customer
) -> None:
    """A 500 is replayed, a validation error is not."""
    options: Any = {"idempotency_key": "k1"}
    with pytest.raises(stripe.InvalidRequestError):
        live.v1.products.create({"nme": "x"}, options)  # type: ignore[typeddict-item,typeddict-unknown-key]
    assert live.v1.products.create({"name": "x"}, options).id

    admin.post("/_sandbox/faults", json={"rules": [{"kind": "error", "status": 500, "count": 1}]})
    for _ in range(2):
        with pytest.raises(stripe.APIError) as failure:
            live.v1.customers.create({"name": "y"}, {"idempotency_key": "k2"})
        assert failure.value.http_status == 500


def test_same_key_at_the_same_time(live: stripe.StripeClient, admin: httpx.Client) -> None:
    """The second of two requests in flight gets 409, and not the error of a key that is taken."""
    rule = {"kind": "latency", "seconds": 0.3, "path": "/v1/customers"}
    admin.post("/_sandbox/faults", json={"rules": [rule]})

    def create(_: int) -> int:
        try:
            live.v1.customers.create({"name": "x"}, {"idempotency_key": "both"})
        except stripe.APIError as error:
            return error.http_status or 0
        return 200

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(create, range(2))) == [200, 409]


def test_lists_page_both_ways(live: stripe.StripeClient) -> None:
    """Newest first, after and before a cursor, up to a hundred."""
    made = [live.v1.customers.create({"name": str(number)}).id for number in range(7)]
    newest_first = made[::-1]
    page = live.v1.customers.list({"limit": 3})
    assert [customer.id for customer in page.data] == newest_first[:3]
    assert page.has_more
    following = live.v1.customers.list({"limit": 3, "starting_after": page.data[-1].id})
    assert [customer.id for customer in following.data] == newest_first[3:6]
    back = live.v1.customers.list({"limit": 2, "ending_before": newest_first[3]})
    assert [customer.id for customer in back.data] == newest_first[1:3]
    assert [customer.id for customer in live.v1.customers.list().auto_paging_iter()] == newest_first
    with pytest.raises(stripe.InvalidRequestError):
        live.v1.customers.list({"limit": 101})
    with pytest.raises(stripe.InvalidRequestError):
        live.v1.customers.list({"starting_after": "cus_gone"})


def test_lists_filter(live: stripe.StripeClient, make_draft: MakeDraft) -> None:
    """Status, customer, collection method, windows and e-mail."""
    draft, sent = make_draft(), live.v1.invoices.send_invoice(make_draft().id)

    def ids(**params: Any) -> list[str]:
        return [invoice.id for invoice in live.v1.invoices.list(params).data]  # type: ignore[arg-type]

    assert ids(status="draft") == [draft.id]
    assert ids(status="open", customer=sent.customer) == [sent.id]
    assert ids(collection_method="charge_automatically") == []
    assert ids(created={"gte": draft.created}) == [sent.id, draft.id]
    assert ids(created={"lt": draft.created}) == []
    assert ids(due_date={"gt": sent.created}) == [sent.id, draft.id]
    found = live.v1.customers.list({"email": "pay@globex.example"}).data
    assert [customer.id for customer in found] == [sent.customer]
    assert live.v1.customers.list({"email": "PAY@globex.example"}).data == []


def test_expansion(live: stripe.StripeClient, make_draft: MakeDraft) -> None:
    """Ids become objects, four levels down, also in lists."""
    sent = live.v1.invoices.send_invoice(make_draft().id)
    paths = ["data.customer", "data.payments.data.payment.payment_intent"]
    (invoice,) = live.v1.invoices.list({"expand": paths}).data
    assert isinstance(invoice.customer, stripe.Customer)
    assert invoice.payments
    intent = invoice.payments.data[0].payment.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert intent.amount == sent.amount_due
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        live.v1.invoices.retrieve(sent.id, {"expand": ["number"]})


def test_metadata_is_merged(live: stripe.StripeClient) -> None:
    """An empty value removes a key, an empty string all."""
    customer = live.v1.customers.create({"metadata": {"a": "1", "b": "2"}})

    def metadata() -> dict[str, str]:
        return live.v1.customers.retrieve(customer.id).to_dict()["metadata"]  # type: ignore[no-any-return]

    live.v1.customers.update(customer.id, {"metadata": {"b": "", "c": "3"}})
    assert metadata() == {"a": "1", "c": "3"}
    live.v1.customers.update(customer.id, {"metadata": ""})
    assert metadata() == {}


def test_an_unknown_url(admin: httpx.Client) -> None:
    """What is not there says so."""
    answer = admin.get("/v1/frobnications", auth=("sk_live_sandbox", ""))
    assert answer.status_code == 404
    assert "Unrecognized request URL" in answer.json()["error"]["message"]


def test_a_data_file_outlives_the_process(tmp_path: Path) -> None:
    """What was kept in a file is there again, with its events and idempotency keys."""
    kept = functools.partial(make_app, data=tmp_path / "stripe.db")
    form, key = {"email": "a@b.example"}, {"Idempotency-Key": "once"}
    made = []
    for _ in range(2):
        with running(kept) as url:
            client = httpx.Client(base_url=url, auth=("sk_live_sandbox", ""))
            made.append(client.post("/v1/customers", data=form, headers=key).json()["id"])
            assert len(client.get("/v1/customers").json()["data"]) == 1
    assert made[0] == made[1]


def test_search_lags(live: stripe.StripeClient, admin: httpx.Client) -> None:
    """What was just created is found a minute later."""
    made = live.v1.customers.create(
        {"name": "Globex", "email": "a@globex.example", "metadata": {"salesforce_id": "001"}}
    )
    live.v1.customers.create({"name": "Initech", "metadata": {"salesforce_id": "002"}})

    def found(query: str) -> list[str]:
        return [customer.id for customer in live.v1.customers.search({"query": query}).data]

    assert found("metadata['salesforce_id']:'001'") == []
    admin.post("/_sandbox/clock", json={"advance": 61})
    assert found("metadata['salesforce_id']:'001'") == [made.id]
    assert found('name:"globex"') == [made.id]
    assert found('email~"glob" AND -name:"Initech"') == [made.id]
    assert len(found('name:"Globex" OR name:"Initech"')) == 2
    assert len(found("created>0")) == 2
    with pytest.raises(stripe.InvalidRequestError):
        found("shoe_size:44")
    with pytest.raises(stripe.InvalidRequestError):
        found("nonsense")


def test_rate_limits_say_which(live: stripe.StripeClient, admin: httpx.Client) -> None:
    """Switched on, the third call of an operation within a second is too much."""
    limits = {"enabled": True, "operation": 2}
    admin.post("/_sandbox/settings", json={"rate_limits": limits}).raise_for_status()

    def hurry() -> None:
        for _ in range(20):
            live.v1.customers.list()

    with pytest.raises(stripe.RateLimitError) as refusal:
        hurry()
    assert refusal.value.headers
    assert refusal.value.headers["stripe-rate-limited-reason"] == "endpoint-rate"
