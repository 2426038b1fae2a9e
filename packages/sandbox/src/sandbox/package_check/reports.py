"""Report types, reports and dashboards: each names what the one below it has.

A column is called after its report type: ``Thing__c$Amount__c``. What a report groups by is none of
its columns. Amounts of records that say their own currency are added up in each currency alone.
Sources: the types of the Metadata API's WSDL; for the names of columns and for grouping by a
formula of the rows, the reports of SalesforceFoundation/OutboundFundsModule, which an org wrote;
for whom a folder is shared with, the folders of jongpie/NebulaLogger and jsforce's test package.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations

from sandbox.package_check.findings import Findings
from sandbox.package_check.org import Org
from sandbox.package_check.source import Component, Element, Package
from sandbox.salesforce.formula import Unreadable, read_formula
from sandbox.salesforce.schema import NUMERIC

OWNER = "Owner"
"""What a report type calls whom a record belongs to; the object has ``OwnerId``."""

CURRENCY = "Currency__c"
"""The field in which a record of a package says its currency."""

EVERYBODY = "AllInternalUsers"
"""Whom a folder is shared with that everybody inside may open."""


def check_reports(package: Package, org: Org, findings: Findings) -> None:
    """Check each report type, report and dashboard that a package directory brings."""
    checks = {
        "ReportType": _report_type_mistakes,
        "Report": _report_mistakes,
        "Dashboard": _dashboard_mistakes,
        "DashboardFolder": _share_mistakes,
        "ReportFolder": _share_mistakes,
    }
    for component in package.own():
        if component.kind in checks:
            for wrong in checks[component.kind](component, org):
                findings.expect(not wrong, f"{component.path}: {wrong}")


def _report_type_mistakes(report_type: Component, org: Org) -> Iterator[str]:
    sobject = report_type.text("baseObject")
    shown = report_type.text("deployed") == "true"
    yield "" if shown else "it is not deployed, so that nobody can run its reports."
    yield "" if org.sobject(sobject) else f"there is no object {sobject}."
    for column in report_type.root.iterfind("sections/columns"):
        table, field = column.findtext("table") or "", column.findtext("field") or ""
        there = org.field(table, "OwnerId" if field == OWNER else field)
        yield "" if there else f"{table} has no field {field}."
    for name, many in Counter(report_type.texts("sections/columns/field")).items():
        yield "" if many == 1 else f"{name} is a column more than once."


def _report_mistakes(report: Component, org: Org) -> Iterator[str]:
    yield from _folder_mistakes(report, org)
    name = report.text("reportType").removesuffix("__c")
    report_type = org.package.get("ReportType", name)
    if report_type is None:
        yield f"there is no report type {name}."
        return
    offered = {
        f"{c.findtext('table')}${c.findtext('field')}"
        for c in report_type.root.iterfind("sections/columns")
    }
    sobject = report_type.text("baseObject")
    formulas = report.texts("customDetailFormulas/developerName")
    shown = report.texts("columns/field")
    groups = report.texts("groupingsDown/field")
    for used in [*shown, *groups, *report.texts("filter/criteriaItems/column")]:
        there = used in offered or used in formulas
        yield "" if there else f"the report type {name} has no column {used}."
    for used in report.texts("timeFrameFilter/dateColumn"):
        yield "" if used in offered else f"the report type {name} has no column {used}."
    for formula in report.texts("customDetailFormulas/calculatedFormula"):
        yield from _formula_mistakes(formula, org)
    for twice in sorted(set(shown) & set(groups)):
        yield f"{twice} is grouped by, and a column."
    yield "" if 1 <= len(groups) <= 3 else "a summary has one to three groupings."
    adds = report.texts("columns/aggregateTypes")
    alone = bool(groups) and groups[0] == f"{sobject}${CURRENCY}"
    alone = alone and report.text("showGrandTotal") == "false"
    yield "" if alone or not adds else "it adds up amounts of different currencies."
    yield from _sum_mistakes(report, sobject, org)
    yield from _time_mistakes(report, sobject, org)
    yield from _filter_mistakes(report, sobject, org)


def _sum_mistakes(report: Component, sobject: str, org: Org) -> Iterator[str]:
    """What people would add up by hand is added up, and nothing else can be."""
    for column in report.root.iterfind("columns"):
        name = (column.findtext("field") or "").partition("$")[2]
        field = org.field(sobject, name)
        if field is None:
            continue
        number, added = field.type in NUMERIC, column.find("aggregateTypes") is not None
        yield f"{name} is a number, and is not added up." if number and not added else ""
        yield f"{name} is no number to add up." if added and not number else ""


def _time_mistakes(report: Component, sobject: str, org: Org) -> Iterator[str]:
    """Who narrows the time of a report by months means those months."""
    names = [name.partition("$")[2] for name in report.texts("groupingsDown/field")]
    fields = [field for name in names if (field := org.field(sobject, name))]
    days = [field.name for field in fields if field.type in {"date", "datetime"}]
    narrowed = report.text("timeFrameFilter/dateColumn").partition("$")[2]
    same = not days or narrowed in days
    yield "" if same else f"it is grouped by {days[0]}, and its time is that of {narrowed}."


def _formula_mistakes(formula: str, org: Org) -> Iterator[str]:
    """A formula of a report's rows names fields as ``Thing__c.Amount__c``."""
    try:
        names = read_formula(formula).names
    except Unreadable as error:
        yield f"{error}."
        return
    for used in sorted(name for name in names if "." in name):
        table, _, field = used.partition(".")
        yield "" if org.field(table, field) else f"there is no field {used}."


