"""Our own Salesforce schema: what this project asks of an org, field by field.

It says the same as the metadata in ``deployments/salesforce`` (a test compares them), and
besides which fields cannot be done without. Where an org has other names for these, a field
mapping (:mod:`invoicing.domain.salesforce.field_mapping`) says which.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

Kind = Literal["text", "number", "boolean", "date", "datetime", "picklist", "reference"]


@dataclass(frozen=True, slots=True)
class Field:
    """Requirements on a field.

    Attributes:
        kind: The family of types that will do.
        length: Characters that a text has to hold.
        scale: Decimals that a number has to keep.
        to: The object that a reference points at.
        needed: Nothing works without it.
        unique: It names a record, letter case included: unique and an external id.
        read_only: It is never written.
        asked: People ask for it. Where it is not kept, asking for it has to be refused.
        optional: An object of the org's own has it only where the field mapping names it.
        if_there: Only some orgs have it, and which do is found out.
        values: What a picklist has to offer.
        cut: A text for people, of which a shorter field gets what fits.
    """

    kind: Kind
    length: int = 0
    scale: int = 0
    to: str = ""
    needed: bool = False
    unique: bool = False
    read_only: bool = False
    asked: bool = False
    optional: bool = False
    if_there: bool = False
    values: tuple[str, ...] = ()
    cut: bool = False


@dataclass(frozen=True, slots=True)
class SObject:
    """Requirements on an object.

    Attributes:
        fields: Its fields that can be mapped, by our API names.
        children: The child relationships that are read: the child object and its field.
        rights: What the integration user must be allowed to do with its records.
        optional: An org may do without it.
        beside: An org that has an object of its own for this one has ours only where the field
            mapping names it.
    """

    fields: Mapping[str, Field]
    children: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    rights: tuple[str, ...] = ("queryable", "createable", "updateable")
    optional: bool = False
    beside: str = ""


text = partial(Field, "text")
"""A text of any sort that holds so many characters."""

prose = partial(Field, "text", cut=True)
"""A text for people; an org may have a shorter field for it."""

read_text = partial(Field, "text", read_only=True)
"""A text of any length that is read and never written."""

number = partial(Field, "number")
"""A number that must keep so many decimals."""

amount = partial(number, scale=2)
"""Money in major units: of currencies of three decimals Stripe charges no third one either."""

worked_out = partial(number, read_only=True, optional=True)
"""A number that Salesforce works out by itself, for people and as a second opinion."""

shown = partial(read_text, optional=True)
"""A number as people read it, which Salesforce works out by itself."""

reference = partial(Field, "reference")
"""A lookup or a master-detail."""


def picklist(*values: str, needed: bool = False) -> Field:
    """A choice among our values, or among the org's own words for them."""
    return Field("picklist", values=values, needed=needed)


def asked(what: Field) -> Field:
    """Something that people ask for, and that must not get lost."""
    return replace(what, asked=True)


CHECKBOX = Field("boolean")
INSTANT = Field("datetime")

ACTIONS = (
    *("Send", "Sync", "Void", "Write Off", "Resend", "Record Payment", "Replace"),
    *("Preview", "Clone", "Delete"),
)

