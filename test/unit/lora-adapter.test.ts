import { describe, expect, it } from "vitest";
import { InputError } from "../../src/errors.js";
import { readAdapter } from "../../src/lora/adapter-file.js";
import { describeFile, type AdapterDescription } from "../../src/lora/describe.js";
import { failure, useFolder } from "../support/data-files.js";
import {
  adapter,
  adapterMetadata,
  gguf,
  layerPairs,
  model,
  pair,
  tensor,
  u32,
  value,
  VOCABULARY,
  withKey,
  type Contents,
  type Tensor,
} from "../support/gguf-files.js";

const folder = useFolder();
const read = async (contents: Contents) => readAdapter(await folder.write("adapter.gguf", gguf(contents)));
const withTensors = (...tensors: Tensor[]): Contents => ({ metadata: adapterMetadata(), tensors });

/** A file as large models have it: two ranks, several types, experts, tensors outside the layers. */
const RICH: Contents = {
  metadata: [...adapterMetadata("qwen3moe", 32), ["general.name", value.text("Rich")]],
  tensors: [
    tensor("token_embd.weight.lora_a", [4, VOCABULARY]),
    tensor("token_embd.weight.lora_b", [4, 8]),
    ...pair("blk.10.attn_q.weight", [8, 24], 4),
    tensor("blk.2.ffn_up_exps.weight.lora_a", [8, 2, 5], "F16"),
    tensor("blk.2.ffn_up_exps.weight.lora_b", [2, 16, 5], "F16"),
    tensor("blk.2.attn_norm.weight", [8]),
    ...pair("output.weight", [8, VOCABULARY], 2),
    tensor("output_norm.weight", [8]),
  ],
};

describe("a sound adapter", () => {
  it("is cut into pairs with shape, place and rank", async () => {
    const file = await read(RICH);
    expect(file).toMatchObject({ architecture: "qwen3moe", name: "Rich", alpha: 32, rank: 4, invocationTokens: null });
    expect([file.layers, file.ranks, file.bytes]).toEqual([[2, 10], [2, 4], gguf(RICH).length]);
    const columns = file.pairs.map(({ name, place, layer, module, rank, baseShape, parameters, bytes }) => [
      name,
      place,
      layer,
      module,
      rank,
      baseShape,
      parameters,
      bytes,
    ]);
    expect(columns).toEqual([
      ["token_embd.weight", "input", null, "token_embd", 4, [8, VOCABULARY, 1], 80, 320],
      ["blk.10.attn_q.weight", "layer", 10, "attn_q", 4, [8, 24, 1], 128, 512],
      ["blk.2.ffn_up_exps.weight", "layer", 2, "ffn_up_exps", 2, [8, 16, 5], 240, 480],
      ["output.weight", "output", null, "output", 2, [8, VOCABULARY, 1], 40, 160],
    ]);
    expect(file.parameters).toBe(80 + 128 + 240 + 40);
    expect(file.ignored.map(({ name }) => name)).toEqual(["blk.2.attn_norm.weight", "output_norm.weight"]);
    expect(file.unknown).toEqual([]);
  });

  it("may have its parts in any order, and layers far apart", async () => {
    const [a, b] = pair("blk.99999.attn_q.weight", [8, 8]) as [Tensor, Tensor];
    const file = await read(withTensors(b, ...layerPairs(0), a));
    expect(file.layers).toEqual([0, 99_999]);
    expect([file.pairs[0]!.a.name, file.pairs[0]!.b.name]).toEqual([a.name, b.name]);
  });

  it("tells input from output among tensors outside the layers", async () => {
    const names = [
      "token_types.weight",
      "position_embd.weight",
      "per_layer_model_proj.weight",
      "cls.weight",
      "blk.01.x.weight",
    ];
    const file = await read(withTensors(...names.flatMap((name) => pair(name, [8, 8]))));
    expect(file.pairs.map(({ place }) => place)).toEqual(["input", "input", "input", "output", "output"]);
    expect(file.layers).toEqual([]);
  });

  it("keeps apart what llama.cpp does not know", async () => {
    const odd = ["blk.0.attn_q.weight.dora_scale", "blk.0.x.lora_a.y.lora_a", ".lora_a", "blk.0.attn_q.lora_c"];
    const file = await read(withTensors(...layerPairs(0), ...odd.map((name) => tensor(name, [8]))));
    expect(file.unknown.map(({ name }) => name)).toEqual(odd);
    expect(file.pairs.length).toBe(2);
  });

  it("may be an activated LoRA, unnamed, and have a negative alpha", async () => {
    const key = "adapter.alora.invocation_tokens";
    const file = await read(
      withKey({ ...adapter(), metadata: adapterMetadata("llama", -8) }, key, value.array(4, [u32(7), u32(9)])),
    );
    expect(file).toMatchObject({ alpha: -8, name: null, invocationTokens: [7, 9] });
  });

  it("may say that it is in one part", async () => {
    expect((await read(withKey(adapter(), "split.count", value.u16(1)))).pairs.length).toBe(6);
  });
});

