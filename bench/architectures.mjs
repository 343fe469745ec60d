import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { boundaryCandidates, loadModel, writeAdapter } from "../dist/index.js";

/**
 * Every architecture of a folder of NAME.gguf + NAME.lora.gguf: boundaries resumed against plain runs bit by bit, the
 * layered adapter against the whole one, the trimmed file against zeroed scales. The models need no tokenizer.
 * Arguments: [DIR] (default ../shared/models/architectures), --threads N (default 1).
 */
export async function run({ json, args }) {
  const { values, positionals } = parseArgs({
    args,
    options: { threads: { type: "string", default: "1" } },
    allowPositionals: true,
  });
  const folder = positionals[0] ?? fileURLToPath(new URL("../../shared/models/architectures", import.meta.url));
  const say = json ? () => undefined : (line) => console.log(line);
  const names = (await readdir(folder))
    .filter((file) => file.endsWith(".lora.gguf"))
    .map((file) => file.slice(0, -".lora.gguf".length))
    .sort();
  const scratch = await mkdtemp(join(tmpdir(), "lora-boundary-architectures-"));
  const identical = [];
  const plain = [];
  const failed = [];
  for (const name of names) {
    try {
      const found = await check(folder, name, scratch, Number(values.threads));
      (found.replay === "exact" ? identical : plain).push(name);
      say(`${name}: ${found.text}`);
    } catch (error) {
      failed.push(name);
      say(`${name}: FAILED, ${error.message}`);
    }
  }
  await rm(scratch, { recursive: true, force: true });
  say(
    `${names.length} models: ${identical.length} resumed bit-identical, ${plain.length} by plain runs${list(plain)}, ${failed.length} failed${list(failed)}`,
  );
  return { models: names.length, identical: identical.length, plain, failed };
}

async function check(folder, name, scratch, threads) {
  const path = join(folder, `${name}.lora.gguf`);
  const model = await loadModel(join(folder, `${name}.gguf`));
  try {
    const adapter = await model.loadAdapter(path);
    const session = adapter.openSession(randomSamples(model.facts.vocabulary), { threads });
    const candidates = boundaryCandidates(model.layers, adapter.file.layers);
    const resumed = await session.score(candidates);
    const expected = await session.score(candidates, { plain: true });
    const differs = candidates.filter(
      (_, index) => !resumed[index].every((score, i) => Object.is(score, expected[index][i])),
    );
    if (differs.length > 0)
      throw new Error(`scores differ from plain runs at ${differs.map(({ id }) => id).join(", ")}`);
    const scores = new Set(resumed.map((column) => column.join()));
    if (scores.size < 3) throw new Error("the adapter changes too little to show anything");
    const whole = await session.compareWithFile(candidates.at(-1), path);
    const cut = candidates[candidates.length >> 1];
    const trimmed = join(scratch, `${name}.gguf`);
    await writeAdapter(path, cut, trimmed);
    const written = await session.compareWithFile(cut, trimmed);
    if (whole !== 0 || written !== 0) throw new Error(`logits differ: whole adapter ${whole}, trimmed file ${written}`);
    const { replay, borders, notices } = session.facts;
    const names = [
      ...new Set(borders.filter((crossing) => crossing !== "").map((crossing) => crossing.replace(/-\d+/g, "-N"))),
    ];
    const usable = borders.filter((crossing) => crossing !== "").length;
    return {
      replay,
      text: `${replay}, ${usable} of ${model.layers - 1} borders by ${names.join(" or ") || "nothing"}${list(notices)}`,
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
