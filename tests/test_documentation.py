"""What documentation says of this project is so."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from deployments.reference_docs import NEXT, error_kinds
from deployments.reference_docs import PAGES as REFERENCE
from deployments.settings_docs import example, page, variables

ROOT = Path(__file__).parents[1]
FOLDERS = ("docs", "packages")
PAGES = sorted(
    [*ROOT.glob("*.md"), *(page for name in FOLDERS for page in (ROOT / name).rglob("*.md"))],
    key=lambda path: path.as_posix(),
)
READ = {path: path.read_text(encoding="utf-8") for path in PAGES}
LARGEST_PICTURE = 100_000
HISTORY = {"CHANGELOG.md", "docs/decisions"}
"""Pages that may name what is gone."""

pages = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
current_pages = pytest.mark.parametrize(
    "path",
    [p for p in PAGES if not any(str(p.relative_to(ROOT)).startswith(h) for h in HISTORY)],
    ids=lambda path: str(path.relative_to(ROOT)),
)


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def blocks(text: str) -> Iterator[str]:
    """The shell commands that a page shows."""
    yield from re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def deployments() -> list[dict[str, Any]]:
    """All deployments."""
    return list(yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"])


def deployed() -> set[str]:
    """The names of all deployments."""
    return {entry["name"] for entry in deployments()}


def org_names() -> set[str]:
    """Objects, fields and other parts of the Salesforce package, by their API names."""
    parts = (ROOT / "deployments/salesforce").rglob("*-meta.xml")
    return {path.name.split(".")[0] for path in parts}


@pages
def test_links_lead_somewhere(path: Path) -> None:
    """Each file, folder and heading that a page links to exists."""
    for target in re.findall(r"\]\(([^)\s]+)\)", READ[path]):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        there = path.parent / name if name else path
        assert there.exists(), f"{target} is not there"
        assert not anchor or anchor in anchors(there), f"{target} has no such heading"


def test_every_picture_is_shown_and_small() -> None:
    """What `make pictures` takes is on a page, and nobody waits for it to load."""
    shown = {
        (path.parent / name).resolve()
        for path, text in READ.items()
        for name in re.findall(r"!\[[^\]]+\]\(([^)]+\.png)\)", text)
    }
    taken = set((ROOT / "docs/images").rglob("*.png"))
    assert taken == {path for path in shown if path.is_relative_to(ROOT / "docs/images")}
    assert {path.name for path in taken if path.stat().st_size > LARGEST_PICTURE} == set()


@current_pages
def test_files_that_are_named_exist(path: Path) -> None:
    """A path in code type is one of this project."""
    tops = {entry.name for entry in ROOT.iterdir() if not entry.name.startswith(".")}
    for name in re.findall(r"`([\w.-]+(?:/[\w.-]+)+)/?`", READ[path]):
        if name.split("/")[0] in tops:
            assert (ROOT / name).exists(), f"{name} is not there"


def test_files_that_comments_name_exist() -> None:
    """In what is read by whoever runs it: deployments, compose files, units, the Makefile."""
    folders = (ROOT / "deployments" / name for name in ("containers", "prometheus", "systemd"))
    files = [
        ROOT / "prefect.yaml",
        ROOT / "Makefile",
        *(f for each in folders for f in each.iterdir()),
    ]
    path = re.compile(r"(?<![/\w])(?:tasks|invoicing|flows|deployments|docs)/[\w./-]+\.\w+")
    named = {found for file in files for found in path.findall(file.read_text(encoding="utf-8"))}
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@current_pages
def test_flows_that_are_named_are_deployed(path: Path) -> None:
    """What `prefect deployment run` names can be run, and so can a flow that a table names."""
    for flow, deployment in re.findall(r"deployment run ([\w-]+)/([\w-]+)", READ[path]):
        assert flow == deployment
        assert flow in deployed()
    for row in re.findall(r"^\| (`[a-z-]+`(?: · `[a-z-]+`)*) \|", READ[path], re.MULTILINE):
        if path == ROOT / "README.md":
            assert set(re.findall(r"`([a-z-]+)`", row)) <= deployed()


def test_every_deployment_is_in_the_readme() -> None:
    """Whoever reads the README knows all that can be run."""
    rows = "\n".join(re.findall(r"^\| .*$", READ[ROOT / "README.md"], re.MULTILINE))
    assert deployed() - set(re.findall(r"`([a-z-]+)`", rows)) == set()


def test_tags_say_who_starts_a_flow() -> None:
    """What the README lists for people has their tag in Prefect; all else is machinery."""
    _, for_people, rest = re.split(r"^\| flow \|", READ[ROOT / "README.md"], flags=re.MULTILINE)
    for tag, table in (("people", for_people), ("machinery", rest)):
        rows = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
        named = set(re.findall(r"`([a-z-]+)`", " ".join(rows))) & deployed()
        assert named == {each["name"] for each in deployments() if tag in each["tags"]}


def test_the_layout_in_the_readme_is_the_layout() -> None:
    """Each folder of the project is in the picture of it, and no other."""
    text = READ[ROOT / "README.md"]
    picture = text.split("## Layout\n")[1].split("\n## ")[0]
    named = set(re.findall(r"\[(\w+)/\]", picture))
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    there = {name.split("/")[0] for name in tracked if "/" in name and not name.startswith(".")}
    assert named == there


@current_pages
def test_commands_that_are_named_exist(path: Path) -> None:
    """Each `make` target, and each module that `python -m` starts."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    code = "\n".join([*re.findall(r"`[^`\n]+`", READ[path]), *blocks(READ[path])])
    for target in re.findall(r"\bmake ([a-z][a-z-]*)", code):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target} is not there"
    for module in re.findall(r"python -m ((?:invoicing|sandbox|deployments|tests)[\w.]*)", code):
        root = ROOT / "packages/sandbox/src" if module.startswith("sandbox") else ROOT
        file = root / module.replace(".", "/")
        assert file.with_suffix(".py").exists() or (file / "__main__.py").exists(), module


@pages
def test_commands_that_are_shown_parse(path: Path) -> None:
    """A shell reads them."""
    for block in blocks(READ[path]):
        subprocess.run(["bash", "-n"], input=block, text=True, check=True)


def test_settings_that_are_named_are_read() -> None:
    """A variable in the documentation, whole or from its group on, is one of the code."""
    known = {variable.name for variable in variables()}
    for path, text in READ.items():
        for name in re.findall(r"INVOICING_[A-Z_]+[A-Z](?!_*…)", text):
            assert name in known, f"{path.name} names {name}"


def test_the_page_of_settings_is_current() -> None:
    """It is what `make docs` writes, and says of each variable what it is."""
    assert READ[ROOT / "docs/settings.md"] == page()
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == example()
    assert [v.name for v in variables() if not v.description] == []


def test_a_filled_in_example_names_the_server_to_prefects_own_programs() -> None:
    """They know no default of ours, and would begin a server of their own."""
    assert "\nPREFECT_API_URL=http://127.0.0.1:4200/api\n" in example()


@pytest.mark.parametrize("name", REFERENCE)
def test_the_reference_is_current(name: str) -> None:
    """It is what `make docs` writes."""
    assert READ[ROOT / name] == REFERENCE[name]()


def test_every_kind_of_error_says_who_acts() -> None:
    """A new kind is on the page of errors, with what happens next."""
    assert set(error_kinds()) == set(NEXT)


@current_pages
def test_what_is_named_of_the_salesforce_package_is_in_it(path: Path) -> None:
    """Objects and fields; in the mapping's page, an org's own names are examples."""
    if path.name == "field-mapping.md":
        return
    for name in re.findall(r"\b\w+__c\b", READ[path]):
        assert name in org_names(), f"{name} is not in the package"


def test_every_dialogue_of_the_package_says_what_a_person_clicks_in_an_org() -> None:
    """No API runs a flow with screens, so each has its steps on the page of what is not proved."""
    clicked = READ[ROOT / "docs/unproved.md"].partition("## The package's dialogues, in an org")[2]
    told = {
        name
        for names in re.findall(r"^\*\*(.+?)\.\*\*", clicked, re.M)
        for name in names.split(", ")
    }
    files = (ROOT / "deployments/salesforce").rglob("*.quickAction-meta.xml")
    parsed = (ElementTree.parse(file).getroot() for file in files)  # noqa: S314  ours
    pressed = {label for root in parsed for label in said(root, "label")}
    assert pressed <= told


def invoice_fields() -> Iterator[tuple[str, ElementTree.Element]]:
    """The fields of an invoice record in the package, by their names."""
    folder = "deployments/salesforce/force-app/main/default/objects/Stripe_Invoice__c/fields"
    for file in sorted((ROOT / folder).glob("*.field-meta.xml")):
        yield file.name.split(".")[0], ElementTree.parse(file).getroot()  # noqa: S314  ours


def said(element: ElementTree.Element, path: str) -> list[str]:
    """The texts of a metadata file's elements."""
    namespace = "{http://soap.sforce.com/2006/04/metadata}"
    steps = "/".join(f"{namespace}{step}" for step in path.split("/"))
    return [each.text or "" for each in element.iterfind(steps)]


FIGURES = ("Number", "Summary", "Date", "DateTime", "Checkbox")
"""Types of fields that are an amount, a count, a day or a state."""

STATES = (
    *("Status", "Payment_State", "Dispute_Status", "Payment_Problem", "Sync_State"),
    *("Sync_Message", "Approval_Status", "Approval_Key", "Approval_Comment", "Approved_By"),
)

NO_FIGURES = {"Automatic_Tax__c", "Livemode__c"}
"""What was asked for, and where the invoice is."""


def explained(text: str) -> dict[str, list[str]]:
    """What a page explains: each field of a table, with its other cells, and each bold one."""
    rows = (line.strip("|").split("|") for line in text.splitlines() if line.startswith("|"))
    found = {
        name.strip(): [cell.strip() for cell in cells]
        for first, *cells in rows
        for name in first.replace(", on lines", "").split(",")
    }
    return {name: [] for name in re.findall(r"\*\*(.*?)\*\*", text)} | found


def test_every_figure_of_the_record_is_explained() -> None:
    """Each amount, day and state, with where it comes from and what changes it; each value."""
    text = READ[ROOT / "docs/what-the-figures-mean.md"]
    page, states = explained(text), {f"{name}__c" for name in STATES}
    for name, field in invoice_fields():
        [kind], [label] = said(field, "type"), said(field, "label")
        if (kind in FIGURES or name in states) and name not in NO_FIGURES:
            assert label in page, name
            assert all(page[label]), name
        if kind in FIGURES[:-1] and name not in NO_FIGURES:
            assert len(page[label]) == 2, name
        if name in states:
            for value in said(field, "valueSet/valueSetDefinition/value/label"):
                assert re.search(rf"\b{value}\b", text), f"{name}: {value}"
