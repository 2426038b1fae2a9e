"""Pages for people: accounts, invoices, and the buttons of the Salesforce package."""

# ruff: noqa: S608  table and column names come from the schema, values are bound

from __future__ import annotations

import uuid
from datetime import timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox.common import web
from sandbox.salesforce import presentation
from sandbox.salesforce.buttons import BUTTONS, Button
from sandbox.salesforce.ids import is_id, normalize
from sandbox.salesforce.oauth import CONSUMER_KEY, CONSUMER_SECRET
from sandbox.salesforce.org import ORGANIZATION_ID, STANDARD_PRICEBOOK_ID, Org
from sandbox.salesforce.prefect import Prefect, PrefectError
from sandbox.salesforce.schema import SObject
from sandbox.salesforce.store import Row, quoted

HERE = Path(__file__).parent
TERMS = timedelta(days=30)
"""The due date a new invoice is offered."""
LIST_ROWS = 100
RELATED_ROWS = 20


class Pages:
    """All pages of the org, under the paths Salesforce itself uses.

    Args:
        org: Whose records are shown.
        base_url: Where the sandbox is reached.
        prefect: The server that the buttons talk to, if there is one.
    """

    def __init__(self, org: Org, base_url: str, prefect: Prefect | None) -> None:
        self._org = org
        self._base_url = base_url
        self._prefect = prefect
        self._environment = web.environment(HERE / "templates")
        self._environment.filters.update(presentation.FILTERS)

    def routes(self) -> list[BaseRoute]:
        """The routes of the pages."""
        record = "/lightning/r/{name}/{record_id}"
        return [
            Route("/", self._index),
            Route("/lightning/o/{name}/list", self._list),
            Route(f"{record}/view", self._view),
            Route("/lightning/r/Account/{record_id}/raise", self._raise_form),
            Route("/lightning/r/Account/{record_id}/raise", self._raise, methods=["POST"]),
            Route("/lightning/r/Stripe_Invoice__c/{record_id}/{button}", self._ask),
            Route(
                "/lightning/r/Stripe_Invoice__c/{record_id}/{button}",
                self._press,
                methods=["POST"],
            ),
            Route("/lightning/runs/{run_id}", self._run),
            Mount("/assets", StaticFiles(directory=HERE / "assets")),
            Route("/{record_id}", self._by_id),
        ]

    # -- to look at

    async def _index(self, _: Request) -> Response:
        counts = {
            sobject.name: self._org.store.one(
                f"SELECT COUNT(*) FROM {quoted(sobject.name)} WHERE IsDeleted = 0"
            )
            for sobject in self._org.schema
        }
        return self._page(
            "index.html",
            counts=counts,
            objects=self._org.schema.objects,
            organization=self._org.store.get(self._org.sobject("Organization"), ORGANIZATION_ID),
            user=self._org.store.get(self._org.sobject("User"), self._org.user_id),
            base_url=self._base_url,
            consumer_key=CONSUMER_KEY,
            consumer_secret=CONSUMER_SECRET,
            now=self._org.clock.time(),
        )

    async def _list(self, request: Request) -> Response:
        sobject = self._org.schema.find(request.path_params["name"])
        if sobject is None:
            return self._missing()
        order = "Name" if sobject.name_field and not sobject.custom else "rowid DESC"
        rows = self._org.store.where(
            sobject, f"IsDeleted = 0 ORDER BY {order} LIMIT ?", [LIST_ROWS]
        )
        return self._page(
            "list.html",
            sobject=sobject,
            rows=rows,
            columns=presentation.list_columns(sobject),
            names=self._names(sobject, rows),
        )

    async def _view(self, request: Request) -> Response:
        sobject = self._org.schema.find(request.path_params["name"])
        row = self._row(sobject, request.path_params["record_id"])
        if sobject is None or row is None:
            return self._missing()
        run = request.query_params.get("run")
        match sobject.name:
            case "Account" if "Stripe_Invoice__c" in self._org.schema.objects:
                return self._account(sobject, row, run)
            case "Stripe_Invoice__c":
                return self._invoice(sobject, row, run)
        return self._record("record.html", sobject, row, run)

    async def _by_id(self, request: Request) -> Response:
        record_id = request.path_params["record_id"]
        sobject = self._org.schema.by_prefix.get(record_id[:3]) if is_id(record_id) else None
        return RedirectResponse(_url(sobject.name, record_id)) if sobject else self._missing()

    def _account(self, sobject: SObject, row: Row, run: str | None) -> Response:
        contacts, invoices = (
            self._org.store.where(
                self._org.sobject(name),
                f"{field} = ? AND IsDeleted = 0 ORDER BY rowid DESC LIMIT ?",
                [row["Id"], RELATED_ROWS],
            )
            for name, field in (("Contact", "AccountId"), ("Stripe_Invoice__c", "Account__c"))
        )
        return self._record("account.html", sobject, row, run, contacts=contacts, invoices=invoices)

    def _invoice(self, sobject: SObject, row: Row, run: str | None) -> Response:
        lines, names = self._invoice_lines(row)
        return self._record(
            "invoice.html",
            sobject,
            row,
            run,
            lines=lines,
            line_names=names,
            timeline=self._timeline(row),
            token=uuid.uuid4().hex,
            actions=[button for button in BUTTONS.values() if button.is_shown(row)],
        )

    def _invoice_lines(self, row: Row) -> tuple[list[Row], dict[str, str]]:
        """An invoice's lines in order, and the names of what they refer to."""
        line = self._org.sobject("Stripe_Invoice_Line__c")
        lines = self._org.store.where(
            line, "Invoice__c = ? AND IsDeleted = 0 ORDER BY Position__c, rowid", [row["Id"]]
        )
        return lines, self._names(line, lines)

    def _timeline(self, row: Row) -> list[Row]:
        """What happened to an invoice, the newest first."""
        if "Stripe_Invoice_Event__c" not in self._org.schema.objects:
            return []
        return self._org.store.where(
            self._org.sobject("Stripe_Invoice_Event__c"),
            "Invoice__c = ? AND IsDeleted = 0 ORDER BY Happened_At__c DESC, rowid DESC LIMIT ?",
            [row["Id"], RELATED_ROWS],
        )

    def _record(
        self, template: str, sobject: SObject, row: Row, run: str | None, **more: Any
    ) -> Response:
        return self._page(
            template,
            sobject=sobject,
            row=row,
            names=self._names(sobject, [row]),
            groups=presentation.groups(sobject),
            run=run,
            **more,
        )

    # -- to press

    async def _raise_form(self, request: Request) -> Response:
        return self._form(request.path_params["record_id"])

    def _form(self, record_id: str, given: FormData | None = None, error: str = "") -> Response:
        account = self._row(self._org.sobject("Account"), record_id)
        if account is None:
            return self._missing()
        entries = self._org.store.where(
            self._org.sobject("PricebookEntry"),
            "Pricebook2Id = ? AND CurrencyIsoCode IS ? AND IsActive = 1 AND IsDeleted = 0 "
            "ORDER BY Name",
            [STANDARD_PRICEBOOK_ID, account["CurrencyIsoCode"]],
        )
        due = self._org.clock.instant().date() + TERMS
        return self._page(
            "raise.html",
            400 if error else 200,
            account=account,
            entries=entries,
            description=str(given["description"]) if given else "",
            due_date=str(given["due_date"]) if given else due.isoformat(),
            lines=_lines(given) if given else [],
            token=str(given["token"]) if given else uuid.uuid4().hex,
            error=error,
        )

    async def _raise(self, request: Request) -> Response:
        form = await request.form()
        account_id = request.path_params["record_id"]
        parameters = {
            "account": account_id,
            "description": str(form["description"]),
            "due_date": str(form["due_date"]),
            "lines": _lines(form),
            "request_id": str(form["token"]),
        }
        try:
            run = await self._start("raise-invoice", parameters, str(form["token"]))
        except PrefectError as error:
            return self._form(account_id, form, str(error))
        return RedirectResponse(f"{_url('Account', account_id)}?run={run}", 303)

    def _pressed(self, request: Request) -> tuple[Button, Row] | None:
        button = BUTTONS.get(request.path_params["button"])
        row = self._row(self._org.sobject("Stripe_Invoice__c"), request.path_params["record_id"])
        return (button, row) if button and row else None

    async def _ask(self, request: Request) -> Response:
        pressed = self._pressed(request)
        return self._action(*pressed) if pressed and pressed[0].explained else self._missing()

    def _action(
        self, button: Button, row: Row, given: FormData | None = None, error: str = ""
    ) -> Response:
        lines, names = self._invoice_lines(row)
        return self._page(
            "action.html",
            502 if error else 200,
            button=button,
            row=row,
            lines=lines,
            line_names=names,
            given=given or {},
            token=str(given["token"]) if given else uuid.uuid4().hex,
            error=error,
        )

    async def _press(self, request: Request) -> Response:
        pressed = self._pressed(request)
        if pressed is None:
            return self._missing()
        button, row = pressed
        form = await request.form()
        parameters = button.parameters(form, self._invoice_lines(row)[0])
        key = f"{button.deployment}:{row['Id']}:{form.get('token', '')}"
        try:
            run = await self._start(button.deployment, {"invoice": row["Id"], **parameters}, key)
        except PrefectError as error:
            if button.explained:
                return self._action(button, row, form, str(error))
            return self._page("refused.html", 502, record_id=row["Id"], error=str(error))
        return RedirectResponse(f"{_url('Stripe_Invoice__c', row['Id'])}?run={run}", 303)

    async def _run(self, request: Request) -> Response:
        if self._prefect is None:
            return JSONResponse({"error": "no Prefect server is configured"}, 404)
        try:
            run = await self._prefect.run(request.path_params["run_id"])
        except PrefectError as error:
            return JSONResponse({"error": str(error)}, 502)
        shown = {name: getattr(run, name) for name in ("name", "state", "message", "final", "url")}
        return JSONResponse(shown)

    async def _start(self, deployment: str, parameters: dict[str, Any], key: str) -> str:
        if self._prefect is None:
            raise PrefectError("Start the sandbox with --prefect-url to use its buttons.")
        return await self._prefect.start(deployment, parameters, key)

    # -- helpers

    def _row(self, sobject: SObject | None, record_id: str) -> Row | None:
        if sobject is None or not is_id(record_id):
            return None
        row = self._org.store.get(sobject, normalize(record_id))
        return None if row is None or row["IsDeleted"] else row

    def _names(self, sobject: SObject, rows: list[Row]) -> dict[str, str]:
        """The names of the records that these rows refer to, by id."""
        names: dict[str, str] = {}
        for field in sobject.fields.values():
            for target in field.to:
                parent = self._org.sobject(target)
                for row in rows:
                    found = self._org.store.get(parent, row[field.name] or "")
                    if found is not None:
                        names[found["Id"]] = str(found.get("Name") or found["Id"])
        return names

    def _missing(self) -> Response:
        return self._page("missing.html", 404)

    def _page(self, template: str, status: int = 200, **values: Any) -> Response:
        text = self._environment.get_template(template).render(
            buttons=self._prefect is not None, schema=self._org.schema, **values
        )
        return HTMLResponse(text, status)


def _url(sobject: str, record_id: str) -> str:
    return f"/lightning/r/{sobject}/{record_id}/view"


def _lines(form: FormData) -> list[dict[str, str]]:
    """The lines of the form as the flow takes them; rows without a product are left out."""
    names = ("product", "quantity", "unit_price", "text")
    columns = ([str(value).strip() for value in form.getlist(name)] for name in names)
    lines = []
    for product, quantity, unit_price, text in zip_longest(*columns, fillvalue=""):
        if product:
            line = {
                "product": product,
                "quantity": quantity or "1",
                "unit_price": unit_price,
                "description": text,
            }
            lines.append({name: value for name, value in line.items() if value})
    return lines
