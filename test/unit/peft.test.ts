import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeTensor } from "../../src/gguf/decode-tensor.js";
import { MetadataValue } from "../../src/gguf/metadata.js";
import { readAdapter } from "../../src/lora/adapter-file.js";
import { readModel } from "../../src/lora/model-file.js";
import { writeAdapter } from "../../src/lora/trim.js";
import { adapterPathOf } from "../../src/peft/adapter-path.js";
import { writePeft } from "../../src/peft/from-gguf.js";
import { readSafetensors } from "../../src/peft/safetensors.js";
import { peftToGguf } from "../../src/peft/to-gguf.js";
import { failure, useFolder } from "../support/data-files.js";
import { hasSmollm2, SMOLLM2, unlessAbsent } from "../support/engine-files.js";
import {
  BASE_MODULES,
  CONFIG,
  numbers,
  pairsOf,
  peftFolder,
  SIZES,
  writeBase,
  type SafetensorsEntry,
} from "../support/peft-folders.js";
import { u64 } from "../support/gguf-files.js";

const root = useFolder();
let count = 0;
const fresh = (name = "it") => join(root.path, `${count++}-${name}`);
const before = process.env["LORA_BOUNDARY_CACHE"];
beforeAll(() => {
  process.env["LORA_BOUNDARY_CACHE"] = join(root.path, "cache");
});
afterAll(() => {
  if (before === undefined) delete process.env["LORA_BOUNDARY_CACHE"];
  else process.env["LORA_BOUNDARY_CACHE"] = before;
});

const model = async (architecture: string) => readModel(await writeBase(fresh("base.gguf"), architecture));

async function converted(architecture: string, entries: readonly SafetensorsEntry[], config: unknown = CONFIG) {
  const target = fresh("adapter.gguf");
  await peftToGguf(await peftFolder(fresh("peft"), entries, config), await model(architecture), target);
  const [adapter, bytes] = [await readAdapter(target), await readFile(target)];
  const tensors = new Map(
    adapter.gguf.tensors.map((it) => [
      it.name,
      decodeTensor(it.type, bytes.subarray(it.offset, it.offset + it.bytes))!,
    ]),
  );
  return { adapter, tensors, target };
}

const floats = ({ data }: SafetensorsEntry) =>
  Array.from({ length: data.length / 4 }, (_, at) => data.readFloatLE(4 * at));
const { heads, kvHeads, headSize } = SIZES;