describe("what is no sound adapter", () => {
  const Q = "blk.0.attn_q.weight";
  const parts = (a: readonly number[], b: readonly number[]) =>
    withTensors(tensor(`${Q}.lora_a`, a), tensor(`${Q}.lora_b`, b));
  const alpha = (it: number) => ({ ...adapter(), metadata: adapterMetadata("llama", it) });
  const key = (name: string, it: Parameters<typeof withKey>[2]) => withKey(adapter(), name, it);

  const cases: [name: string, contents: Contents, code: string, message: RegExp][] = [
    ["a model", model(), "ADAPTER_IS_MODEL", /received a model; give the base model first and the adapter second/],
    ["no type", key("general.type", null), "ADAPTER_TYPE", /`general\.type` to be `adapter`/],
    ["type model, but pairs", key("general.type", value.text("model")), "ADAPTER_TYPE", /`general\.type`/],
    ["adapter.type missing", key("adapter.type", null), "ADAPTER_TYPE", /to be `lora` but received `nothing`/],
    ["adapter.type control", key("adapter.type", value.text("control_vector")), "ADAPTER_TYPE", /`control_vector`/],
    ["split", key("split.count", value.u16(3)), "ADAPTER_IS_SPLIT", /one of 3 parts.*llama-gguf-split --merge/],
    ["no architecture", key("general.architecture", null), "ADAPTER_ARCHITECTURE", /`general\.architecture`/],
    ["alpha missing", { ...adapter(), metadata: adapterMetadata("llama", null) }, "ADAPTER_ALPHA", /received nothing/],
    ["alpha 0", alpha(0), "ADAPTER_ALPHA", /other than 0 for `adapter\.lora\.alpha` but received 0/],
    ["alpha -0", alpha(-0), "ADAPTER_ALPHA", /received 0/],
    ["alpha NaN", alpha(NaN), "ADAPTER_ALPHA", /received NaN/],
    ["alpha infinite", alpha(-Infinity), "ADAPTER_ALPHA", /received -Infinity.*adapter_config\.json/],
    ["alpha as f64", key("adapter.lora.alpha", value.f64(16)), "GGUF_KEY_TYPE", /Expected f32 .* received f64/],
    ["alpha as u32", key("adapter.lora.alpha", value.u32(16)), "GGUF_KEY_TYPE", /Expected f32 .* received u32/],
    ["type as number", key("general.type", value.u32(1)), "GGUF_KEY_TYPE", /Expected string .* received u32/],
    ["no tensors", withTensors(), "ADAPTER_NO_PAIRS", /found none/],
    ["norms only", withTensors(tensor("blk.0.attn_norm.weight", [8])), "ADAPTER_NO_PAIRS", /found none/],
    [
      "A missing",
      withTensors(layerPairs(0)[1]!),
      "ADAPTER_INCOMPLETE_PAIR",
      /`blk\.0\.attn_q\.weight\.lora_a` is missing/,
    ],
    [
      "B missing",
      withTensors(layerPairs(0)[0]!),
      "ADAPTER_INCOMPLETE_PAIR",
      /`blk\.0\.attn_q\.weight\.lora_b` is missing/,
    ],
    ["rank 0", parts([8, 0], [0, 8]), "ADAPTER_RANK_0", /rank 0 \(lora_a \[8, 0\] and lora_b \[0, 8\]\)/],
    ["rank 0 in B", parts([8, 2], [0, 8]), "ADAPTER_RANK_0", /rank 0/],
    ["rank mismatch", parts([8, 4], [2, 8]), "ADAPTER_RANK_MISMATCH", /4 in A and 2 in B \(lora_a \[8, 4\] and/],
    ["A transposed", parts([2, 8], [2, 8]), "ADAPTER_RANK_MISMATCH", /8 in A and 2 in B/],
    ["experts differ", parts([8, 2, 3], [2, 8, 4]), "ADAPTER_PAIR_SHAPE", /do not fit together/],
    ["four dimensions", parts([8, 2, 1, 2], [2, 8, 1, 2]), "ADAPTER_PAIR_SHAPE", /lora_a \[8, 2, 1, 2\]/],
    ["no input", parts([0, 2], [2, 8]), "ADAPTER_PAIR_SHAPE", /do not fit together/],
    [
      "integers",
      withTensors(tensor(`${Q}.lora_a`, [8, 2], "I32"), layerPairs(0)[1]!),
      "ADAPTER_TENSOR_TYPE",
      /lora_a` but received type I32/,
    ],
    [
      "scratch type",
      withTensors(layerPairs(0)[0]!, tensor(`${Q}.lora_b`, [32, 8], "Q8_1")),
      "ADAPTER_TENSOR_TYPE",
      /lora_b` but received type Q8_1/,
    ],
    [
      "embedding stored like a matrix",
      withTensors(...pair("token_embd.weight", [8, VOCABULARY])),
      "ADAPTER_RANK_MISMATCH",
      /8 in A and 2 in B/,
    ],
    [
      "encoder",
      withTensors(...pair("enc.blk.0.attn_q.weight", [8, 8])),
      "ADAPTER_ENCODER_DECODER",
      /`enc\.blk\.0\.attn_q\.weight`/,
    ],
    [
      "decoder",
      withTensors(...pair("dec.blk.0.attn_q.weight", [8, 8])),
      "ADAPTER_ENCODER_DECODER",
      /only decoder models/,
    ],
    ["cut short", { ...adapter(), tensorCount: 13 }, "GGUF_NAME", /tensor name/],
  ];
  it.each(cases)("%s", async (_, contents, code, message) => {
    const path = await folder.write("unsound.gguf", gguf(contents));
    const error = await failure(readAdapter(path));
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ code, exitCode: 3, details: { path } });
    expect(error.message).toMatch(message);
    expect(error.message.startsWith(`${path}: `)).toBe(true);
  });

  it("names the tensor and both shapes as data", async () => {
    const error = await failure(readAdapter(await folder.write("unsound.gguf", gguf(parts([8, 4], [2, 8])))));
    expect(error.details).toMatchObject({ tensor: Q, a: [8, 4], b: [2, 8] });
  });
});

