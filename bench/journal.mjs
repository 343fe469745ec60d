import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, isDeepStrictEqual } from "node:util";
import { DEMO_OPTIONS } from "./support/trio.mjs";

const MAIN = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const [ADAPTER, RESULT] = ["small.gguf", "result.json"];

/**
 * A search with a journal, killed (SIGKILL) once at a random moment and then resumed, again and again: how many ended with the
 * very result and files of a run that was left alone, and how many had half a file after the kill.
 * Options: --model, --adapter, --samples (default: the demo, a search of seconds), --gpu, --gpu-layers, --kills N (default
 * 100), --jobs N at the same time (default 2), --limit N samples (default 8), --threads N (default 1), --margin X (default
 * 0.1), --objective (default nll; answers are kept and compared as well), --answer-tokens N (default 8).
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      ...DEMO_OPTIONS,
      kills: { type: "string", default: "100" },
      jobs: { type: "string", default: "2" },
      limit: { type: "string", default: "8" },
      threads: { type: "string", default: "1" },
      margin: { type: "string", default: "0.1" },
      objective: { type: "string", default: "nll" },
      "answer-tokens": { type: "string", default: "8" },
    },
  });
  const say = json ? () => undefined : (line) => console.log(line);
  const root = await mkdtemp(join(tmpdir(), "lora-boundary-journal-"));
  try {
    const whole = join(root, "whole");
    await mkdir(whole);
    const start = performance.now();
    await ended(search(values, whole));
    const duration = performance.now() - start;
    const expected = await outcome(whole);
    if (expected.adapter === null) throw new Error("Expected a proven cut, whose file is compared; give --margin.");
    say(`a run that is left alone: ${(duration / 1000).toFixed(1)} s`);

    let left = Number(values.kills);
    let [begun, killed, identical, halves] = [0, 0, 0, 0];
    const job = async () => {
      while (left > 0) {
        left -= 1;
        begun += 1;
        const folder = join(root, String(begun));
        const found = await killAndResume(values, folder, { duration, expected });
        await rm(folder, { recursive: true, force: true });
        if (found === null) {
          // It ended before it was killed, which shows nothing.
          left += 1;
          continue;
        }
        killed += 1;
        identical += Number(found.identical);
        halves += Number(found.half);
        if (!found.identical) say(`  differs after ${found.after.toFixed(2)} s, exit ${found.code}: ${found.where}`);
        say(`kill ${killed}: ${identical} identical, ${halves} half files`);
      }
    };
    await Promise.all(Array.from({ length: Number(values.jobs) }, job));
    return { kills: killed, identical, halves, runSeconds: duration / 1000 };
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** @returns null where the search had ended by itself; else what the kill left and whether the resumed run made up for it */
async function killAndResume(values, folder, { duration, expected }) {
  await mkdir(folder, { recursive: true });
  const child = search(values, folder);
  const end = ended(child);
  const after = Math.random() * duration;
  await new Promise((resolve) => setTimeout(resolve, after));
  child.kill("SIGKILL");
  if ((await end).signal !== "SIGKILL") return null;
  const [adapter, result] = [await content(folder, ADAPTER), await content(folder, RESULT)];
  const half = (adapter !== null && !adapter.equals(expected.adapter)) || (result !== null && !isWhole(result));
  const { code } = await ended(search(values, folder, "--resume"));
  const found = await outcome(folder);
  const where = firstDifference(found, expected);
  return { half, identical: where === null, where, code, after: after / 1000 };
}

/** Path of the first value that differs, with both; null where all are the same. */
function firstDifference(one, other, path = "") {
  if (isDeepStrictEqual(one, other)) return null;
  const nested = [one, other].every((it) => typeof it === "object" && it !== null && !Buffer.isBuffer(it));
  if (!nested) return `${path} is ${shortened(one)} in place of ${shortened(other)}`;
  for (const key of new Set([...Object.keys(one), ...Object.keys(other)])) {
    const found = firstDifference(one[key], other[key], `${path}/${key}`);
    if (found !== null) return found;
  }
  return path;
}

function shortened(value) {
  return Buffer.isBuffer(value) ? `${value.length} bytes` : (JSON.stringify(value) ?? "nothing").slice(0, 80);
}

function search(values, folder, ...more) {
  const { gpu, "gpu-layers": gpuLayers, limit, threads, margin } = values;
  const inputs = [values.model, values.adapter, values.samples].map((path) => resolve(path));
  const place = ["--gpu", gpu, ...(gpuLayers === undefined ? [] : ["--gpu-layers", gpuLayers])];
  const judged = ["--objective", values.objective, "--answer-tokens", values["answer-tokens"], "--keep-answers"];
  const options = ["--limit", limit, "--threads", threads, "--margin", margin, ...judged, ...place, ...more];
  return spawn(process.execPath, [MAIN, "calibrate", ...inputs, "-o", ADAPTER, "--json", RESULT, ...options], {
    cwd: folder,
    stdio: "ignore",
  });
}

function ended(child) {
  return new Promise((resolve) => child.once("close", (code, signal) => resolve({ code, signal })));
}

function content(folder, file) {
  return readFile(join(folder, file)).catch(() => null);
}

function isWhole(bytes) {
  try {
    return JSON.parse(bytes) !== null;
  } catch {
    return false;
  }
}

/** All of a result that does not tell when and how it was made, the written adapter, and the names of all files. */
async function outcome(folder) {
  const result = await content(folder, RESULT);
  if (result === null) return { adapter: null };
  const { createdAt, command, cost, ...rest } = JSON.parse(result);
  const lasting = { ...rest, passes: cost.passes, told: [typeof createdAt, command.length > 0] };
  return { lasting, adapter: await content(folder, ADAPTER), files: (await readdir(folder)).sort() };
}
