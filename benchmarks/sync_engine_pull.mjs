// Lets @supabase/stripe-sync-engine pull all invoices from the sandbox into PostgreSQL.
// Arguments: folder of node_modules, sandbox URL, API key, database URL.
// Prints one JSON line: seconds, rows, peak memory in megabytes.
import { createRequire } from "node:module";
import path from "node:path";

const [folder, url, key, database] = process.argv.slice(2);
const require = createRequire(path.join(folder, "index.js"));
const { StripeSync, runMigrations } = require("@supabase/stripe-sync-engine");
const Stripe = require("stripe");
const { Client } = require("pg");

await runMigrations({ databaseUrl: database, schema: "stripe", logger: undefined });
const sync = new StripeSync({
  poolConfig: { connectionString: database, max: 5 },
  stripeSecretKey: key,
  stripeWebhookSecret: "whsec_unused",
  autoExpandLists: false,
  backfillRelatedEntities: false,
});
const { hostname, port } = new URL(url);
sync.stripe = new Stripe(key, { host: hostname, port, protocol: "http" });
const began = performance.now();
await sync.syncBackfill({ object: "invoice" });
const seconds = (performance.now() - began) / 1000;

const client = new Client({ connectionString: database });
await client.connect();
const { rows } = await client.query("select count(*)::int as rows from stripe.invoices");
const peak_mb = Math.round(process.resourceUsage().maxRSS / 1024);
console.log(JSON.stringify({ seconds: Math.round(seconds * 100) / 100, ...rows[0], peak_mb }));
process.exit(0);
