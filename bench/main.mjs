import { readdirSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { fileURLToPath } from "node:url";

/**
 * `npm run bench -- NAME [--json] [options]`: one measurement by name. For people it prints lines; with --json the last
 * line on stdout is one JSON object with its figures. Each bench names its options at its top.
 */
const names = readdirSync(fileURLToPath(new URL(".", import.meta.url)))
  .filter((file) => file.endsWith(".mjs") && file !== "main.mjs")
  .map((file) => file.slice(0, -".mjs".length));
const [name, ...rest] = process.argv.slice(2);

if (name === undefined || !names.includes(name)) {
  console.error(`Expected one of ${names.join(", ")} but received ${name ?? "nothing"}: npm run bench -- search`);
  process.exit(2);
}

const json = rest.includes("--json");
const { run } = await import(`./${name}.mjs`);
const figures = await run({ json, args: rest.filter((argument) => argument !== "--json") });
const { usedDevices } = await import("./support/trio.mjs");
const machine = [
  ...[cpus()[0]?.model ?? "unknown processor", `${cpus().length} cores`, `${Math.round(totalmem() / 2 ** 30)} GiB`],
  ...[...usedDevices, `Node.js ${process.versions.node}`],
].join(", ");
if (json) console.log(JSON.stringify({ bench: name, machine, ...figures }));
else console.log(`machine: ${machine}`);
