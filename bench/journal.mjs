import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, isDeepStrictEqual } from "node:util";
import { TRIO_OPTIONS } from "./support/trio.mjs";

const MAIN = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

/**
 * A search with a journal, killed (SIGKILL) once at a random moment and then resumed, again and again: how many ended with
 * the very result and file of a run that was left alone, and how many left half a file.
 * Options: those of support/trio.mjs, --kills N (default 100), --limit N samples (default 12), --threads N (default 1),
 * --margin, --objective (default nll; answers are kept and compared as well), --answer-tokens N (default 8).
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      ...TRIO_OPTIONS,
      kills: { type: "string", default: "100" },
      limit: { type: "string", default: "12" },
      threads: { type: "string", default: "1" },
      margin: { type: "string", default: "0.1" },
      objective: { type: "string", default: "nll" },
      "answer-tokens": { type: "string", default: "8" },
    },
  });
  const say = json ? () => undefined : (line) => console.log(line);
  const folder = await mkdtemp(join(tmpdir(), "lora-boundary-journal-"));
  const search = (name, ...more) => {
    const { gpu, "gpu-layers": gpuLayers } = values;
    const place = ["--gpu", gpu, ...(gpuLayers === undefined ? [] : ["--gpu-layers", gpuLayers])];
    const machine = ["--limit", values.limit, "--threads", values.threads, "--margin", values.margin, ...place];
    const judged = ["--objective", values.objective, "--answer-tokens", values["answer-tokens"], "--keep-answers"];
    const inputs = [values.model, values.adapter, values.samples].map((path) => resolve(path));
    const files = [...inputs, "-o", `${name}.gguf`, "--json", `${name}.json`];
    return spawn(process.execPath, [MAIN, "calibrate", ...files, ...machine, ...judged, ...more], {
      cwd: folder,
      stdio: "ignore",
    });
  };
  const ended = (child) => new Promise((resolve) => child.once("close", (code, signal) => resolve({ code, signal })));
  const content = (file) => readFile(join(folder, file)).catch(() => null);
  /** All of a result that does not tell when and how it was made, and the written file. */
  const outcome = async (name) => {
    const { createdAt, command, output, cost, ...rest } = JSON.parse(await content(`${name}.json`));
    const lasting = { ...rest, passes: cost.passes, written: output && { ...output, path: "" } };
    return { told: [createdAt, command].length, lasting, file: await content(`${name}.gguf`) };
  };
  try {
    const start = performance.now();
    await ended(search("whole"));
    const duration = performance.now() - start;
    const expected = await outcome("whole");
    let [identical, halves, killed] = [0, 0, 0];
    while (killed < Number(values.kills)) {
      const child = search("killed");
      const end = ended(child);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * duration));
      child.kill("SIGKILL");
      if ((await end).signal === "SIGKILL") {
        killed += 1;
        const written = await content("killed.gguf");
        if (written !== null && !isDeepStrictEqual(written, expected.file)) halves += 1;
        await ended(search("killed", "--resume"));
        if (isDeepStrictEqual(await outcome("killed"), expected)) identical += 1;
        say(`kill ${killed}: ${identical} identical, ${halves} half files`);
      }
      for (const name of await readdir(folder)) if (!name.startsWith("whole")) await rm(join(folder, name));
    }
    return { kills: killed, identical, halves, seconds: duration / 1000 };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
