"""Very many records written by one job of the Bulk API."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from invoicing.connectors.salesforce.connection import Connection
from invoicing.connectors.salesforce.errors import by_code, translated_errors
from invoicing.connectors.salesforce.records import RowError
from invoicing.errors import InvoicingError

BULK_ROWS = 10_000
"""Rows that a Bulk job writes: a batch of Salesforce's."""


class Bulk(Connection):
    """What is written to an org in bulk."""

    def bulk_update(self, sobject: str, records: Iterable[Mapping[str, Any]]) -> list[RowError]:
        """Set fields of at most :data:`BULK_ROWS` records by one Bulk API 2.0 job.

        Each carries its ``Id``. None clears a field, and one that a record lacks is left alone.
        Returns the rows that failed, or were not tried.
        Source: https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/
        datafiles_prepare_csv.htm
        """
        return self._bulk("update", sobject, "Id", "Id", records)

    def bulk_upsert(
        self, sobject: str, external_id: str, records: Sequence[Mapping[str, Any]]
    ) -> list[RowError]:
        """Create or update very many records by an external id, as :meth:`bulk_update` does.

        Nothing is written, and nothing fails, where the org does without the object.
        """
        key = self._external_id(sobject, external_id)
        if key is None:
            return []
        return self._bulk("upsert", sobject, external_id, key, records, external_id_field=key)

    def _bulk(
        self,
        operation: str,
        sobject: str,
        key: str,
        column: str,
        records: Iterable[Mapping[str, Any]],
        **options: Any,
    ) -> list[RowError]:
        """Write by one job. ``key`` names a record here, and ``column`` in the org's results."""
        keys: list[str] = []
        rows: list[dict[str, Any]] = []
        for record in records:  # made one by one, so that only these values stay
            keys.append(record[key])
            fields = self._fields(sobject, record)
            rows.append({name: _csv_value(value) for name, value in fields.items()})
        if not rows:
            return []
        table = (len(rows), _csv_table(rows))
        del rows  # the SDK's own way with records holds each of them four times while it waits
        failed: dict[str, InvoicingError] = {}
        with self._client.renewed(), translated_errors("write records in bulk"):
            bulk = getattr(self._client.bulk2, self.own_object(sobject))
            job = bulk._upload_data(operation, table, wait=0.2, **options)
            for results in (bulk.get_failed_records, bulk.get_unprocessed_records):
                for row in csv.DictReader(io.StringIO(results(job["job_id"]))):
                    failed[row[column]] = _bulk_error(
                        self._writing(sobject), row.get("sf__Error"), operation == "upsert"
                    )
        return [RowError(index, failed[name]) for index, name in enumerate(keys) if name in failed]


def _csv_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a Bulk job takes them; what one of them lacks is empty, and left alone."""
    table = io.StringIO()
    columns = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(table, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()


def _csv_value(value: Any) -> Any:
    if value is None:
        return "#N/A"
    return str(value).lower() if isinstance(value, bool) else value


def _bulk_error(doing: str, said: str | None, racing: bool) -> InvoicingError:
    """The error of a row, which says code, message and fields: ``CODE:message:Field__c --``."""
    code, _, rest = (said or "SERVER_UNAVAILABLE:The row was not tried.").partition(":")
    message, _, fields = (
        rest.removesuffix("--").rpartition(":") if rest.endswith("--") else (rest, "", "")
    )
    named = [name.strip() for name in fields.split(",") if name.strip()]
    error = {"statusCode": code, "message": message, "fields": named}
    return by_code(doing, 200, [error], writing=True, racing=racing)