OBJECTS: Mapping[str, SObject] = {
    "Stripe_Invoice__c": SObject(
        children={"Lines__r": ("Stripe_Invoice_Line__c", "Invoice__c")},
        fields={
            "Name": Field("text", needed=True, read_only=True),
            "Account__c": reference(to="Account", needed=True),
            "Action_Requested__c": picklist(*ACTIONS),
            "Amount_Credited__c": amount(),
            "Amount_Discounted__c": amount(),
            "Amount_Disputed__c": amount(),
            "Amount_Due__c": amount(),
            "Amount_Overpaid__c": amount(),
            "Amount_Paid__c": amount(needed=True),
            "Amount_Refunded__c": amount(),
            "Amount_Remaining__c": amount(needed=True),
            "Approval_Comment__c": text(255),
            "Approval_Key__c": text(64),
            "Approval_Status__c": picklist("Waiting", "Approved", "Declined", "Expired"),
            "Approved_Amount__c": amount(),
            "Approved_At__c": INSTANT,
            "Approved_By__c": text(120),
            "Automatic_Tax__c": asked(CHECKBOX),
            "Bill_To__c": asked(reference(to="Contact")),
            "Collection_Method__c": asked(picklist("Send Invoice", "Charge Automatically")),
            "Currency__c": text(3, needed=True),
            "Custom_Fields__c": asked(prose(1000)),
            "Description__c": prose(1500, needed=True),
            "Discount_Amount__c": asked(amount()),
            "Discount_Percent__c": asked(number(scale=2)),
            "Dispute_Status__c": text(40),
            "Draft_Lines__c": worked_out(scale=0),
            "Draft_Subtotal__c": worked_out(scale=2),
            "Due_Date__c": Field("date", needed=True),
            "Finalized_At__c": INSTANT,
            "Footer__c": asked(prose(5000)),
            "Hosted_Invoice_URL__c": text(2000),
            "Invoice_PDF__c": text(2000),
            "Is_Overdue__c": Field("boolean", needed=True),
            "Last_Reminder_At__c": INSTANT,
            "Last_Run_URL__c": text(255),
            "Last_Synced_At__c": INSTANT,
            "Livemode__c": CHECKBOX,
            "Local_Key__c": text(64, needed=True, unique=True),
            "Number__c": text(255, needed=True),
            "Opportunity__c": reference(to="Opportunity"),
            "PO_Number__c": asked(prose(140)),
            "Paid_At__c": INSTANT,
            "Payment_Methods__c": asked(text(255)),
            "Payment_Problem__c": prose(255),
            "Payment_State__c": picklist(
                "Unpaid",
                "Processing",
                "Partly Paid",
                "Paid",
                "Overpaid",
                "Partly Refunded",
                "Refunded",
                "Disputed",
                needed=True,
            ),
            "Payment_Terms__c": asked(picklist("Net 15", "Net 30", "Net 45", "Net 60", "Net 90")),
            "Previewed_Amount_Due__c": amount(),
            "Previewed_At__c": INSTANT,
            "Previewed_Tax__c": amount(),
            "Previewed_Total__c": amount(),
            "Reminders_Sent__c": number(scale=0),
            "Rendering_Template__c": asked(text(255)),
            "Replaced_By__c": reference(to="Stripe_Invoice__c"),
            "Replaces__c": asked(reference(to="Stripe_Invoice__c")),
            "Send_On__c": asked(Field("date")),
            "Sent_At__c": INSTANT,
            "Status__c": picklist(
                "Draft", "Open", "Paid", "Uncollectible", "Void", "Deleted", needed=True
            ),
            "Stripe_Account_Id__c": text(255),
            "Stripe_Customer_Id__c": text(255),
            "Stripe_Invoice_Id__c": text(255, needed=True, unique=True),
            "Subtotal__c": amount(),
            "Sync_Message__c": prose(4000),
            "Sync_State__c": picklist("Clean", "Pending", "Failed", "Conflict", needed=True),
            "Tax_Rates__c": asked(text(255)),
            "Tax__c": amount(),
            "Total__c": amount(needed=True),
            "Uncollectible_At__c": INSTANT,
            "Voided_At__c": INSTANT,
        },
        rights=("queryable", "createable", "updateable", "deletable"),
    ),
    "Stripe_Invoice_Line__c": SObject(
        fields={
            "Amount__c": amount(),
            "Currency__c": text(3, optional=True),
            "Description__c": prose(255, needed=True),
            "Discount_Amount__c": asked(amount()),
            "Discount_Percent__c": asked(number(scale=2)),
            "Draft_Amount__c": worked_out(scale=2),
            "Invoice__c": reference(to="Stripe_Invoice__c", needed=True),
            "Local_Key__c": text(64, unique=True),
            "Position__c": number(scale=0, needed=True),
            "Product__c": reference(to="Product2", needed=True),
            "Quantity_Text__c": shown(),
            "Quantity__c": number(scale=6, needed=True),
            "Unit_Price_Exact__c": asked(text(40)),
            "Unit_Price_Text__c": shown(),
            "Unit_Price__c": number(scale=6, needed=True),
        },
        rights=("queryable", "createable", "updateable", "deletable"),
    ),
    "Stripe_Invoice_Event__c": SObject(
        fields={
            "Amount__c": amount(),
            "Changes__c": prose(4000),
            "Currency__c": text(3),
            "Happened_At__c": INSTANT,
            "Invoice__c": reference(to="Stripe_Invoice__c"),
            "Key__c": text(64, unique=True),
            "Run_URL__c": text(255),
            "Side__c": picklist("Salesforce", "Stripe", "Full Sync", "Calendar"),
            "What__c": prose(255),
        },
        optional=True,
    ),
    "Stripe_Invoice_Request__c": SObject(
        fields={
            "Action__c": picklist(*ACTIONS, "Credit", "Approve", "Reject", needed=True),
            "Invoice__c": reference(to="Stripe_Invoice__c", needed=True),
            "Open_Key__c": text(64, needed=True, unique=True),
            "Outcome__c": text(4000, needed=True),
            "Parameters__c": text(4000),
            "Run_URL__c": text(255),
            "State__c": picklist("Queued", "Running", "Done", "Refused", "Failed", needed=True),
        },
        rights=("queryable", "updateable"),
        optional=True,
        beside="Stripe_Invoice__c",
    ),
    "Account": SObject(
        fields={
            "BillingCity": read_text(),
            "BillingCountry": read_text(),
            "BillingCountryCode": read_text(if_there=True),
            "BillingPostalCode": read_text(),
            "BillingState": read_text(),
            "BillingStateCode": read_text(if_there=True),
            "BillingStreet": read_text(),
            "Invoice_Email__c": text(80),
            "Stripe_Customer_Email__c": text(255),
            "Stripe_Customer_Id__c": text(255, needed=True, unique=True),
            "Stripe_Customer_Name__c": prose(255),
        },
        rights=("queryable", "updateable"),
    ),
    "Contact": SObject(fields={}, rights=("queryable",)),
    "Product2": SObject(fields={}, rights=("queryable",)),
    "Pricebook2": SObject(fields={}, rights=("queryable",)),
    "PricebookEntry": SObject(fields={}, rights=("queryable",)),
    "Opportunity": SObject(fields={}, rights=("queryable",), optional=True),
    "OpportunityLineItem": SObject(fields={}, rights=("queryable",), optional=True),
}
"""Every object this project reads or writes, by our API names."""


def relationship(field_name: str) -> str:
    """The relationship of a reference field, as Salesforce names it: ``A__c``, ``A__r``."""
    if field_name.endswith("__c"):
        return field_name[:-1] + "r"
    return field_name.removesuffix("Id")
