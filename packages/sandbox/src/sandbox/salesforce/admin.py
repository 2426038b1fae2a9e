"""The admin endpoints of this sandbox, beside the ones all sandboxes have."""

from __future__ import annotations

from sqlite3 import IntegrityError
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.common import saved_states
from sandbox.common.admin import takes
from sandbox.salesforce import custom_metadata, deletion, merge, records
from sandbox.salesforce.asgi import Salesforce
from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.generate import Size, generate
from sandbox.salesforce.oauth import CONSUMER_KEY
from sandbox.salesforce.org_rules import PROFILES, OrgRule
from sandbox.salesforce.seed import Seed
from sandbox.salesforce.withheld_access import Withheld


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ResetOrder(_Order):
    """Forget all records and begin again from a seed, with several currencies or with one."""

    seed: Seed = "demo"
    currency: Literal["USD", "EUR", "JPY"] | None = None
    profiles: list[
        Literal["country-picklists", "person-accounts", "lightning-pages", "predefined-actions"]
    ] = []


class LimitsOrder(_Order):
    """The API allowance of 24 hours, and whether going past it is refused."""

    allowance: int = Field(100_000, ge=0)
    enforced: bool = False


class GenerateOrder(_Order):
    """A data set to add: the same seed and sizes always give the same records."""

    seed: int = Field(1, ge=0, le=9_999)
    accounts: int = Field(100, ge=1, le=1_000_000)
    invoices: int = Field(1_000, ge=0, le=10_000_000)
    lines: int = Field(1, ge=0, le=20)
    days: int = Field(365, ge=1, le=3_650)
    drift: float = Field(0, ge=0, le=1, description="Share that is behind Stripe.")


class PermissionsOrder(_Order):
    """What is taken from the integration user: see `Withheld`."""

    hidden: list[str] = []
    read_only: list[str] = []
    denied: dict[str, list[Literal["createable", "updateable", "deletable"]]] = {}


class LocksOrder(_Order):
    """How long writes keep their row locks, and how long others wait for them (real seconds)."""

    hold: float = Field(0.0, ge=0)
    wait: float = Field(10.0, ge=0)


class RulesOrder(_Order):
    """The rules of the org's own people from now on: by their profiles, of one's own, or both."""

    profiles: list[str] = Field(default_factory=list)
    rules: list[OrgRule] = Field(default_factory=list)

    @field_validator("profiles")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        if unknown := set(names) - PROFILES.keys():
            raise ValueError(f"no such profiles: {sorted(unknown)}; there are {sorted(PROFILES)}")
        return names


class BulkOrder(_Order):
    """How often a new Bulk job is asked for before it says that it has completed."""

    pending_polls: int = Field(0, ge=0)


class MetadataOrder(_Order):
    """How often a retrieve or a deploy is asked for before it says that it is over."""

    pending_polls: int = Field(0, ge=0)


class BatchesOrder(_Order):
    """Batches of random sizes up to a largest, where there is one."""

    largest: int | None = Field(None, ge=1, le=2_000)
    seed: int = 1


class LoginsOrder(_Order):
    """The only audience that a JWT may have, and how often a user may log in within an hour."""

    audience: str | None = None
    hourly: int = Field(3_600, ge=0)


class UserOrder(_Order):
    """The permission sets that the user has and nothing else; none: everything is allowed."""

    permission_sets: list[str] | None = None


class Credentials(BaseModel):
    """The app's secrets by consumer key: two sets are in force while they are rotated.

    Source: Salesforce Help, "Stage, Rotate, and Delete OAuth Credentials for an External Client
    App" (xcloud.eca_stage_oauth_credentials)
    """

    model_config = ConfigDict(extra="forbid")

    secrets: dict[str, str]


class PeopleOrder(_Order):
    """Somebody else who calls the API: a name, and the permission sets; null: an administrator."""

    name: str
    permission_sets: list[str] | None = []
    groups: list[str] = Field([], description="Public groups that they are in.")


class CustomMetadataOrder(_Order):
    """A record of a custom metadata type, as an administrator writes it in Setup."""

    name: str = Field(description="Such as Invoicing_Setting.Default.")
    values: dict[str, str | float | bool | None]


class SessionsOrder(_Order):
    """How long a session lives without being used, in seconds of sandbox time."""

    seconds: float = Field(gt=0)


class PubSubOrder(_Order):
    """How long subscribers wait for a sign of life where there are no events (real seconds)."""

    keepalive: float = Field(gt=0)


class MergeOrder(_Order):
    """Merge one or two records into a master (Salesforce offers this by SOAP and Apex)."""

    sobject: str = "Account"
    master: str
    losers: list[str]


