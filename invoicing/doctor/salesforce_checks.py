"""The Salesforce org: login, what the integration user may see and do, and what the org is like."""

from functools import cache, partial

from invoicing.connectors import salesforce
from invoicing.doctor import identity
from invoicing.doctor.checks import Check, Untold, Wrong, found_as
from invoicing.doctor.ledger_checks import LEDGER
from invoicing.domain.model.wording import counted, first_of
from invoicing.domain.salesforce.field_mapping import Names, OrgMapping
from invoicing.domain.salesforce.mapping_validation import (
    Describe,
    object_mistakes,
    own_mistakes,
    path_mistakes,
)
from invoicing.domain.salesforce.queries import Query, all_of, equals, is_in
from invoicing.domain.salesforce.record import (
    CURRENCY,
    INVOICE,
    MIRROR,
    PACKAGE_VERSION,
    SETTING,
    SETTING_NAME,
    VERSION,
    VERSION_NAME,
)
from invoicing.domain.salesforce.request_record import (
    ANSWER_NOTIFICATION,
    APPROVAL_NOTIFICATION,
    APPROVERS,
    REQUEST,
)
from invoicing.domain.salesforce.required_schema import OBJECTS
from invoicing.errors import EnvironmentMismatch, Rejected
from invoicing.mapping import org_mapping
from invoicing.org_check import data_mistakes, has_approvals
from invoicing.settings import settings

LOGIN = "Salesforce login"
NAMED_AT_MOST = 5
"""Mistakes of one object that are told one by one."""

NOTIFY = "PermissionsSendCustomNotifications"
USER_PREFIX = "005"
"""What ids of users begin with, and those of groups do not."""

_check = partial(Check, "Salesforce")


def salesforce_checks() -> list[Check]:
    """One check for each precondition, the login first."""
    describe = cache(lambda name: salesforce.client().describe(name))
    deploy = (
        "Deploy deployments/salesforce and assign Invoice Integration to the integration user; an "
        "org with names of its own: python -m invoicing.mapping."
    )
    return [
        _check(
            LOGIN,
            _login,
            "In Salesforce, under Setup → App Manager, see the app's consumer key and secret (or "
            "certificate), its policies, and the integration user.",
            LEDGER,  # which keeps the login for all processes
        ),
        _check(
            "Salesforce org", _org, "Correct the login, or INVOICING_SALESFORCE__ORG_ID.", LOGIN
        ),
        _check("currency", _currency, "Let the settings say what the org is.", LOGIN),
        _check("currency of the dialogues", partial(_dialogues, describe), deploy, "currency"),
        _check(
            "field mapping",
            partial(_mapping, describe),
            "Correct the file that INVOICING_MAPPING names.",
            LOGIN,
        ),
        *(
            _check(f"object {ours}", partial(_object, describe, ours), deploy, LOGIN)
            for ours in OBJECTS
        ),
        _check(
            "package version",
            partial(_package, describe),
            "Deploy deployments/salesforce/force-app of this release.",
            LOGIN,
        ),
        _check(
            "permission to mirror Stripe",
            _mirror,
            "Assign the permission set Invoice Integration to the integration user, or give a set "
            "of its own the custom permission Mirror Stripe.",
            LOGIN,
        ),
        _check(
            "permission to notify",
            _may_notify,
            "Assign the permission set Invoice Integration to the integration user, or give a set "
            "of its own the system permission Send Custom Notifications.",
            LOGIN,
        ),
        _check("notification types", _notification_types, deploy, LOGIN),
        _check(
            "approvers",
            _approvers,
            "In Salesforce, under Setup → Public Groups → Invoice Approvers, add whoever approves; "
            "the permission set Invoice Approver lets them do so.",
            LOGIN,
        ),
        _check("country of an Account", partial(_countries, describe), deploy, LOGIN),
        _check(
            "API calls",
            _api_calls,
            "Until the day is over bulk work waits; more calls are bought from Salesforce.",
            LOGIN,
        ),
    ]


def _login() -> str:
    salesforce.client()
    return "Salesforce accepts it."


def _org() -> str:
    org = salesforce.client().org()
    identity.check_org(settings(), org)
    return f"It is {org.id}."


