"""Many drafts are raised at once: from a table, or from Opportunities that were won."""

import random
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from sqlmodel import update

from flows.bulk_raise import bulk_raise
from invoicing.connectors import salesforce
from invoicing.connectors.salesforce import Salesforce
from invoicing.domain.forms.outcomes import BulkOutcome, InvoiceOutcome
from invoicing.domain.forms.parameters import Options
from invoicing.errors import Busy, Rejected
from invoicing.ledger import database, timeline
from invoicing.ledger.models import Lease
from tasks.drafting import bulk_drafts
from tasks.drafting.draft_record import draft_nodes
from tasks.runtime.clock import today
from tests.conftest import Sandbox
from tests.flows.conftest import Org
from tests.leases import acquire

Bulk = Callable[..., BulkOutcome]

TITLES = "invoice,account,description,payment_terms,product,text,quantity,unit_price,currency\n"
TABLE = f"""{TITLES}A,Acme Corporation,November services,Net 30,Consulting,,3,,
A,,,,Onboarding,Getting started,1,2000,
B,Umbrella KK,Studies,net 60,Consulting,,2,,
,Globex,Workshop,30,,Room and coffee,1.5,99.90,
"""


def raised(**form: Any) -> BulkOutcome:
    """The outcome of asking for many drafts."""
    ask: Bulk = bulk_raise
    return ask(**form)


def refused(**form: Any) -> Rejected:
    """Why nothing was raised."""
    with pytest.raises(Rejected) as refusal:
        raised(**form)
    return refusal.value


def page() -> str:
    """What the last run says of each row."""
    key = ArtifactFilter(key=ArtifactFilterKey(any_=["bulk-raise"]))
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=key)
    return str(max(found, key=lambda artifact: str(artifact.created)).data)


def records(org: Org) -> list[dict[str, Any]]:
    """The invoices by name."""
    return org.query(
        "SELECT Id, Name, Status__c, Total__c, Currency__c, Description__c, Payment_Terms__c, "
        "Due_Date__c, PO_Number__c, Local_Key__c, Account__r.Name, Opportunity__r.Name, "
        "(SELECT Description__c, Quantity__c, Unit_Price__c, Amount__c, Discount_Percent__c, "
        "Product__r.Name FROM Lines__r ORDER BY Position__c) FROM Stripe_Invoice__c ORDER BY Name"
    )


def amounts(record: dict[str, Any]) -> list[float]:
    """What the lines come to."""
    return [float(line["Amount__c"]) for line in record["Lines__r"]["records"]]


def test_a_table_becomes_drafts(org: Org) -> None:
    """Rows of one key are one invoice; the page links each to its record."""
    outcome = raised(csv=TABLE)
    assert outcome.raised == 3
    assert outcome.sentence == "3 drafts raised over 2,599.85 USD, 44,000 JPY."
    first, second, third = records(org)
    assert (first["Account__r"]["Name"], amounts(first)) == ("Acme Corporation", [450, 2000])
    assert first["Lines__r"]["records"][1]["Description__c"] == "Getting started"
    assert (second["Currency__c"], amounts(second)) == ("JPY", [44000])
    assert second["Payment_Terms__c"] == "Net 60"
    assert (third["Description__c"], amounts(third)) == ("Workshop", [149.85])
    assert {record["Status__c"] for record in (first, second, third)} == {"Draft"}
    told = org.query("SELECT What__c FROM Stripe_Invoice_Event__c ORDER BY What__c")
    assert told[0]["What__c"] == "Raised over 149.85 USD"
    assert len(told) == 3
    said = page()
    assert f"| Rows 2 to 3 | [{first['Name']}](" in said
    assert "| Row 5 |" in said


def test_a_spreadsheet_as_it_is_saved_in_germany(org: Org) -> None:
    """Semicolons, decimal commas, a byte order mark, other titles, empty rows."""
    table = (
        "\ufeffInvoice Key;Customer;Memo;Due-Date;SKU;Qty;Price;PO\r\n"
        f"7;Soylent GmbH;Beratung;{today() + timedelta(days=9)};CONSULT-H;1,5;139,90;PO-1\r\n"
        ";;;;;;;\r\n"
    )
    assert raised(csv=table).raised == 1
    [record] = records(org)
    assert (record["Currency__c"], amounts(record)) == ("EUR", [209.85])
    assert record["PO_Number__c"] == "PO-1"


