"""Pages for people, under the paths that Salesforce itself uses where it has any."""

# ruff: noqa: S608  table and column names come from the schema, values are bound

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox.common import page_templates
from sandbox.salesforce import deletion, lookup_search, records
from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.flow_definition import Unsupported
from sandbox.salesforce.ids import is_id, normalize
from sandbox.salesforce.lightning_components.bundle import NotBuilt, bundle_of
from sandbox.salesforce.notifications import Notifications
from sandbox.salesforce.oauth import CONSUMER_KEY, CONSUMER_SECRET, Sessions
from sandbox.salesforce.org import AT_A_PAGE, ORGANIZATION_ID, USER_ID, Org, Person
from sandbox.salesforce.pages import presentation, record_form
from sandbox.salesforce.pages.list_view import list_of
from sandbox.salesforce.pages.open_interviews import Dialogue, Dialogues
from sandbox.salesforce.pages.record_page import RelatedList, Section, form_of, page_of
from sandbox.salesforce.pages.ui_records import ui_record
from sandbox.salesforce.schema import Field, SObject
from sandbox.salesforce.store import Row, quoted

HERE = Path(__file__).parent
Handler = Callable[[Request], Awaitable[Response]]
TABS = ("Account", "Contact", "Opportunity", "Product2")
"""The tabs of an org whose package brings no app."""

SESSION = "sid"
"""The cookie of whoever has logged in."""

NO_ACCESS = "You don't have access to this flow. Ask an administrator for it."


