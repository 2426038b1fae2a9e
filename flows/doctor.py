"""Look at everything that an installation needs."""

from invoicing.doctor.checks import as_page, of, summary
from invoicing.domain.forms.outcomes import Outcome
from invoicing.errors import EnvironmentMismatch
from tasks.installation.examination import examine_installation
from tasks.runtime.artifacts import publish_page
from tasks.runtime.flow import invoicing_flow


@invoicing_flow("look at the installation")
def doctor() -> Outcome:
    """Look at everything that an installation needs, and say what is wrong.

    Each morning, and by hand. Nothing is changed: `make doctor ARGS=--fix` does that. The run ends
    as Failed where something is wrong, and keeps a page of all checks in any case.
    """
    findings = examine_installation()
    publish_page("doctor", as_page(findings), "Everything that this installation needs.")
    if of(findings, "fail"):
        raise EnvironmentMismatch(summary(findings))
    return Outcome(sentence=summary(findings))
