"""The Stripe account: key, permissions, what it may do, and who hears of its events."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import quote

from invoicing.connectors import salesforce, stripe
from invoicing.doctor import identity
from invoicing.doctor.checks import Check, Untold, Wrong, found_as
from invoicing.doctor.settings_checks import SETTINGS
from invoicing.domain.model.dates import written_moment
from invoicing.domain.model.wording import counted, some_of
from invoicing.domain.salesforce.field_mapping import AUTOMATIC
from invoicing.domain.salesforce.queries import Query, equals
from invoicing.domain.salesforce.record import AUTOMATIC_TAX, INVOICE
from invoicing.domain.stripe.event_parsing import HANDLED_TYPES
from invoicing.domain.stripe.resources import WebhookEndpoint
from invoicing.errors import EnvironmentMismatch, InvoicingError
from invoicing.mapping import org_mapping
from invoicing.receiver.account_paths import PATH, path_of
from invoicing.settings import STRIPE_API_VERSION, Settings, file, settings

KEY, ENDPOINT = "Stripe key", "webhook endpoint"
NOBODY = "made_up_to_ask_what_this_key_may_do"
"""An id that no object has."""

NAMED_AT_MOST = 5
"""Types of events that are told one by one."""

DELIVERED_WITHIN = timedelta(minutes=10)
LOOKED_BACK = timedelta(days=1)


@dataclass(frozen=True)
class Permission:
    """A permission of a restricted key that this project needs.

    Attributes:
        name: As Stripe's answers have it, without ``rak_``.
        label: As the dashboard has it.
        call: A call that needs it and does nothing: a list, or a write that names nothing.

    Source: https://docs.stripe.com/keys/permissions-reference
    """

    name: str
    label: str
    call: tuple[str, str]


PERMISSIONS = (
    Permission("customer_write", "Customers: Write", ("post", f"/v1/customers/{NOBODY}")),
    Permission("product_write", "Products: Write", ("post", f"/v1/products/{NOBODY}")),
    Permission("plan_write", "Prices: Write", ("post", f"/v1/prices/{NOBODY}")),
    Permission("coupon_write", "Coupons: Write", ("post", f"/v1/coupons/{NOBODY}")),
    Permission("invoice_write", "Invoices: Write", ("post", f"/v1/invoices/{NOBODY}")),
    Permission("credit_note_write", "Credit notes: Write", ("post", f"/v1/credit_notes/{NOBODY}")),
    Permission(
        "payment_records_write",
        "Payment Records: Write",
        ("post", "/v1/payment_records/report_payment"),
    ),
    Permission("charge_read", "Charges and Refunds: Read", ("get", "/v1/refunds")),
    Permission("payment_intent_read", "PaymentIntents: Read", ("get", "/v1/payment_intents")),
    Permission("dispute_read", "Disputes: Read", ("get", "/v1/disputes")),
    Permission("event_read", "Events: Read", ("get", "/v1/events")),
    Permission("tax_rate_read", "Tax Rates: Read", ("get", "/v1/tax_rates")),
)
BESIDES = ("connected_account_read", "tax_settings_read", "webhook_read")
"""Permissions that other checks find out about: they read the account, what Stripe Tax lacks, and
the endpoints. Source of the second: https://docs.stripe.com/stripe-apps/reference/permissions"""


def new_key_link() -> str:
    """Stripe's page that makes a restricted key, filled in with what is needed."""
    names = [*(permission.name for permission in PERMISSIONS), *BESIDES]
    asked = "".join(f"&permissions[]=rak_{name}" for name in sorted(names))
    return f"https://dashboard.stripe.com/apikeys/create?name={quote('Invoices')}{asked}"


_check = partial(Check, "Stripe")


