"""Put Raise Invoice onto the org's own pages: ``make pages``, ``python -m deployments.org_pages``.

It retrieves the layouts and Lightning record pages of Account and Opportunity, and shows what they
lack: the action, the list of invoices, the address that invoices go to. With ``--deploy`` it puts
that in, after the org has said in a validation that it takes it. Nothing else of a page changes.
What is there already is left as it is, so it may be repeated.

The login is the one of Salesforce's command line (``sf org login web --set-default``).
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from difflib import unified_diff
from pathlib import Path
from urllib.parse import unquote

from deployments.metadata_api import MetadataApi, administrator, packed
from deployments.org_pages.additions import (
    LAYOUT,
    LIGHTNING_PAGE,
    Change,
    Page,
    completed,
    object_of,
)
from deployments.org_pages.xml_text import UnreadableError
from invoicing.errors import InvoicingError, Rejected, TransientError

OURS = ("Raise_Invoice", "Stripe_Invoice__c", "Invoice_Email__c")
"""What an org lacks that has not got the package."""

FILES = {LAYOUT: "layouts/{}.layout", LIGHTNING_PAGE: "flexipages/{}.flexipage"}


def main() -> None:
    """Show what is lacking, and put it in where that is asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m deployments.org_pages",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("page", nargs="*", help="names of pages; all unless given")
    parser.add_argument("--deploy", action="store_true", help="put it in, validated first")
    parser.add_argument(
        "--target-org", help="alias or user name of sf; its default org unless given"
    )
    parser.add_argument(
        "--before",
        type=Path,
        default=Path(".invoicing"),
        help="folder that keeps the pages as they were; %(default)s unless given",
    )
    options = parser.parse_args()
    try:
        api = MetadataApi(administrator(options.target_org))
        org = api.organization()
        _say(f"The org {org['Name']} ({org['Id']}, {org['OrganizationType']}).")
        changes = _changes(pages_of(api, options.page))
        if changes and options.deploy:
            deploy(api, changes, options.before / f"pages-before-{org['Id']}")
        elif changes:
            _say("\nNothing was deployed. Say --deploy to do it.")
    except TransientError as error:
        sys.exit(f"{error} Run this again: it sees what is there.")
    except InvoicingError as error:
        sys.exit(f"Nothing was changed. {error}")


def pages_of(api: MetadataApi, names: Sequence[str] = ()) -> list[Page]:
    """The org's pages of records of our objects, or those of some names.

    Pages of installed packages, which have a prefix in their names, are not among them.

    Raises:
        InvoicingError: the org does not answer; there is no page of a name.
    """
    files = api.retrieve([(LAYOUT, "*"), (LIGHTNING_PAGE, "*")])
    found = [page for page in map(_page, sorted(files.items())) if not page.installed]
    ours = [page for page in found if _shows_ours(page)]
    if unknown := [name for name in names if not any(name in page.names for page in ours)]:
        there = ", ".join(unquote(page.name) for page in ours)
        raise Rejected(f"There is no page {', '.join(unknown)}. There are: {there}.")
    return [page for page in ours if not names or page.names & set(names)]


def _page(file: tuple[str, bytes]) -> Page:
    directory, _, name = file[0].partition("/")
    kind = next(kind for kind, form in FILES.items() if form.startswith(directory))
    return Page(kind, name.rpartition(".")[0], file[1])


def _shows_ours(page: Page) -> bool:
    try:
        return object_of(page) is not None
    except UnreadableError as error:
        _say(f"\n{page.title} cannot be read, and is left alone: {error}")
        return False


def _changes(pages: Sequence[Page]) -> list[Change]:
    """Say of each page what it lacks, and return those that something can be put into."""
    changes = []
    for change in map(completed, pages):
        gets = f"gets {_listed(change.added)}" if change.added else "gets nothing"
        _say(f"\n{change.page.title} {gets if change.added or change.left else 'has all of it'}.")
        for sentence in change.left:
            _say(f"  By hand: {sentence}")
        if change.added:
            _say(_difference(change))
            changes.append(change)
    if not changes:
        _say("\nThere is nothing to put in.")
    return changes


def deploy(api: MetadataApi, changes: Sequence[Change], before: Path) -> None:
    """Validate the changed pages, keep them as they were, and deploy them.

    Args:
        api: The org.
        changes: What is to become of which page.
        before: The beginning of the name of a file for the pages as they were, which can be
            deployed; the moment follows.

    Raises:
        InvoicingError: the org refuses; nothing of it was changed.
    """
    components = [(change.page.kind, change.page.name) for change in changes]
    files = {FILES[c.page.kind].format(c.page.name): c for c in changes}
    content = packed({file: change.text for file, change in files.items()}, components)
    for check_only in (True, False):
        if problems := api.deploy(content, check_only=check_only):
            said = [
                f"{files[p.component].page.title}: {p.why}"
                if p.component in files
                else f"{p.component}: {p.why}"
                for p in problems
            ]
            if any(name in p.why for p in problems for name in OURS):
                said.append("The package comes first: deploy deployments/salesforce to the org.")
            raise Rejected(said, "\n  ".join(["The org refuses it.", *said]))
        if check_only:
            _say("\nThe org has validated it.")
            kept = packed({file: c.page.text for file, c in files.items()}, components)
            file = before.with_name(f"{before.name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.zip")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(kept)
            _say(f"The pages as they were are in {file}; this brings them back:")
            _say(f"  sf project deploy start --metadata-dir {file}")
    _say("It is deployed.")


def _difference(change: Change) -> str:
    was, becomes = (t.decode().splitlines(keepends=True) for t in (change.page.text, change.text))
    name = unquote(change.page.name)
    return "".join(unified_diff(was, becomes, f"{name} (org)", f"{name} (with it)")).rstrip("\n")


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