def test_what_a_row_leaves_open_is_given_for_all(org: Org) -> None:
    """Description and terms of the form, unless a row has its own."""
    due = today() + timedelta(days=14)
    table = f"account,due_date,product\nAcme Corporation,{due},Consulting\nGlobex,,Consulting\n"
    options = Options(payment_terms="Net 15", footer="Thank you")
    raised(csv=table, description="Services", options=options)
    first, second = records(org)
    assert (first["Due_Date__c"], first["Payment_Terms__c"]) == (due.isoformat(), None)
    assert (second["Due_Date__c"], second["Payment_Terms__c"]) == (None, "Net 15")
    assert {record["Description__c"] for record in (first, second)} == {"Services"}


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("", "nothing to raise"),
        (TITLES, "has no rows"),
        ("invoice,product\nA,Consulting\n", "The column 'account' is missing"),
        ("account,quantitty\nAcme,1\n", "no column 'quantitty'; did you mean 'quantity'?"),
        ("account,memo,description\nAcme,a,b\n", "'description' is there more than once"),
        ('account,product\n"Acme,Consulting\n', "not a CSV that can be read"),
        (
            "account,product\n" + "Acme,Consulting\n" * 2001,
            "more invoices than the 2,000 that go in one run",
        ),
    ],
)
def test_what_is_no_table(org: Org, table: str, reason: str) -> None:
    """Said at once, before any service is asked."""
    assert reason in " ".join(refused(csv=table).reasons)


MISTAKES = [
    ("{},Nobody Inc,x,Net 30,Consulting,,1,,", "There is no Account 'Nobody Inc'"),
    ("{},,x,Net 30,Consulting,,1,,", "The Account is missing"),
    ("{},Acme Corporation,x,,Consulting,,1,,", "The due date is missing"),
    ("{},Acme Corporation,x,Net 31,Consulting,,1,,", "the payment terms 'Net 31' are none of ours"),
    ("{},Acme Corporation,x,Net 30,Moon Base,,1,,", "'Moon Base' is not in the USD price book"),
    ("{},Acme Corporation,x,Net 30,Fax Module,,1,,", "is not active in the USD price book"),
    ("{},Acme Corporation,x,Net 30,Consulting,,-1,,", "the quantity must be above zero, not -1"),
    ("{},Acme Corporation,x,Net 30,Consulting,,lots,,", "the quantity 'lots' is not a number"),
    (
        '{},Acme Corporation,x,Net 30,Consulting,,1,"1,5,5",',
        "the unit price '1,5,5' is not a number",
    ),
    ("{},Acme Corporation,x,Net 30,,Text,1,,", "a line without a product needs a unit price"),
    ("{},Acme Corporation,x,Net 30,Consulting,,1,,XXX", "not a currency that Stripe bills in"),
    ("{},Acme Corporation,x,Net 30,Consulting,,1,,,,9", "more cells than columns"),
]