def stripe_checks() -> list[Check]:
    """One check for each precondition, those of the key first."""
    grant = "In Stripe, under Developers → API keys, edit the key: {}."
    return [
        _check(
            "mode of the Stripe key",
            _key_mode,
            "Take the key of that mode, or correct INVOICING_STRIPE__LIVEMODE.",
            SETTINGS,
        ),
        _check(
            KEY,
            _key,
            "Make a key in Stripe under Developers → API keys, and put it into "
            "INVOICING_STRIPE__API_KEY. docs/running.md links to one with what is needed.",
            SETTINGS,
        ),
        _check(
            "account of the Stripe key",
            _account,
            "Take the key of that account, or name this one.",
            KEY,
        ),
        _check(
            "payments",
            _payments,
            "Complete the account in Stripe, under Settings → Business.",
            KEY,
        ),
        _check(
            "requirements of the account",
            _requirements,
            "Give Stripe what it asks for: it stands on top of the dashboard, and under Settings → "
            "Business.",
            KEY,
        ),
        _check(
            "Stripe Tax",
            _stripe_tax,
            "Complete it in Stripe, under Settings → Tax, or take Stripe Tax off these invoices.",
            KEY,
        ),
        _check("e-mails", _mails, "", SETTINGS),
        *(
            _check(
                f"permission {permission.name}",
                partial(_permitted, permission),
                grant.format(permission.label),
                KEY,
            )
            for permission in PERMISSIONS
        ),
        _check(ENDPOINT, _endpoint, "`make doctor ARGS=--fix` makes one, or enables it.", KEY),
        _check(
            "webhook API version",
            _endpoint_version,
            "`make doctor ARGS=--fix` makes another endpoint; once that one's secret is in the "
            "settings, delete this one in Stripe.",
            ENDPOINT,
        ),
        _check(
            "webhook endpoints besides",
            _neighbours,
            "In Stripe, under Developers → Webhooks, delete the latter once the former's secret "
            "is in the settings.",
            ENDPOINT,
        ),
        _check("webhook event types", _endpoint_types, "`make doctor ARGS=--fix`", ENDPOINT),
        _check(
            "webhook secret",
            _secret,
            "In Stripe, under Developers → Webhooks, reveal the endpoint's signing secret, and put "
            "it into INVOICING_STRIPE__WEBHOOK_SECRETS.",
            ENDPOINT,
        ),
        _check(
            "webhook deliveries",
            _deliveries,
            "Stripe says why under Developers → Webhooks. 400: the secret is another's; 404: the "
            "URL is; 503: the ledger was away. Events come by polling meanwhile.",
            ENDPOINT,
        ),
    ]


def _key_mode() -> str:
    identity.check_key_mode(settings())
    return f"It is a {identity.mode(settings().stripe.livemode)} key."


def _key() -> str:
    stripe.client().account()
    return "Stripe accepts it."


def _account() -> str:
    account_id = stripe.client().account()["id"]
    identity.check_account(settings(), account_id)
    return f"It is {account_id}."


def _payments() -> str:
    account = stripe.client().account()
    enabled = account.get("charges_enabled")
    if enabled is None:
        raise Untold("Stripe does not say whether the account may take payments.")
    if enabled:
        return "The account may take payments."
    asks = account.get("requirements")
    reason = asks and asks["disabled_reason"]
    why = f" ({reason})" if reason else ""
    if settings().stripe.livemode:
        raise Wrong(f"Stripe does not let the account take payments{why}.")
    return f"The account may take none yet{why}, which test mode does not mind."


def _requirements() -> str:
    """Source: the SDK's docstrings of ``Account.Requirements``."""
    asks = stripe.client().account().get("requirements")
    if asks is None:
        raise Untold("Stripe does not say what it asks of the account.", "Look in Stripe.")
    late, due = asks["past_due"] or [], asks["currently_due"] or []
    if not (late or due or asks["disabled_reason"]):
        return "Stripe asks for nothing."
    said = f"Stripe asks for {some_of(late or due, NAMED_AT_MOST)}" if late or due else ""
    if asks["disabled_reason"]:
        said = f"The account is disabled ({asks['disabled_reason']}). {said}"
    elif asks["current_deadline"]:
        until = datetime.fromtimestamp(asks["current_deadline"], UTC)
        said += f" until {until:%Y-%m-%d}, or disables the account"
    said = f"{said.strip().rstrip('.')}."
    if settings().stripe.livemode:
        raise Wrong(said)
    return f"{said} Test mode does not mind."


