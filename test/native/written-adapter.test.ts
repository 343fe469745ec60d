import { copyFile, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  BackendError,
  boundaryCandidates,
  calibrate,
  CancelledError,
  loadModel,
  UsageError,
  writeAdapter,
  writeVerified,
} from "../../src/index.js";
import { PADDED_LOGIT_TOLERANCE } from "../../src/calibration/write-verified.js";
import { DEMO, temporaryFolder } from "../support/engine-files.js";
import { allBoundaries, candidate } from "../support/engine-samples.js";
import { loadTrio } from "../support/engine-trio.js";
import { contentsOf, withZeroB } from "../support/gguf-edit.js";
import { gguf } from "../support/gguf-files.js";

const SESSION = { threads: 1, batchTokens: 256 };
const upto = (b: number) => allBoundaries(12)[b]!;
const scaled = (scale: number, kept: (layer: number) => boolean) =>
  candidate(
    `keep*${scale}`,
    Array.from({ length: 12 }, (_, layer) => (kept(layer) ? scale : 0)),
  );

describe("a trimmed file, loaded whole, against the layer scales it stands for", () => {
  test("no logit differs at its own boundary, and some do at its neighbours", async () => {
    await using folder = await temporaryFolder();
    await using it = await loadTrio(2);
    await using session = it.adapter.openSession(it.set.samples, SESSION);
    for (const b of [1, 6, 11]) {
      const path = join(folder.path, `upto-${b}.gguf`);
      await writeAdapter(DEMO.adapter, upto(b), path);
      expect(await session.compareWithFile(upto(b), path)).toBe(0);
      expect(await session.compareWithFile(upto(b + 1), path)).toBeGreaterThan(0.01);
      expect(await session.compareWithFile(upto(b - 1), path)).toBeGreaterThan(0.01);
    }
  });

  test.each([
    ["a window", scaled(1, (layer) => layer >= 3 && layer < 9)],
    ["every second layer, boosted by a power of two", scaled(2, (layer) => layer % 2 === 0)],
    ["one layer, boosted by 1.25", scaled(1.25, (layer) => layer === 5)],
    ["a negative strength", scaled(-0.5, (layer) => layer > 1)],
  ])("%s", async (_, shape) => {
    await using folder = await temporaryFolder();
    await using it = await loadTrio(1);
    const path = join(folder.path, "small.gguf");
    const { alphaScale } = await writeAdapter(DEMO.adapter, shape, path);
    expect(alphaScale).toBe(Math.max(...shape.layerScales) || Math.min(...shape.layerScales));
    await using session = it.adapter.openSession(it.set.samples, SESSION);
    expect(await session.compareWithFile(shape, path)).toBe(0);
  });
});

describe("a file whose strengths are multiplied into its tensors, or whose ranks are padded", () => {
  const mixed = candidate("mixed", [1.5, 0.5, 0, 1, 1, 1, 0.3, 0.3, -0.2, 1, 2, 0]);

  test("computes what the layer scales compute, up to rounding", async () => {
    await using folder = await temporaryFolder();
    await using it = await loadTrio(2);
    await using session = it.adapter.openSession(it.set.samples, SESSION);
    const path = join(folder.path, "mixed.gguf");
    expect((await writeAdapter(DEMO.adapter, mixed, path)).baked.length).toBeGreaterThan(0);
    expect(await session.compareWithFile(mixed, path)).toBeLessThan(PADDED_LOGIT_TOLERANCE);
    // The tolerance tells it from a vector that differs in one layer.
    const other = candidate("other", mixed.layerScales.with(10, 1));
    expect(await session.compareWithFile(other, path)).toBeGreaterThan(5 * PADDED_LOGIT_TOLERANCE);
    const output = await writeVerified(it.adapter, it.set, mixed, join(folder.path, "again.gguf"), SESSION);
    expect(output.maxLogitDifference).toBeLessThan(PADDED_LOGIT_TOLERANCE);
  });

  test("padded to 16: the same function", async () => {
    await using folder = await temporaryFolder();
    await using it = await loadTrio(2);
    await using session = it.adapter.openSession(it.set.samples, SESSION);
    const path = join(folder.path, "padded.gguf");
    await writeAdapter(DEMO.adapter, upto(7), path, { padRank: 16 });
    expect((await it.model.loadAdapter(path)).file.ranks).toEqual([16]);
    expect(await session.compareWithFile(upto(7), path)).toBeLessThan(PADDED_LOGIT_TOLERANCE);
    expect(await session.compareWithFile(upto(8), path)).toBeGreaterThan(5 * PADDED_LOGIT_TOLERANCE);
  });
});

