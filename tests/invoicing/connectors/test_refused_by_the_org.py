"""An org refuses or locks what is written: what passes with time, and what to tell people."""

from typing import Any

import pytest

from invoicing.connectors import salesforce
from invoicing.connectors.salesforce import GraphError, Salesforce
from invoicing.domain.salesforce.queries import Query, equals
from invoicing.errors import InvoicingError, NotFound, TransientError, WriteRefused
from tests.conftest import Sandbox

ACME = Query("Account", ["Id", "Name"], where=equals("Name", "Acme Corporation"))


@pytest.fixture
def client(environment: None) -> Salesforce:
    """The org."""
    return salesforce.client()


@pytest.fixture
def acme(client: Salesforce) -> str:
    """The id of an Account."""
    return str(client.query(ACME)[0]["Id"])


def by_each_way(client: Salesforce, account_id: str) -> list[InvoicingError]:
    """The errors of writing an Account in each way that there is."""
    fields = {"Invoice_Email__c": "new@acme.example.com"}
    row = {"Id": account_id, **fields}
    path = f"sobjects/Account/{account_id}"
    node = {"method": "PATCH", "path": path, "referenceId": "acme", "body": fields}
    ways: list[Any] = [
        lambda: client.update("Account", account_id, fields),
        lambda: client.update_many("Account", [row]),
        lambda: client.bulk_update("Account", [row]),
        lambda: client.write_graph([node]),
    ]
    errors = []
    for write in ways:
        try:
            failed = write()
        except InvoicingError as error:
            errors.append(error)
        else:
            errors += [one.error for one in failed]
    return errors


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_locked_row_passes_with_time_also_inside_the_error_of_a_trigger(
    client: Salesforce, acme: str, salesforce_sandbox: Sandbox, wrapped: bool
) -> None:
    """It is the whole answer that says so, not its code."""
    rule = {"kind": "row_lock", "sobject": "Account", "wrapped": wrapped}
    salesforce_sandbox.admin("POST", "rules", rules=[rule])
    errors = by_each_way(client, acme)
    assert [type(error) for error in errors] == [TransientError] * 4


def test_a_limit_that_somebody_elses_code_met_passes_with_time(
    client: Salesforce, acme: str, salesforce_sandbox: Sandbox
) -> None:
    """But a rule's own words are free text, whatever stands in them."""
    fault = {"kind": "refuse", "status": 400, "path": "*/sobjects/Account/*", "count": 1}
    code = {"code": "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"}
    salesforce_sandbox.admin("POST", "faults", rules=[fault | code])
    with pytest.raises(WriteRefused):
        client.update("Account", acme, {"Name": "Acme"})
    rule = {
        "kind": "validation",
        "sobject": "Account",
        "message": "UNABLE_TO_LOCK_ROW is no excuse",
    }
    salesforce_sandbox.admin("POST", "rules", rules=[rule])
    assert {type(error) for error in by_each_way(client, acme)} == {WriteRefused}


def test_a_refusal_names_the_object_the_field_and_the_rule(
    client: Salesforce, acme: str, salesforce_sandbox: Sandbox
) -> None:
    """The same, whichever way was taken."""
    rule = {"kind": "validation", "sobject": "Account", "message": "Ask Accounting: it is closed."}
    salesforce_sandbox.admin("POST", "rules", rules=[rule | {"field": "Invoice_Email__c"}])
    said = (
        "Salesforce refused to write the Account: a validation rule on Invoice Email says "
        "“Ask Accounting: it is closed.”"
    )
    assert [str(error) for error in by_each_way(client, acme)] == [said] * 4


def test_a_right_that_is_missing_is_said_in_words(
    client: Salesforce, acme: str, salesforce_sandbox: Sandbox
) -> None:
    """The code is that of a broken trigger, and the remedy is a permission set."""
    salesforce_sandbox.admin("POST", "permissions", denied={"Account": ["updateable"]})
    said = (
        "Salesforce refused to write the Account: the integration user may not change records of "
        "Account; assign it the permission set Invoice Integration"
    )
    assert [str(error) for error in by_each_way(client, acme)] == [said] * 4


