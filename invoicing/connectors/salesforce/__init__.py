"""Salesforce: the calls this project makes, with its errors translated into this project's.

The only package that imports ``simple_salesforce``, and the only one that knows an org's own
names: callers speak of our objects and fields, and the names of an org's field mapping
translate what goes out and what comes back.
"""

from functools import lru_cache

from invoicing.connectors.salesforce.bulk_write import BULK_ROWS, Bulk
from invoicing.connectors.salesforce.connection import Record
from invoicing.connectors.salesforce.graphs import GRAPHS, NODES, GraphError, Graphs
from invoicing.connectors.salesforce.login import logins_of
from invoicing.connectors.salesforce.notifications import Notifications
from invoicing.connectors.salesforce.org import OrgFacts, Session
from invoicing.connectors.salesforce.records import COLLECTION, Records, RowError
from invoicing.mapping import org_mapping
from invoicing.settings import settings

__all__ = [
    "BULK_ROWS",
    "COLLECTION",
    "GRAPHS",
    "NODES",
    "GraphError",
    "OrgFacts",
    "Record",
    "RowError",
    "Salesforce",
    "Session",
    "client",
]


class Salesforce(Records, Bulk, Graphs, Notifications):
    """One Salesforce org."""


@lru_cache(maxsize=1)
def client() -> Salesforce:
    """The org of the settings, with the login that all processes share."""
    org = settings().salesforce
    return Salesforce(org, org_mapping(), logins_of(org))