def _stripe_tax() -> str:
    """Source: https://docs.stripe.com/tax/settings-api (``status``, ``missing_fields``)."""
    look = "Give the key Tax Settings: Read, or look in Stripe under Settings → Tax."
    with found_as(Untold, EnvironmentMismatch, remedy=look):
        found = stripe.client().tax_settings()
    if found["status"] == "active":
        return "Stripe Tax has what it needs."
    pending = found["status_details"].get("pending") or {"missing_fields": None}
    lacks = some_of(pending["missing_fields"] or ["some setting"], NAMED_AT_MOST)
    with found_as(Untold, InvoicingError, remedy="See the checks of Salesforce."):
        asking = _taxed_automatically()
    if asking:
        raise Wrong(f"Stripe Tax lacks {lacks}, and {asking}: Stripe refuses to bill that.")
    return f"Stripe Tax lacks {lacks}, and no invoice asks for it."


def _taxed_automatically() -> str:
    """What asks for Stripe Tax: invoices in Salesforce, or the field mapping; empty: nothing."""
    mapping, org = org_mapping(), salesforce.client()
    if mapping and AUTOMATIC in mapping.tax.rates.values():
        return "the field mapping asks for it"
    if not org.keeps(INVOICE, AUTOMATIC_TAX):
        return ""
    found = org.query(Query(INVOICE, ["Name"], where=equals(AUTOMATIC_TAX, True), limit=1))
    return f"invoices such as {found[0]['Name']} ask for it" if found else ""


def _mails() -> str:
    """Source: the SDK's docstring of ``send_invoice``."""
    if settings().stripe.livemode:
        return "Live mode: what is sent is mailed to customers."
    return "Test mode: Stripe mails nothing to anybody."


def _permitted(permission: Permission) -> str:
    if not settings().stripe.api_key.get_secret_value().startswith("rk_"):
        return "A secret key may do everything."
    refusal = stripe.client().try_call(*permission.call)
    if refusal:
        raise Wrong(refusal)
    return "The restricted key has it."


def endpoint_url(wanted: Settings) -> str:
    """Where Stripe has to send events, by the settings.

    Raises:
        Untold: they do not say where Stripe reaches the receiver.
    """
    if not wanted.receiver.url:
        raise Untold(
            "INVOICING_RECEIVER__URL is not set, so there is nothing to compare with. Without a "
            "receiver, events come by polling, every five minutes.",
            "Set it to where Stripe reaches the receiver.",
        )
    return wanted.receiver.url + path_of(wanted.receiver.token)


def found_endpoint(wanted: Settings) -> WebhookEndpoint | None:
    """The account's endpoint for the receiver; of several, the one that is nearest to right."""
    url = endpoint_url(wanted)
    ours = [one for one in stripe.client().webhook_endpoints() if one["url"] == url]
    good = (is_enabled, has_our_version)
    return max(ours, key=lambda one: [is_so(one) for is_so in good], default=None)


def is_enabled(endpoint: WebhookEndpoint) -> bool:
    """Whether Stripe sends anything to it."""
    return endpoint["status"] == "enabled"


def has_our_version(endpoint: WebhookEndpoint) -> bool:
    """Whether its events have the shape that this project reads; it can never be changed."""
    return endpoint["api_version"] == STRIPE_API_VERSION


def missing_types(endpoint: WebhookEndpoint) -> list[str]:
    """The types that move an invoice and that an endpoint is not sent."""
    sent = set(endpoint["enabled_events"])
    return [] if "*" in sent else [each for each in HANDLED_TYPES if each not in sent]


