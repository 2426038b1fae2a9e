// What jsforce, Salesforce's best known JavaScript client, expects of an org.
// Arguments: folder with node_modules, base URL, consumer key, consumer secret, private key (PEM).
// Prints one JSON line a case: {"name", "ok", "error"}.
import assert from "node:assert/strict";
import { createSign } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, loginUrl, clientId, clientSecret, keyFile] = process.argv.slice(2);
const { Connection } = createRequire(join(modules, "package.json"))("jsforce");
const conn = new Connection({
  oauth2: { loginUrl, clientId, clientSecret },
  version: "67.0",
});

const INVOICE = "Stripe_Invoice__c";
const cases = [];
const check = (name, body) => cases.push([name, body]);
const made = {};

async function refused(promise, code) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.errorCode ?? error.name, code);
    return true;
  });
}

check("log in with client credentials", async () => {
  const user = await conn.authorize({ grant_type: "client_credentials" });
  assert.match(user.id, /^005/);
  assert.match(user.organizationId, /^00D/);
});

function assertion(seconds) {
  const part = (claims) => Buffer.from(JSON.stringify(claims)).toString("base64url");
  const exp = Math.floor(Date.now() / 1000) + seconds;
  const user = { iss: clientId, sub: "integration@northwind.example" };
  const signed = `${part({ alg: "RS256" })}.${part({ ...user, aud: "https://login.salesforce.com", exp })}`;
  const signature = createSign("RSA-SHA256").update(signed).sign(readFileSync(keyFile), "base64url");
  return `${signed}.${signature}`;
}

const byJwt = (url, seconds) => {
  const conn = new Connection({ oauth2: { loginUrl: url, clientId }, version: "67.0" });
  const grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";
  return conn.authorize({ grant_type, assertion: assertion(seconds) });
};

check("log in by JWT, at a URL with a slash at its end", async () => {
  assert.match((await byJwt(`${loginUrl}/`, 180)).id, /^005/);
});
check("log in by JWT that ends in a year", async () => {
  assert.match((await byJwt(loginUrl, 31_536_000)).id, /^005/);
});
check("a JWT that has ended", () => refused(byJwt(loginUrl, -60), "invalid_grant"));

check("describe layouts", async () => {
  const { layouts } = await conn.sobject("Account").layouts();
  assert.ok(layouts[0].detailLayoutSections.length > 0);
});

check("query with columns", async () => {
  const soql = "SELECT Id, COUNT(Name) n FROM Account GROUP BY Id";
  const asked = await conn.request(`/query?q=${encodeURIComponent(soql)}&columns=true`);
  assert.deepEqual(asked.columnMetadata.map(({ columnName, aggregate }) => [columnName, aggregate]), [
    ["Id", false],
    ["n", true],
  ]);
});

check("identity", async () => {
  const identity = await conn.identity();
  assert.match(identity.user_id, /^005/);
  assert.equal(identity.username, "integration@northwind.example");
});

check("limits, in resource and header", async () => {
  const limits = await conn.limits();
  assert.ok(limits.DailyApiRequests.Max > limits.DailyApiRequests.Remaining);
  assert.ok(conn.limitInfo.apiUsage.used > 0);
});

check("versions", async () => {
  const versions = await conn.request("/services/data");
  assert.ok(versions.some(({ version }) => version === "67.0"));
});

check("describe everything", async () => {
  const { sobjects } = await conn.describeGlobal();
  assert.ok(sobjects.find(({ name }) => name === INVOICE).custom);
});

check("describe one object", async () => {
  const { fields, childRelationships } = await conn.sobject(INVOICE).describe();
  const account = fields.find(({ name }) => name === "Account__c");
  assert.deepEqual(account.referenceTo, ["Account"]);
  assert.ok(childRelationships.some(({ relationshipName }) => relationshipName === "Lines__r"));
});

check("query", async () => {
  const result = await conn.query("SELECT Id, Name FROM Account WHERE Name LIKE 'Acme%'");
  assert.equal(result.totalSize, 1);
  made.account = result.records[0].Id;
});

check("query across a relationship", async () => {
  const { records } = await conn.query(
    "SELECT Name, Account.Name FROM Contact WHERE Account.Name = 'Globex'",
  );
  assert.equal(records[0].Account.Name, "Globex");
});

check("find with the query builder", async () => {
  const rows = await conn
    .sobject("Product2")
    .find({ IsActive: true, ProductCode: { $like: "USAGE%" } }, ["Id", "Name"])
    .sort({ Name: 1 })
    .limit(2);
  assert.deepEqual(rows.map(({ Name }) => Name), ["API Requests", "Storage"]);
});

check("find with included children", async () => {
  const rows = await conn
    .sobject("Account")
    .find({ Id: made.account }, "Id, Name")
    .include("Contacts")
    .select("Id, LastName")
    .end();
  assert.equal(rows[0].Contacts.totalSize, 2);
});

