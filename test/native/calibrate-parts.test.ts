import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mergeParts } from "../../src/calibration/merge.js";
import { readPart, type PartFile } from "../../src/calibration/read-part.js";
import { scoreShard, type CalibrationPart, type ScoreShardOptions } from "../../src/calibration/shard.js";
import { calibrate, readSamples, type Adapter, type CalibrationResult } from "../../src/index.js";
import { DEMO, temporaryFolder } from "../support/engine-files.js";
import { firstRows, loadTrio, type Trio } from "../support/engine-trio.js";
import { contentsOf, layerOf, withTensors } from "../support/gguf-edit.js";
import { gguf } from "../support/gguf-files.js";

const OPTIONS = { threads: 1, batchTokens: 192, margin: 0.1, seed: 5 } as const;
let trio: Trio;
let folder: { readonly path: string } & AsyncDisposable;
let whole: CalibrationResult;
let parts: CalibrationPart[];

beforeAll(async () => {
  folder = await temporaryFolder();
  trio = await loadTrio(9);
  whole = await calibrate(trio.adapter, trio.set, OPTIONS);
  parts = [];
  for (const index of [1, 2, 3]) parts.push(await part(trio.adapter, index));
});

afterAll(async () => {
  await trio[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const part = (adapter: Adapter, index: number, options: ScoreShardOptions = {}) =>
  scoreShard(adapter, trio.set, { index, of: 3 }, { ...OPTIONS, ...options });

/** Through a file, as a scheduler hands them over. */
async function onDisk(given: readonly object[]): Promise<PartFile[]> {
  return Promise.all(
    given.map(async (it, index) => {
      const path = join(folder.path, `part${index}.json`);
      await writeFile(path, JSON.stringify(it));
      return readPart(path);
    }),
  );
}

/** All of a result that does not tell when and how it was made. */
function lasting({ createdAt, command, cost: { seconds, ...cost }, ...rest }: CalibrationResult) {
  expect([typeof createdAt, typeof seconds, Array.isArray(command)]).toEqual(["string", "number", true]);
  return { ...rest, cost };
}

describe("a run in parts", () => {
  test("merged in any order is the whole run, bit for bit", async () => {
    expect(whole.controls.bestGlobalScale).toBeNull();
    expect(parts.map(({ batches }) => batches.length).every((count) => count > 0)).toBe(true);
    const [first, second, third] = await onDisk(parts);
    expect(lasting(await mergeParts([third!, first!, second!]))).toEqual(lasting(whole));
  });

  test("judgements may be others than the parts were scored with", async () => {
    const options = { ...OPTIONS, goal: "quality", margin: 0.4, confidence: 0.8 } as const;
    const asked = await calibrate(trio.adapter, trio.set, options);
    const { goal, margin, confidence } = options;
    expect(lasting(await mergeParts(await onDisk(parts), { goal, margin, confidence }))).toEqual(lasting(asked));
    expect(asked.margin).toBe(0.4);
  });

  test("where a cut looks better, the controls are there, and only then", async () => {
    // An adapter whose upper half works against itself.
    const harmful = withTensors(await contentsOf(DEMO.adapter), (tensor, name) => {
      if (!name.endsWith(".lora_b") || layerOf(name) < 8) return tensor;
      const data = Buffer.from(tensor.data);
      for (let byte = tensor.type === "F32" ? 3 : 1; byte < data.length; byte += tensor.type === "F32" ? 4 : 2) {
        data[byte] = data[byte]! ^ 0x80;
      }
      return { ...tensor, data };
    });
    const path = join(folder.path, "harmful.gguf");
    await writeFile(path, gguf(harmful));
    await using adapter = await trio.model.loadAdapter(path);
    const expected = await calibrate(adapter, trio.set, OPTIONS);
    expect(expected.candidates.some(({ verdict }) => verdict === "better")).toBe(true);
    expect(expected.controls.bestGlobalScale).not.toBeNull();
    const scored = [await part(adapter, 1), await part(adapter, 2), await part(adapter, 3)];
    expect(lasting(await mergeParts(await onDisk(scored)))).toEqual(lasting(expected));
  });

  test("with other families, halves of layers and divergences, the same as well", async () => {
    const options = { families: ["prefix", "knockout", "scale"], objective: "kl" } as const;
    await using adapter = await trio.model.loadAdapter(trio.adapter.path, { per: "module" });
    const expected = await calibrate(adapter, trio.set, { ...OPTIONS, ...options });
    const scored = [];
    for (const index of [1, 2, 3]) scored.push(await part(adapter, index, options));
    expect(lasting(await mergeParts(await onDisk(scored)))).toEqual(lasting(expected));
    // Without layer 0 is from layer 1.
    expect(expected.candidates.length).toBe(2 + 11 + 11 + 5);
  });

  test("and so is the hint at a subset search, where little can be cut", async () => {
    const set = await readSamples(await firstRows(DEMO.samples, 33), trio.model);
    const options = { ...OPTIONS, batchTokens: 512, margin: 0.001 };
    const expected = await calibrate(trio.adapter, set, options);
    expect(expected.suggestion).toMatch(/--families boundary,subset, about \d+ passes, \d+ min/);
    const scored = [];
    for (const index of [1, 2]) scored.push(await scoreShard(trio.adapter, set, { index, of: 2 }, options));
    const merged = await mergeParts(await onDisk(scored));
    // The time is that of the machine on that day.
    const timeless = (result: CalibrationResult) => ({
      ...lasting(result),
      suggestion: result.suggestion?.replace(/\d+ (min|h)/, ""),
    });
    expect(timeless(merged)).toEqual(timeless(expected));
  });
});

describe("parts that make no whole", () => {
  const refusal = async (given: readonly object[]) => {
    const error: unknown = await onDisk(given)
      .then((files) => mergeParts(files))
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    return error as Error & { code: string; details: Record<string, unknown> };
  };

  test("a missing one, by its number", async () => {
    expect(await refusal([parts[0]!, parts[2]!])).toMatchObject({ code: "PART_MISSING", details: { missing: [2] } });
    expect((await refusal([parts[0]!])).message).toContain("--shard 2/3, --shard 3/3");
    expect(await refusal([])).toMatchObject({ code: "PART_MISSING" });
  });

  test("one twice, by its files", async () => {
    const error = await refusal([...parts, parts[1]!]);
    expect(error).toMatchObject({ code: "PART_TWICE" });
    expect(error.message).toMatch(/part1\.json and .*part3\.json are both part 2\/3/);
  });

  test("one of another run, by what differs", async () => {
    const others: readonly (readonly [change: () => Promise<CalibrationPart>, difference: RegExp])[] = [
      [() => part(trio.adapter, 2, { batchTokens: 256 }), /packing .*192 tokens.* there, 256 tokens.* here/],
      [() => part(trio.adapter, 2, { margin: 0.2 }), /margin \(0\.1 there, 0\.2 here\)/],
      [() => part(trio.adapter, 2, { families: ["boundary", "scale"] }), /families/],
      [async () => scoreShard(trio.adapter, trio.set, { index: 2, of: 4 }, OPTIONS), /number of parts \(3 there, 4/],
      [
        async () => {
          const set = await readSamples(await firstRows(DEMO.samples, 10), trio.model);
          return scoreShard(trio.adapter, set, { index: 2, of: 3 }, OPTIONS);
        },
        /samples \(.*how samples are read/,
      ],
    ];
    for (const [change, difference] of others) {
      const error = await refusal([parts[0]!, await change(), parts[2]!]);
      expect(error).toMatchObject({ code: "PART_OTHER_RUN" });
      expect(error.message).toMatch(difference);
    }
  });

  test("other threads and processors are no other run, but said", async () => {
    const elsewhere = { ...parts[1]!, inputs: { ...parts[1]!.inputs, threads: "2" } };
    const merged = await mergeParts(await onDisk([parts[0]!, elsewhere, parts[2]!]));
    expect(merged.data.notices.at(-1)).toContain("different threads");
    expect(merged.candidates).toEqual(whole.candidates);
  });

  test("what is no part, and what is damaged", async () => {
    expect(await refusal([whole])).toMatchObject({ code: "PART_FORMAT" });
    expect(await refusal([{}])).toMatchObject({ code: "PART_FORMAT" });
    const [first] = parts;
    const damages: readonly object[] = [
      { ...first, candidates: first!.candidates.map((it) => ({ ...it, scores: it.scores.slice(1) })) },
      { ...first, candidates: first!.candidates.map((it) => ({ ...it, scores: it.scores.map(() => null) })) },
      { ...first, candidates: first!.candidates.slice(1) },
      { ...first, batches: [0] },
      { ...first, vectors: [] },
      { ...first, record: null },
      { schema: first!.schema },
    ];
    for (const damage of damages) {
      expect(await refusal([damage, ...parts.slice(1)])).toMatchObject({ code: "PART_DAMAGED", exitCode: 3 });
    }
    const path = join(folder.path, "cut.json");
    await writeFile(path, JSON.stringify(parts[0]).slice(0, -100));
    await expect(readPart(path)).rejects.toMatchObject({ code: "PART_FORMAT" });
    await expect(readPart(join(folder.path, "none.json"))).rejects.toMatchObject({ code: "FILE_MISSING" });
  });

  test("what follows from the scores of all samples cannot be scored in parts", async () => {
    const refused: readonly (readonly [options: ScoreShardOptions, code: string, message: RegExp])[] = [
      [{ strategy: "race" }, "SHARD_STRATEGY", /Expected `exhaustive`.* received race: .*--strategy exhaustive/],
      [{ families: ["boundary", "subset"] }, "SHARD_FAMILIES", /boundary, prefix, knockout, scale.* received subset/],
      [{ families: ["window"] }, "SHARD_FAMILIES", /received window/],
      [{ families: ["boundary+boost"] }, "SHARD_FAMILIES", /received boundary\+boost/],
      [{ budget: 5 }, "SHARD_BUDGET", /--resume/],
    ];
    for (const [options, code, message] of refused) {
      const scored = part(trio.adapter, 1, options);
      await expect(scored).rejects.toMatchObject({ code, exitCode: 2 });
      await expect(scored).rejects.toThrow(message);
    }
  });

  test("a part of no part, or of more parts than there are batches", async () => {
    const batches = parts[0]!.packing.length;
    for (const shard of [
      { index: 0, of: 3 },
      { index: 4, of: 3 },
      { index: 1, of: batches + 1 },
      { index: 1.5, of: 3 },
    ]) {
      const scored = scoreShard(trio.adapter, trio.set, shard, OPTIONS);
      await expect(scored).rejects.toMatchObject({ code: "SHARD_RANGE", exitCode: 2, details: { batches } });
    }
  });
});
