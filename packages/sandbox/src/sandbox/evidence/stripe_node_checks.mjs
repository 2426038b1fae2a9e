// Runs stripe-node against the sandbox. Arguments: folder of node_modules, URL, API key.
// Prints one JSON line a case: {"name", "ok", "error"}.
import { createRequire } from "node:module";
import path from "node:path";
import assert from "node:assert/strict";

const [folder, url, key] = process.argv.slice(2);
const require = createRequire(path.join(folder, "index.js"));
const Stripe = require("stripe");
const { hostname, port } = new URL(url);
const stripe = new Stripe(key, { host: hostname, port, protocol: "http", maxNetworkRetries: 0 });

const story = {};

const cases = {
  async "make a customer, a product and a price"() {
    story.customer = await stripe.customers.create({ name: "Globex", email: "pay@globex.example" });
    const product = await stripe.products.create({ name: "Hours" });
    story.price = await stripe.prices.create({ product: product.id, currency: "usd", unit_amount: 12500 });
  },
  async "draft with lines"() {
    story.draft = await stripe.invoices.create({
      customer: story.customer.id,
      collection_method: "send_invoice",
      days_until_due: 30,
      metadata: { salesforce_id: "a01" },
    });
    const filled = await stripe.invoices.addLines(story.draft.id, {
      lines: [{ pricing: { price: story.price.id }, quantity: 2 }, { amount: 500, description: "Travel" }],
    });
    assert.equal(filled.total, 25500);
  },
  async "send"() {
    story.sent = await stripe.invoices.sendInvoice(story.draft.id);
    assert.equal(story.sent.status, "open");
    assert.ok(story.sent.hosted_invoice_url.startsWith(url));
  },
  async "the customer pays on the page"() {
    const body = new URLSearchParams({ card: "4242424242424242" });
    const answer = await fetch(story.sent.hosted_invoice_url, { method: "POST", body });
    assert.equal(answer.status, 200);
    const paid = await stripe.invoices.retrieve(story.draft.id, { expand: ["payments"] });
    assert.equal(paid.status, "paid");
    assert.equal(paid.payments.data[0].status, "paid");
  },
  async "events, oldest first"() {
    const types = [];
    for await (const event of stripe.events.list({ limit: 5 })) types.unshift(event.type);
    assert.ok(types.indexOf("invoice.sent") < types.indexOf("invoice.paid"));
  },
  async "an idempotency key answers once"() {
    const options = { idempotencyKey: "node" };
    const first = await stripe.customers.create({ name: "Once" }, options);
    const again = await stripe.customers.create({ name: "Once" }, options);
    assert.equal(first.id, again.id);
    await assert.rejects(stripe.customers.create({ name: "Twice" }, options), {
      type: "StripeIdempotencyError",
    });
  },
  async "a mistake is named"() {
    await assert.rejects(stripe.invoices.create({ customer: "cus_gone" }), { param: "customer" });
  },
  async "lists page by themselves"() {
    for (let n = 0; n < 7; n++) await stripe.customers.create({ name: `Customer ${n}` });
    const all = await stripe.customers.list({ limit: 3 }).autoPagingToArray({ limit: 100 });
    assert.equal(all.length, 9);
  },
};

for (const [name, check] of Object.entries(cases)) {
  try {
    await check();
    console.log(JSON.stringify({ name, ok: true }));
  } catch (error) {
    console.log(JSON.stringify({ name, ok: false, error: String(error.message) }));
  }
}
