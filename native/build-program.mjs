#!/usr/bin/env node
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { buildBackends } from "./build-backends.mjs";
import { SERVER } from "./built-backends.mjs";

/** `lora-boundary-build`: backends of llama.cpp that node-llama-cpp has not built, or not for this machine. */

const BACKENDS = {
  rpc: "several machines, and the server that the other machines run",
  cuda: "NVIDIA GPUs; needs the CUDA toolkit (nvcc)",
  vulkan: "GPUs by Vulkan; needs its SDK (headers and glslc)",
  metal: "Apple GPUs; needs Xcode's command line tools",
};

const AFTER = `
Examples:
  Spread a model over several machines:
    lora-boundary-build --rpc
  The same on a machine with an NVIDIA GPU, which its server then offers:
    lora-boundary-build --rpc --cuda

The sources come with node-llama-cpp; nothing is downloaded. --rpc takes about a minute, GPU backends much longer.
Only the named backends are built: everything else, the processor's kernels among it, stays as it is, so scores on the
CPU keep their bits. What was built before stays, and a failed or cancelled build changes nothing. lora-boundary uses the
build from then on; \`lora-boundary doctor\` names it.

Exit codes: 0 built; 2 wrong usage; 5 the build failed; 130 cancelled.`;

const program = new Command("lora-boundary-build")
  .description("Build backends of llama.cpp for this machine, from the sources that node-llama-cpp carries.")
  .option("--jobs <n>", "files to compile at once", count, availableParallelism())
  .exitOverride()
  .addHelpText("after", AFTER);
for (const [name, purpose] of Object.entries(BACKENDS)) program.option(`--${name}`, purpose);

const interrupt = new AbortController();
for (const name of ["SIGINT", "SIGTERM"]) process.on(name, () => interrupt.abort());

process.exitCode = await main();

async function main() {
  try {
    program.parse();
  } catch (error) {
    return error.exitCode === 0 ? 0 : 2;
  }
  const { jobs, ...flags } = program.opts();
  const backends = Object.keys(BACKENDS).filter((name) => flags[name]);
  if (backends.length === 0) {
    console.error("error: Expected at least one of --rpc, --cuda, --vulkan, --metal but received none.\n");
    console.error(program.helpInformation());
    return 2;
  }
  console.error(`Building llama.cpp's ${backends.join(", ")} with ${jobs} at once.`);
  try {
    const built = await buildBackends({ backends, jobs, signal: interrupt.signal, onProgress: progress() });
    console.log(report(built));
    return 0;
  } catch (error) {
    if (interrupt.signal.aborted) {
      console.error("Cancelled; nothing has changed.");
      return 130;
    }
    console.error(`error: ${error.message}\nNothing has changed: what was built before is used as before.`);
    return 5;
  }
}

function count(text) {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError("Give a whole number from 1.");
  return Number(text);
}

/** A line whenever a tenth more is done. */
function progress() {
  let shown = -1;
  return (share) => {
    const tenth = Math.floor(share * 10);
    if (tenth <= shown) return;
    shown = tenth;
    console.error(`${String(Math.round(share * 100)).padStart(3)} %`);
  };
}

function report({ folder, backends }) {
  const lines = [`Built: ${backends.join(", ")}, in ${folder}`];
  if (!backends.includes("rpc")) return lines[0];
  const quoted = process.platform === "win32" ? `"${join(folder, SERVER)}"` : shellWord(join(folder, SERVER));
  return [
    ...lines,
    "",
    "On each other machine build the same, or copy this folder where system and processor are alike, and start its server:",
    `  ${quoted} -H 0.0.0.0 -p 50052`,
    "Then, here:",
    "  lora-boundary calibrate base.gguf adapter.gguf samples.jsonl --rpc host:50052,other-host:50052",
    "",
    "Warning: the server has no authentication and no encryption. Whoever reaches its port can use and crash it, and may run",
    "code on it. Give it the address of a private network with -H, never one that the internet reaches. It serves one client",
    "at a time.",
  ].join("\n");
}

function shellWord(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
