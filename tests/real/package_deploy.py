"""The package, deployed to a real org: validated first, then its own pages and those of the org."""

from collections.abc import Iterator
from pathlib import Path

import requests

from deployments.metadata_api import Login, MetadataApi, packed
from deployments.org_pages.__main__ import deploy, pages_of
from deployments.org_pages.additions import completed
from invoicing.errors import Rejected
from invoicing.settings import SALESFORCE_API_VERSION
from sandbox.salesforce.metadata_components import read_folders, to_files
from tests.real.stripe_account import is_local

PROJECT = Path(__file__).parents[2] / "deployments/salesforce"
CORE, MULTI_CURRENCY, EXTRAS = "force-app", "multi-currency", "extras"
SETTINGS, SETTING = "custom-metadata", "Invoicing_Setting.Default"
"""The directory of a record that Setup fills in, and which another deploy would empty."""


class PackageDeploy:
    """A deploy of the package to an org for development.

    Args:
        login: An administrator's.
    """

    def __init__(self, login: Login) -> None:
        self._login = login
        self.api = MetadataApi(login)
        self.org = self.api.organization()

    def check(self, org_id: str | None = None) -> None:
        """Make sure that it is an org to try things out in, and the one that is meant.

        Args:
            org_id: The id of the org that flows are to run in, if they are.

        Raises:
            Rejected: it is not.
        """
        kind, found = self.org["OrganizationType"], self.org["Id"]
        if not (is_local(self._login.url) or self.org["IsSandbox"] or kind == "Developer Edition"):
            raise Rejected(
                f"{found} is a production org ({kind}). Take a sandbox, a scratch org or a "
                "Developer Edition."
            )
        if org_id and found[:15] != org_id[:15]:
            raise Rejected(
                f"The administrator's login is for {found}, the settings are for {org_id}."
            )

    def plan(self) -> str:
        """What will be deployed, and what becomes of it."""
        parts = ", ".join(self.directories())
        return (
            f"To the Salesforce org {self.org['Id']} ({self.org['Name']}) the package is deployed: "
            f"{parts}. Raise Invoice is put onto its pages of Account and Opportunity. All of it "
            "stays."
        )

    def directories(self) -> list[str]:
        """The package directories that this org takes.

        One of several currencies takes one for them; one of a single currency the record that says
        which, unless it has it.
        """
        url = f"{self._login.url}/services/data/v{SALESFORCE_API_VERSION}"
        answer = requests.get(
            f"{url}/sobjects/CurrencyType/describe",
            headers={"Authorization": f"Bearer {self._login.token}"},
            timeout=60,
        )
        if answer.ok:
            return [CORE, MULTI_CURRENCY, EXTRAS]
        there = self.api.retrieve([("CustomMetadata", SETTING)])
        has_setting = f"customMetadata/{SETTING}.md" in there
        return [CORE, *([] if has_setting else [SETTINGS]), EXTRAS]

    def steps(self) -> Iterator[tuple[str, list[str]]]:
        """Deploy one directory after the other, each validated first; what the org has against it.

        It ends with the first that it refuses.
        """
        for directory in self.directories():
            content = self._content(directory)
            for check_only, what in ((True, "validated"), (False, "deployed")):
                problems = self.api.deploy(content, check_only=check_only)
                yield f"{directory} {what}", [f"{p.component}: {p.why}" for p in problems]
                if problems:
                    return
        changes = [change for change in map(completed, pages_of(self.api)) if change.added]
        if changes:
            deploy(self.api, changes, Path(".invoicing") / f"pages-before-{self.org['Id']}")
        yield "Raise Invoice on the pages", [s for c in changes for s in c.left]

    def _content(self, directory: str) -> bytes:
        """A package directory as a ZIP file."""
        components = read_folders([PROJECT / directory / "main/default"])
        return packed(to_files(components), [next(c.members) for c in components])
