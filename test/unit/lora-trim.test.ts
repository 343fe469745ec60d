import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { link, readdir, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { UsageError } from "../../src/errors.js";
import { sha256OfFile } from "../../src/gguf/hash-file.js";
import { readAdapter } from "../../src/lora/adapter-file.js";
import type { Candidate } from "../../src/lora/candidate.js";
import { describeFile, type AdapterDescription } from "../../src/lora/describe.js";
import type { LayerSelection } from "../../src/lora/plan-trim.js";
import { writeAdapter } from "../../src/lora/trim.js";
import { failure, useFolder } from "../support/data-files.js";
import {
  adapter,
  adapterMetadata,
  gguf,
  layerPairs,
  pair,
  tensor,
  text,
  u32,
  u64,
  value,
  VOCABULARY,
  withKey,
  type Contents,
  type Entry,
} from "../support/gguf-files.js";

const folder = useFolder();
let count = 0;
const fresh = () => join(folder.path, `trimmed-${count++}.gguf`);
const write = async (contents: Contents) => folder.write(`source-${count++}.gguf`, gguf(contents));
const packageJson = await readFile(new URL("../../package.json", import.meta.url), "utf8");
const { version } = JSON.parse(packageJson) as { version: string };

/** Of a file with less than 256 KiB of data: its size, then all of it. */
const fingerprint = (file: Buffer) => createHash("sha256").update(u64(file.length)).update(file).digest("hex");

interface Step {
  readonly source: Buffer;
  readonly kept: readonly number[];
  readonly candidate: string;
  readonly scales: string;
  readonly scale?: number;
  readonly sha256?: string;
}
const provenance = (
  { source, kept, candidate, scales, scale = 1, sha256 }: Step,
  prefix = "lora_boundary.",
): Entry[] => [
  [`${prefix}version`, value.text(version)],
  [`${prefix}source_fingerprint`, value.text(fingerprint(source))],
  ...(sha256 === undefined ? [] : ([[`${prefix}source_sha256`, value.text(sha256)]] as const)),
  [`${prefix}kept_layers`, value.array(4, kept.map(u32))],
  [`${prefix}candidate`, value.text(candidate)],
  [`${prefix}layer_scales`, value.text(scales)],
  [`${prefix}alpha_scale`, value.f64(scale)],
];

/** An adapter with a pair below and above the layers, norms, tensors that nobody knows, and metadata of odd types. */
const globals = [
  tensor("token_embd.weight.lora_a", [2, VOCABULARY]),
  tensor("token_embd.weight.lora_b", [2, 8]),
  ...pair("output.weight", [8, VOCABULARY]),
];
const norms = [0, 1, 2].map((layer) => tensor(`blk.${layer}.attn_norm.weight`, [3]));
const unknown = [tensor("blk.1.attn_q.weight.extra", [5]), tensor("extra", [1])];
const RICH: Contents = {
  metadata: [
    ["z.first", value.i64(-1n)],
    ...adapterMetadata(),
    ["a.last", value.array(9, [value.array(8, [text("x")]).bytes])],
    ["a.text", value.text(Buffer.of(0xff, 0xfe))],
  ],
  tensors: [
    ...globals,
    ...[0, 1, 2].flatMap((layer) => [norms[layer]!, ...layerPairs(layer)]),
    ...unknown,
    tensor("output_norm.weight", [8]),
  ],
};

describe("a written adapter", () => {
  /** Keeps the tensors in whose names the pattern is found, with the metadata that are to be expected. */
  const expected = (contents: Contents, keep: RegExp, step: Omit<Step, "source">, alpha = 16): Buffer => {
    const kept = withKey(contents, "adapter.lora.alpha", value.f32(alpha));
    const metadata = [...kept.metadata, ...provenance({ ...step, source: gguf(contents) })];
    return gguf({ ...contents, metadata, tensors: contents.tensors.filter(({ name }) => keep.test(String(name))) });
  };
  const upto = (layers: number, id = `upto:${layers}`): Candidate => ({
    id,
    family: "boundary",
    layerScales: [0, 1, 2].map((layer) => (layer < layers ? 1 : 0)),
    inputScale: 1,
    outputScale: layers === 3 ? 1 : 0,
  });

  const cases: [name: string, selection: LayerSelection, keep: RegExp, step: Omit<Step, "source">, alpha?: number][] = [
    ["all of it", upto(3), /./, { kept: [0, 1, 2], candidate: "upto:3", scales: "full" }],
    [
      "the two lower layers, without `output`",
      upto(2),
      /^(token_embd|blk\.[01]\.|extra|output_norm)/,
      { kept: [0, 1], candidate: "upto:2", scales: "upto:2" },
    ],
    [
      "no layer, `token_embd` alone",
      upto(0),
      /^(token_embd|extra|output_norm)/,
      { kept: [], candidate: "upto:0", scales: "0-2=0,input=1" },
    ],
    [
      "a middle layer, boosted",
      { layerScales: [0, 1.5, 0] },
      /^(token_embd|blk\.1\.|extra|output_norm)/,
      { kept: [1], candidate: "keep:1", scales: "0=0,1=1.5,2=0,input=1.5", scale: 1.5 },
      24,
    ],
    [
      "the outer layers without anything outside them, reversed",
      { id: "mine", layerScales: [-0.1, 0, -0.1, 5], inputScale: 0, outputScale: 0 },
      /^(blk\.[02]\.|extra|output_norm)/,
      { kept: [0, 2], candidate: "mine", scales: "0=-0.1,1=0,2=-0.1,3=5,input=0,output=0", scale: -0.1 },
      -1.6,
    ],
    [
      "`output` without `token_embd`",
      { layerScales: [1, 1, 0], inputScale: 0, outputScale: 1 },
      /^(output|blk\.[01]\.|extra)/,
      { kept: [0, 1], candidate: "keep:0-1", scales: "0-1=1,2=0,input=0,output=1" },
    ],
  ];
  it.each(cases)("is, byte for byte, %s", async (_, selection, keep, step, alpha = 16) => {
    const [source, target] = [await write(RICH), fresh()];
    const written = await writeAdapter(source, selection, target);
    const bytes = await readFile(target);
    expect(bytes.toString("hex")).toBe(expected(RICH, keep, step, alpha).toString("hex"));
    const names = RICH.tensors.map(({ name }) => String(name));
    const pairs = RICH.tensors.filter(({ name }) => keep.test(String(name)) && String(name).includes(".lora_"));
    expect(written).toEqual({
      path: target,
      bytes: bytes.length,
      parameters: pairs.reduce((sum, { data }) => sum + data.length / 4, 0),
      padding: 0,
      keptLayers: step.kept,
      droppedLayers: [0, 1, 2].filter((layer) => !step.kept.includes(layer)),
      keptTensors: names.filter((name) => keep.test(name)).length,
      droppedTensors: names.filter((name) => !keep.test(name)).length,
      source: { path: source, bytes: gguf(RICH).length, fingerprint: fingerprint(gguf(RICH)) },
      alpha: Math.fround(alpha),
      alphaScale: step.scale ?? 1,
      scales: expect.objectContaining({ layerScales: selection.layerScales }) as unknown,
      scalesText: step.scales,
      baked: [],
      notices: [],
      verified: true,
    });
    expect((await readAdapter(target)).layers).toEqual(step.kept);
  });

  it("keeps version 2, an alignment, and types it does not compute with", async () => {
    const contents: Contents = {
      ...{ version: 2, alignment: 64 },
      metadata: [["general.alignment", value.u32(64)], ...adapterMetadata()],
      tensors: [0, 1].flatMap((layer) => pair(`blk.${layer}.attn_q.weight`, [32, 8], 32, "Q4_0")),
    };
    const target = fresh();
    await writeAdapter(await write(contents), { layerScales: [0, 1] }, target);
    expect(
      (await readFile(target)).equals(
        expected(contents, /blk\.1/, { kept: [1], candidate: "keep:1", scales: "from:1" }),
      ),
    ).toBe(true);
  });

  it("has the same bytes for the same inputs, wherever they lie", async () => {
    const [first, second] = [fresh(), fresh()];
    await writeAdapter(await write(RICH), upto(2), first);
    await writeAdapter(await write(RICH), upto(2), second);
    expect((await readFile(first)).equals(await readFile(second))).toBe(true);
  });
});

describe("provenance", () => {
  it("names the last step, and moves what the source said one level down", async () => {
    const files = [await write(adapter()), fresh(), fresh(), fresh()] as const;
    const sha256 = await sha256OfFile(files[0]);
    await writeAdapter(files[0], { id: "one", layerScales: [1, 1, 0] }, files[1], {
      provenance: { sourceSha256: sha256 },
    });
    await writeAdapter(files[1], { id: "two", layerScales: [0.5, 0.5] }, files[2]);
    await writeAdapter(files[2], { id: "three", layerScales: [0, 4] }, files[3]);
    const bytes = await Promise.all(files.map((file) => readFile(file)));
    const steps: Step[] = [
      { source: bytes[0]!, kept: [0, 1], candidate: "one", scales: "upto:2", sha256 },
      { source: bytes[1]!, kept: [0, 1], candidate: "two", scales: "scale:0.5", scale: 0.5 },
      { source: bytes[2]!, kept: [1], candidate: "three", scales: "from:1*4", scale: 4 },
    ];
    const metadata = [
      ...adapterMetadata("llama", 32),
      ...provenance(steps[0]!, "lora_boundary.source.source."),
      ...provenance(steps[1]!, "lora_boundary.source."),
      ...provenance(steps[2]!),
    ];
    expect(bytes[3]!.toString("hex")).toBe(gguf({ metadata, tensors: layerPairs(1) }).toString("hex"));
    const description = (await describeFile(files[3])) as AdapterDescription;
    expect(Object.keys(description.provenance)).toEqual(metadata.slice(4).map(([key]) => key));
    expect(description.provenance).toMatchObject({
      "lora_boundary.candidate": "three",
      "lora_boundary.kept_layers": [1],
      "lora_boundary.alpha_scale": 4,
      "lora_boundary.source.candidate": "two",
      "lora_boundary.source.source.candidate": "one",
      "lora_boundary.source.source.source_sha256": sha256,
    });
  });
});

describe("what it refuses, before it writes anything", () => {
  const cases: [name: string, selection: LayerSelection, code: string, message: RegExp][] = [
    [
      "too few scales",
      { layerScales: [1, 1] },
      "LENGTH",
      /each layer up to 2, the adapter's highest, but received 2 scales/,
    ],
    ["NaN", { layerScales: [1, NaN, 1] }, "SCALE", /Expected finite scales but received NaN/],
    ["an infinite scale", { layerScales: [1, 1, 1], outputScale: -Infinity }, "SCALE", /received -Infinity/],
    ["NaN for the input", { layerScales: [1, 1, 1], inputScale: NaN }, "SCALE", /received NaN/],
    [
      "too few feed-forward scales",
      { layerScales: [1, 1, 1], feedForwardScales: [1] },
      "LENGTH",
      /\(3\) but received 1/,
    ],
    [
      "an infinite feed-forward scale",
      { layerScales: [1, 1, 1], feedForwardScales: [1, 1, Infinity] },
      "SCALE",
      /Infinity/,
    ],
    [
      "a product above f32",
      { layerScales: [1, 1, 3e38], inputScale: 0 },
      "SCALE",
      /blk\.2\..* times 3e\+38 is out of range for F32/,
    ],
    ["nothing kept", { layerScales: [0, -0, 0] }, "EMPTY", /drops all of them: that is the base model/],
    [
      "an alpha above f32",
      { layerScales: [1e38, 1e38, 1e38] },
      "SCALE",
      /Alpha 16 times the strength 1e\+38 is out of range/,
    ],
    ["an alpha below f32", { layerScales: [1e-60, 0, 0] }, "SCALE", /out of range for an f32/],
  ];
  it.each(cases)("%s", async (_, selection, code, message) => {
    const source = await write(RICH);
    const before = await readdir(folder.path);
    const error = await failure(writeAdapter(source, selection, fresh()));
    expect(error).toBeInstanceOf(UsageError);
    expect(error).toMatchObject({ code: `SELECTION_${code}`, exitCode: 2, details: { option: "selection" } });
    expect(error.message).toMatch(message);
    expect(await readdir(folder.path)).toEqual(before);
  });

  const all = { layerScales: [1, 1, 1] };
  it("an unsound source, a taken name, the source itself in any guise, a missing folder, a cancel", async () => {
    const source = await write(adapter());
    const [hard, soft] = [fresh(), fresh()];
    await link(source, hard);
    await symlink(source, soft);
    const taken = await folder.write("taken.gguf", "theirs");
    const before = await readdir(folder.path);
    const code = async (target: string, options = {}, from = source) =>
      (await failure(writeAdapter(from, all, target, options))).code;
    for (const self of [source, hard, soft]) expect(await code(self, { force: true })).toBe("TARGET_IS_INPUT");
    expect(await code(taken)).toBe("TARGET_EXISTS");
    expect(await code(folder.path, { force: true })).toBe("TARGET_IS_FOLDER");
    expect(await code(join(folder.path, "no", "a.gguf"))).toBe("TARGET_UNWRITABLE");
    expect(await code(fresh(), { signal: AbortSignal.abort() })).toBe("CANCELLED");
    expect(await code(fresh(), {}, taken)).toBe("FILE_NOT_GGUF");
    expect(await readdir(folder.path)).toEqual(before);
    expect((await readFile(source)).equals(gguf(adapter()))).toBe(true);
    expect(await readFile(taken, "utf8")).toBe("theirs");
    const written = await writeAdapter(source, all, taken, { force: true });
    expect((await readFile(taken)).length).toBe(written.bytes);
  });
});

const architectures = fileURLToPath(new URL("../../../shared/models/architectures/", import.meta.url));
describe.skipIf(!existsSync(architectures))("real adapters of shared/models/architectures", () => {
  it.each(["llama-moe", "nemotron_h-dense", "gemma3-dense"])("%s: its lowest layer alone", async (name) => {
    const [source, target] = [`${architectures}${name}.lora.gguf`, fresh()];
    const adapterFile = await readAdapter(source);
    const lowest = adapterFile.layers[0]!;
    const layerScales = Array.from({ length: adapterFile.layers.at(-1)! + 1 }, (_, layer) =>
      layer === lowest ? 1 : 0,
    );
    await writeAdapter(source, { layerScales, inputScale: 0 }, target);
    const [trimmed, before, after] = [await readAdapter(target), await readFile(source), await readFile(target)];
    const kept = adapterFile.pairs.filter(({ layer }) => layer === lowest);
    expect(kept.length).toBeGreaterThan(0);
    expect(trimmed.pairs.map((it) => it.name)).toEqual(kept.map((it) => it.name));
    const bytes = (file: Buffer, { offset, bytes: size }: { offset: number; bytes: number }) =>
      file.subarray(offset, offset + size);
    trimmed.pairs.forEach(({ a, b }, index) => {
      expect(bytes(after, a).equals(bytes(before, kept[index]!.a))).toBe(true);
      expect(bytes(after, b).equals(bytes(before, kept[index]!.b))).toBe(true);
    });
    for (const [key, it] of adapterFile.gguf.metadata) {
      expect(trimmed.gguf.metadata.get(key)!.bytes.equals(it.bytes)).toBe(true);
    }
  });
});