class Pages:
    """All pages of the org.

    Args:
        org: Whose records are shown.
        sessions: Those of people who have logged in.
        notifications: What people were told.
        base_url: Where the sandbox is reached.
    """

    def __init__(
        self, org: Org, sessions: Sessions, notifications: Notifications, base_url: str
    ) -> None:
        self._org = org
        self._sessions = sessions
        self._notifications = notifications
        self._base_url = base_url
        self._dialogues = Dialogues(org)
        self._environment = page_templates.environment(HERE / "templates")
        self._environment.filters.update(presentation.FILTERS)
        self._environment.globals["held"] = record_form.held

    def _asked(self, handler: Handler) -> Handler:
        """A page that a person looks at, or something that a person does on it."""

        async def handle(request: Request) -> Response:
            try:
                person = self._logged_in(request.cookies.get(SESSION))
            except SalesforceError:
                return self._page("session_ended.html", 401, person=None)
            with self._org.asked_by(person):
                return await handler(request)

        return handle

    def _logged_in(self, session: str | None) -> Person | None:
        """Whose session it is; None: the integration user's.

        Raises:
            SalesforceError: It has ended.
        """
        if session is None:
            return AT_A_PAGE
        return self._org.people.get(self._sessions.whose(self._sessions.check(f"OAuth {session}")))

    def routes(self) -> list[BaseRoute]:
        """The routes of the pages."""
        record, objects = "/lightning/r/{name}/{record_id}", "/lightning/o/{name}"
        both = ["GET", "POST"]
        return [
            Route("/", self._asked(self._index)),
            Route("/secur/frontdoor.jsp", self._enter),
            Route(f"{objects}/list", self._asked(self._list)),
            Route(f"{objects}/new", self._asked(self._new), methods=both),
            Route(f"{record}/view", self._asked(self._view)),
            Route(f"{record}/edit", self._asked(self._edit), methods=both),
            Route(f"{record}/delete", self._asked(self._delete), methods=["POST"]),
            Route("/lightning/action/quick/{action}", self._asked(self._press), methods=["POST"]),
            Route("/lightning/interviews/{interview_id}", self._asked(self._ask)),
            Route(
                "/lightning/interviews/{interview_id}", self._asked(self._answer), methods=["POST"]
            ),
            Route("/lightning/notifications/{number:int}", self._asked(self._read)),
            Route("/lightning/lookup/{name}", self._asked(self._look_up)),
            Route("/lightning/components/{name}", self._component),
            Route("/lightning/ui-api/records/{record_id}", self._asked(self._ui_record)),
            Mount("/assets", StaticFiles(directory=HERE / "assets")),
            Route("/{record_id}", self._asked(self._by_id)),
        ]

    async def _enter(self, request: Request) -> Response:
        """Log in with a session of the API, and open a page.

        Source: https://help.salesforce.com/s/articleView?id=xcloud.security_frontdoorjsp.htm
        """
        there = request.query_params.get("retURL", "").lstrip("/")
        answer = RedirectResponse(f"/{there}")
        answer.set_cookie(SESSION, request.query_params.get("sid", ""), httponly=True)
        return answer

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
            user=self._org.store.get(self._org.sobject("User"), USER_ID),
            base_url=self._base_url,
            consumer_key=CONSUMER_KEY,
            consumer_secret=CONSUMER_SECRET,
            now=self._org.clock.time(),
        )

    async def _list(self, request: Request) -> Response:
        sobject = self._object(request)
        name = request.query_params.get("filterName", "")
        listed = list_of(self._org, sobject, name) if sobject else None
        if sobject is None or listed is None:
            return self._missing()
        names = self._names(listed.columns, listed.rows)
        return self._page("list.html", sobject=sobject, listed=listed, names=names)

    async def _view(self, request: Request) -> Response:
        sobject, row = self._record(request)
        if sobject is None or row is None:
            return self._missing()
        page = page_of(self._org, sobject, row)
        names = self._names(sobject.fields.values(), [row])
        for block in page.blocks:
            if isinstance(block, RelatedList):
                names |= self._names(block.columns, list(block.rows))
        return self._page("record.html", sobject=sobject, row=row, page=page, names=names)

    async def _by_id(self, request: Request) -> Response:
        record_id = request.path_params["record_id"]
        sobject = self._org.schema.by_prefix.get(record_id[:3]) if is_id(record_id) else None
        return RedirectResponse(_url(sobject.name, record_id)) if sobject else self._missing()

    async def _read(self, request: Request) -> Response:
        """Go to the record that somebody was notified of, who has read it from then on."""
        number = request.path_params["number"]
        for told in self._notifications.of(self._org.recipients):
            if told.number == number:
                told.readers.add(self._org.user_id)
                return RedirectResponse(f"/{told.target}")
        return self._missing()

    async def _look_up(self, request: Request) -> Response:
        sobject = self._org.schema.find(request.path_params["name"])
        if sobject is None or sobject.name_field is None:
            return JSONResponse([], 404)
        found = lookup_search.search(self._org, sobject, request.query_params.get("q", ""))
        beside = next(f for f in presentation.list_columns(sobject) if f.name != "Name")
        return JSONResponse(
            [
                {
                    "id": row["Id"],
                    "name": row["Name"],
                    "detail": presentation.plain(row[beside.name], beside),
                }
                for row in found
            ]
        )

    async def _component(self, request: Request) -> Response:
        folder = self._org.package.component(request.path_params["name"])
        if folder is None:
            return PlainTextResponse("the package does not bring it.", 404)
        try:
            bundle = await run_in_threadpool(bundle_of, folder)
        except NotBuilt as error:
            return PlainTextResponse(f"{error}.", 501)
        return Response(bundle, media_type="text/javascript")

    async def _ui_record(self, request: Request) -> Response:
        fields = request.query_params.get("fields", "").split(",")
        try:
            with self._org.asked_by_the_user():
                return JSONResponse(ui_record(self._org, request.path_params["record_id"], fields))
        except SalesforceError as error:
            return JSONResponse(error.as_response(), error.status)

    # -- to change

    async def _new(self, request: Request) -> Response:
        sobject = self._object(request)
        if sobject is None:
            return self._missing()
        sections = form_of(self._org, sobject)
        asked = dict(request.query_params)
        row = {f.name: f.default for f in sobject.fields.values()} | self._org.own_values(
            sobject.name, asked
        )
        back = asked.get("retURL") or f"/lightning/o/{sobject.name}/list"
        if request.method == "GET":
            return self._form(sobject, sections, row, back)
        given = await _given(request)
        values, mistakes = record_form.read(self._org, sections, {}, given)
        try:
            made = "" if mistakes else records.create(self._org, sobject, values)
        except SalesforceError as error:
            return self._form(sobject, sections, row, back, given, _told(error), error.message)
        if mistakes:
            return self._form(sobject, sections, row, back, given, mistakes)
        return RedirectResponse(asked.get("retURL") or _url(sobject.name, made), 303)

    async def _edit(self, request: Request) -> Response:
        sobject, row = self._record(request)
        if sobject is None or row is None:
            return self._missing()
        sections, back = page_of(self._org, sobject, row).sections, _url(sobject.name, row["Id"])
        if request.method == "GET":
            return self._form(sobject, sections, row, back)
        given = await _given(request)
        values, mistakes = record_form.read(self._org, sections, row, given)
        if mistakes:
            return self._form(sobject, sections, row, back, given, mistakes)
        try:
            if values:
                records.update(self._org, sobject, row["Id"], values)
        except SalesforceError as error:
            return self._form(sobject, sections, row, back, given, _told(error), error.message)
        return RedirectResponse(back, 303)

    async def _delete(self, request: Request) -> Response:
        sobject, row = self._record(request)
        if sobject is None or row is None:
            return self._missing()
        try:
            deletion.delete(self._org, sobject, row["Id"])
        except SalesforceError as error:
            return self._page("refused.html", 400, record_id=row["Id"], error=error.message)
        master = next((f for f in sobject.fields.values() if f.master), None)
        if master is not None:
            return RedirectResponse(f"/{row[master.name]}", 303)
        return RedirectResponse(f"/lightning/o/{sobject.name}/list", 303)

    def _form(
        self,
        sobject: SObject,
        sections: list[Section],
        row: Row,
        back: str,
        given: dict[str, str] | None = None,
        mistakes: dict[str, str] | None = None,
        refusal: str = "",
    ) -> Response:
        """A record's fields to fill in, as they are or as they were typed."""
        shown = [s for s in sections if record_form.editable([s])]
        return self._page(
            "form.html",
            400 if mistakes or refusal else 200,
            sobject=sobject,
            sections=shown,
            row=row,
            given=given,
            mistakes=mistakes or {},
            refusal=refusal,
            back=back,
            names=self._names(sobject.fields.values(), [row]),
        )

    # -- to press

    async def _press(self, request: Request) -> Response:
        action = self._org.package.actions.get(request.path_params["action"])
        record_id = str((await request.form()).get("recordId", ""))
        if action is None or not is_id(record_id):
            return self._missing()
        try:
            if not self._org.may_start(action.flow):
                return self._page("refused.html", 403, record_id=record_id, error=NO_ACCESS)
            dialogue = self._dialogues.begin(action, normalize(record_id))
        except Unsupported as error:
            return self._page("refused.html", 501, record_id=record_id, error=str(error))
        return RedirectResponse(f"/lightning/interviews/{dialogue.interview.id}", 303)

    async def _ask(self, request: Request) -> Response:
        dialogue = self._dialogues.find(request.path_params["interview_id"])
        return self._dialogue(dialogue) if dialogue else self._page("over.html", 404)

    async def _answer(self, request: Request) -> Response:
        dialogue = self._dialogues.find(request.path_params["interview_id"])
        if dialogue is None:
            return self._page("over.html", 404)
        given, interview = await _given(request), dialogue.interview
        if given.get("_step") == str(interview.step):
            act = {"back": interview.back, "look": interview.look_again}
            act.get(given.get("_way", ""), interview.next)(given)
        if given.get("_way") == "look":
            return self._dialogue(dialogue)
        return RedirectResponse(f"/lightning/interviews/{interview.id}", 303)

    def _dialogue(self, dialogue: Dialogue) -> Response:
        record_id, interview = dialogue.record_id, dialogue.interview
        shown = interview.shown()
        if interview.failure:
            self._dialogues.end(dialogue)
            return self._page("refused.html", 500, record_id=record_id, error=interview.failure)
        if interview.screen is None:
            self._dialogues.end(dialogue)
            return RedirectResponse(f"/{record_id}", 303)
        sobject = self._org.schema.by_prefix.get(record_id[:3])
        row = self._org.store.get(sobject, record_id) if sobject else None
        return self._page(
            "interview.html",
            dialogue=dialogue,
            interview=interview,
            screen=interview.screen,
            components=shown,
            objects=self._org.schema.objects,
            row=row,
        )

    # -- helpers

    def _object(self, request: Request) -> SObject | None:
        """The object that a page is about, as whoever is asking sees it."""
        found = self._org.schema.find(request.path_params["name"])
        return self._org.on_pages(found) if found else None

    def _record(self, request: Request) -> tuple[SObject | None, Row | None]:
        sobject = self._object(request)
        record_id = request.path_params["record_id"]
        if sobject is None or not is_id(record_id):
            return sobject, None
        row = self._org.store.get(sobject, normalize(record_id))
        return sobject, None if row is None or row["IsDeleted"] else row

    def _names(self, fields: Any, rows: list[Row]) -> dict[str, str]:
        """The names of the records that these fields of some rows refer to, by id."""
        names: dict[str, str] = {}
        references: list[Field] = [field for field in fields if field.to]
        for field in references:
            parent = self._org.sobject(field.to[0])
            for record_id in {str(row[field.name]) for row in rows if row.get(field.name)}:
                found = self._org.store.get(parent, record_id)
                if found is not None:
                    names[found["Id"]] = str(found.get("Name") or found["Id"])
        return names

    def _missing(self) -> Response:
        return self._page("missing.html", 404)

    def _page(self, template: str, status: int = 200, **values: Any) -> Response:
        package = self._org.package
        objects = self._org.schema.objects
        there = [name for name in package.tabs or TABS if name in objects]
        tabs = [name for name in there if self._org.on_pages(objects[name])]
        person = self._org.store.get(self._org.sobject("User"), self._org.user_id)
        told = self._notifications.of(self._org.recipients)
        around = {
            "app": package.app,
            "tabs": tabs,
            "schema": self._org.schema,
            "person": person,
            "told": told,
            "new": [one for one in told if self._org.user_id not in one.readers],
        }
        text = self._environment.get_template(template).render(around | values)
        return HTMLResponse(text, status)


def _url(sobject: str, record_id: str) -> str:
    return f"/lightning/r/{sobject}/{record_id}/view"


async def _given(request: Request) -> dict[str, str]:
    return {name: str(value) for name, value in (await request.form()).items()}


def _told(error: SalesforceError) -> dict[str, str]:
    return dict.fromkeys(error.fields or [], error.message)