describe("a PEFT folder as GGUF", () => {
  it.each(Object.keys(BASE_MODULES))(
    "%s: every module, A as it is, B as it is but for the heads of llama's q and k",
    async (architecture) => {
      const entries = pairsOf(architecture, () => 4);
      const { adapter, tensors } = await converted(architecture, entries);
      expect(adapter).toMatchObject({ architecture, alpha: 8, ranks: [4], layers: [0, 1] });
      const names = [0, 1].flatMap((layer) =>
        Object.keys(BASE_MODULES[architecture]!).map((it) => `blk.${layer}.${it}.weight`),
      );
      expect(adapter.pairs.map(({ name }) => name)).toEqual(names);
      for (const [index, name] of names.entries()) {
        expect([...tensors.get(`${name}.lora_a`)!]).toEqual(floats(entries[2 * index]!));
        const b = floats(entries[2 * index + 1]!);
        const permuted = ["llama", "granite"].includes(architecture) && /attn_[qk]\./.exec(name);
        const headsHere = permuted ? (name.includes("attn_q") ? heads : kvHeads) : 0;
        // Row (head, number, half) comes from row (head, half, number).
        const rows = Array.from({ length: headsHere }, (_, head) =>
          Array.from({ length: headSize / 2 }, (__, number) =>
            [0, 1].map((half) => head * headSize + half * (headSize / 2) + number),
          ),
        ).flat(2);
        const expected = permuted ? rows.flatMap((row) => b.slice(4 * row, 4 * row + 4)) : b;
        expect([...tensors.get(`${name}.lora_b`)!]).toEqual(expected);
      }
    },
  );

  it.each(["F16", "BF16"] as const)("%s numbers keep their type and value", async (dtype) => {
    const [small, large] = [pairsOf("llama", () => 4, dtype), pairsOf("llama", () => 4)];
    const [one, two] = [await converted("llama", small), await converted("llama", large)];
    expect(one.adapter.pairs.every(({ a, b }) => a.type.name === dtype && b.type.name === dtype)).toBe(true);
    for (const [name, values] of one.tensors) expect([...values]).toEqual([...two.tensors.get(name)!]);
  });

  it("token embedding (A turned) and head", async () => {
    const [e, v, rank] = [SIZES.embedding, 12, 4];
    const entries: SafetensorsEntry[] = [
      {
        name: "base_model.model.model.embed_tokens.lora_embedding_A",
        dtype: "F32",
        shape: [rank, v],
        data: numbers(rank * v, 1),
      },
      {
        name: "base_model.model.model.embed_tokens.lora_embedding_B",
        dtype: "F32",
        shape: [e, rank],
        data: numbers(rank * e, 2),
      },
      { name: "base_model.model.lm_head.lora_A.weight", dtype: "F32", shape: [rank, e], data: numbers(rank * e, 3) },
      { name: "base_model.model.lm_head.lora_B.weight", dtype: "F32", shape: [v, rank], data: numbers(rank * v, 4) },
    ];
    const { adapter, tensors, target } = await converted("qwen2", entries);
    expect(adapter.pairs.map(({ name, place }) => [name, place])).toEqual([
      ["token_embd.weight", "input"],
      ["output.weight", "output"],
    ]);
    const a = floats(entries[0]!);
    const turned = Array.from({ length: v * rank }, (_, at) => a[(at % rank) * v + Math.floor(at / rank)]);
    expect([...tensors.get("token_embd.weight.lora_a")!]).toEqual(turned);
    const back = await writePeft(target, fresh("back"));
    const written = await readFile(join(back.folder, "adapter_model.safetensors"));
    const { tensors: places } = await readSafetensors(join(back.folder, "adapter_model.safetensors"));
    expect(places.map(({ name }) => name)).toEqual(entries.map(({ name }) => name));
    places.forEach((it, index) => {
      expect(written.subarray(it.offset, it.offset + it.bytes).equals(entries[index]!.data)).toBe(true);
    });
  });

  describe("strengths", () => {
    /** What each module is multiplied with: alpha / rank of the file, times what its B was multiplied with. */
    async function strengths(entries: readonly SafetensorsEntry[], config: unknown): Promise<Record<string, number>> {
      const { adapter, tensors } = await converted("qwen3", entries, config);
      return Object.fromEntries(
        adapter.pairs.map(({ name, rank, b }, index) => [
          name.replace(".weight", ""),
          ((adapter.alpha / rank) * tensors.get(b.name)![0]!) / floats(entries[2 * index + 1]!)[0]!,
        ]),
      );
    }

    it("rsLoRA: alpha / sqrt(rank); patterns by the ends of names and as regular expressions", async () => {
      const rankOf = (module: string) =>
        module.endsWith("v_proj") ? 9 : module.startsWith("model.layers.1.mlp") ? 2 : 4;
      const config = {
        ...CONFIG,
        use_rslora: true,
        rank_pattern: { v_proj: 9, "model\\.layers\\.1\\.mlp\\..*": 2 },
        alpha_pattern: { "layers.0.self_attn.q_proj": 3 },
      };
      const found = await strengths(pairsOf("qwen3", rankOf), config);
      expect(found["blk.0.attn_q"]).toBeCloseTo(3 / 2, 5);
      expect(found["blk.1.attn_q"]).toBeCloseTo(8 / 2, 5);
      expect(found["blk.1.attn_v"]).toBeCloseTo(8 / 3, 5);
      expect(found["blk.1.ffn_down"]).toBeCloseTo(8 / Math.SQRT2, 5);
      expect(found["blk.0.ffn_down"]).toBeCloseTo(8 / 2, 5);
    });

    it("several ranks under one alpha need no multiplying", async () => {
      const entries = pairsOf("qwen3", (module) => (module.endsWith("v_proj") ? 8 : 4));
      const { adapter, tensors } = await converted("qwen3", entries, { ...CONFIG, rank_pattern: { v_proj: 8 } });
      expect([adapter.alpha, adapter.ranks]).toEqual([8, [4, 8]]);
      expect([...tensors.get("blk.0.attn_v.weight.lora_b")!]).toEqual(floats(entries[5]!));
    });
  });

  it("carries an activated LoRA's token ids", async () => {
    const config = { ...CONFIG, alora_invocation_tokens: [7, 8], invocation_string: "x" };
    expect(
      (
        await converted(
          "qwen2",
          pairsOf("qwen2", () => 4),
          config,
        )
      ).adapter.invocationTokens,
    ).toEqual([7, 8]);
  });
});

