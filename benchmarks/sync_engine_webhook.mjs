// The webhook path of @supabase/stripe-sync-engine behind Node's own HTTP server.
// Arguments: folder of node_modules, database URL, signing secret, port.
import { createRequire } from "node:module";
import http from "node:http";
import path from "node:path";

const [folder, database, secret, port] = process.argv.slice(2);
const require = createRequire(path.join(folder, "index.js"));
const { StripeSync, runMigrations } = require("@supabase/stripe-sync-engine");

await runMigrations({ databaseUrl: database, schema: "stripe" });
const sync = new StripeSync({
  poolConfig: { connectionString: database, max: 10 },
  stripeSecretKey: "sk_test_123",
  stripeWebhookSecret: secret,
  autoExpandLists: false,
  backfillRelatedEntities: false,
});

http
  .createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", async () => {
      let status = 200;
      try {
        await sync.processWebhook(Buffer.concat(parts), request.headers["stripe-signature"]);
      } catch (error) {
        status = 400;
        console.error(error.message);
      }
      const body = JSON.stringify({ received: status === 200 });
      response.writeHead(status, { "Content-Length": body.length });
      response.end(body);
    });
  })
  .listen(Number(port), "127.0.0.1");