describe("description", () => {
  it("says what is in each layer, outside the layers and besides", async () => {
    const [norm, odd] = [tensor("blk.0.ffn_norm.weight", [8]), tensor("odd", [8])];
    const contents = { ...RICH, tensors: [...RICH.tensors, ...pair("blk.2.attn_k.weight", [8, 8], 4), norm, odd] };
    const path = await folder.write("described.gguf", gguf(contents));
    const expected: AdapterDescription = {
      kind: "adapter",
      path,
      version: 3,
      architecture: "qwen3moe",
      name: "Rich",
      bytes: gguf(contents).length,
      parameters: 552,
      types: [
        { type: "F32", tensors: 8, parameters: 312, bytes: 1248 },
        { type: "F16", tensors: 2, parameters: 240, bytes: 480 },
      ],
      alpha: 32,
      rank: 4,
      ranks: [2, 4],
      pairs: 5,
      layers: [
        {
          layer: 2,
          pairs: 2,
          parameters: 304,
          bytes: 736,
          ranks: [2, 4],
          types: ["F16", "F32"],
          modules: ["ffn_up_exps", "attn_k"],
        },
        { layer: 10, pairs: 1, parameters: 128, bytes: 512, ranks: [4], types: ["F32"], modules: ["attn_q"] },
      ],
      globals: [
        {
          name: "token_embd.weight",
          place: "input",
          pair: { pairs: 1, parameters: 80, bytes: 320, ranks: [4], types: ["F32"], modules: ["token_embd"] },
        },
        {
          name: "output.weight",
          place: "output",
          pair: { pairs: 1, parameters: 40, bytes: 160, ranks: [2], types: ["F32"], modules: ["output"] },
        },
      ],
      ignored: ["blk.2.attn_norm.weight", "output_norm.weight", "blk.0.ffn_norm.weight"],
      unknown: ["odd"],
      invocationTokens: null,
      provenance: {},
    };
    expect(await describeFile(path)).toEqual(expected);
  });

  it("takes a file without a type for an adapter if it has pairs", async () => {
    const path = await folder.write("untyped.gguf", gguf(withKey(adapter(), "general.type", null)));
    expect((await failure(describeFile(path))).code).toBe("ADAPTER_TYPE");
  });
});
