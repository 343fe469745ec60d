import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { InputError } from "../../src/errors.js";
import { LIMITS } from "../../src/gguf/limits.js";
import { readAdapter } from "../../src/lora/adapter-file.js";
import { checkValues } from "../../src/lora/adapter-values.js";
import { checkCompatible, requireCompatible } from "../../src/lora/compatibility.js";
import { readModel } from "../../src/lora/model-file.js";
import { failure, useFolder } from "../support/data-files.js";
import {
  adapter,
  adapterMetadata,
  gguf,
  layerPairs,
  model,
  pair,
  tensor,
  VOCABULARY,
  type Contents,
} from "../support/gguf-files.js";

const folder = useFolder();
const withTensors = (...tensors: Contents["tensors"]): Contents => ({ metadata: adapterMetadata(), tensors });

async function both(base: Contents, lora: Contents) {
  const modelFile = await readModel(await folder.write("base.gguf", gguf(base)));
  return [modelFile, await readAdapter(await folder.write("lora.gguf", gguf(lora)))] as const;
}
const check = async (base: Contents, lora: Contents) => checkCompatible(...(await both(base, lora)));

describe("an adapter and a model", () => {
  it("fit", async () => {
    expect(await check(model(), adapter())).toEqual([]);
    expect(await check(model(5), adapter([1, 4]))).toEqual([]);
    const globals = [
      tensor("token_embd.weight.lora_a", [2, VOCABULARY]),
      tensor("token_embd.weight.lora_b", [2, 8]),
      ...pair("output.weight", [8, VOCABULARY]),
    ];
    expect(await check(model(), withTensors(...globals, tensor("output_norm.weight", [8])))).toEqual([]);
    requireCompatible(...(await both(model(), adapter())));
  });

  it("fit with experts in a third dimension, also if there is one only", async () => {
    const name = "blk.0.ffn_up_exps.weight";
    const experts = (count: number) => [
      tensor(`${name}.lora_a`, [8, 2, count]),
      tensor(`${name}.lora_b`, [2, 16, count]),
    ];
    const base = (shape: number[]): Contents => ({ ...model(1), tensors: [tensor(name, shape)] });
    expect(await check(base([8, 16, 3]), withTensors(...experts(3)))).toEqual([]);
    expect(await check(base([8, 16]), withTensors(...experts(1)))).toEqual([]);
    const [problem] = await check(base([8, 16, 3]), withTensors(...experts(4)));
    expect(problem!.message).toContain(
      "of shape [8, 16, 3] in the base model, but the adapter was made for [8, 16, 4]",
    );
  });

  const q = (layer: number) => `blk.${layer}.attn_q.weight`;
  const cases: [name: string, base: Contents, lora: Contents, code: string, message: RegExp, details: object][] = [
    [
      "of two architectures",
      model(3, "qwen2"),
      adapter(),
      "ARCHITECTURE_MISMATCH",
      /for architecture `qwen2`, the base model's, but received one for `llama`/,
      {},
    ],
    [
      "with a layer beyond the model",
      model(2),
      adapter([0, 1, 2, 9]),
      "LAYER_BEYOND_MODEL",
      /Expected layers 0 to 1, the base model's 2, but .* up to layer 9: .* a model of 10 or more layers/,
      { layers: 2, highest: 9 },
    ],
    [
      "with a tensor that the model lacks",
      model(),
      withTensors(...layerPairs(0), ...["k", "v", "o", "g"].flatMap((name) => pair(`blk.1.${name}.weight`, [8, 8]))),
      "TENSOR_NOT_IN_MODEL",
      /lacks tensors that the adapter changes: `blk\.1\.k\.weight`, `blk\.1\.v\.weight`, `blk\.1\.o\.weight` and 1 more;/,
      { tensors: ["blk.1.k.weight", "blk.1.v.weight", "blk.1.o.weight", "blk.1.g.weight"] },
    ],
    [
      "of another width",
      model(),
      withTensors(...pair(q(0), [8, 24]), ...pair(q(1), [16, 8]), ...pair(q(2), [8, 8])),
      "SHAPE_MISMATCH",
      /`blk\.0\.attn_q\.weight` \(and 1 more\) of shape \[8, 8\] in the base model, but the adapter was made for \[8, 24\]/,
      { tensors: [q(0), q(1)] },
    ],
    [
      "with a tensor that llama.cpp does not know",
      model(),
      withTensors(...layerPairs(0), tensor("blk.0.attn_q.weight.dora_scale", [8])),
      "ADAPTER_UNKNOWN_TENSOR",
      /does not know and therefore refuses: `blk\.0\.attn_q\.weight\.dora_scale`\./,
      { tensors: ["blk.0.attn_q.weight.dora_scale"] },
    ],
    [
      "with nothing in common",
      model(),
      withTensors(...pair("model.layers.0.q_proj", [8, 8]), ...pair("model.layers.1.q_proj", [8, 8])),
      "ADAPTER_CHANGES_NOTHING",
      /none of its 2 pairs matches .* \(`model\.layers\.0\.q_proj`, `model\.layers\.1\.q_proj`\)/,
      { tensors: ["model.layers.0.q_proj", "model.layers.1.q_proj"] },
    ],
    [
      "stored as NVFP4 with scales",
      {
        ...model(1),
        tensors: [
          tensor("blk.0.ffn_up.weight", [64, 8], "NVFP4"),
          tensor("blk.0.ffn_up.scale", [1]),
          // Without a scale of its own, or outside the feed-forward part, llama.cpp can.
          tensor("blk.0.ffn_down.weight", [64, 8], "NVFP4"),
          tensor("blk.0.attn_q.weight", [64, 8], "NVFP4"),
          tensor("blk.0.attn_q.scale", [1]),
        ],
      },
      withTensors(...["ffn_up", "ffn_down", "attn_q"].flatMap((it) => pair(`blk.0.${it}.weight`, [64, 8]))),
      "NVFP4_NOT_ADAPTABLE",
      /stored as NVFP4: `blk\.0\.ffn_up\.weight`; use another quantisation/,
      { tensors: ["blk.0.ffn_up.weight"] },
    ],
  ];
  it.each(cases)("%s", async (_, base, lora, code, message, details) => {
    const files = await both(base, lora);
    const problems = checkCompatible(...files);
    expect(problems.map((problem) => problem.code)).toEqual([code]);
    expect(problems[0]!.message).toMatch(message);
    expect(problems[0]!.details).toEqual({ model: files[0].path, adapter: files[1].path, ...details });
  });

  it("names every problem, and throws them together under the first one's code", async () => {
    const lora: Contents = {
      metadata: adapterMetadata("qwen2"),
      tensors: [...pair(q(0), [8, 9]), ...pair(q(7), [8, 8]), ...pair("blk.1.k.weight", [8, 8]), tensor("odd", [1])],
    };
    const files = await both(model(), lora);
    const problems = checkCompatible(...files);
    expect(problems.map(({ code }) => code)).toEqual([
      "ARCHITECTURE_MISMATCH",
      "ADAPTER_UNKNOWN_TENSOR",
      "LAYER_BEYOND_MODEL",
      "TENSOR_NOT_IN_MODEL",
      "SHAPE_MISMATCH",
    ]);
    const error = await failure(
      Promise.resolve().then(() => {
        requireCompatible(...files);
      }),
    );
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ code: "ARCHITECTURE_MISMATCH", exitCode: 3, details: { problems } });
    expect(error.message).toBe(problems.map(({ message }) => message).join("\n"));
  });

  it("with as many layers as a file can have", async () => {
    const [modelFile, lora] = await both(model(), adapter([0]));
    const layers = Array.from({ length: LIMITS.tensors / 2 }, (_, layer) => layer);
    const pairs = layers.map((layer) => ({ ...lora.pairs[0]!, layer, name: q(layer) }));
    const problems = checkCompatible(modelFile, { ...lora, layers, pairs });
    expect(problems.map(({ code, details }) => [code, details["highest"]])).toEqual([["LAYER_BEYOND_MODEL", 131_071]]);
  });

  it("in each other's place", async () => {
    const [base, lora] = [
      await folder.write("base.gguf", gguf(model())),
      await folder.write("lora.gguf", gguf(adapter())),
    ];
    expect(await failure(readModel(lora))).toMatchObject({ code: "MODEL_IS_ADAPTER", details: { path: lora } });
    expect(await failure(readAdapter(base))).toMatchObject({ code: "ADAPTER_IS_MODEL", details: { path: base } });
  });
});

const architectures = fileURLToPath(new URL("../../../shared/models/architectures/", import.meta.url));
describe.skipIf(!existsSync(architectures))("real files of shared/models/architectures", () => {
  const names = existsSync(architectures)
    ? readdirSync(architectures).flatMap((file) =>
        file.endsWith(".lora.gguf") ? [file.slice(0, -".lora.gguf".length)] : [],
      )
    : [];

  it("are there", () => {
    expect(names.length).toBeGreaterThanOrEqual(24);
  });

  it.each(names)("%s: adapter and model fit together", async (name) => {
    const modelFile = await readModel(`${architectures}${name}.gguf`);
    const lora = await readAdapter(`${architectures}${name}.lora.gguf`);
    expect(checkCompatible(modelFile, lora)).toEqual([]);
    expect(lora.layers.every((layer) => layer < modelFile.layers)).toBe(true);
    expect((await checkValues(lora)).problems).toEqual([]);
  });
});