describe("what is refused, by name, before anything is written", () => {
  const sound = () => pairsOf("llama", () => 4);
  const changed = (name: string, change: Partial<SafetensorsEntry>) =>
    sound().map((it, index) => (index === 0 ? { ...it, name, ...change } : it));
  const cases: [
    what: string,
    code: string,
    message: RegExp,
    weights: readonly SafetensorsEntry[] | Buffer | null,
    config?: unknown,
  ][] = [
    ["DoRA", "UNSUPPORTED", /has DoRA.*convert_lora_to_gguf\.py --base/, sound(), { ...CONFIG, use_dora: true }],
    ["another method", "UNSUPPORTED", /received IA3/, sound(), { ...CONFIG, peft_type: "IA3" }],
    ["whole modules", "UNSUPPORTED", /modules_to_save/, sound(), { ...CONFIG, modules_to_save: ["lm_head"] }],
    ["biases", "UNSUPPORTED", /trained biases/, sound(), { ...CONFIG, bias: "all" }],
    ["no alpha", "CONFIG", /`lora_alpha` but received undefined/, sound(), { ...CONFIG, lora_alpha: undefined }],
    ["a configuration that is no JSON", "CONFIG", /cannot be read/, sound(), "{"],
    ["a configuration that is no object", "CONFIG", /a JSON object/, sound(), "[]"],
    [
      "a pattern that is none",
      "CONFIG",
      /regular expression in `rank_pattern` but received `\(`/,
      sound(),
      { ...CONFIG, rank_pattern: { "(": 4 } },
    ],
    [
      "DoRA's magnitudes",
      "MODULE",
      /is DoRA's magnitudes/,
      changed("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", {}),
    ],
    [
      "an unknown module",
      "MODULE",
      /`transformer\.h\.0\.attn\.c_attn` is no module that is converted for `llama`/,
      changed("base_model.model.transformer.h.0.attn.c_attn.lora_A.weight", {}),
    ],
    [
      "a module of the prototype",
      "MODULE",
      /constructor/,
      changed("base_model.model.model.layers.0.constructor.lora_A.weight", {}),
    ],
    [
      "a layer that the base has not",
      "NOT_IN_MODEL",
      /blk\.7\.attn_q/,
      sound().map((it) => ({ ...it, name: it.name.replace("layers.1.", "layers.7.") })),
    ],
    ["half a pair", "INCOMPLETE_PAIR", /q_proj` but B is missing/, sound().slice(0, 1)],
    [
      "shapes of another model",
      "SHAPE",
      /Expected A \[r, 16\] and B \[24, r\].*received \[4, 24\]/,
      changed("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", {
        shape: [4, 24],
        data: numbers(96, 1),
      }),
    ],
    [
      "a rank that the configuration does not know",
      "SHAPE",
      /Expected rank 8 .* weights have 4/,
      sound(),
      { ...CONFIG, r: 8 },
    ],
    [
      "numbers of another type",
      "DTYPE",
      /received F64/,
      changed("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", {
        dtype: "F64",
        data: Buffer.alloc(512),
      }),
    ],
    ["no tensors", "NO_WEIGHTS", /no tensors/, []],
    ["no weights", "NO_WEIGHTS", /not there/, null],
    ["weights that are cut off", "SAFETENSORS", /its data end at/, Buffer.from("x")],
    ["a header without an end", "SAFETENSORS", /said to have/, Buffer.concat([u64(1n << 60n), Buffer.alloc(100)])],
    ["a header that is none", "SAFETENSORS", /no JSON/, Buffer.concat([u64(4), Buffer.from("{{{{")])],
  ];
  it.each(cases)("%s", async (what, code, message, weights, config) => {
    const { safetensors } = await import("../support/peft-folders.js");
    const bytes = what === "weights that are cut off" ? safetensors(sound()).subarray(0, -4) : weights;
    const folder = await peftFolder(fresh("peft"), bytes, config);
    const target = fresh("adapter.gguf");
    const error = await failure(peftToGguf(folder, await model("llama"), target));
    expect(error).toMatchObject({ code: `PEFT_${code}`, exitCode: 3 });
    expect(error.message).toMatch(message);
    expect(error.message).toContain(folder);
    expect(existsSync(target)).toBe(false);
  });

  it("pickled and sharded weights, and other architectures", async () => {
    const pickled = await peftFolder(fresh("pickled"), null);
    await writeFile(join(pickled, "adapter_model.bin"), "x");
    const sharded = await peftFolder(fresh("sharded"), null);
    await writeFile(join(sharded, "adapter_model-00001-of-00002.safetensors"), "x");
    const code = async (folder: string, architecture: string) =>
      (await failure(peftToGguf(folder, await model(architecture), fresh()))).code;
    expect(await code(pickled, "llama")).toBe("PEFT_PICKLED");
    expect(await code(sharded, "llama")).toBe("PEFT_SHARDED");
    expect(await code(await peftFolder(fresh(), sound()), "falcon")).toBe("PEFT_ARCHITECTURE");
  });
});

describe("the cache", () => {
  it("has one conversion of one folder for one base model, and another one once something changed", async () => {
    const folder = await peftFolder(
      fresh("peft"),
      pairsOf("llama", () => 4),
    );
    const llama = await model("llama");
    const first = await adapterPathOf(folder, llama);
    const { mtimeMs } = await stat(first);
    expect(await adapterPathOf(folder, llama)).toBe(first);
    expect((await stat(first)).mtimeMs).toBe(mtimeMs);
    await peftFolder(
      folder,
      pairsOf("llama", () => 4),
      { ...CONFIG, lora_alpha: 16 },
    );
    const second = await adapterPathOf(folder, llama);
    expect((await readAdapter(second)).alpha).toBe(16);
    expect((await readAdapter(first)).alpha).toBe(8);
    expect(await adapterPathOf(first, llama)).toBe(first);
  });
});

describe("a GGUF adapter as a PEFT folder", () => {
  it.each(Object.keys(BASE_MODULES))("%s: there and back are the same bytes", async (architecture) => {
    const [entries, base] = [pairsOf(architecture, () => 4), await model(architecture)];
    const { target } = await converted(architecture, entries);
    const { folder } = await writePeft(target, fresh("back"), { model: base });
    const [bytes, { tensors }] = [
      await readFile(join(folder, "adapter_model.safetensors")),
      await readSafetensors(join(folder, "adapter_model.safetensors")),
    ];
    expect(tensors.map(({ name, shape }) => [name, shape])).toEqual(entries.map(({ name, shape }) => [name, shape]));
    tensors.forEach((it, index) => {
      expect(bytes.subarray(it.offset, it.offset + it.bytes).equals(entries[index]!.data)).toBe(true);
    });
  });

  it("trimmed: its configuration names the layers, or where they differ every module", async () => {
    const base = await model("qwen2");
    const { target } = await converted(
      "qwen2",
      pairsOf("qwen2", (module) => (module.includes("layers.1.") ? 2 : 4)),
      { ...CONFIG, rank_pattern: { "layers.1\\..*": 2 } },
    );
    const [cut, mixed] = [fresh("cut.gguf"), fresh("mixed.gguf")];
    await writeAdapter(target, { layerScales: [1, 0] }, cut);
    await writeAdapter(target, { layerScales: [1, 1], feedForwardScales: [1, 0] }, mixed);
    const config = async (source: string) => {
      const { folder } = await writePeft(source, fresh("peft"), { model: base });
      expect((await readdir(folder)).sort()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
      return JSON.parse(await readFile(join(folder, "adapter_config.json"), "utf8")) as Record<string, unknown>;
    };
    expect(await config(cut)).toMatchObject({
      ...{ peft_type: "LORA", r: 4, lora_alpha: 8, rank_pattern: {}, layers_to_transform: [0] },
      target_modules: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    });
    const all = await config(mixed);
    expect(all["target_modules"]).toHaveLength(11);
    expect(all["rank_pattern"]).toEqual(
      Object.fromEntries(["q", "k", "v", "o"].map((it) => [`model\\.layers\\.1\\.self_attn\\.${it}_proj`, 2])),
    );
  });

  it("needs as many rows of q as the base model's heads share out", async () => {
    const base = await model("llama");
    const [entries, target] = [pairsOf("llama", () => 4), fresh("adapter.gguf")];
    const metadata = new Map(base.shards[0]!.metadata).set("llama.attention.head_count", MetadataValue.u32(5));
    const odd = { ...base, shards: [{ ...base.shards[0]!, metadata }] };
    const there = await failure(peftToGguf(await peftFolder(fresh("peft"), entries), odd, target));
    const back = await failure(writePeft((await converted("llama", entries)).target, fresh("back"), { model: odd }));
    for (const error of [there, back]) {
      expect(error).toMatchObject({ code: "PEFT_SHAPE", exitCode: 3 });
      expect(error.message).toMatch(/rows in multiples of 10 for `.*q.*` of a base model with 5 heads/);
    }
    expect(existsSync(target)).toBe(false);
  });

  it("needs the base model for heads, leaves no folder behind, and does not write over another's", async () => {
    const { target } = await converted(
      "llama",
      pairsOf("llama", () => 4),
    );
    const folder = fresh("peft");
    expect(await failure(writePeft(target, folder))).toMatchObject({ code: "PEFT_NEEDS_BASE", exitCode: 2 });
    expect(existsSync(folder)).toBe(false);
    const theirs = await peftFolder(fresh("theirs"), Buffer.from("mine"));
    const error = await failure(writePeft(target, theirs, { model: await model("llama") }));
    expect(error.code).toBe("TARGET_EXISTS");
    expect(await readFile(join(theirs, "adapter_model.safetensors"), "utf8")).toBe("mine");
  });
});

describe.skipIf(!hasSmollm2)(unlessAbsent("a real adapter", hasSmollm2, "smollm2-135m"), () => {
  it("to PEFT and back: every tensor, name, shape, type, alpha", async () => {
    const base = await readModel(SMOLLM2.base);
    const { folder } = await writePeft(SMOLLM2.adapter, fresh("peft"), { model: base });
    const target = fresh("back.gguf");
    await peftToGguf(folder, base, target);
    const [from, to] = [await readAdapter(SMOLLM2.adapter), await readAdapter(target)];
    expect(to.alpha).toBe(from.alpha);
    const describeAll = (it: typeof from) =>
      it.gguf.tensors.map(({ name, shape, type }) => ({ name, shape, type: type.name }));
    expect(describeAll(to)).toEqual(describeAll(from));
    const [old, now] = [await readFile(SMOLLM2.adapter), await readFile(target)];
    from.gguf.tensors.forEach((tensor, index) => {
      const other = to.gguf.tensors[index]!;
      expect(
        now
          .subarray(other.offset, other.offset + other.bytes)
          .equals(old.subarray(tensor.offset, tensor.offset + tensor.bytes)),
      ).toBe(true);
    });
  });
});
