import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { LOGIT_TOLERANCE } from "../dist/calibration/write-verified.js";
import { boundaryCandidates, writeAdapter } from "../dist/index.js";
import { largestDifference } from "./support/scores.mjs";
import { computesExactly, DEVICE_OPTIONS, openModel } from "./support/trio.mjs";

/** What a resumed run may differ by from a plain one on a GPU, nats per scored token. */
const SCORE_TOLERANCE = 1e-3;

/**
 * Every architecture of a folder of NAME.gguf + NAME.lora.gguf: boundaries resumed against plain runs, the layered adapter
 * against the whole one, the trimmed file against zeroed scales; bit by bit on the CPU, on a GPU within rounding. The models
 * need no tokenizer.
 * Arguments: [DIR] (default ../shared/models/architectures), --threads N (default 1), --gpu NAME, --gpu-layers N.
 */
export async function run({ json, args }) {
  const { values, positionals } = parseArgs({
    args,
    options: { ...DEVICE_OPTIONS, threads: { type: "string", default: "1" } },
    allowPositionals: true,
  });
  const folder = positionals[0] ?? fileURLToPath(new URL("../../shared/models/architectures", import.meta.url));
  const say = json ? () => undefined : (line) => console.log(line);
  const names = (await readdir(folder))
    .filter((file) => file.endsWith(".lora.gguf"))
    .map((file) => file.slice(0, -".lora.gguf".length))
    .sort();
  const scratch = await mkdtemp(join(tmpdir(), "lora-boundary-architectures-"));
  const resumed = { exact: [], close: [] };
  const plain = [];
  const failed = [];
  for (const name of names) {
    try {
      const found = await check(folder, name, scratch, values);
      (resumed[found.replay] ?? plain).push(name);
      say(`${name}: ${found.text}`);
    } catch (error) {
      failed.push(name);
      say(`${name}: FAILED, ${error.message}`);
    }
  }
  await rm(scratch, { recursive: true, force: true });
  say(
    `${names.length} models: ${resumed.exact.length} resumed bit-identical, ${resumed.close.length} within rounding, ${plain.length} by plain runs${list(plain)}, ${failed.length} failed${list(failed)}`,
  );
  return { models: names.length, identical: resumed.exact.length, close: resumed.close, plain, failed };
}

async function check(folder, name, scratch, values) {
  const path = join(folder, `${name}.lora.gguf`);
  const model = await openModel(values, join(folder, `${name}.gguf`));
  const exact = computesExactly(model);
  try {
    const adapter = await model.loadAdapter(path);
    const session = adapter.openSession(randomSamples(model.facts.vocabulary), {
      threads: Number(values.threads),
    });
    const candidates = boundaryCandidates(model.layers, adapter.file.layers);
    const resumed = await session.score(candidates);
    const expected = await session.score(candidates, { plain: true });
    const difference = largestDifference(resumed, expected);
    if (difference > (exact ? 0 : SCORE_TOLERANCE)) throw new Error(`scores differ from plain runs by ${difference}`);
    const scores = new Set(resumed.map((column) => column.join()));
    if (scores.size < 3) throw new Error("the adapter changes too little to show anything");
    const whole = await session.compareWithFile(candidates.at(-1), path);
    const cut = candidates[candidates.length >> 1];
    const trimmed = join(scratch, `${name}.gguf`);
    await writeAdapter(path, cut, trimmed);
    const written = await session.compareWithFile(cut, trimmed);
    if (!(Math.max(whole, written) <= (exact ? 0 : LOGIT_TOLERANCE))) {
      throw new Error(`logits differ: whole adapter ${whole}, trimmed file ${written}`);
    }
    const { replay, borders, notices } = session.facts;
    const names = [
      ...new Set(borders.filter((crossing) => crossing !== "").map((crossing) => crossing.replace(/-\d+/g, "-N"))),
    ];
    const usable = borders.filter((crossing) => crossing !== "").length;
    return {
      replay,
      text: `${replay} (scores ${difference}, logits ${Math.max(whole, written)} apart), ${usable} of ${model.layers - 1} borders by ${names.join(" or ") || "nothing"}${list(notices)}`,
    };
  } finally {
    await model.dispose();
  }
}

/** Token ids from a seeded generator: six sequences, the last two thirds of each scored. */
function randomSamples(vocabulary) {
  let state = 1;
  const next = (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  return Array.from({ length: 6 }, (_, index) => {
    const tokens = Int32Array.from({ length: 12 + 3 * index }, () => next(vocabulary));
    const scored = Uint8Array.from(tokens, (_, position) => (position > tokens.length / 3 ? 1 : 0));
    return { tokens, scored, group: String(index), line: index + 1 };
  });
}

function list(items) {
  return items.length === 0 ? "" : ` (${items.join("; ")})`;
}