def test_an_approval_and_a_duplicate_rule_are_said_in_words(
    client: Salesforce, acme: str, salesforce_sandbox: Sandbox
) -> None:
    """And a record that is gone is not a rule."""
    lock = {"kind": "approval_lock", "sobject": "Account", "count": 1}
    salesforce_sandbox.admin("POST", "rules", profiles=["duplicates-blocked"], rules=[lock])
    fields = {"Name": "Acme"}
    with pytest.raises(WriteRefused, match="it is locked, as a record is while its approval"):
        client.update("Account", acme, fields)
    with pytest.raises(WriteRefused, match="the duplicate rule Same_Address says “There is"):
        client.update("Account", acme, fields)
    salesforce_sandbox.admin("DELETE", "rules")
    with pytest.raises(NotFound):
        client.update("Account", acme[:-4] + "9AAA", fields)


def test_a_duplicate_rule_that_only_alerts_stops_nobody(
    client: Salesforce, acme: str, salesforce_sandbox: Sandbox
) -> None:
    """It asks whoever types, and nobody types here."""
    salesforce_sandbox.admin("POST", "rules", profiles=["duplicates-alerted"])
    client.update("Account", acme, {"Invoice_Email__c": "new@acme.example.com"})
    assert client.update_many("Account", [{"Id": acme, "Name": "Acme"}]) == []
    path = f"sobjects/Account/{acme}"
    node = {"method": "PATCH", "path": path, "referenceId": "x", "body": {"Name": "Acme"}}
    assert client.write_graph([node]) == {"x": None}


def test_a_duplicate_rule_that_blocks_refuses_a_graph(
    client: Salesforce, acme: str, salesforce_sandbox: Sandbox
) -> None:
    """And no other graph of the call."""
    salesforce_sandbox.admin("POST", "rules", profiles=["duplicates-blocked"])
    [globex] = client.query(Query("Contact", ["Id"], limit=1))
    nodes = [
        {"method": "PATCH", "path": path, "referenceId": "x", "body": body}
        for path, body in (
            (f"sobjects/Account/{acme}", {"Name": "Acme"}),
            (f"sobjects/Contact/{globex['Id']}", {"LastName": "Globex"}),
        )
    ]
    refused, written = client.write_graphs([[node] for node in nodes])
    assert isinstance(refused, GraphError)
    assert "the duplicate rule" in str(refused.error)
    assert written == {"x": None}


def test_a_unique_value_that_is_taken_is_final_for_an_update_and_a_race_for_who_creates(
    client: Salesforce, acme: str
) -> None:
    """Whoever creates finds, the next time, what the faster one has made."""
    [other] = client.query(Query("Account", ["Id"], where=equals("Name", "Globex")))
    client.update("Account", other["Id"], {"Stripe_Customer_Id__c": "cus_1"})
    with pytest.raises(WriteRefused, match="duplicate value found"):
        client.update("Account", acme, {"Stripe_Customer_Id__c": "cus_1"})
    body = {"Name": "Third", "Stripe_Customer_Id__c": "cus_1"}
    node = {"method": "POST", "path": "sobjects/Account", "referenceId": "x", "body": body}
    with pytest.raises(TransientError):
        client.write_graph([node])


@pytest.mark.parametrize("path", ["*/query/*", "*/jobs/query*", "*/jobs/ingest*", "*/sobjects/*"])
def test_a_list_of_nothing_is_no_answer_and_passes(
    client: Salesforce, acme: str, salesforce_sandbox: Sandbox, path: str
) -> None:
    """200 and []: neither records nor an error, and nothing was written."""
    salesforce_sandbox.admin("POST", "faults", rules=[{"kind": "empty_list", "path": path}])
    ways: dict[str, Any] = {
        "*/query/*": lambda: client.query(ACME),
        "*/jobs/query*": lambda: list(client.bulk_query(ACME)),
        "*/jobs/ingest*": lambda: client.bulk_update("Account", [{"Id": acme, "Name": "A"}]),
        "*/sobjects/*": lambda: client.update("Account", acme, {"Name": "A"}),
    }
    with pytest.raises(TransientError, match="Salesforce's answer was unreadable, while trying to"):
        ways[path]()


def test_a_login_that_is_answered_by_a_list_of_nothing_passes(
    environment: None, salesforce_sandbox: Sandbox
) -> None:
    """As any other call."""
    rule = {"kind": "empty_list", "path": "*/token"}
    salesforce_sandbox.admin("POST", "faults", rules=[rule])
    with pytest.raises(TransientError, match="log in"):
        salesforce.client()
