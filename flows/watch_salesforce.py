"""Do what records ask for, so that nothing depends on Salesforce reaching Prefect."""

from invoicing.domain.forms.outcomes import Outcome
from invoicing.domain.model.wording import counted
from tasks.records.environment_check import verify_environment
from tasks.requests.action_field import (
    TakenUp,
    collect_requests,
    lock_action_fields,
    take_up_requests,
)
from tasks.requests.request_records import (
    answer_ended_requests,
    collect_request_records,
    start_requests,
)
from tasks.runtime.flow import invoicing_flow
from tasks.sending.one_off_email import give_back_all_emails


@invoicing_flow("watch Salesforce")
def watch_salesforce() -> Outcome:
    """Start what people ask for in Salesforce: send, void, resend and the like.

    They ask by requests, which are records that the package's buttons make, or by the action field
    of an invoice. Each is started once, and each by itself; a request is answered by the flow that
    was started for it, an action field is cleared.
    """
    verify_environment()
    asking = collect_request_records()
    started = start_requests()
    answer_ended_requests()
    give_back_all_emails()
    taken = TakenUp(started)
    with lock_action_fields() as mine:
        if mine:
            asking += collect_requests()
            taken += take_up_requests()
    return Outcome(sentence=f"{counted(asking, 'record')} asked for something; {taken.sentence}")
