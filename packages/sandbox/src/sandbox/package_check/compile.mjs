// node compile.mjs TOOLS FILE ...: what Salesforce's compiler says of each source of a component.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import path from "node:path";

const [tools, ...files] = process.argv.slice(2);
const { transformSync } = createRequire(path.join(tools, "package.json"))("@lwc/compiler");

for (const file of files) {
  const name = path.basename(path.dirname(file));
  let error = "";
  try {
    const { warnings = [] } = transformSync(readFileSync(file, "utf8"), path.basename(file), { name, namespace: "c" });
    error = warnings.map((warning) => warning.message).join(" ");
  } catch (problem) {
    error = problem.message;
  }
  console.log(JSON.stringify({ name: file, ok: !error, error }));
}
