// Lets @supabase/stripe-sync-engine pull everything from the sandbox into PostgreSQL.
// Arguments: folder of node_modules, sandbox URL, API key, database URL.
// Prints one JSON line: how many of each it has stored.
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
  autoExpandLists: true,
  backfillRelatedEntities: false,
});
const { hostname, port } = new URL(url);
sync.stripe = new Stripe(key, { host: hostname, port, protocol: "http" });
await sync.syncBackfill({ object: "customer" });
await sync.syncBackfill({ object: "invoice" });

const client = new Client({ connectionString: database });
await client.connect();
const one = async (query) => (await client.query(query)).rows[0];
const counts = await one(
  "select (select count(*)::int from stripe.customers) as customers," +
    " count(*)::int as invoices, coalesce(sum(total), 0)::bigint as total," +
    " count(*) filter (where status = 'paid')::int as paid from stripe.invoices",
);
console.log(JSON.stringify(counts));
process.exit(0);
