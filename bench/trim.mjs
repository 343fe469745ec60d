import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median, timed } from "./support/timing.mjs";

const MEBIBYTE = 1024 * 1024;
const LAYERS = 32;
const INPUTS = 4096;
const PAIRS_PER_LAYER = 8;

/**
 * `trim` of a large synthetic adapter against `cp` + fsync of the same output bytes, in one run, in turn.
 * Options: --mebibytes N (size of the adapter, default 1024), --keep LAYERS (default 0-30), --rounds N (default 7),
 * --folder PATH (where to write, default the system's temporary folder), --dist PATH (compiled package).
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      mebibytes: { type: "string", default: "1024" },
      keep: { type: "string", default: `0-${LAYERS - 2}` },
      rounds: { type: "string", default: "7" },
      folder: { type: "string", default: tmpdir() },
      dist: { type: "string", default: "../dist/" },
    },
  });
  const load = (path) => import(new URL(path, new URL(values.dist, import.meta.url)).href);
  const { writeAdapter } = await load("lora/trim.js");
  const { readAdapter } = await load("lora/adapter-file.js");
  const { parseKeep } = await load("lora/keep.js");
  const say = json ? () => undefined : (line) => console.log(line);

  const folder = await mkdtemp(join(values.folder, "lora-boundary-bench-"));
  try {
    const source = join(folder, "adapter.gguf");
    await writeSynthetic(source, Number(values.mebibytes) * MEBIBYTE, load);
    const selection = parseKeep(values.keep, await readAdapter(source));
    const trimmed = join(folder, "trimmed.gguf");
    const copied = join(folder, "copied.gguf");

    const trim = async () => {
      await rm(trimmed, { force: true });
      await settle(folder);
      return (await timed(() => writeAdapter(source, selection, trimmed))).seconds;
    };
    const copy = async () => {
      await rm(copied, { force: true });
      await settle(folder);
      return (await timed(() => copyAndSync(trimmed, copied))).seconds;
    };

    await trim();
    await copy();
    const trims = [];
    const copies = [];
    for (let round = 0; round < Number(values.rounds); round++) {
      // Who goes first changes from round to round, so that neither always finds the warmer cache.
      if (round % 2 === 0) trims.push(await trim());
      copies.push(await copy());
      if (round % 2 === 1) trims.push(await trim());
      say(`round ${round + 1}: trim ${trims.at(-1).toFixed(3)} s, cp + fsync ${copies.at(-1).toFixed(3)} s`);
    }
    const sourceMebibytes = (await stat(source)).size / MEBIBYTE;
    const outputMebibytes = (await stat(trimmed)).size / MEBIBYTE;
    const trimSeconds = median(trims);
    const copySeconds = median(copies);
    const ratioToCopy = trimSeconds / copySeconds;
    say(`adapter ${sourceMebibytes.toFixed(1)} MiB, written ${outputMebibytes.toFixed(1)} MiB, ${trims.length} rounds`);
    say(`medians: trim ${trimSeconds.toFixed(4)} s, cp + fsync ${copySeconds.toFixed(4)} s`);
    say(`ratio ${ratioToCopy.toFixed(2)} (must be at most 1.5)`);
    return { ratioToCopy, trimSeconds, copySeconds, sourceMebibytes, outputMebibytes, rounds: trims.length };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function copyAndSync(from, to) {
  const [code] = await once(spawn("cp", [from, to], { stdio: "ignore" }), "exit");
  if (code !== 0) throw new Error(`cp ended with ${code}`);
  const handle = await open(to, "r+");
  await handle.sync();
  await handle.close();
}

/** Removing a large file goes on in the background of the file system; a sync waits for it, outside the timing. */
async function settle(folder) {
  const handle = await open(folder, "r");
  await handle.sync();
  await handle.close();
}

/** An adapter of about `bytes`: 32 layers with 8 square pairs each, F32, numbers without a pattern. */
async function writeSynthetic(path, bytes, load) {
  const { encodeHeader } = await load("gguf/encode-header.js");
  const { MetadataValue } = await load("gguf/metadata.js");
  const { TENSOR_TYPES } = await load("gguf/tensor-types.js");
  const type = TENSOR_TYPES.get(0);
  const rank = Math.max(1, Math.round(bytes / (LAYERS * PAIRS_PER_LAYER * 2 * INPUTS * type.blockBytes)));
  const elements = INPUTS * rank;
  const tensors = [];
  for (let layer = 0; layer < LAYERS; layer++) {
    for (let pair = 0; pair < PAIRS_PER_LAYER; pair++) {
      const name = `blk.${layer}.part_${pair}.weight`;
      const size = { type, elements, bytes: elements * type.blockBytes };
      tensors.push({ name: `${name}.lora_a`, shape: [INPUTS, rank], ...size });
      tensors.push({ name: `${name}.lora_b`, shape: [rank, INPUTS], ...size });
    }
  }
  const metadata = new Map([
    ["general.architecture", MetadataValue.string("llama")],
    ["general.type", MetadataValue.string("adapter")],
    ["adapter.type", MetadataValue.string("lora")],
    ["adapter.lora.alpha", MetadataValue.f32(16)],
  ]);
  const { header, fileBytes } = encodeHeader({ version: 3, metadata, tensors });
  const handle = await open(path, "wx");
  try {
    await handle.write(header, 0, header.length, 0);
    const block = new Float32Array(MEBIBYTE / 4);
    let state = 1;
    for (let position = header.length; position < fileBytes; position += MEBIBYTE) {
      for (let index = 0; index < block.length; index++) {
        state = (Math.imul(state, 1664525) + 1013904223) | 0;
        block[index] = state / 2 ** 31;
      }
      await handle.write(Buffer.from(block.buffer), 0, Math.min(MEBIBYTE, fileBytes - position), position);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}
