import { LightningElement, api, wire } from 'lwc';
import { getFieldValue, getRecord, notifyRecordUpdateAvailable } from 'lightning/uiRecordApi';
import INVOICE from '@salesforce/schema/Stripe_Invoice_Request__c.Invoice__c';
import OUTCOME from '@salesforce/schema/Stripe_Invoice_Request__c.Outcome__c';
import RUN_URL from '@salesforce/schema/Stripe_Invoice_Request__c.Run_URL__c';
import STATE from '@salesforce/schema/Stripe_Invoice_Request__c.State__c';
import APPROVAL from '@salesforce/schema/Stripe_Invoice__c.Approval_Status__c';
import PAYMENT_PAGE from '@salesforce/schema/Stripe_Invoice__c.Hosted_Invoice_URL__c';
import STATUS from '@salesforce/schema/Stripe_Invoice__c.Status__c';

const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 10000;
const GROWTH = 1.25;
const PATIENCE = 150000;

const ENDED = ['Done', 'Refused', 'Failed'];
const HEADINGS = {
    Queued: 'Asked for. Waiting until it is taken up …',
    Running: 'Taken up. It is being done …',
    Done: 'Done.',
    Refused: 'Refused. Something is to be changed first.',
    Failed: 'Failed. It may be asked for again as it is.'
};
const WAITS = 'It waits for approval.';
const LATE = {
    Queued: 'Nobody has taken it up yet.',
    Running: 'It takes longer than usual, or waits for an answer in Prefect.'
};

/** What Salesforce says of an error: one thing, or a list. */
function messageOf(error) {
    return [error.body].flat()[0]?.message ?? error.message ?? 'The request cannot be read.';
}

/**
 * Follows an Invoice Request until it is answered, and says what came of it.
 *
 * It asks Lightning Data Service to look again, less and less often: subscribing to change events
 * from pages counts against the org's concurrent clients, and works on desktops only
 * (https://developer.salesforce.com/docs/platform/platform-events/guide/platform-events-subscribe-lc.html).
 * The wires are told before the promise of notifyRecordUpdateAvailable resolves
 * (https://developer.salesforce.com/docs/platform/lwc/guide/reference-notify-record-update.html).
 */
export default class RequestProgress extends LightningElement {
    /** The id of the Invoice Request. */
    @api requestId;

    state = '';
    outcome = '';
    runUrl = '';
    problem = '';
    invoiceId;
    isFollowing = false;
    isLate = false;

    @wire(getRecord, { recordId: '$requestId', fields: [INVOICE, OUTCOME, RUN_URL, STATE] })
    takeRequest({ data, error }) {
        if (data) {
            this.problem = '';
            this.state = getFieldValue(data, STATE);
            this.outcome = getFieldValue(data, OUTCOME);
            this.runUrl = getFieldValue(data, RUN_URL);
            if (this.isEnded) {
                this.end(getFieldValue(data, INVOICE));
            }
        } else if (error) {
            this.problem = messageOf(error);
        }
    }

    @wire(getRecord, { recordId: '$invoiceId', fields: [APPROVAL, PAYMENT_PAGE, STATUS] })
    invoice;

    connectedCallback() {
        if (this.isEnded) {
            return;
        }
        this.isFollowing = true;
        this.isLate = false;
        this.lookLater(FIRST_PAUSE);
        // eslint-disable-next-line @lwc/lwc/no-async-operation -- nothing tells of the answer
        this.patience = setTimeout(() => this.giveUp(), PATIENCE);
    }

    disconnectedCallback() {
        this.stop();
    }

    get heading() {
        return this.isWaiting ? WAITS : (HEADINGS[this.state] ?? 'Asked for.');
    }

    get isEnded() {
        return ENDED.includes(this.state);
    }

    get isWaiting() {
        return this.state === 'Done' && getFieldValue(this.invoice.data, APPROVAL) === 'Waiting';
    }

    get tone() {
        return `progress ${this.isEnded && !this.isWaiting ? this.state.toLowerCase() : 'open'}`;
    }

    get lateness() {
        return this.problem ? `Salesforce says: ${this.problem}` : LATE[this.state];
    }

    get paymentPage() {
        const isOpen = getFieldValue(this.invoice.data, STATUS) === 'Open';
        return isOpen && this.state === 'Done' && getFieldValue(this.invoice.data, PAYMENT_PAGE);
    }

    lookLater(pause) {
        clearTimeout(this.timer);
        // eslint-disable-next-line @lwc/lwc/no-async-operation -- nothing tells of the answer
        this.timer = setTimeout(() => this.look(pause), pause);
    }

    async look(pause) {
        try {
            await notifyRecordUpdateAvailable([{ recordId: this.requestId }]);
        } catch (error) {
            this.problem = messageOf(error);
        }
        if (this.isFollowing) {
            this.lookLater(Math.min(pause * GROWTH, LONGEST_PAUSE));
        }
    }

    /** The record's page below shows what became of the invoice, unless it was deleted. */
    async end(invoiceId) {
        this.stop();
        this.isLate = false;
        if (!invoiceId) {
            return;
        }
        try {
            await notifyRecordUpdateAvailable([{ recordId: invoiceId }]);
        } catch {
            // the page below goes on showing what it showed
        }
        this.invoiceId = invoiceId;
    }

    giveUp() {
        this.stop();
        this.isLate = true;
    }

    stop() {
        this.isFollowing = false;
        clearTimeout(this.timer);
        clearTimeout(this.patience);
    }
}
