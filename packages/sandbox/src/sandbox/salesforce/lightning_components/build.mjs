// node build.mjs TOOLS COMPONENT MODULES OUT: one file for browsers of a component and its engine.
import { createRequire } from "node:module";
import { existsSync } from "node:fs";
import path from "node:path";

const [tools, component, modules, out] = process.argv.slice(2);
const require = createRequire(path.join(tools, "package.json"));
const { rollup } = require("rollup");
const plugin = require("@lwc/rollup-plugin");
const lwc = plugin.default ?? plugin;

const SCHEMA = "@salesforce/schema/";
const name = path.basename(component);
const entry = "\0entry";
const engine = require.resolve("@lwc/engine-dom").replace("index.cjs.js", "index.js");

// What an import of a field stands for: https://developer.salesforce.com/docs/platform/lwc/guide/apex-schema.html
const platform = {
  name: "platform",
  resolveId(id) {
    const [namespace, module] = id.split("/");
    const ours = path.join(modules, `${module}.js`);
    if (id === entry) {
      return id;
    }
    if (id.startsWith(SCHEMA)) {
      return `\0${id}`;
    }
    if (id === "lwc") {
      return engine;
    }
    if (id === `c/${name}`) {
      return path.join(component, `${name}.js`);
    }
    if (namespace === "lightning" && existsSync(ours)) {
      return ours;
    }
    if (/^[\w@]/.test(id)) {
      throw new Error(`${id} is not there in the sandbox.`);
    }
    return null;
  },
  load(id) {
    if (id === entry) {
      return `export { createElement } from "lwc"; export { default as Component } from "c/${name}";`;
    }
    if (id.startsWith(`\0${SCHEMA}`)) {
      const [objectApiName, ...field] = id.slice(SCHEMA.length + 1).split(".");
      return `export default ${JSON.stringify({ objectApiName, fieldApiName: field.join(".") })};`;
    }
    return null;
  },
};

// The engine asks which kind of build it is in, as Node has it.
const intro = 'const process = { env: { NODE_ENV: "production" } };';

try {
  const bundle = await rollup({
    input: entry,
    plugins: [platform, lwc({ rootDir: component, exclude: [`${modules}/**`, `${tools}/**`] })],
  });
  await bundle.write({ file: out, format: "es", intro });
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