def _currency() -> str:
    org = salesforce.client().org()
    identity.check_currency(settings(), org)
    if org.multi_currency:
        return "The org has several currencies; each record has its own."
    return f"The org's one currency is {org.currency or settings().business.currency}."


def _dialogues(describe: Describe) -> str:
    """What the package's dialogues take the org's currency for is what it is."""
    if _has_own_type(describe):
        return "The org has dialogues of its own."
    said, org = _setting(describe, SETTING_NAME, CURRENCY), salesforce.client().org()
    if org.multi_currency:
        return "Each record has its own, once the package's directory multi-currency is deployed."
    wanted = org.currency or settings().business.currency
    if said != wanted:
        bills = f"bills in {said}" if said else "does not know in which currency it bills"
        raise Wrong(
            f"Raise Invoice {bills}; the org's currency is {wanted}.",
            "In Salesforce, under Setup → Custom Metadata Types → Invoicing Setting → Manage "
            f"Records, let {SETTING_NAME} have the Currency {wanted}.",
        )
    return f"Raise Invoice bills in {said}."


def _package(describe: Describe) -> str:
    """The package is not older than this release, in what no describe of an object shows."""
    if _has_own_type(describe):
        return "The org has objects of its own."
    said = _setting(describe, VERSION_NAME, VERSION)
    if not (said and said.isdecimal()):
        raise Wrong(f"The org's package does not say its version, and {PACKAGE_VERSION} is needed.")
    if int(said) < PACKAGE_VERSION:
        raise Wrong(f"The org's package is version {said}, and {PACKAGE_VERSION} is needed.")
    return f"The org's package is version {said}, and {PACKAGE_VERSION} is needed."


def _mirror() -> str:
    """Source: Object Reference, "UserSetupEntityAccess": custom permissions of the running user."""
    if Names(org_mapping() or OrgMapping()).sobject(INVOICE) != _installed(INVOICE):
        return "The org has objects of its own, and no rule of the package is about these."
    asked = Query("UserSetupEntityAccess", ["DeveloperName"], where=equals("DeveloperName", MIRROR))
    look = "Look in Setup → Users → the integration user → View Summary → Custom Permissions."
    with found_as(Untold, EnvironmentMismatch, Rejected, remedy=look):
        found = salesforce.client().query(asked)
    if not found:
        raise Wrong(
            "The integration user has no custom permission Mirror Stripe: the org refuses what it "
            "writes of invoices that were sent."
        )
    return "The integration user may write what Stripe owns."


def _may_notify() -> str:
    """Source: Object Reference, "UserPermissionAccess": the permissions of the running user."""
    org = salesforce.client()
    if not org.has(REQUEST):
        return "Nobody asks for anything in Salesforce, so nobody is notified there."
    look = "Look in Setup → Users → the integration user → View Summary → User Permissions."
    with found_as(Untold, EnvironmentMismatch, Rejected, remedy=look):
        found = org.query(Query("UserPermissionAccess", [NOTIFY]))
    if not (found and found[0][NOTIFY]):
        raise Wrong(
            "The integration user may not send notifications: nobody is told that something was "
            "refused, or waits for approval."
        )
    return "The integration user may notify people."


def _notification_types() -> str:
    org = salesforce.client()
    if not org.has(REQUEST):
        return "Nobody asks for anything in Salesforce, so nobody is notified there."
    wanted = (ANSWER_NOTIFICATION, APPROVAL_NOTIFICATION)
    found = org.query(
        Query("CustomNotificationType", ["DeveloperName"], where=is_in("DeveloperName", wanted))
    )
    missing = sorted({*wanted} - {each["DeveloperName"] for each in found})
    if missing:
        raise Wrong(f"Salesforce has no notification type {' and no '.join(missing)}.")
    return "Those by which people are told are there."