class UndeleteOrder(_Order):
    """Take records out of the recycle bin (Salesforce offers this by SOAP and Apex)."""

    ids: list[str]


def routes(salesforce: Salesforce) -> list[Route]:
    """The routes under ``/_sandbox/`` that only this sandbox has."""
    org = salesforce.org

    @takes(ResetOrder)
    async def reset(order: ResetOrder) -> Response:
        salesforce.reset(order.seed, order.currency, order.profiles)
        return JSONResponse(order.model_dump())

    @takes(GenerateOrder, refused=(ValueError,))
    async def generate_data(order: GenerateOrder) -> Response:
        size = Size(order.accounts, order.invoices, order.lines, order.days, order.drift)
        try:
            return JSONResponse(generate(org, order.seed, size))
        except IntegrityError:
            raise ValueError(f"the data set of seed {order.seed} is there already") from None

    async def get_limits(_: object = None) -> Response:
        usage = salesforce.usage
        return JSONResponse(
            {"used": usage.count, "allowance": usage.allowance, "enforced": usage.enforced}
        )

    @takes(LimitsOrder)
    async def set_limits(order: LimitsOrder) -> Response:
        salesforce.usage.allowance = order.allowance
        salesforce.usage.enforced = order.enforced
        return await get_limits()

    @takes(PermissionsOrder)
    async def set_permissions(order: PermissionsOrder) -> Response:
        denied = {name: [str(right) for right in rights] for name, rights in order.denied.items()}
        org.withhold(Withheld(frozenset(order.hidden), frozenset(order.read_only), denied))
        return JSONResponse(order.model_dump())

    @takes(LocksOrder)
    async def set_locks(order: LocksOrder) -> Response:
        org.locks.hold, org.locks.wait = order.hold, order.wait
        return JSONResponse(order.model_dump())

    async def get_rules(_: object = None) -> Response:
        return JSONResponse([rule.model_dump() for rule in org.rules.rules])

    @takes(RulesOrder)
    async def set_rules(order: RulesOrder) -> Response:
        named = [rule for name in order.profiles for rule in PROFILES[name]]
        org.rules.rules = [rule.installed(org.namespace) for rule in named]
        org.rules.rules += [rule.model_copy() for rule in order.rules]
        return await get_rules()

    async def clear_rules(_: Request) -> Response:
        org.rules.rules = []
        return await get_rules()

    @takes(BulkOrder)
    async def set_bulk(order: BulkOrder) -> Response:
        salesforce.bulk_query.pending_polls = order.pending_polls
        salesforce.bulk_ingest.pending_polls = order.pending_polls
        return JSONResponse(order.model_dump())

    @takes(MetadataOrder)
    async def set_metadata(order: MetadataOrder) -> Response:
        salesforce.metadata_api.pending_polls = order.pending_polls
        return JSONResponse(order.model_dump())

    async def forget_metadata(_: Request) -> Response:
        org.forget_deployed()
        return JSONResponse({"deployed": 0})

    @takes(BatchesOrder)
    async def set_batches(order: BatchesOrder) -> Response:
        salesforce.cursors.batches.configure(order.largest, order.seed)
        return JSONResponse(order.model_dump())

    @takes(UserOrder)
    async def set_user(order: UserOrder) -> Response:
        try:
            org.use_permission_sets(order.permission_sets)
        except KeyError as unknown:
            return JSONResponse({"errors": [{"msg": f"no permission set {unknown}"}]}, 400)
        return JSONResponse(order.model_dump())

    @takes(PeopleOrder, refused=(KeyError, SalesforceError))
    async def hire(order: PeopleOrder) -> Response:
        first, _, last = order.name.rpartition(" ")
        word = order.name.replace(" ", ".").lower()
        body = {"FirstName": first, "LastName": last, "Alias": word[:8], "IsActive": True}
        body |= dict.fromkeys(("Username", "Email"), f"{word}@northwind.example.com")
        with org.store.transaction():
            user_id = records.create(org, org.sobject("User"), body)
            org.hire(user_id, order.permission_sets, order.groups)
        return JSONResponse({"id": user_id, "access_token": salesforce.sessions.open(user_id)})

    @takes(CustomMetadataOrder, refused=(KeyError, SalesforceError))
    async def set_custom_metadata(order: CustomMetadataOrder) -> Response:
        custom_metadata.save(org, order.name, order.values)
        return JSONResponse(order.model_dump())

    async def get_logins(_: Request) -> Response:
        authority = salesforce.authority
        return JSONResponse({"count": authority.count, "hourly": authority.hourly})

    @takes(LoginsOrder)
    async def set_logins(order: LoginsOrder) -> Response:
        salesforce.authority.audience = order.audience
        salesforce.authority.hourly = order.hourly
        return JSONResponse(order.model_dump())

    @takes(SessionsOrder)
    async def set_sessions(order: SessionsOrder) -> Response:
        salesforce.sessions.seconds = order.seconds
        return JSONResponse({"seconds": order.seconds})

    async def end_sessions(_: Request) -> Response:
        salesforce.sessions.end_all()
        return JSONResponse({"sessions": 0})

    async def set_certificate(request: Request) -> Response:
        try:
            app = request.query_params.get("app", CONSUMER_KEY)
            salesforce.authority.register(await request.body(), app)
        except ValueError as error:
            return JSONResponse({"errors": [{"msg": str(error)}]}, 400)
        return JSONResponse({"registered": True})

    @takes(Credentials)
    async def set_credentials(order: Credentials) -> Response:
        salesforce.authority.secrets = order.secrets
        return JSONResponse({"keys": list(order.secrets)})

    async def get_pubsub(_: object = None) -> Response:
        if salesforce.pubsub is None:
            return JSONResponse({"errors": [{"msg": "the Pub/Sub API is not served"}]}, 404)
        served = salesforce.pubsub
        return JSONResponse({"port": served.port, "subscribers": served.subscribers})

    @takes(PubSubOrder)
    async def set_pubsub(order: PubSubOrder) -> Response:
        if salesforce.pubsub:
            salesforce.pubsub.keepalive = order.keepalive
        return await get_pubsub()

    async def break_streams(_: Request) -> Response:
        if salesforce.pubsub:
            salesforce.pubsub.break_streams()
        return await get_pubsub()

    async def get_notifications(_: Request) -> Response:
        return JSONResponse({"sent": salesforce.notifications.sent})

    @takes(MergeOrder)
    async def merge_records(order: MergeOrder) -> Response:
        try:
            merge.merge(org, org.sobject(order.sobject), order.master, order.losers)
        except SalesforceError as error:
            return JSONResponse(error.as_response(), 400)
        return JSONResponse({"master": order.master, "merged": order.losers})

    @takes(UndeleteOrder, refused=(KeyError, SalesforceError))
    async def undelete(order: UndeleteOrder) -> Response:
        for record_id in order.ids:
            deletion.undelete(org, org.schema.by_prefix[record_id[:3]], record_id)
        return JSONResponse({"undeleted": order.ids})

    async def empty_recycle_bin(_: Request) -> Response:
        return JSONResponse({"removed": deletion.empty_recycle_bin(org)})

    return [
        Route("/_sandbox/reset", reset, methods=["POST"]),
        Route("/_sandbox/generate", generate_data, methods=["POST"]),
        Route("/_sandbox/limits", get_limits, methods=["GET"]),
        Route("/_sandbox/limits", set_limits, methods=["POST"]),
        Route("/_sandbox/permissions", set_permissions, methods=["POST"]),
        Route("/_sandbox/locks", set_locks, methods=["POST"]),
        Route("/_sandbox/rules", get_rules, methods=["GET"]),
        Route("/_sandbox/rules", set_rules, methods=["POST"]),
        Route("/_sandbox/rules", clear_rules, methods=["DELETE"]),
        Route("/_sandbox/bulk", set_bulk, methods=["POST"]),
        Route("/_sandbox/metadata", set_metadata, methods=["POST"]),
        Route("/_sandbox/metadata", forget_metadata, methods=["DELETE"]),
        Route("/_sandbox/batches", set_batches, methods=["POST"]),
        Route("/_sandbox/logins", get_logins, methods=["GET"]),
        Route("/_sandbox/logins", set_logins, methods=["POST"]),
        Route("/_sandbox/user", set_user, methods=["POST"]),
        Route("/_sandbox/people", hire, methods=["POST"]),
        Route("/_sandbox/custom-metadata", set_custom_metadata, methods=["POST"]),
        Route("/_sandbox/sessions", set_sessions, methods=["POST"]),
        Route("/_sandbox/sessions", end_sessions, methods=["DELETE"]),
        Route("/_sandbox/certificate", set_certificate, methods=["POST"]),
        Route("/_sandbox/credentials", set_credentials, methods=["POST"]),
        Route("/_sandbox/pubsub", get_pubsub, methods=["GET"]),
        Route("/_sandbox/pubsub", set_pubsub, methods=["POST"]),
        Route("/_sandbox/pubsub", break_streams, methods=["DELETE"]),
        Route("/_sandbox/notifications", get_notifications, methods=["GET"]),
        Route("/_sandbox/merge", merge_records, methods=["POST"]),
        Route("/_sandbox/undelete", undelete, methods=["POST"]),
        Route("/_sandbox/recycle-bin", empty_recycle_bin, methods=["DELETE"]),
        *saved_states.routes(org.store),
    ]