def _filter_mistakes(report: Component, sobject: str, org: Org) -> Iterator[str]:
    """Values that a picklist does not have would find nothing, without a word."""
    for criterion in report.root.iterfind("filter/criteriaItems"):
        name = (criterion.findtext("column") or "").partition("$")[2]
        field = org.field(sobject, name)
        values = [*filter(None, (criterion.findtext("value") or "").split(","))]
        ticked = field is not None and field.type == "boolean"
        yield f"{name} is 0 or 1." if ticked and not {*values} <= {"0", "1"} else ""
        for value in values if field and field.values else ():
            there = field is not None and value in field.values
            yield "" if there else f"{name} is never {value}."


def _dashboard_mistakes(dashboard: Component, org: Org) -> Iterator[str]:
    yield from _folder_mistakes(dashboard, org)
    for part in dashboard.root.iterfind(".//dashboardComponent"):
        name = part.findtext("report") or ""
        report = org.package.get("Report", name)
        if report is None:
            yield f"there is no report {name}."
            continue
        groups = report.texts("groupingsDown/field")
        by = [e.text or "" for e in part.iterfind("groupingColumn")]
        for used in by:
            yield "" if used in groups else f"the report {name} is not grouped by {used}."
        alone = bool(groups) and groups[0] in by
        yield "" if alone else f"it adds up currencies of the report {name}."
        columns = report.root.iterfind("columns")
        summed = [c.findtext("field") for c in columns if c.find("aggregateTypes") is not None]
        for used in [e.text or "" for e in part.iterfind("chartSummary/column")]:
            yield "" if used in summed else f"the report {name} does not add up {used}."
    yield from _grid_mistakes(dashboard)


def _grid_mistakes(dashboard: Component) -> Iterator[str]:
    """Each part has its place on the grid, and no other stands in it."""
    width = int(dashboard.text("dashboardGridLayout/numberOfColumns") or 0)
    places: dict[str, tuple[range, range]] = {}
    for part in dashboard.root.iterfind("dashboardGridLayout/dashboardGridComponents"):
        header = part.findtext("dashboardComponent/header") or ""
        yield f"two parts are called {header}." if header in places else ""
        across, down = _span(part, "columnIndex", "colSpan"), _span(part, "rowIndex", "rowSpan")
        yield f"{header} reaches beyond the {width} columns." if across.stop > width else ""
        places[header] = across, down
    for (one, its), (other, theirs) in combinations(places.items(), 2):
        shared = all(
            max(a.start, b.start) < min(a.stop, b.stop) for a, b in zip(its, theirs, strict=True)
        )
        yield f"{one} and {other} stand in one place." if shared else ""


def _span(part: Element, start: str, length: str) -> range:
    first = int(part.findtext(start) or 0)
    return range(first, first + int(part.findtext(length) or 0))


def _folder_mistakes(component: Component, org: Org) -> Iterator[str]:
    folder = component.name.partition("/")[0]
    there = org.package.has(f"{component.kind}Folder", folder)
    yield "" if there else f"there is no folder {folder}."


def _share_mistakes(folder: Component, _: Org) -> Iterator[str]:
    """Everybody inside is the organization itself, and no group that somebody made."""
    for share in folder.root.iterfind("folderShares"):
        everybody = share.findtext("sharedTo") == EVERYBODY
        whole = share.findtext("sharedToType") == "Organization"
        yield "" if everybody == whole else f"{EVERYBODY} goes with the type Organization alone."