def test_thousands_of_wrong_rows_are_refused_with_every_reason(
    org: Org, salesforce_sandbox: Sandbox
) -> None:
    """Each by its row's number; nothing is written, and few questions are asked."""
    dice = random.Random(11)  # noqa: S311
    good = "{},Acme Corporation,x,Net 30,Consulting,,1,,"
    invoices = [dice.choice([*MISTAKES, (good, "")]) for _ in range(2_000)]
    chosen = [row for row in invoices for _ in range(2)]
    lines = [row.format(number // 2) for number, (row, _) in enumerate(chosen)]
    salesforce_sandbox.admin("DELETE", "requests")
    refusal = refused(csv=TITLES + "\n".join(lines))
    assert salesforce_sandbox.admin("GET", "requests")["count"] < 40
    assert org.count() == 0
    said: dict[str, str] = {}
    for reason in refusal.reasons:
        where = reason.split(":")[0].split(" (")[0]
        said[where] = said.get(where, "") + reason
    for number, (row, wanted) in enumerate(chosen, 2):
        first = number - number % 2
        both = said.get(f"Row {number}", "") + said.get(f"Rows {first} to {first + 1}", "")
        assert wanted in both if wanted else not both, (number, row, both)
    assert "more, all on the page bulk-raise" in str(refusal)
    assert len(str(refusal)) < 2_000


def test_rows_of_one_invoice_that_contradict_each_other(org: Org) -> None:
    """The customer of a line cannot be another."""
    table = (
        f"{TITLES}A,Acme Corporation,x,Net 30,Consulting,,1,,\nA,Globex,x,Net 15,Consulting,,1,,"
    )
    reasons = refused(csv=table).reasons
    assert "Row 3: the account 'Globex' differs from 'Acme Corporation'" in reasons[0]
    assert "payment terms" in reasons[1]


def test_the_good_ones_may_be_raised_without_the_bad(org: Org) -> None:
    """By choice; corrected and sent again in the same request, the rest follows."""
    bad = TABLE.replace("Umbrella KK", "Nobody Inc")
    assert "Row 4: There is no Account" in refused(csv=bad, request_id="n").reasons[0]
    assert org.count() == 0
    outcome = raised(csv=bad, all_or_nothing=False, request_id="n")
    assert (outcome.raised, outcome.not_raised) == (2, 1)
    assert "| Row 4 |  |  |  | Row 4: There is no Account 'Nobody Inc'" in page()
    assert raised(csv=bad, request_id="n").there_before == 2
    outcome = raised(csv=TABLE, all_or_nothing=False, request_id="n")
    assert (outcome.raised, outcome.there_before) == (1, 2)
    assert org.count() == 3


def test_the_same_request_raises_one_set(org: Org) -> None:
    """Asked again it says what is there; other requests, and rows that are twice, are new."""
    table = TABLE + ",Globex,Workshop,30,,Room and coffee,1.5,99.90,\n"
    first = raised(csv=table, request_id="nov")
    second = raised(csv=table, request_id="nov")
    assert sorted(first.names) == sorted(second.names)
    assert (second.raised, second.there_before) == (0, 4)
    assert org.count() == 4
    raised(csv=table, request_id="dec")
    assert org.count() == 8


def test_a_row_that_was_edited_is_not_said_to_be_raised(org: Org) -> None:
    """A program corrects a quantity under its old request id: told so, beside what is new, too."""
    titles = "invoice,account,payment_terms,product,quantity,unit_price\n"
    row = "A,Acme Corporation,Net 30,Consulting,{},10\n"
    new = "B,Acme Corporation,Net 30,Consulting,1,10\n"
    ask = {"request_id": "nov"}
    raised(csv=titles + row.format(3), **ask)
    edited = titles + new + row.format(5)
    reason = "Row 3: This request id was used before for INV-0001, with other content"
    assert reason in str(refused(csv=edited, **ask))
    assert org.count() == 1
    outcome = raised(csv=edited, all_or_nothing=False, **ask)
    assert (outcome.raised, outcome.there_before, outcome.not_raised) == (1, 0, 1)
    assert reason in page()
    assert raised(csv=titles + new + row.format("3.0"), **ask).there_before == 2


def test_a_row_is_edited_after_its_draft_was_deleted(org: Org) -> None:
    """Nothing is left of what it asked for first: the corrected row is raised, and that once."""
    table = "invoice,account,payment_terms,product,quantity\nA,Globex,Net 30,Consulting,{}\n"
    raised(csv=table.format(3), request_id="nov")
    salesforce.client().delete("Stripe_Invoice__c", records(org)[0]["Id"])
    assert raised(csv=table.format(5), request_id="nov").raised == 1
    assert raised(csv=table.format(5), request_id="nov").there_before == 1


def test_rows_that_another_run_raises_at_this_moment_are_left_to_it(org: Org) -> None:
    """It may be about to take back what is there."""
    raised(csv=TABLE, request_id="nov")
    acquire(records(org)[2]["Local_Key__c"], "another run", seconds=3600)
    with pytest.raises(Busy, match="Another run is working on these invoices"):
        raised(csv=TABLE, request_id="nov")


def test_won_opportunities_become_drafts(org: Org) -> None:
    """With their products, prices, discounts and currency; each is billed once, ever."""
    [won] = org.query("SELECT Id, Amount FROM Opportunity WHERE Name = 'Acme renewal 2027'")
    ask = {"opportunities": [won["Id"], "Soylent roll-out"]}
    options = Options(payment_terms="Net 30")
    assert raised(**ask, options=options).raised == 2
    acme, soylent = sorted(records(org), key=lambda record: str(record["Account__r"]["Name"]))
    assert acme["Opportunity__r"]["Name"] == acme["Description__c"] == "Acme renewal 2027"
    assert float(acme["Total__c"]) == float(won["Amount"]) == 11400 + 12 * 499 * 0.9
    assert acme["Lines__r"]["records"][1]["Description__c"] == "Support, twelve months"
    assert (soylent["Currency__c"], amounts(soylent)) == ("EUR", [2300, 4125])
    again = raised(**ask, options=options, request_id="another")
    assert (again.raised, again.there_before) == (0, 2)
    assert org.count() == 2


def test_an_opportunity_that_was_billed_by_hand(
    org: Org, draft: Callable[..., InvoiceOutcome]
) -> None:
    """Somebody has pressed Raise Invoice on it: nobody but a person knows what that bills."""
    [won] = org.query("SELECT Id FROM Opportunity WHERE Name = 'Acme renewal 2027'")
    by_hand = draft().name
    org.set(by_hand, Opportunity__c=won["Id"])
    ask = {"opportunities": [won["Id"]], "options": Options(payment_terms="Net 30")}
    assert f"{by_hand} was raised on it already, by hand." in str(refused(**ask))
    assert org.count() == 1
    org.set(by_hand, Status__c="Void")
    assert raised(**ask).raised == 1


def test_opportunities_that_cannot_be_billed(org: Org) -> None:
    """Open, lost, without products, unknown: one sentence each, and no draft for any."""
    names = ["Globex pilot", "Initech second site", "Moon shot", "Soylent roll-out"]
    reasons = refused(opportunities=names, options=Options(payment_terms="Net 30")).reasons
    said = " ".join(reasons)
    assert "Opportunity 'Globex pilot': it is in stage 'Negotiation/Review'" in said
    assert "Opportunity 'Initech second site': it has no products" in said
    assert "Opportunity 'Moon shot': there is none in Salesforce" in said
    assert "Soylent" not in said
    assert org.count() == 0


@pytest.mark.parametrize("all_or_nothing", [True, False])
@pytest.mark.parametrize("kind", ["lost", "malformed", "reset", "refuse"])
def test_answers_that_are_lost(
    org: Org, salesforce_sandbox: Sandbox, kind: str, all_or_nothing: bool
) -> None:
    """Written or not: it is looked at before it is tried again."""
    rule = {"kind": kind, "path": "*/composite/graph", "count": 1}
    salesforce_sandbox.admin("POST", "faults", rules=[rule])
    assert len(raised(csv=TABLE, all_or_nothing=all_or_nothing).names) == 3
    assert org.count() == 3
    assert len(org.query("SELECT Id FROM Stripe_Invoice_Line__c")) == 4
    assert len(org.query("SELECT Id FROM Stripe_Invoice_Event__c")) == 3


class Killed(BaseException):
    """The process ends here."""


def many(invoices: int) -> str:
    """A table of so many invoices of three lines."""
    row = "{0},Acme Corporation,Services {0},Net 30,Consulting,,3,,\n"
    lines = "{0},,,,Onboarding,,1,2000,\n{0},,,,,Text {0},1,5,\n"
    return TITLES + "".join((row + lines).format(n) for n in range(invoices))


def dies_at(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """Let the process die right after a call that writes."""
    written = Salesforce.write_graphs
    count = 0

    def write(self: Salesforce, graphs: Any) -> Any:
        nonlocal count
        answer = written(self, graphs)
        count += 1
        if count == call:
            raise Killed
        return answer

    monkeypatch.setattr(Salesforce, "write_graphs", write)


def killed_early(monkeypatch: pytest.MonkeyPatch, **options: Any) -> dict[str, Any]:
    """Let a run of a large table die after its first call that writes; what it was asked."""
    ask = {"csv": many(150), "request_id": "big"} | options
    with monkeypatch.context() as patch:
        dies_at(patch, call=1)
        with pytest.raises(Killed):
            raised(**ask)
    return ask


def withdraw_consulting(org: Org) -> None:
    """Let consulting be sold no longer."""
    [product] = org.query("SELECT Id FROM Product2 WHERE Name = 'Consulting'")
    salesforce.client().update("Product2", product["Id"], {"IsActive": False})


@pytest.mark.parametrize("all_or_nothing", [True, False])
def test_killed_half_way_and_run_again(
    org: Org, monkeypatch: pytest.MonkeyPatch, all_or_nothing: bool
) -> None:
    """What is there stays, the rest follows: one set."""
    ask = killed_early(monkeypatch, all_or_nothing=all_or_nothing)
    assert 0 < org.count() < 150
    assert raised(**ask).names
    assert org.count() == 150
    assert len(org.query("SELECT Id FROM Stripe_Invoice_Line__c")) == 450
    assert len(org.query("SELECT Id FROM Stripe_Invoice_Event__c")) == 150


def test_what_a_killed_run_wrote_is_taken_back_if_the_rest_is_refused(
    org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All or nothing also when something turned wrong meanwhile."""
    ask = killed_early(monkeypatch)
    withdraw_consulting(org)
    assert "not active" in refused(**ask).reasons[0]
    assert org.count() == 0
    assert org.query("SELECT Id FROM Stripe_Invoice_Event__c") == []


def test_what_another_run_goes_on_with_is_not_taken_back(
    org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This one slept for longer than its lease."""
    ask = killed_early(monkeypatch)
    withdraw_consulting(org)
    there, known = org.count(), timeline.known

    def and_sleep(keys: Collection[str]) -> Any:
        in_an_hour = datetime.now(UTC) + timedelta(hours=1)
        with database.session() as ledger:
            ledger.execute(update(Lease).values(owner="another run", expires_at=in_an_hour))
        return known(keys)

    monkeypatch.setattr(timeline, "known", and_sleep)
    with pytest.raises(Busy, match="Another run is working on these invoices"):
        raised(**ask)
    assert org.count() == there


def test_what_somebody_has_sent_meanwhile_is_not_taken_back(
    org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lacks the beginning of its timeline, and is billed all the same."""
    ask = killed_early(monkeypatch)
    org.set("INV-0001", Status__c="Open", Stripe_Invoice_Id__c="in_1Sent")
    withdraw_consulting(org)
    assert raised(**ask).names == ["INV-0001"]
    assert org.count() == 1


def test_what_only_salesforce_refuses_is_told_by_its_row(
    org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule of the org's own: the row is named, and the others go by choice."""

    def spoiled(draft: Any, name: str) -> list[dict[str, Any]]:
        written = draft_nodes(draft, name)
        if draft.account.name == "Umbrella KK":
            written[1]["body"]["Quantity__c"] = "none"
        return written

    monkeypatch.setattr(bulk_drafts, "draft_nodes", spoiled)
    [reason] = refused(csv=TABLE).reasons
    assert reason.startswith("Row 4: Salesforce refused to write the Stripe Invoice")
    assert org.count() == 0
    assert raised(csv=TABLE, all_or_nothing=False).raised == 2
    assert org.count() == 2


def test_two_hundred_invoices_cost_few_calls(org: Org, salesforce_sandbox: Sandbox) -> None:
    """Accounts, prices, keys, drafts and timelines: many in each call, once the schema is known."""
    assert raised(csv=many(1)).raised == 1
    salesforce_sandbox.admin("DELETE", "requests")
    assert raised(csv=many(200)).raised == 200
    assert salesforce_sandbox.admin("GET", "requests")["count"] < 12
