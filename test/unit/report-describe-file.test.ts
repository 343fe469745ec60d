import { describe, expect, it } from "vitest";
import type { AdapterDescription, ModelDescription, PairGroup } from "../../src/lora/describe.js";
import { renderDescription } from "../../src/report/describe-file.js";
import { displayWidth } from "../../src/report/text.js";

const group: PairGroup = {
  ...{ pairs: 2, parameters: 81_408, bytes: 325_632, ranks: [8], types: ["F32"] },
  modules: ["attn_q", "ffn_down"],
};
const layers = (...numbers: number[]) => numbers.map((layer) => ({ layer, ...group }));
const adapter: AdapterDescription = {
  ...{ kind: "adapter", path: "a/lora.gguf", version: 3, architecture: "llama", name: null, bytes: 9_797_728 },
  ...{ parameters: 2_442_240, alpha: Math.fround(23.2), rank: 8, ranks: [8], pairs: 60 },
  types: [{ type: "F32", tensors: 120, parameters: 2_442_240, bytes: 9_768_960 }],
  layers: layers(...Array.from({ length: 30 }, (_, layer) => layer)),
  ...{ globals: [], ignored: [], unknown: [], invocationTokens: null, provenance: {} },
};
const rich: AdapterDescription = {
  ...adapter,
  ...{ name: "My adapter", bytes: 900, alpha: -8, rank: 16, ranks: [4, 8, 16], pairs: 9 },
  types: [...adapter.types, { type: "F16", tensors: 1, parameters: 80, bytes: 160 }],
  layers: [
    ...layers(0, 1, 2, 4, 5),
    { layer: 6, ...group, modules: ["attn_q", "ffn_up"] },
    { layer: 7, ...group, ranks: [4, 8, 16], types: ["F16", "F32"] },
    ...layers(8),
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
      pair: { pairs: 1, parameters: 1, bytes: 4096, ranks: [2], types: ["BF16", "F32"], modules: ["output"] },
    },
  ],
  ignored: ["output_norm.weight"],
  unknown: Array.from({ length: 22 }, (_, index) => `odd.${index}`),
  invocationTokens: [7, 9],
  provenance: {
    "lora_boundary.source.kept_layers": [],
    "lora_boundary.kept_layers": [0, 1, 2, 5],
    "lora_boundary.candidate": "upto:6",
    "lora_boundary.alpha_scale": 1.25,
    "lora_boundary.odd": [1n, [true, "x"]],
  },
};
const model: ModelDescription = {
  ...{ kind: "model", path: "base.gguf", version: 3, architecture: "llama", name: "Tiny", bytes: 98_362_432 },
  ...{ parameters: 134_515_008, layers: 30, quantization: "Q4_K", fileType: "Q4_K_M", contextLength: 8192 },
  ...{ embeddingLength: 576, tensors: 271, shards: [{ path: "base.gguf", bytes: 98_362_432, tensors: 271 }] },
  types: [
    { type: "Q4_K", tensors: 210, parameters: 106_168_320, bytes: 59_719_680 },
    { type: "F32", tensors: 61, parameters: 35_136, bytes: 140_544 },
  ],
};