check("aggregate", async () => {
  const { records } = await conn.query(
    "SELECT CurrencyIsoCode, COUNT(Id) n FROM Account GROUP BY CurrencyIsoCode ORDER BY COUNT(Id) DESC",
  );
  assert.deepEqual([records[0].CurrencyIsoCode, records[0].n], ["USD", 4]);
});

check("count", async () => {
  assert.equal(await conn.sobject("Account").count(), 8);
});

check("create one", async () => {
  const result = await conn.sobject(INVOICE).create({ Account__c: made.account, Currency__c: "USD" });
  assert.ok(result.success);
  made.invoice = result.id;
});

check("retrieve one", async () => {
  const row = await conn.sobject(INVOICE).retrieve(made.invoice);
  assert.deepEqual([row.Name, row.Status__c, row.Livemode__c], ["INV-0001", "Draft", false]);
});

check("retrieve some fields", async () => {
  const row = await conn.sobject(INVOICE).retrieve(made.invoice, { fields: ["Name"] });
  assert.deepEqual(Object.keys(row).sort(), ["Name", "attributes"]);
});

check("update one", async () => {
  const change = { Id: made.invoice, Status__c: "Open", Total__c: 12.25 };
  assert.ok((await conn.sobject(INVOICE).update(change)).success);
  assert.equal((await conn.sobject(INVOICE).retrieve(made.invoice)).Total__c, 12.25);
});

check("upsert one by external id, twice", async () => {
  const row = { Local_Key__c: "js-1", Account__c: made.account, Currency__c: "USD" };
  const first = await conn.sobject(INVOICE).upsert(row, "Local_Key__c");
  const second = await conn.sobject(INVOICE).upsert(row, "Local_Key__c");
  assert.equal(first.id, second.id);
});

check("create many, in chunks of two hundred", async () => {
  const rows = Array.from({ length: 450 }, (_, n) => ({
    Account__c: made.account,
    Currency__c: "USD",
    Local_Key__c: `many-${n}`,
    Total__c: n,
  }));
  const results = await conn.sobject(INVOICE).create(rows, { allowRecursive: true });
  assert.ok(results.every(({ success }) => success));
  made.many = results.map(({ id }) => id);
});

check("retrieve many", async () => {
  const rows = await conn.sobject(INVOICE).retrieve(made.many.slice(0, 5));
  assert.deepEqual(rows.map(({ Total__c }) => Total__c), [0, 1, 2, 3, 4]);
});

check("update many, one of them wrong", async () => {
  const rows = made.many.slice(0, 3).map((Id, n) => ({ Id, Status__c: n === 1 ? "Nope" : "Paid" }));
  const results = await conn.sobject(INVOICE).update(rows);
  assert.deepEqual(results.map(({ success }) => success), [true, false, true]);
});

check("all or none", async () => {
  const rows = made.many.slice(0, 2).map((Id, n) => ({ Id, Status__c: n === 1 ? "Nope" : "Void" }));
  const results = await conn.sobject(INVOICE).update(rows, { allOrNone: true });
  assert.ok(results.every(({ success }) => !success));
});

check("upsert many", async () => {
  const rows = ["many-1", "new-1"].map((key) => ({
    Local_Key__c: key,
    Account__c: made.account,
    Currency__c: "EUR",
  }));
  const results = await conn.sobject(INVOICE).upsert(rows, "Local_Key__c");
  assert.deepEqual(results.map(({ created }) => created), [false, true]);
});

check("read on with queryMore", async () => {
  const soql = `SELECT Id FROM ${INVOICE}`;
  const seen = [];
  const headers = { "Sforce-Query-Options": "batchSize=200" };
  let page = await conn.request({ method: "GET", url: `/query?q=${encodeURIComponent(soql)}`, headers });
  seen.push(...page.records);
  assert.ok(!page.done && seen.length === 200);
  while (!page.done) {
    page = await conn.queryMore(page.nextRecordsUrl);
    seen.push(...page.records);
  }
  assert.equal(new Set(seen.map(({ Id }) => Id)).size, page.totalSize);
});

check("fetch all by itself", async () => {
  const options = { autoFetch: true, maxFetch: 10_000 };
  const { records } = await conn.query(`SELECT Id FROM ${INVOICE}`, options);
  assert.equal(records.length, 453);
});

check("composite request", async () => {
  const answer = await conn.requestPost("/composite", {
    allOrNone: true,
    compositeRequest: [
      {
        method: "POST",
        url: `/services/data/v67.0/sobjects/${INVOICE}`,
        referenceId: "invoice",
        body: { Account__c: made.account, Currency__c: "USD" },
      },
      {
        method: "POST",
        url: "/services/data/v67.0/sobjects/Stripe_Invoice_Line__c",
        referenceId: "line",
        body: { Invoice__c: "@{invoice.id}", Quantity__c: 1, Unit_Price__c: 5 },
      },
    ],
  });
  assert.deepEqual(answer.compositeResponse.map(({ httpStatusCode }) => httpStatusCode), [201, 201]);
});

