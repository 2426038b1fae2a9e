"""What a record's page is made of: highlights, actions, fields, related lists.

Records have their object's Lightning page, or else its layout. What has neither looks as in an org
that nobody has changed, with all fields and lists of the object and the standard actions on it.
Sources: https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/meta_flexipage.htm,
meta_layouts.htm of the same guide; Salesforce Mobile App admin guide, "How Actions Are Ordered in
the Salesforce Mobile App Action Bar" (platform actions, else quick actions and buttons, else
predefined ones).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from sandbox.salesforce.condition_logic import holds
from sandbox.salesforce.metadata_file import Part
from sandbox.salesforce.org import Org
from sandbox.salesforce.package import COLUMNS
from sandbox.salesforce.pages.presentation import list_columns
from sandbox.salesforce.schema import ChildRelationship, Field, SObject
from sandbox.salesforce.store import Row, quoted
from sandbox.salesforce.values import as_text, typed

COMPONENTS = frozenset(
    [
        *("flexipage:column", "flexipage:fieldSection", "flexipage:tab", "flexipage:tabset"),
        *("force:detailPanel", "force:highlightsPanel", "force:relatedListContainer"),
        *("force:relatedListSingleContainer", "lst:dynamicRelatedList"),
    ]
)
"""Components that pages here can be made of."""

STANDARD_ACTIONS = {"Edit": "Edit", "Delete": "Delete"}
"""Actions of every record, with what their buttons say."""

NEEDED_RIGHTS = {"Edit": "allowEdit", "Delete": "allowDelete"}
"""What whoever looks must be allowed, that they are offered."""

STANDARD_LISTS = {
    "RelatedContactList": "Contacts",
    "RelatedOpportunityList": "Opportunities",
    "RelatedLineItemList": "OpportunityLineItems",
}
"""Related lists that layouts have a name of their own for, and their relationships."""

STANDARD_COLUMNS = {
    "FULL_NAME": "Name",
    "CONTACT.TITLE": "Title",
    "CONTACT.EMAIL": "Email",
    "OPPORTUNITY.NAME": "Name",
    "OPPORTUNITY.STAGE_NAME": "StageName",
    "OPPORTUNITY.AMOUNT": "Amount",
    "OPPORTUNITY.CLOSE_DATE": "CloseDate",
    "PRODUCT.NAME": "Product2Id",
    "OPPORTUNITY_LINE_ITEM.QUANTITY": "Quantity",
    "OPPORTUNITY_LINE_ITEM.UNITPRICE": "UnitPrice",
}
"""Columns of these lists, and the fields that they show."""

_ADDRESS = ("Street", "City", "State", "StateCode", "PostalCode", "Country", "CountryCode")

OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "EQUAL": lambda left, right: bool(left == right),
    "NE": lambda left, right: bool(left != right),
    "CONTAINS": lambda left, right: as_text(right) in as_text(left),
    "GT": lambda left, right: left is not None and right is not None and bool(left > right),
    "GE": lambda left, right: left is not None and right is not None and bool(left >= right),
    "LT": lambda left, right: left is not None and right is not None and bool(left < right),
    "LE": lambda left, right: left is not None and right is not None and bool(left <= right),
}
"""How rules of visibility compare."""

_SYSTEM = frozenset(
    [
        *("Id", "IsDeleted", "CreatedDate", "CreatedById", "LastModifiedDate", "MasterRecordId"),
        *("LastModifiedById", "SystemModstamp", "OwnerId", "CurrencyIsoCode"),
    ]
)
_HIGHLIGHTED = 7
"""Fields of a compact layout that the highlights of a page have room for, the title counted."""

_ROWS = 6

OWNER = "OwnerId"
"""What no form asks for: a new record is its creator's, and another action gives it away.

Source: https://help.salesforce.com/s/articleView?id=xcloud.account_owner.htm
"""

LIST_DEFAULT = "__DEFAULT__"
"""What a list of a page's own is sorted by that does not say how.