describe("an adapter", () => {
  it("with layers that are all alike", () => {
    expect(renderDescription(adapter, { width: 100 })).toBe(
      [
        "LoRA adapter",
        "  path          a/lora.gguf",
        "  architecture  llama",
        "  size          9.3 MiB (9,797,728 bytes), GGUF 3",
        "  pairs         60 in 30 layers (0-29)",
        "  parameters    2,442,240",
        "  rank          8",
        "  alpha         23.2 (alpha / rank = 2.9)",
        "  types         F32 (120 tensors)",
        "",
        "Per layer",
        "  layer  pairs  rank  parameters       size  types  modules",
        "  0-29       2     8      81,408  318.0 KiB  F32    attn_q, ffn_down",
      ].join("\n"),
    );
  });

  it("with everything that a file can have", () => {
    expect(renderDescription(rich, { width: 100 })).toBe(
      [
        "LoRA adapter",
        "  path          a/lora.gguf",
        "  name          My adapter",
        "  architecture  llama",
        "  size          900 bytes, GGUF 3",
        "  pairs         9 in 8 layers (0-2,4-8), 2 of them outside the layers",
        "  parameters    2,442,240",
        "  rank          4, 8, 16",
        "  alpha         -8 (alpha / rank = -0.5 at rank 16)",
        "  types         F32 (120 tensors), F16 (1 tensor)",
        "  activated     behind token ids 7, 9",
        "",
        "Per layer",
        "  layer  pairs     rank  parameters       size  types     modules",
        "  0-2        2        8      81,408  318.0 KiB  F32       attn_q, ffn_down",
        "  4-5        2        8      81,408  318.0 KiB  F32       attn_q, ffn_down",
        "  6          2        8      81,408  318.0 KiB  F32       attn_q, ffn_up",
        "  7          2  4 to 16      81,408  318.0 KiB  F16, F32  attn_q, ffn_down",
        "  8          2        8      81,408  318.0 KiB  F32       attn_q, ffn_down",
        "",
        "Outside the layers",
        "  token_embd.weight (below layer 0): rank 4, 80 parameters, 320 bytes, F32",
        "  output.weight (above the last layer): rank 2, 1 parameter, 4.0 KiB, BF16, F32",
        "",
        "Ignored by llama.cpp, which reads over norms:",
        "  output_norm.weight",
        "",
        "Not known to llama.cpp, which refuses this file:",
        "  odd.0, odd.1, odd.2, odd.3, odd.4, odd.5, odd.6, odd.7, odd.8, odd.9, odd.10, odd.11, odd.12,",
        "  odd.13, odd.14, odd.15, odd.16, odd.17, odd.18, odd.19 and 2 more",
        "",
        "Written by lora-boundary",
        "  source.kept_layers  none",
        "  kept_layers         0-2,5",
        "  candidate           upto:6",
        "  alpha_scale         1.25",
        "  odd                 1, true, x",
      ].join("\n"),
    );
  });

  it("puts the modules below where they have no room beside, and drops columns at the narrowest", () => {
    const [, wide] = renderDescription(adapter, { width: 60 }).split("\n\n");
    expect(wide!.split("\n")).toEqual([
      "Per layer",
      "  layer  pairs  rank  parameters       size  types",
      "  0-29       2     8      81,408  318.0 KiB  F32",
      "    attn_q, ffn_down",
    ]);
    const [facts, narrow] = renderDescription(adapter, { width: 1 }).split("\n\n");
    expect(narrow!.split("\n")).toEqual([
      "Per layer",
      "  layer       size",
      "  0-29   318.0 KiB",
      "    attn_q, ffn_down",
    ]);
    expect(facts!.split("\n").slice(0, 4)).toEqual([
      "LoRA adapter",
      "  path: a/lora.gguf",
      "  architecture:",
      "    llama",
    ]);
  });

  it("without any layer", () => {
    const text = renderDescription({ ...rich, layers: [], pairs: 2 }, { width: 80 });
    expect(text).toContain("  pairs         2, 2 of them outside the layers\n");
    expect(text).not.toContain("Per layer");
  });

  it("with as many layers as a file can have, in a moment", () => {
    const many = Array.from({ length: 131_072 }, (_, index) => ({ layer: 2 * index, ...group }));
    const lines = renderDescription({ ...adapter, layers: many }, { width: 80 }).split("\n");
    expect(lines.at(-2)).toMatch(/^ {2}1022 {7}2 /);
    expect(lines.at(-1)).toBe("  and 130,560 more");
    expect(lines.findIndex((line) => line === "Per layer")).toBeLessThan(20);
  });
});