describe("writeVerified", () => {
  test("writes, proves, and leaves nothing but the file", async () => {
    await using folder = await temporaryFolder();
    await using it = await loadTrio(2);
    const target = join(folder.path, "small.gguf");
    const output = await writeVerified(it.adapter, it.set, upto(7), target, SESSION);
    const { size } = await stat(target);
    expect(output).toMatchObject({ path: target, verified: true, maxLogitDifference: 0, bytes: size });
    expect(output.parameters * 12).toBe(it.adapter.file.parameters * 7);
    expect(output.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(await readdir(folder.path)).toEqual(["small.gguf"]);
    const small = await it.model.loadAdapter(target);
    expect(small.file.layers).toEqual([0, 1, 2, 3, 4, 5, 6]);
    const [trimmed] = await small.score(it.set.samples, [upto(12)], SESSION);
    const [cut] = await it.adapter.score(it.set.samples, [upto(7)], SESSION);
    expect(trimmed).toEqual(cut);
  });

  test("FILE_CHANGED where the source on disk is no longer the adapter in memory; nothing is left", async () => {
    await using folder = await temporaryFolder();
    await using model = await loadModel(DEMO.base);
    const source = join(folder.path, "source.gguf");
    await copyFile(DEMO.adapter, source);
    const adapter = await model.loadAdapter(source);
    const set = (await loadSamples()).set;
    await writeFile(source, gguf(withZeroB(await contentsOf(DEMO.adapter), (layer) => layer === 2)));
    const failed = writeVerified(adapter, set, upto(6), join(folder.path, "small.gguf"), SESSION);
    await expect(failed).rejects.toMatchObject({ code: "FILE_CHANGED", exitCode: 3, details: { path: source } });
    expect(await readdir(folder.path)).toEqual(["source.gguf"]);
  });

  test("the base model cannot be written; nothing is left", async () => {
    await using folder = await temporaryFolder();
    await using it = await loadTrio(1);
    const failed = writeVerified(it.adapter, it.set, upto(0), join(folder.path, "small.gguf"), SESSION);
    await expect(failed).rejects.toThrow(expect.objectContaining({ code: "SELECTION_EMPTY", name: UsageError.name }));
    expect(await readdir(folder.path)).toEqual([]);
  });

  test("any strengths are written: a boost of all exactly, mixed ones within rounding, halves of layers too", async () => {
    await using folder = await temporaryFolder();
    await using it = await loadTrio(2);
    const boosted = candidate("boosted", [1.45, 0, ...new Array<number>(10).fill(1.45)]);
    const exact = await writeVerified(it.adapter, it.set, boosted, join(folder.path, "boosted.gguf"), SESSION);
    expect(exact.maxLogitDifference).toBeLessThan(1e-3);
    const mixed = candidate("mixed", [1, 0.5, -2, ...new Array<number>(9).fill(1.3)]);
    const target = join(folder.path, "mixed.gguf");
    const output = await writeVerified(it.adapter, it.set, mixed, target, SESSION);
    expect(output.verified).toBe(true);
    const small = await it.model.loadAdapter(target);
    const [written] = await small.score(it.set.samples, [upto(12)], SESSION);
    const [meant, full] = await it.adapter.score(it.set.samples, [mixed, upto(12)], SESSION);
    for (const [sample, score] of written!.entries()) {
      expect(Math.abs(score - meant![sample]!)).toBeLessThan(0.1 * Math.abs(score - full![sample]!));
    }
    const perModule = await it.model.loadAdapter(DEMO.adapter, { per: "module" });
    const halves = {
      ...candidate("halves", [0, ...new Array<number>(11).fill(1)]),
      feedForwardScales: [1, 0, ...new Array<number>(10).fill(1)],
    };
    const half = await writeVerified(perModule, it.set, halves, join(folder.path, "halves.gguf"), SESSION);
    expect(half.maxLogitDifference).toBe(0);
    const refused = writeVerified(it.adapter, it.set, halves, join(folder.path, "no.gguf"), SESSION);
    await expect(refused).rejects.toMatchObject({ code: "CANDIDATE_PARTS" });
  });

  test("cancelled: before it starts and while it verifies, nothing is left", async () => {
    await using folder = await temporaryFolder();
    await using it = await loadTrio(1);
    const target = join(folder.path, "small.gguf");
    const already = writeVerified(it.adapter, it.set, upto(5), target, { ...SESSION, signal: AbortSignal.abort() });
    await expect(already).rejects.toThrow(CancelledError);
    const controller = new AbortController();
    const verifying = writeAdapter(DEMO.adapter, upto(5), target, {
      verify: async (path) => {
        expect((await stat(path)).size).toBeGreaterThan(100_000);
        controller.abort();
        await using session = it.adapter.openSession(it.set.samples, SESSION);
        await session.compareWithFile(upto(5), path, controller.signal);
      },
    });
    await expect(verifying).rejects.toThrow(CancelledError);
    expect(await readdir(folder.path)).toEqual([]);
  });

  test("an existing file is kept unless forced, and stays as it was when the proof fails", async () => {
    await using folder = await temporaryFolder();
    await using it = await loadTrio(1);
    const target = join(folder.path, "small.gguf");
    await writeFile(target, "precious");
    const kept = writeVerified(it.adapter, it.set, upto(5), target, SESSION);
    await expect(kept).rejects.toThrow(expect.objectContaining({ code: "TARGET_EXISTS" }));
    const failing = writeAdapter(DEMO.adapter, upto(5), target, {
      force: true,
      verify: () => Promise.reject(new BackendError("DECODE", "no")),
    });
    await expect(failing).rejects.toThrow("no");
    expect(await readFile(target, "utf8")).toBe("precious");
    await writeVerified(it.adapter, it.set, upto(5), target, { ...SESSION, force: true });
    expect((await stat(target)).size).toBeGreaterThan(100_000);
    expect(await readdir(folder.path)).toEqual(["small.gguf"]);
  });
});

/** Samples need the model's tokenizer only while they are read. */
async function loadSamples() {
  await using it = await loadTrio(1);
  return { set: it.set };
}

describe("a planted boundary", () => {
  test("LoRA that does nothing above layer 5 is found and dropped: ties are exact, and the fewest layers win", async () => {
    await using folder = await temporaryFolder();
    await using it = await loadTrio(16);
    const path = join(folder.path, "planted.gguf");
    await writeFile(path, gguf(withZeroB(await contentsOf(DEMO.adapter), (layer) => layer >= 6)));
    const planted = await it.model.loadAdapter(path);
    expect(planted.file.layers).toHaveLength(12);
    const result = await calibrate(planted, it.set, SESSION);
    const byId = new Map(result.candidates.map((scores) => [scores.id, scores]));
    const full = byId.get("upto:12")!;
    for (const b of [6, 7, 8, 9, 10, 11]) {
      const cut = byId.get(`upto:${b}`)!;
      expect(cut.perSample).toEqual(full.perSample);
      expect(cut).toMatchObject({
        verdict: "not-worse",
        gainVsFull: { mean: 0, low: 0, high: 0 },
        retention: { mean: 1 },
      });
    }
    expect(byId.get("upto:5")).toMatchObject({ verdict: "worse" });
    expect(result.selected).toMatchObject({
      candidate: { id: "upto:6", layerScales: [1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0] },
      verdict: "not-worse",
    });
    expect(result.engine).toMatchObject({ replay: "exact", threads: 1, batchTokens: 256 });
    expect(boundaryCandidates(12, planted.file.layers)).toHaveLength(13);
    const target = join(folder.path, "small.gguf");
    const output = await writeVerified(planted, it.set, upto(6), target, SESSION);
    expect(output.maxLogitDifference).toBe(0);
  });
});
