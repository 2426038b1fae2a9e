// Reads the response types of stripe-node and prints them as one JSON document.
// Arguments: folder with stripe in node_modules, folder with typescript in node_modules.
//
// {"objects": {"invoice": [type ids]}, "events": {"invoice.paid": type id}, "types": [type, ...]}
// A type is one of: {"kind": "string" | "number" | "boolean" | "decimal" | "any" | "null" | "absent"},
// {"kind": "const", "value"}, {"kind": "array" | "map", "of"}, {"kind": "union", "of": [ids]},
// {"kind": "object", "name", "properties": {name: {"type", "optional"}}}. References are type ids.
import { createRequire } from "node:module";
import fs from "node:fs";
import path from "node:path";

const [stripeFolder, typescriptFolder] = process.argv.slice(2);
const ts = createRequire(path.join(typescriptFolder, "index.js"))("typescript");
const root = path.join(stripeFolder, "node_modules", "stripe", "esm");
const entry = path.join(root, "stripe.esm.node.d.ts");
const program = ts.createProgram([entry], {
  strict: true,
  exactOptionalPropertyTypes: true,
  noLib: false,
  skipLibCheck: true,
  types: [],
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  target: ts.ScriptTarget.ES2022,
});
const checker = program.getTypeChecker();
const { TypeFlags, SymbolFlags } = ts;

const types = [];
const ids = new Map();

function described(type) {
  if (ids.has(type)) return ids.get(type);
  const id = types.length;
  ids.set(type, id);
  types.push(null);
  types[id] = shape(type);
  return id;
}

function shape(type) {
  if (type.aliasSymbol?.name === "Decimal" || type.symbol?.name === "Decimal") return { kind: "decimal" };
  const { flags } = type;
  if (flags & (TypeFlags.Any | TypeFlags.Unknown | TypeFlags.NonPrimitive)) return { kind: "any" };
  if (flags & (TypeFlags.Void | TypeFlags.Undefined | TypeFlags.Never)) return { kind: "absent" };
  if (flags & TypeFlags.Null) return { kind: "null" };
  if (flags & TypeFlags.Boolean) return { kind: "boolean" };
  if (flags & TypeFlags.BooleanLiteral) return { kind: "const", value: checker.typeToString(type) === "true" };
  if (flags & (TypeFlags.StringLiteral | TypeFlags.NumberLiteral)) return { kind: "const", value: type.value };
  if (flags & TypeFlags.String) return { kind: "string" };
  if (flags & TypeFlags.Number) return { kind: "number" };
  if (type.isUnion()) return union(type);
  if (type.isIntersection()) return { kind: "string" };
  if (checker.isArrayType(type)) return { kind: "array", of: described(checker.getTypeArguments(type)[0]) };
  const index = checker.getIndexTypeOfType(type, ts.IndexKind.String);
  if (index) return { kind: "map", of: described(index) };
  return object(type);
}

// Listed values are left open by `string & {}`, so that newer ones compile; what is listed is meant.
function union(type) {
  const listed = type.types.some((part) => part.flags & TypeFlags.StringLiteral);
  const parts = type.types.filter((part) => !(listed && part.isIntersection()));
  return { kind: "union", of: parts.map(described) };
}

function object(type) {
  const properties = {};
  for (const property of checker.getPropertiesOfType(type)) {
    const optional = Boolean(property.flags & SymbolFlags.Optional);
    const held = checker.getTypeOfSymbol(property);
    if (held.getCallSignatures().length) continue; // added by the library, no part of the answer
    properties[property.name] = { type: described(held), optional };
  }
  return { kind: "object", name: checker.typeToString(type).slice(0, 60), properties };
}

function literal(type, name) {
  const property = type.getProperty(name);
  const value = property && checker.getTypeOfSymbol(property);
  return value && value.isStringLiteral() ? value.value : null;
}

const objects = {};
const events = {};

function visit(node) {
  if (ts.isInterfaceDeclaration(node) && !node.typeParameters) {
    const type = checker.getTypeAtLocation(node.name);
    const name = literal(type, "object");
    const event = literal(type, "type");
    if (name === "event" || name === "v2.core.event") {
      if (event && !node.name.text.endsWith("Notification")) events[event] = described(type);
    } else if (name) {
      (objects[name] ??= []).push(described(type));
    }
  }
  ts.forEachChild(node, visit);
}

for (const file of program.getSourceFiles()) {
  if (file.fileName.startsWith(path.join(root, "resources"))) visit(file);
}
fs.writeFileSync(1, JSON.stringify({ objects, events, types }));