describe("a model", () => {
  it("in one file", () => {
    expect(renderDescription(model, { width: 80 })).toBe(
      [
        "Base model",
        "  path          base.gguf",
        "  name          Tiny",
        "  architecture  llama",
        "  size          93.8 MiB (98,362,432 bytes), GGUF 3",
        "  layers        30",
        "  parameters    134,515,008",
        "  tensors       271",
        "  weights       Q4_K (file type Q4_K_M)",
        "  context       8,192 tokens",
        "  embedding     576",
        "",
        "Types",
        "  type  tensors   parameters       size",
        "  Q4_K      210  106,168,320   57.0 MiB",
        "  F32        61       35,136  137.3 KiB",
      ].join("\n"),
    );
  });

  it("in shards, of which little is known", () => {
    const bare = { ...model, name: null, fileType: null, contextLength: null, embeddingLength: null };
    const shards = [1, 2].map((part) => ({
      path: `base-0000${part}-of-00002.gguf`,
      bytes: 2048 * part,
      tensors: part,
    }));
    const text = renderDescription({ ...bare, shards }, { width: 80 });
    expect(text).toContain("  weights       Q4_K\n\nTypes\n");
    expect(text.split("\n").slice(-3)).toEqual([
      "2 shards",
      "  base-00001-of-00002.gguf: 1 tensor, 2.0 KiB",
      "  base-00002-of-00002.gguf: 2 tensors, 4.0 KiB",
    ]);
    for (const absent of ["name", "context", "embedding"]) expect(text).not.toContain(absent);
  });
});

describe("on any terminal", () => {
  const wide = "\u6587\u5b57".repeat(30);
  const foreign: AdapterDescription = {
    ...rich,
    path: `/tmp/two  spaces/${wide}/\u001b[31m.gguf`,
    name: "x".repeat(1_000_000) + "\u202e",
    architecture: "a\nb",
    layers: [{ layer: 3, ...group, modules: ["m\u0007", wide, "x".repeat(50)] }, ...layers(99_999, 100_000)],
    globals: [{ ...rich.globals[0]!, name: `\u009b${wide}` }],
    ignored: ["\u001b]0;title\u0007"],
    unknown: [wide, "\ud800"],
    provenance: {
      "lora_boundary.\u001bkey": "\r\nforged",
      [`lora_boundary.${wide}`]: [wide, "\u2028"],
      "lora_boundary.u": 1n,
    },
  };
  const all = [
    adapter,
    rich,
    model,
    foreign,
    { ...model, path: foreign.path, shards: [model.shards[0]!, { ...model.shards[0]!, path: foreign.path }] },
  ];

  it("no line is longer than the terminal is wide, from 20 columns on", () => {
    for (const description of all) {
      for (let width = 20; width <= 130; width++) {
        const lines = renderDescription(description, { width }).split("\n");
        const tooLong = lines.filter((line) => displayWidth(line) > width || line !== line.trimEnd());
        expect([width, tooLong]).toEqual([width, []]);
      }
    }
  });

  it("no foreign text gets through unescaped, and none fills the screen", () => {
    for (const description of all) {
      expect(renderDescription(description, { width: 80 })).not.toMatch(
        /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u202e\ud800]/u,
      );
    }
    const text = renderDescription(foreign, { width: 200 });
    expect(text).toContain("/tmp/two  spaces/");
    expect(text).toContain("\\x1b[31m.gguf");
    expect(text).toContain("a\\x0ab");
    expect(text).toContain("\\x0d\\x0aforged");
    expect(text.length).toBeLessThan(5000);
  });

  it("colours headings and warnings only when told to, and changes no text by it", () => {
    const plain = renderDescription(rich, { width: 80 });
    const coloured = renderDescription(rich, { width: 80, color: true });
    expect(plain).not.toContain("\u001b");
    expect(coloured.replace(/\u001b\[\d+m/g, "")).toBe(plain);
    expect(coloured.startsWith("\u001b[1mLoRA adapter\u001b[0m\n")).toBe(true);
    expect(coloured).toContain("\u001b[33mNot known to llama.cpp, which refuses this file:\u001b[0m");
  });

  it("marks what is cut in ASCII where there is no Unicode", () => {
    expect(renderDescription(foreign, { width: 80, unicode: false })).toContain("x~\n");
    expect(renderDescription(foreign, { width: 80 })).toContain("x\u2026\n");
  });
});