def _endpoint() -> str:
    wanted = settings()
    try:
        endpoint = found_endpoint(wanted)
    except EnvironmentMismatch as error:
        told = f"{error} Only the doctor needs this permission."
        raise Untold(told, "Give the key Webhook Endpoints: Read, or look in Stripe.") from error
    shown = f"{wanted.receiver.url}{PATH}{'/…' if wanted.receiver.token else ''}"
    if endpoint is None:
        raise Wrong(f"Stripe has no endpoint with the URL {shown}.")
    if not is_enabled(endpoint):
        raise Wrong(f"The endpoint {shown} is {endpoint['status']}.")
    return f"Stripe sends events to {shown}."


def _ours() -> WebhookEndpoint:
    endpoint = found_endpoint(settings())
    if endpoint is None:
        raise Untold("The endpoint has just gone away.", "Ask again.")
    return endpoint


def _endpoint_version() -> str:
    endpoint = _ours()
    if not has_our_version(endpoint):
        has = endpoint["api_version"] or "the account's default"
        raise Wrong(f"Its version is {has}, and {STRIPE_API_VERSION} is needed.")
    return f"It is {STRIPE_API_VERSION}."


def _neighbours() -> str:
    """No other endpoint sends the same events to the same place, signed by another secret."""
    ours, others = _ours(), stripe.client().webhook_endpoints()
    besides = [
        f"{one['id']} of version {one['api_version'] or 'by default'}"
        for one in others
        if one["url"] == ours["url"] and one["id"] != ours["id"] and is_enabled(one)
    ]
    if besides:
        named = some_of(besides, NAMED_AT_MOST)
        raise Wrong(f"To the URL of {ours['id']} Stripe sends by {named} as well.")
    return f"{ours['id']} is the only one that sends there."


def _endpoint_types() -> str:
    missing = missing_types(_ours())
    if missing:
        raise Wrong(f"It is not sent {some_of(missing, NAMED_AT_MOST)}.")
    return "It is sent every type that moves an invoice."


def kept_secret(wanted: Settings) -> Path:
    """The file that holds a new endpoint's secret until somebody puts it into the settings."""
    mode = identity.mode(wanted.stripe.livemode).replace(" ", "-")
    return file().with_name(f"webhook-secret-{wanted.stripe.account_id}-{mode}.env")


def _secret() -> str:
    secrets = [secret.get_secret_value() for secret in settings().stripe.webhook_secrets]
    kept = kept_secret(settings())
    made = kept.read_text(encoding="utf-8").partition("=")[2].strip() if kept.is_file() else ""
    if made and made not in secrets:
        raise Wrong(
            "The settings do not have the secret of the endpoint that was made here.",
            f"Add what {kept} holds to INVOICING_STRIPE__WEBHOOK_SECRETS, restart the receiver, "
            "and delete the file.",
        )
    if not secrets:
        raise Wrong("INVOICING_STRIPE__WEBHOOK_SECRETS is empty.")
    if not all(secret.startswith("whsec_") for secret in secrets):
        raise Wrong("INVOICING_STRIPE__WEBHOOK_SECRETS has one that does not begin with whsec_.")
    said = f"The settings have {counted(len(secrets), 'secret')}; Stripe shows none to compare."
    return f"{said} Delete {kept}, which holds one of them." if made else said


def _deliveries() -> str:
    """Source: https://docs.stripe.com/api/events/list (``delivery_success``)."""
    now, account = datetime.now(UTC), stripe.client()
    with found_as(Untold, EnvironmentMismatch, remedy="Give the key Events: Read."):
        stuck = account.undelivered(now - LOOKED_BACK, now - DELIVERED_WITHIN)
        if stuck is None:
            return "Since yesterday, nothing was left undelivered."
        taken = account.delivered_after(stuck, HANDLED_TYPES)
    then = datetime.fromtimestamp(stuck["created"], UTC)
    said = f"Events until {written_moment(then)} UTC were not delivered, such as {stuck['id']}"
    if taken:
        return f"{said}; later ones were."
    enabled = [one for one in account.webhook_endpoints() if is_enabled(one)]
    if len(enabled) > 1:
        raise Untold(f"{said}, to one of the account's {len(enabled)} endpoints.")
    raise Wrong(f"{said}.")