Source: https://github.com/forcedotcom/sf-skills, lst-dynamicRelatedList.md
"""

LIST_ACTIONS = frozenset(["New"])
"""Actions of such a list that pages here can offer."""


@dataclass(frozen=True)
class Placed:
    """A field in its place on a page."""

    field: Field
    required: bool = False
    read_only: bool = False


@dataclass(frozen=True)
class Section:
    """Fields under a heading, in columns."""

    heading: str
    columns: tuple[tuple[Placed, ...], ...]


@dataclass(frozen=True)
class RelatedList:
    """Records that refer to the one on the page."""

    heading: str
    relationship: str
    sobject: SObject
    reference: Field
    columns: tuple[Field, ...]
    rows: tuple[Row, ...]
    total: int
    offers_new: bool


@dataclass(frozen=True)
class Tabs:
    """Blocks behind one another, by what their tabs say."""

    tabs: tuple[tuple[str, tuple[Block, ...]], ...]


@dataclass(frozen=True)
class _Arrangement:
    """Columns of a related list, by their names in lists, what it is sorted by, and its heading."""

    columns: Sequence[str] = ()
    order: str = ""
    descending: bool = False
    heading: str = ""


Block: TypeAlias = "Section | RelatedList | Tabs"


@dataclass(frozen=True)
class Action:
    """A button: a quick action, by its full name, or a standard one."""

    name: str
    label: str


@dataclass(frozen=True)
class RecordPage:
    """A page for one record; of its actions the first ``in_sight`` stand outside of the menu."""

    highlights: tuple[Field, ...]
    actions: tuple[Action, ...]
    in_sight: int
    main: tuple[Block, ...]
    sidebar: tuple[Block, ...]

    @property
    def blocks(self) -> list[Section | RelatedList]:
        """All that stands on it, behind tabs too."""
        return list(_spread([*self.main, *self.sidebar]))

    @property
    def sections(self) -> list[Section]:
        """The fields on it, wherever they stand."""
        return [block for block in self.blocks if isinstance(block, Section)]


def page_of(org: Org, sobject: SObject, row: Row) -> RecordPage:
    """The page of a record as it is now."""
    return _Builder(org, sobject, row).page()


def form_of(org: Org, sobject: SObject) -> list[Section]:
    """The fields that a new record of an object is asked for."""
    return _Builder(org, sobject, {}).layout()


class _Builder:
    def __init__(self, org: Org, sobject: SObject, row: Row) -> None:
        self._org = org
        self._package = org.package
        self._sobject = sobject
        self._row = row
        person = "PersonAccount" if row.get("IsPersonAccount") else ""
        layout = org.package.layout(person) if person else None
        self._layout = layout or org.package.layout(sobject.name)

    def page(self) -> RecordPage:
        page = self._package.pages.get(self._sobject.name)
        if page is None:
            return self._plain_page()
        self._facets = {r.text("name"): r for r in page.all("flexiPageRegions")}
        panel = next(
            c
            for c in page.all("flexiPageRegions/itemInstances/componentInstance")
            if c.text("componentName") == "force:highlightsPanel"
        )
        return RecordPage(
            self._highlights(),
            self._panel_actions(panel),
            int(_property(panel, "numVisibleActions") or 3),
            tuple(self._blocks("main")),
            tuple(self._blocks("sidebar")),
        )

    def _plain_page(self) -> RecordPage:
        return RecordPage(
            self._highlights(),
            self._layout_actions(),
            3,
            tuple(self.layout()),
            tuple(self._all_related()),
        )

    # -- highlights and actions

    def _highlights(self) -> tuple[Field, ...]:
        names = self._package.highlights.get(self._sobject.name)
        if names is None:
            shown = [] if self._sobject.custom else list_columns(self._sobject)
            return tuple(field for field in shown if field.name != "Name")
        seen = [self._sobject.fields.get(name) for name in names[:_HIGHLIGHTED]]
        return tuple(field for field in seen if field is not None and field.name != "Name")

    def _panel_actions(self, panel: Part) -> tuple[Action, ...]:
        """The page's own actions, though none may be left for whoever looks, or the layout's."""
        own = _properties(panel, "actionNames")
        if own and _property(panel, "enableActionsConfiguration") != "false":
            return tuple(self._chosen_actions(panel))
        return self._layout_actions()

    def _chosen_actions(self, panel: Part) -> Iterator[Action]:
        for prop in panel.all("componentInstanceProperties"):
            if prop.text("name") == "actionNames":
                for item in prop.all("valueList/valueListItems"):
                    if self._can(item.text("value")) and self._is_visible(item, unseen=True):
                        yield self._action(item.text("value"))

    def _layout_actions(self) -> tuple[Action, ...]:
        """The actions of the layout."""
        standard = ["Edit"] if self._sobject.undeletable else ["Edit", "Delete"]
        layout = self._layout
        if layout is None:
            names = standard
        elif lists := layout.all("platformActionList"):
            items = lists[0].all("platformActionListItems")
            names = [
                i.text("actionName") for i in sorted(items, key=lambda i: i.number("sortOrder"))
            ]
        else:
            hidden = layout.texts("excludeButtons")
            quick = layout.texts("quickActionList/quickActionListItems/quickActionName")
            names = [*quick, *(name for name in standard if name not in hidden)]
        return tuple(self._action(name) for name in names if self._can(name))

    def _can(self, name: str) -> bool:
        """Whether pages here can carry out an action, and whoever looks may have it done.

        Salesforce has more actions of its own. A quick action is shown to everybody.
        """
        if name in STANDARD_ACTIONS:
            return self._org.may(self._sobject, NEEDED_RIGHTS[name])
        return name in self._package.actions

    def _action(self, name: str) -> Action:
        if name in STANDARD_ACTIONS:
            return Action(name, STANDARD_ACTIONS[name])
        return Action(name, self._package.actions[name].label)

    def _is_visible(self, part: Part, *, unseen: bool = False) -> bool:
        """Whether a rule lets something be seen.

        Args:
            part: What has the rule, if any.
            unseen: What a criterion on a field that the user cannot see comes to: false, but for
                actions. Source: https://help.salesforce.com/s/articleView?
                id=platform.lightning_page_components_visibility_considerations.htm
        """
        rule = part.find("visibilityRule")
        if rule is None:
            return True
        results = [self._meets(criterion, unseen) for criterion in rule.all("criteria")]
        return holds(rule.text("booleanFilter"), results)

    def _meets(self, criterion: Part, unseen: bool) -> bool:
        name = criterion.text("leftValue").removeprefix("{!").removesuffix("}")
        wanted: Any = criterion.text("rightValue") or None
        if name.startswith("$Permission.CustomPermission."):
            left: Any = str(name.rpartition(".")[2] in self._org.custom_permissions).lower()
        else:
            field = self._sobject.fields.get(name.removeprefix("Record."))
            if field is None:
                return unseen
            left = typed(field, self._row.get(field.name))
            if isinstance(left, Decimal) and wanted is not None:
                wanted = Decimal(wanted)
            elif not isinstance(left, str) and left is not None:
                left = left.isoformat() if hasattr(left, "isoformat") else as_text(left)
        return OPERATORS[criterion.text("operator")](left, wanted)

    # -- what stands below

    def _blocks(self, region: str) -> Iterator[Block]:
        if region not in self._facets:
            return
        for component in self._facets[region].all("itemInstances/componentInstance"):
            if not self._is_visible(component):
                continue
            match component.text("componentName"):
                case "force:detailPanel":
                    yield from self.layout()
                case "flexipage:tabset":
                    yield self._tabs(component)
                case "flexipage:fieldSection":
                    yield self._field_section(component)
                case "force:relatedListContainer":
                    yield from self._all_related()
                case "force:relatedListSingleContainer":
                    yield from self._chosen_list(component)
                case "lst:dynamicRelatedList":
                    yield from self._own_list(component)

    def _tabs(self, component: Part) -> Tabs:
        facet = self._facets[_property(component, "tabs")]
        tabs = [
            tab for tab in facet.all("itemInstances/componentInstance") if self._is_visible(tab)
        ]
        return Tabs(
            tuple((_property(t, "title"), tuple(self._blocks(_property(t, "body")))) for t in tabs)
        )

    def _field_section(self, component: Part) -> Section:
        columns = self._facets[_property(component, "columns")]
        facets = [
            self._facets[_property(column, "body")]
            for column in columns.all("itemInstances/componentInstance")
        ]
        placed = (tuple(self._placed(facet)) for facet in facets)
        return Section(_property(component, "label"), tuple(placed))

    def _placed(self, facet: Part) -> Iterator[Placed]:
        for item in facet.all("itemInstances/fieldInstance"):
            if self._is_visible(item):
                behavior = _property(item, "uiBehavior", "fieldInstanceProperties")
                field = self._sobject.fields.get(item.text("fieldItem").removeprefix("Record."))
                if field is not None:
                    yield _placed(field, behavior.capitalize())

    def layout(self) -> list[Section]:
        """The fields of the layout, or all of an object that has none."""
        if self._layout is None:
            return self._all_fields()
        return [
            Section(
                part.text("label"),
                tuple(
                    tuple(
                        _placed(field, item.text("behavior"))
                        for item in column.all("layoutItems")
                        for field in self._fields(item.text("field"))
                    )
                    for column in part.all("layoutColumns")
                ),
            )
            for part in self._layout.all("layoutSections")
        ]

    def _fields(self, name: str) -> list[Field]:
        """The field of a name, or those of the address that it names."""
        address = name.removesuffix("Address")
        names = [f"{address}{part}" for part in _ADDRESS] if address != name else [name]
        return [self._sobject.fields[name] for name in names if name in self._sobject.fields]

    def _all_fields(self) -> list[Section]:
        fields = [f for f in self._sobject.fields.values() if f.name != "IsDeleted"]
        own = [_placed(f, "") for f in fields if f.name not in _SYSTEM]
        system = [_placed(f, "") for f in fields if f.name in _SYSTEM]
        return [
            Section(heading, (tuple(placed[::2]), tuple(placed[1::2])))
            for heading, placed in (("Details", own), ("System Information", system))
        ]

    # -- related lists

    def _chosen_list(self, component: Part) -> Iterator[RelatedList]:
        name = _property(component, "relatedListApiName")
        relation = self._org.schema.find_children(self._sobject.name, name)
        if relation is not None:
            yield from self._related(
                relation,
                self._as_laid_out(relation),
                int(_property(component, "rowsToDisplay") or _ROWS),
                _property(component, "showActionBar") == "true",
            )

    def _own_list(self, component: Part) -> Iterator[RelatedList]:
        """A list that says itself which columns and actions it has, whatever the layout says."""
        name = _property(component, "relatedListApiName")
        relation = self._org.schema.find_children(self._sobject.name, name)
        if relation is None:
            return
        order = _property(component, "sortFieldAlias")
        arranged = _Arrangement(
            _properties(component, "relatedListFieldAliases"),
            "" if order == LIST_DEFAULT else order,
            descending=_property(component, "sortFieldOrder") == "Descending",
            heading=_property(component, "relatedListLabel"),
        )
        most = int(_property(component, "maxRecordsToDisplay") or _ROWS)
        offered = _properties(component, "actionNames")
        yield from self._related(relation, arranged, most, "New" in offered)

    def _all_related(self) -> Iterator[RelatedList]:
        """Those of the layout in its order, or all that the object has where no layout says."""
        children = self._org.schema.children(self._sobject.name)
        known = {f"{one.child}.{one.field.name}": one for one in children if one.name}
        if self._layout:
            names = [self._relation(n) for n in self._layout.texts("relatedLists/relatedList")]
        else:
            names = sorted(known, key=lambda name: not known[name].field.custom)
        for name in names:
            if name in known:
                yield from self._related(
                    known[name], self._as_laid_out(known[name]), _ROWS, offers_new=False
                )

    def _relation(self, name: str) -> str:
        """A layout's related list as the field of its records that refers to this one."""
        standard = STANDARD_LISTS.get(name)
        found = self._org.schema.find_children(self._sobject.name, standard) if standard else None
        return f"{found.child}.{found.field.name}" if found else name

    def _related(
        self, relation: ChildRelationship, arranged: _Arrangement, most: int, offers_new: bool
    ) -> Iterator[RelatedList]:
        """The list, where whoever looks may see the records that are in it."""
        child = self._org.on_pages(self._org.sobject(relation.child))
        if child is None or relation.field.name not in child.fields:
            return
        condition = f"{quoted(relation.field.name)} = ? AND IsDeleted = 0"
        columns = COLUMNS | STANDARD_COLUMNS
        names = [columns.get(name, name) for name in arranged.columns]
        fields = [child.fields[name] for name in names if name in child.fields]
        order = "rowid DESC"
        if by := arranged.order:
            way = "DESC" if arranged.descending else "ASC"
            order = f"{quoted(COLUMNS.get(by, by))} {way}, rowid {way}"
        parent = [self._row["Id"]]
        rows = self._org.store.where(child, f"{condition} ORDER BY {order} LIMIT {most}", parent)
        total = self._org.store.one(
            f"SELECT COUNT(*) FROM {quoted(child.name)} WHERE {condition}",  # noqa: S608
            parent,
        )
        yield RelatedList(
            arranged.heading or relation.field.children_label or child.plural,
            str(relation.name),
            child,
            relation.field,
            tuple(fields) or tuple(f for f in list_columns(child) if f != relation.field)[:4],
            tuple(rows),
            total,
            offers_new and self._org.may(child, "allowCreate"),
        )

    def _as_laid_out(self, relation: ChildRelationship) -> _Arrangement:
        """How the layout has a related list."""
        wanted = f"{relation.child}.{relation.field.name}"
        listed = self._layout.all("relatedLists") if self._layout else []
        ours = (part for part in listed if self._relation(part.text("relatedList")) == wanted)
        part = next(ours, None)
        if part is None:
            return _Arrangement()
        descending = part.text("sortOrder") == "Desc"
        return _Arrangement(part.texts("fields"), part.text("sortField"), descending=descending)


def _spread(blocks: Sequence[Block]) -> Iterator[Section | RelatedList]:
    for block in blocks:
        if isinstance(block, Tabs):
            for _, inner in block.tabs:
                yield from _spread(inner)
        else:
            yield block


def _placed(field: Field, behavior: str) -> Placed:
    required = field.required or behavior == "Required"
    fixed = behavior == "Readonly" or not field.createable or field.name == OWNER
    return Placed(field, required, fixed)


def _properties(part: Part, name: str) -> list[str]:
    """The values of a property that is a list."""
    props = part.all("componentInstanceProperties")
    return [
        value
        for prop in props
        if prop.text("name") == name
        for value in prop.texts("valueList/valueListItems/value")
    ]


def _property(part: Part, name: str, kind: str = "componentInstanceProperties") -> str:
    found = (prop.text("value") for prop in part.all(kind) if prop.text("name") == name)
    return next(found, "")