def _approvers() -> str:
    """Somebody is told of what waits for approval.

    Source: Object Reference, "GroupMember": direct members alone, users and other groups.
    """
    org, approval = salesforce.client(), settings().approval
    if not (approval.in_salesforce and has_approvals(org)):
        return "Whoever approves is asked in Prefect, and not in Salesforce."
    ours = equals("DeveloperName", APPROVERS)
    if not org.query(Query("Group", ["Id"], where=ours)):
        raise Wrong(
            f"Salesforce has no public group {APPROVERS}.", "Deploy deployments/salesforce."
        )
    look = "Look in Setup → Public Groups → Invoice Approvers."
    with found_as(Untold, EnvironmentMismatch, Rejected, remedy=look):
        of_group = is_in("GroupId", Query("Group", ["Id"], where=ours))
        rows = org.query(Query("GroupMember", ["UserOrGroupId"], where=of_group))
    members = [row["UserOrGroupId"] for row in rows]
    users = [each for each in members if each.startswith(USER_PREFIX)]
    active = all_of(equals("IsActive", True), is_in("Id", users))
    people = len(org.query(Query("User", ["Id"], where=active))) if users else 0
    groups = len(members) - len(users)
    if people or groups:
        told = [counted(people, "active user")] if people else []
        told += [counted(groups, "group")] if groups else []
        return f"What waits for approval is told to {' and '.join(told)}."
    nobody = "no active user" if users else "nobody"
    said = f"There is {nobody} in the public group Invoice Approvers"
    if approval.limits:
        raise Wrong(f"{said}: what is above INVOICING_APPROVAL__LIMITS waits, and none is told.")
    return f"{said}, and no limit of INVOICING_APPROVAL__LIMITS asks for approval."


def _installed(name: str) -> str:
    """What the package brings has its namespace before its name."""
    namespace = settings().salesforce.namespace
    return f"{namespace}__{name}" if namespace else name


def _has_own_type(describe: Describe) -> bool:
    """Whether the org does without the package's settings, having a mapping of its own."""
    return bool(settings().mapping) and describe(_installed(SETTING)) is None


def _setting(describe: Describe, record: str, field: str) -> str | None:
    """What a record of the package's custom metadata says; None: there is none, or it is empty."""
    kind, column = _installed(SETTING), _installed(field)
    described = describe(kind)
    if described is None:
        raise Wrong(f"There is no custom metadata type {kind}, or the user may not read it.")
    if column not in {each["name"] for each in described["fields"]}:
        return None
    found = salesforce.client().query(Query(kind, [column], where=equals("DeveloperName", record)))
    return found[0][column] if found else None


def _mapping(describe: Describe) -> str:
    mapping = org_mapping()
    if mapping is None:
        return "There is none: the org has the package's own names."
    wrong = [*own_mistakes(mapping), *path_mistakes(mapping, describe)]
    _refuse([*wrong, *data_mistakes(mapping, salesforce.client(), describe)])
    return "What it names beside objects and their fields is there."


def _object(describe: Describe, ours: str) -> str:
    mapping, client = org_mapping() or OrgMapping(), salesforce.client()
    if not Names(mapping).keeps(ours):
        return "The org does without it."
    _refuse(object_mistakes(ours, mapping, describe, client.object_names))
    return "The user sees what is needed, and may do what is needed."


def _refuse(wrong: list[str]) -> None:
    if wrong:
        raise Wrong(first_of(wrong, NAMED_AT_MOST))


def _countries(describe: Describe) -> str:
    """Source: Salesforce's help on state and country picklists (fields with Code at the end)."""
    account = describe("Account")
    if account is None:
        raise Wrong("The user does not see Accounts.")
    names = {field["name"] for field in account["fields"]}
    if "BillingCountryCode" in names:
        return "Picklists are on: each Account has its country's code."
    if "BillingCountry" in names:
        return (
            "Picklists are off: people type countries, which are known by name where they can be."
        )
    raise Wrong("The user does not see the billing address of Accounts.")


def _api_calls() -> str:
    limit = settings().salesforce.api_usage_limit
    grant = "Grant View Setup and Configuration, or look in Setup → Company Information."
    with found_as(Untold, EnvironmentMismatch, Rejected, remedy=grant):
        used = salesforce.client().api_usage()
    if used >= limit:
        raise Wrong(f"{used:.0%} of the day's calls are used, and bulk work stops at {limit:.0%}.")
    return f"{used:.0%} of the day's calls are used."
