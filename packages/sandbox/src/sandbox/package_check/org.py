"""What a name of a package stands for in an org."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.package_check.source import Package
from sandbox.salesforce.schema import Field, Schema, SObject


@dataclass(frozen=True)
class Org:
    """The org that the package makes of a fresh one."""

    schema: Schema
    package: Package

    def sobject(self, name: str) -> SObject | None:
        """An object by its name."""
        return self.schema.find(name)

    def field(self, sobject: str, path: str) -> Field | None:
        """The field at the end of a path such as ``Account__r.Name``."""
        at = self.schema.find(sobject)
        *steps, last = path.split(".")
        for step in steps:
            way = at.find_relationship(step) if at else None
            at = self.schema.find(way.to[0]) if way and way.to else None
        return at.find(last) if at else None
