// Lightning Data Service, as far as it is used here: records by their fields, and looking again.
// Sources: reference-wire-adapters-record, reference-get-field-value and reference-notify-record-update
// in https://developer.salesforce.com/docs/platform/lwc/guide/
const wired = new Set();

const nameOf = (field) => (typeof field === "string" ? field : `${field.objectApiName}.${field.fieldApiName}`);

async function read({ recordId, fields }) {
  const asked = new URLSearchParams({ fields: [fields].flat().map(nameOf).join() });
  const answer = await fetch(`/lightning/ui-api/records/${recordId}?${asked}`);
  const body = await answer.json();
  return answer.ok
    ? { data: body, error: undefined }
    : { data: undefined, error: { status: answer.status, statusText: answer.statusText, body: body[0] } };
}

export class getRecord {
  constructor(provision) {
    this.provision = provision;
    this.provision({ data: undefined, error: undefined });
  }

  connect() {
    wired.add(this);
  }

  disconnect() {
    wired.delete(this);
  }

  update(config) {
    this.config = config;
    this.last = undefined;
    return this.refresh();
  }

  // What did not change is not provisioned again.
  async refresh() {
    const asked = this.config;
    if (!asked?.recordId || !asked.fields) {
      return;
    }
    const found = await read(asked).catch((error) => ({ data: undefined, error: { body: { message: error.message } } }));
    const content = JSON.stringify(found);
    if (wired.has(this) && asked === this.config && content !== this.last) {
      this.last = content;
      this.provision(found);
    }
  }
}

export function getFieldValue(record, field) {
  const [, ...path] = nameOf(field).split(".");
  return path.reduce((value, name) => value?.fields?.[name]?.value, record);
}

export async function notifyRecordUpdateAvailable(items) {
  const changed = new Set(items.map((item) => item.recordId.slice(0, 15)));
  const affected = [...wired].filter((adapter) => changed.has(adapter.config?.recordId?.slice(0, 15)));
  await Promise.all(affected.map((adapter) => adapter.refresh()));
  dispatchEvent(new CustomEvent("recordsupdated", { detail: changed }));
}
