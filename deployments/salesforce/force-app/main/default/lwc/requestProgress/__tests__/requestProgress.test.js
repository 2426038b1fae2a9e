import { createElement } from 'lwc';
import { getRecord, notifyRecordUpdateAvailable } from 'lightning/uiRecordApi';
import RequestProgress from 'c/requestProgress';

const REQUEST = 'a02000000000001AAA';
const INVOICE = 'a00000000000001AAA';
const MINUTE = 60000;

let element;

async function open() {
    element = createElement('c-request-progress', { is: RequestProgress });
    element.requestId = REQUEST;
    document.body.appendChild(element);
    await settled();
}

function emit(recordId, values) {
    const fields = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value }]));
    getRecord.emit({ id: recordId, fields }, (config) => config.recordId === recordId);
    return settled();
}

function answer(State__c, Outcome__c = null, Invoice__c = INVOICE, Run_URL__c = null) {
    return emit(REQUEST, { State__c, Outcome__c, Invoice__c, Run_URL__c });
}

function invoice(Status__c, Hosted_Invoice_URL__c = null, Approval_Status__c = null) {
    return emit(INVOICE, { Status__c, Hosted_Invoice_URL__c, Approval_Status__c });
}

async function settled() {
    for (let turn = 0; turn < 5; turn++) {
        // eslint-disable-next-line no-await-in-loop -- one thing after the other
        await Promise.resolve();
    }
}

function said() {
    return element.shadowRoot.querySelector('[role=status]').textContent;
}

function links() {
    return [...element.shadowRoot.querySelectorAll('a')].map((link) => [link.textContent, link.href]);
}

function looks() {
    return notifyRecordUpdateAvailable.mock.calls.filter(([[item]]) => item.recordId === REQUEST).length;
}

async function pass(milliseconds) {
    await jest.advanceTimersByTimeAsync(milliseconds);
    await settled();
}

describe('c-request-progress', () => {
    beforeEach(() => {
        jest.useFakeTimers();
        notifyRecordUpdateAvailable.mockResolvedValue();
    });

    afterEach(() => {
        element.remove();
        jest.clearAllMocks();
        jest.useRealTimers();
    });

    it('says that it is asked for, politely, while it waits', async () => {
        await open();
        await answer('Queued');
        expect(said()).toContain('Waiting until it is taken up');
        expect(element.shadowRoot.querySelector('[aria-live=polite]')).not.toBeNull();
        expect(element.shadowRoot.querySelector('.spinner')).not.toBeNull();
    });

    it('says what came of it, and links to the payment page', async () => {
        await open();
        await answer('Queued');
        await answer('Running');
        expect(said()).toContain('It is being done');
        await answer('Done', 'INV-0001 was sent to Globex.');
        await invoice('Open', 'https://pay.example/1');
        expect(said()).toContain('Done.');
        expect(said()).toContain('INV-0001 was sent to Globex.');
        expect(links()).toEqual([['Payment page', 'https://pay.example/1']]);
        expect(element.shadowRoot.querySelector('.spinner')).toBeNull();
    });

    it('links to no payment page of an invoice that is not to be paid', async () => {
        await open();
        await answer('Done', 'INV-0001 is void.');
        await invoice('Void', 'https://pay.example/1');
        expect(links()).toEqual([]);
    });

    it('lets the page below show the invoice anew, once, and looks no more', async () => {
        await open();
        await answer('Running');
        await answer('Done', 'INV-0001 was compared.');
        expect(notifyRecordUpdateAvailable.mock.calls).toEqual([[[{ recordId: INVOICE }]]]);
        await pass(10 * MINUTE);
        expect(notifyRecordUpdateAvailable).toHaveBeenCalledTimes(1);
        expect(said()).not.toContain('Nothing is lost');
    });

    it('says what came of it where the page below cannot be refreshed', async () => {
        await open();
        notifyRecordUpdateAvailable.mockRejectedValueOnce(new Error('Disconnected'));
        await answer('Done', 'INV-0001 was sent.');
        await invoice('Open', 'https://pay.example/1');
        expect(said()).toContain('INV-0001 was sent.');
        expect(links()).toHaveLength(1);
    });

    it('asks for no invoice that was deleted', async () => {
        await open();
        await answer('Done', 'INV-0001 was deleted.', null);
        expect(said()).toContain('INV-0001 was deleted.');
        expect(notifyRecordUpdateAvailable).not.toHaveBeenCalled();
    });

    it('says so when the invoice waits for approval', async () => {
        await open();
        await answer('Done', 'INV-0001 is above the limit.');
        await invoice('Draft', null, 'Waiting');
        expect(said()).toContain('It waits for approval.');
        expect(said()).toContain('INV-0001 is above the limit.');
    });

    it.each([
        ['Refused', 'Something is to be changed first.'],
        ['Failed', 'It may be asked for again as it is.']
    ])('tells %s, why, and the run', async (state, heading) => {
        await open();
        await answer(state, 'Globex has no address.', INVOICE, 'https://prefect.example/runs/1');
        expect(said()).toContain(heading);
        expect(said()).toContain('Globex has no address.');
        expect(links()).toEqual([['Run in Prefect', 'https://prefect.example/runs/1']]);
    });

    it('looks again and again, less and less often', async () => {
        await open();
        await answer('Queued');
        await pass(10000);
        const soon = looks();
        await pass(MINUTE);
        expect(soon).toBeGreaterThanOrEqual(4);
        expect(looks() - soon).toBeLessThanOrEqual(10);
    });

    it('says after a while that nothing is lost, and what to do', async () => {
        await open();
        await answer('Queued');
        await pass(MINUTE);
        expect(said()).not.toContain('Nothing is lost');
        await pass(2 * MINUTE);
        expect(said()).toContain('Nobody has taken it up yet.');
        expect(said()).toContain('Nothing is lost');
        const before = looks();
        await pass(10 * MINUTE);
        expect(looks()).toBe(before);
    });

    it('leads to the run that takes long', async () => {
        await open();
        await answer('Running', null, INVOICE, 'https://prefect.example/runs/1');
        await pass(3 * MINUTE);
        expect(said()).toContain('waits for an answer in Prefect');
        expect(links()).toEqual([['Run in Prefect', 'https://prefect.example/runs/1']]);
    });

    it('goes on when one look fails, and tells of what lasts', async () => {
        await open();
        notifyRecordUpdateAvailable.mockRejectedValueOnce(new Error('Disconnected'));
        await pass(MINUTE);
        expect(looks()).toBeGreaterThan(3);
        getRecord.error({ message: 'You do not have access.' });
        await pass(2 * MINUTE);
        expect(said()).toContain('Salesforce says: You do not have access.');
        expect(said()).toContain('Nothing is lost');
    });

    it('stops when it is taken off the page', async () => {
        await open();
        await answer('Queued');
        let ready;
        notifyRecordUpdateAvailable.mockReturnValueOnce(new Promise((resolve) => (ready = resolve)));
        await pass(1000);
        element.remove();
        ready();
        await pass(10 * MINUTE);
        expect(looks()).toBe(1);
    });

    it('shows an answer that is there already', async () => {
        await open();
        await answer('Done', 'INV-0001 was sent.');
        element.remove();
        document.body.appendChild(element);
        await pass(10 * MINUTE);
        expect(said()).toContain('INV-0001 was sent.');
        expect(looks()).toBe(0);
    });
});