check("bulk 2.0 insert", async () => {
  const input = Array.from({ length: 300 }, (_, n) => ({
    Account__c: made.account,
    Currency__c: "USD",
    Local_Key__c: `bulk-${n}`,
    Status__c: n === 7 ? "Nope" : "Draft",
  }));
  const job = { object: INVOICE, operation: "insert", input, pollInterval: 20 };
  const results = await conn.bulk2.loadAndWaitForResults(job);
  assert.equal(results.successfulResults.length, 299);
  assert.equal(results.failedResults.length, 1);
  assert.match(results.failedResults[0].sf__Error, /^INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST/);
  made.bulk = results.successfulResults.map(({ sf__Id }) => sf__Id);
});

check("bulk 2.0 update", async () => {
  const input = made.bulk.slice(0, 50).map((Id) => ({ Id, Number__c: "B" }));
  const job = { object: INVOICE, operation: "update", input, pollInterval: 20 };
  assert.equal((await conn.bulk2.loadAndWaitForResults(job)).successfulResults.length, 50);
});

check("bulk 2.0 upsert", async () => {
  const input = ["bulk-1", "bulk-new"].map((key) => ({
    Local_Key__c: key,
    Account__c: made.account,
    Currency__c: "JPY",
  }));
  const results = await conn.bulk2.loadAndWaitForResults({
    object: INVOICE,
    operation: "upsert",
    externalIdFieldName: "Local_Key__c",
    input,
    pollInterval: 20,
  });
  const created = results.successfulResults.map(({ sf__Created }) => sf__Created);
  assert.deepEqual(created, ["false", "true"]);
});

check("bulk 2.0 query", async () => {
  const soql = `SELECT Id, Name, Account__r.Name FROM ${INVOICE} WHERE Number__c = 'B'`;
  const stream = await conn.bulk2.query(soql, { pollInterval: 20 });
  const rows = await stream.toArray();
  assert.equal(rows.length, 50);
  assert.equal(rows[0]["Account__r.Name"], "Acme Corporation");
});

check("bulk 2.0 query of nothing", async () => {
  const stream = await conn.bulk2.query("SELECT Id FROM Account WHERE Name = 'None'", { pollInterval: 20 });
  assert.deepEqual(await stream.toArray(), []);
});

check("bulk 2.0 delete", async () => {
  const input = made.bulk.map((Id) => ({ Id }));
  const job = { object: INVOICE, operation: "delete", input, pollInterval: 20 };
  assert.equal((await conn.bulk2.loadAndWaitForResults(job)).successfulResults.length, 299);
});

check("delete one and many", async () => {
  assert.ok((await conn.sobject(INVOICE).destroy(made.invoice)).success);
  const results = await conn.sobject(INVOICE).destroy(made.many.slice(0, 3));
  assert.ok(results.every(({ success }) => success));
});

check("see the deleted with scanAll", async () => {
  const soql = `SELECT Id FROM ${INVOICE} WHERE IsDeleted = true`;
  const { totalSize } = await conn.query(soql, { scanAll: true });
  assert.equal(totalSize, 299 + 4);
});

check("deleted and updated in a span of time", async () => {
  const start = new Date(Date.now() - 3_600_000);
  const end = new Date(Date.now() + 60_000);
  const { deletedRecords } = await conn.sobject(INVOICE).deleted(start, end);
  assert.equal(deletedRecords.length, 303);
  assert.ok((await conn.sobject(INVOICE).updated(start, end)).ids.length > 400);
});

check("a malformed query", () => refused(conn.query("SELECT FROM Account"), "MALFORMED_QUERY"));
check("an unknown field", () => refused(conn.query("SELECT Nope FROM Account"), "INVALID_FIELD"));
check("an unknown object", () => refused(conn.query("SELECT Id FROM Nope"), "INVALID_TYPE"));
check("a missing field", () =>
  refused(conn.sobject(INVOICE).create({ Currency__c: "USD" }), "REQUIRED_FIELD_MISSING"));
check("a record that is gone", () =>
  refused(conn.sobject(INVOICE).update({ Id: made.invoice, Status__c: "Open" }), "ENTITY_IS_DELETED"));
check("a duplicate external id", () =>
  refused(
    conn.sobject(INVOICE).create({ Account__c: made.account, Currency__c: "USD", Local_Key__c: "js-1" }),
    "DUPLICATE_VALUE",
  ));
check("an object nobody has", () => refused(conn.sobject("Nope").describe(), "NOT_FOUND"));

check("an invalid session", () => {
  const stranger = new Connection({ instanceUrl: conn.instanceUrl, accessToken: "no", version: "67.0" });
  return refused(stranger.query("SELECT Id FROM Account"), "INVALID_SESSION_ID");
});

for (const [name, body] of cases) {
  try {
    await body();
    console.log(JSON.stringify({ name, ok: true }));
  } catch (error) {
    console.log(JSON.stringify({ name, ok: false, error: String(error.message ?? error) }));
  }
}
