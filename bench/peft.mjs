import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { calibrate, writePeft } from "../dist/index.js";
import { timed } from "./support/timing.mjs";
import { openModel, someSamples, TRIO_OPTIONS } from "./support/trio.mjs";

/** With bench/peft-requirements.txt installed. */
const PYTHON = process.env.LORA_BOUNDARY_PYTHON ?? "python3";
const PROGRAM = fileURLToPath(new URL("peft_boundaries.py", import.meta.url));

/**
 * A race over all boundaries against every boundary scored with PEFT and transformers in bfloat16: same base weights
 * (dequantised), same tokens, one after the other on the same cores. PEFT has what makes it fast: the best of several batch
 * sizes, samples sorted by length, no LoRA computed where it is off, logits for scored tokens alone; loading is not counted.
 * Skipped where LORA_BOUNDARY_PYTHON (default `python3`) has no torch, transformers, peft and gguf.
 * Options: those of support/trio.mjs, --limit N samples, --boundaries N (only so many for PEFT, evenly spread with both ends,
 * its time scaled to all), --margin X, --threads N (default 2).
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      ...TRIO_OPTIONS,
      limit: { type: "string" },
      boundaries: { type: "string" },
      margin: { type: "string", default: "0.02" },
      threads: { type: "string", default: "2" },
    },
  });
  const say = json ? () => undefined : (line) => console.log(line);
  if (spawnSync(PYTHON, ["-c", "import gguf, peft, torch, transformers"]).status !== 0) {
    const skipped = `${PYTHON} cannot import torch, transformers, peft and gguf: pip install -r bench/peft-requirements.txt, and name the interpreter in LORA_BOUNDARY_PYTHON`;
    say(`skipped: ${skipped}`);
    return { skipped };
  }
  const threads = Number(values.threads);
  const model = await openModel(values);
  const adapter = await model.loadAdapter(values.adapter);
  const set = await someSamples(values, model);
  const tokens = set.samples.reduce((sum, sample) => sum + sample.tokens.length - 1, 0);
  const boundaries = spread(model.layers, Number(values.boundaries ?? model.layers + 1));

  const raced = await timed(() =>
    calibrate(adapter, set, { margin: Number(values.margin), strategy: "race", threads }),
  );
  const { candidates, cost, selected } = raced.value;
  say(
    `race: ${set.samples.length} samples, ${tokens} tokens, ${cost.passes.toFixed(2)} passes, ${raced.seconds.toFixed(1)} s, selected ${selected?.candidate.id ?? "none"}`,
  );
  const device = values.gpu === "none" ? "cpu" : values.gpu;
  const peft = await scoreWithPeft({ values, model, samples: set.samples, boundaries, device, threads });
  await model.dispose();

  const spent = peft.seconds.reduce((sum, seconds) => sum + seconds, 0);
  const peftSeconds = (spent * (model.layers + 1)) / boundaries.length;
  const peftTokensPerSecond = (tokens * boundaries.length) / spent;
  const compared = boundaries.flatMap((boundary, index) => {
    const ours = candidates.find(({ id, samples }) => id === `upto:${boundary}` && samples === set.samples.length);
    const theirs = peft.nll[index].reduce((sum, nll) => sum + nll, 0) / set.samples.length;
    return ours === undefined ? [] : [{ boundary, ours: ours.mean, theirs, difference: Math.abs(ours.mean - theirs) }];
  });
  const nll = (boundary) => compared.find((one) => one.boundary === boundary);
  const [base, full] = [nll(0), nll(model.layers)];
  const largestDifference = Math.max(...compared.map(({ difference }) => difference));
  const ratio = peftSeconds / raced.seconds;
  const scaled =
    boundaries.length === model.layers + 1
      ? ""
      : `, scaled from ${boundaries.length} boundaries (${spent.toFixed(1)} s)`;
  say(
    `PEFT: ${peftSeconds.toFixed(1)} s for ${model.layers + 1} boundaries${scaled}, ${peftTokensPerSecond.toFixed(0)} tokens/s per pass in batches of ${peft.batch}`,
  );
  for (const [name, { ours, theirs }] of Object.entries({ base, full })) {
    say(`mean NLL, ${name}: ${ours.toFixed(4)} here, ${theirs.toFixed(4)} with PEFT`);
  }
  say(
    `ratio ${ratio.toFixed(2)} (must be at least 3); largest difference of a mean NLL ${largestDifference.toFixed(4)} over the ${compared.length} boundaries that both scored on all samples (must be at most 0.01)`,
  );
  return {
    ...{ ratio, largestDifference, compared, peftTokensPerSecond, peftSeconds, raceSeconds: raced.seconds },
    ...{ passes: cost.passes, batch: peft.batch, boundaries: boundaries.length, samples: set.samples.length, tokens },
    scaled: boundaries.length < model.layers + 1,
  };
}

/** @returns per boundary: `nll` per sample, `seconds`; and `batch`, see the program */
async function scoreWithPeft({ values, model, samples, ...job }) {
  const folder = await mkdtemp(join(tmpdir(), "lora-boundary-peft-"));
  try {
    const adapter = join(folder, "adapter");
    await writePeft(values.adapter, adapter, { model: model.file });
    const tokens = samples.map((sample) => [...sample.tokens]);
    const scored = samples.map((sample) => [...sample.scored]);
    const path = join(folder, "job.json");
    await writeFile(path, JSON.stringify({ model: values.model, adapter, tokens, scored, ...job }));
    const program = spawn(PYTHON, [PROGRAM, path], { stdio: ["ignore", "pipe", "inherit"] });
    const [output, [status]] = await Promise.all([text(program.stdout), once(program, "exit")]);
    if (status !== 0) throw new Error(`${PYTHON} ${PROGRAM} ended with ${status}`);
    return JSON.parse(output.trim().split("\n").at(-1));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** `count` boundaries from 0 to `layers`, both included, as evenly as whole numbers allow. */
function spread(layers, count) {
  if (!(count >= 2 && count <= layers + 1)) {
    throw new Error(`Expected 2 to ${layers + 1} for --boundaries but received ${count}.`);
  }
  return Array.from({ length: count }, (_, index) => Math.round((index * layers) / (count - 1)));
}
