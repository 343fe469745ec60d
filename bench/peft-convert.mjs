import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, open, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median, timed } from "./support/timing.mjs";

const MEBIBYTE = 1024 * 1024;
const [LAYERS, INPUTS, HEADS] = [32, 4096, 32];
const MODULES = {
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
};

/**
 * Converting a large PEFT adapter (F32, Llama: half of its B are reordered) against `cp` + fsync of the result, in one run, in turn.
 * Options: --mebibytes N (of weights, default 1024), --rounds N (default 5), --folder PATH (where to write), --dist PATH.
 */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      mebibytes: { type: "string", default: "1024" },
      rounds: { type: "string", default: "5" },
      folder: { type: "string", default: tmpdir() },
      dist: { type: "string", default: "../dist/" },
    },
  });
  const load = (path) => import(new URL(path, new URL(values.dist, import.meta.url)).href);
  const { peftToGguf } = await load("peft/to-gguf.js");
  const { encodeSafetensorsHeader } = await load("peft/safetensors.js");
  const { MetadataValue } = await load("gguf/metadata.js");
  const { TENSOR_TYPES } = await load("gguf/tensor-types.js");
  const say = json ? () => undefined : (line) => console.log(line);

  const folder = await mkdtemp(join(values.folder, "lora-boundary-bench-"));
  try {
    const type = TENSOR_TYPES.get(0);
    const modules = Object.keys(MODULES).length;
    const rank = Math.max(1, Math.round((Number(values.mebibytes) * MEBIBYTE) / (LAYERS * modules * 2 * INPUTS * 4)));
    const peft = join(folder, "peft");
    await writePeftFolder(peft, rank, type, encodeSafetensorsHeader);
    const metadata = new Map([
      ["llama.attention.head_count", MetadataValue.u32(HEADS)],
      ["llama.attention.head_count_kv", MetadataValue.u32(HEADS)],
    ]);
    const tensors = Array.from({ length: LAYERS }, (_, layer) =>
      Object.values(MODULES).map((it) => `blk.${layer}.${it}.weight`),
    ).flat();
    const model = {
      path: "base.gguf",
      architecture: "llama",
      shards: [{ path: "base.gguf", metadata }],
      tensors: new Map(tensors.map((name) => [name, { name, shape: [INPUTS, INPUTS] }])),
    };
    const [converted, copied] = [join(folder, "converted.gguf"), join(folder, "copied.gguf")];
    const fresh = async (target, work) => {
      await rm(target, { force: true });
      await sync(folder, "r");
      return (await timed(work)).seconds;
    };
    const convert = () => fresh(converted, () => peftToGguf(peft, model, converted));
    const copy = () =>
      fresh(copied, async () => {
        const [code] = await once(spawn("cp", [converted, copied], { stdio: "ignore" }), "exit");
        if (code !== 0) throw new Error(`cp ended with ${code}`);
        await sync(copied, "r+");
      });
    await convert();
    await copy();
    const [conversions, copies] = [[], []];
    for (let round = 0; round < Number(values.rounds); round++) {
      // Who goes first changes from round to round, so that neither always finds the warmer cache.
      if (round % 2 === 0) conversions.push(await convert());
      copies.push(await copy());
      if (round % 2 === 1) conversions.push(await convert());
      say(`round ${round + 1}: convert ${conversions.at(-1).toFixed(3)} s, cp + fsync ${copies.at(-1).toFixed(3)} s`);
    }
    const mebibytes = (await stat(converted)).size / MEBIBYTE;
    const [convertSeconds, copySeconds] = [median(conversions), median(copies)];
    const speedToCopy = copySeconds / convertSeconds;
    say(`written ${mebibytes.toFixed(1)} MiB, ${conversions.length} rounds`);
    say(`medians: convert ${convertSeconds.toFixed(4)} s, cp + fsync ${copySeconds.toFixed(4)} s`);
    say(`speed ${speedToCopy.toFixed(2)} of cp's (must be at least 0.5)`);
    return { speedToCopy, convertSeconds, copySeconds, mebibytes, rounds: conversions.length };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function sync(path, flags) {
  const handle = await open(path, flags);
  await handle.sync();
  await handle.close();
}

async function writePeftFolder(folder, rank, type, encodeHeader) {
  await mkdir(folder);
  const tensors = Array.from({ length: LAYERS }, (_, layer) =>
    Object.keys(MODULES).flatMap((module) => {
      const name = `base_model.model.model.layers.${layer}.${module}`;
      const bytes = rank * INPUTS * type.blockBytes;
      return [
        { name: `${name}.lora_A.weight`, type, shape: [rank, INPUTS], bytes },
        { name: `${name}.lora_B.weight`, type, shape: [INPUTS, rank], bytes },
      ];
    }),
  ).flat();
  const config = { peft_type: "LORA", r: rank, lora_alpha: 16, bias: "none" };
  await writeFile(join(folder, "adapter_config.json"), JSON.stringify(config));
  const handle = await open(join(folder, "adapter_model.safetensors"), "wx");
  try {
    const header = encodeHeader(tensors);
    await handle.write(header, 0, header.length, 0);
    const end = header.length + tensors.reduce((sum, { bytes }) => sum + bytes, 0);
    const block = new Float32Array(MEBIBYTE / 4);
    let state = 1;
    for (let position = header.length; position < end; position += MEBIBYTE) {
      for (let index = 0; index < block.length; index++) {
        state = (Math.imul(state, 1664525) + 1013904223) | 0;
        block[index] = state / 2 ** 31;
      }
      await handle.write(Buffer.from(block.buffer), 0, Math.min(MEBIBYTE, end - position), position);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}
