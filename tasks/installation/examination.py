"""Every precondition of the installation, looked at in a row."""

from invoicing.doctor.checks import Finding, examine
from invoicing.doctor.ledger_checks import ledger_checks
from invoicing.doctor.listener_checks import listener_checks
from invoicing.doctor.receiver_checks import receiver_checks
from invoicing.doctor.salesforce_checks import salesforce_checks
from invoicing.doctor.settings_checks import settings_checks
from invoicing.doctor.stripe_checks import stripe_checks
from tasks.installation.prefect_checks import prefect_checks


def examine_installation() -> list[Finding]:
    """Look at everything, in this order; what cannot be reached is a finding like any other."""
    return examine(
        [
            *settings_checks(),
            *ledger_checks(),
            *stripe_checks(),
            *receiver_checks(),
            *salesforce_checks(),
            *listener_checks(),
            *prefect_checks(),
        ]
    )
