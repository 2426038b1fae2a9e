"""Do what records ask for, so that nothing depends on Salesforce reaching Prefect."""

from prefect import flow

from invoicing.domain.forms.parameters import Outcome
from invoicing.domain.model.wording import counted
from tasks.events.salesforce_requests import collect_requests, lock_action_fields, take_up_requests
from tasks.records.environment_check import verify_environment
from tasks.runtime.outcome import reports_outcome
from tasks.sending.one_off_email import give_back_all_emails


@flow(name="watch-salesforce", flow_run_name="watch Salesforce", persist_result=True)
@reports_outcome
def watch_salesforce() -> Outcome:
    """Start what the action field of invoice records asks for: send, void, resend and the like.

    Each request is started once and the field is cleared; the result, or the reason why
    not, is written on the record by the flow that was started.
    """
    verify_environment()
    with lock_action_fields():
        asking = collect_requests()
        taken = take_up_requests()
    give_back_all_emails()
    return Outcome(sentence=f"{counted(asking, 'record')} asked for something; {taken.sentence}")
