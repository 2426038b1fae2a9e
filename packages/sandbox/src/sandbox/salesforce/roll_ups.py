"""Masters of details: their roll-ups follow, and they are held to their rules when these change.

A change of a detail that a master sums up or counts saves the master too, so what no rule of the
master allows refuses the detail: its creation, its change and its deletion alike. The master is
modified by the system then; its rules ask who saved the detail.
Sources: https://developer.salesforce.com/docs/atlas.en-us.apexcode.meta/apexcode/
apex_triggers_order_of_execution.htm (the parent goes through the save procedure),
https://trailhead.salesforce.com/content/learn/modules/validation-rules/implement-best-practices
(rules fire when a roll-up updates a related record), and
https://www.simplysfdc.com/2013/01/salesforce-master-detail-relationship.html (such a rule keeps
people from saving details).
"""

from __future__ import annotations

from sandbox.salesforce import computed, validation_rules
from sandbox.salesforce.org import Org
from sandbox.salesforce.record_triggered_flows import changed_before_save
from sandbox.salesforce.schema import Field, SObject
from sandbox.salesforce.store import Row


def roll_up(org: Org, child: SObject, *rows: Row) -> None:
    """Bring the masters of some details up to date, where they sum up or count them.

    Raises:
        SalesforceError: FIELD_CUSTOM_VALIDATION_EXCEPTION, from a rule of a master.
    """
    for reference in [field for field in child.fields.values() if field.master]:
        parent = org.schema.objects[reference.to[0]]
        summed = [field for field in parent.roll_ups if _is_of(field, child, reference)]
        for record_id in {row[reference.name] for row in rows} if summed else ():
            _roll_up(org, parent, summed, record_id)


def _roll_up(org: Org, parent: SObject, fields: list[Field], record_id: str) -> None:
    current = org.store.get(parent, record_id)
    if current is None:
        return
    values = computed.totals(org.store, fields, record_id)
    if any(current[name] != value for name, value in values.items()):
        if not current["IsDeleted"]:
            values |= changed_before_save(org, parent, current | values, current)
            validation_rules.check(org, parent, current | values, current)
        org.store.update(parent, record_id, values | {"SystemModstamp": org.now()})


def _is_of(field: Field, child: SObject, reference: Field) -> bool:
    summary = field.summary
    return summary is not None and (summary.child, summary.reference) == (
        child.name,
        reference.name,
    )
