import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { partOfTensor } from "../../src/engine/adapter.js";
import { readAdapter } from "../../src/lora/adapter-file.js";
import { loadAddon } from "../../src/native/binding.js";
import type {
  NativeAdapter,
  NativeAddon,
  NativeGenerator,
  NativeModel,
  NativeStepResult,
} from "../../src/native/types.js";
import { DEMO } from "../support/engine-files.js";

const LAYERS = 12;
const ALL_LAYERS = Int32Array.from({ length: LAYERS - 1 }, (_, index) => index + 1);
const full = new Float32Array(LAYERS + 2).fill(1);
const upTo = (b: number) => full.map((_, part) => (part <= b ? 1 : 0));
const without = (layer: number) => full.map((_, part) => (part === layer + 1 ? 0 : 1));
const token = (index: number) => (index * 37) % 1024;

// Three prompts in two batches, in slots 2 to 4; answers are written in slots 0 and 1.
const PROMPTS = {
  slots: Int32Array.of(2, 3, 4),
  offsets: Int32Array.of(0, 9, 14, 25),
  tokens: Int32Array.from({ length: 25 }, (_, index) => token(index)),
  batches: Int32Array.of(0, 2, 3),
};

const choicesOf = ({ counts, tokens, runnersUp, margins, ended, lost, kept }: NativeStepResult) => ({
  ...{ counts, tokens, runnersUp, margins, ended, lost, kept },
});

describe.each([false, true])("prompts that are opened, fused sums: %s", (fusedLora) => {
  let addon: NativeAddon;
  let model: NativeModel;
  let adapter: NativeAdapter;
  const made: NativeGenerator[] = [];

  beforeAll(async () => {
    addon = await loadAddon();
    const control = new addon.JobControl();
    model = await addon.loadModel({ path: DEMO.base, gpuLayers: 0, devices: [], control });
    const partOf = partOfTensor(await readAdapter(DEMO.adapter), LAYERS);
    const parts = { partOfTensor: partOf, partsPerLayer: 1 as const, rankMultiple: 1, fusedLora };
    adapter = await addon.loadAdapter({ model, path: DEMO.adapter, ...parts, control });
  });

  afterAll(() => {
    for (const generator of made) generator.dispose();
    adapter.dispose();
  });

  async function generator() {
    const shape = { contextTokens: 128, maxSequences: 5, batchTokens: 32, maxRows: 32, threads: 1 };
    const it = await addon.createGenerator({ model, ...shape, fusedLora, resumes: true, ownSums: fusedLora });
    made.push(it);
    it.setOpening(PROMPTS);
    return it;
  }

  /** What the prompts choose, and what two answers choose that go on from the last two of them. */
  async function write(it: NativeGenerator, strengths: Float32Array, resumeAt: number, keepAt = new Int32Array()) {
    const control = new addon.JobControl();
    it.setStrengths({ adapter, strengths });
    const { kept, ...opened } = choicesOf(await it.open({ resumeAt, keepAt, control }));
    it.copy({ from: 3, to: 0 });
    it.copy({ from: 4, to: 1 });
    const step = {
      slots: Int32Array.of(0, 1),
      offsets: Int32Array.of(0, 4, 6),
      tokens: Int32Array.from([opened.tokens[1]!, token(3), token(4), token(5), opened.tokens[2]!, token(9)]),
      drafts: Int32Array.of(2, 1),
      control,
    };
    return { kept, written: { opened, stepped: choicesOf(await it.step(step)) } };
  }

  const plain = async (strengths: Float32Array) => (await write(await generator(), strengths, 0)).written;

  test("resume at the layer that differs with the bits of a run from the tokens, one candidate after another", async () => {
    const it = await generator();
    const trunk = await write(it, full, 0, ALL_LAYERS);
    expect([...trunk.kept]).toEqual([...ALL_LAYERS]);
    expect(trunk.written).toEqual(await plain(full));
    for (const [strengths, resumeAt] of [
      [upTo(11), 11],
      [upTo(8), 8],
      [without(7), 7],
      [upTo(3), 3],
      [upTo(1), 1],
    ] as const) {
      const resumed = await write(it, strengths, resumeAt);
      expect(resumed.written).toEqual(await plain(strengths));
      expect(resumed.written.opened).not.toEqual(trunk.written.opened);
    }
    // A, B, A: from the tokens again, and up again along another path.
    expect((await write(it, full, 0, Int32Array.of(4, 8))).written).toEqual(trunk.written);
    expect((await write(it, without(4), 4, Int32Array.of(8))).written).toEqual(await plain(without(4)));
    const both = without(4).map((strength, part) => (part === 9 ? 0 : strength));
    expect((await write(it, both, 8)).written).toEqual(await plain(both));
  });

  test("another candidate's lower layers give other bits: the comparison can tell", async () => {
    const it = await generator();
    await write(it, upTo(6), 0, ALL_LAYERS);
    expect((await write(it, upTo(10), 8)).written).not.toEqual(await plain(upTo(10)));
  });

  test("are refused where what lies below is gone", async () => {
    const it = await generator();
    const control = new addon.JobControl();
    const refused = { code: "BAD_ARGUMENT" };
    const open = (resumeAt: number) => it.open({ resumeAt, keepAt: new Int32Array(), control });
    await expect(open(3)).rejects.toMatchObject(refused);
    await write(it, full, 0, Int32Array.of(6));
    it.setStrengths({ adapter, strengths: upTo(6) });
    await expect(open(5)).rejects.toMatchObject(refused);
    // After an error everything starts from the tokens.
    await expect(open(6)).rejects.toMatchObject(refused);
    await write(it, full, 0, Int32Array.of(6));
    // A prompt that left its slot may have lost its cells.
    it.clear({ slot: 2 });
    it.setStrengths({ adapter, strengths: upTo(6) });
    await expect(open(6)).rejects.toMatchObject(refused);
    await write(it, full, 0, Int32Array.of(6));
    // So may those that something was written over.
    it.setStrengths({ adapter, strengths: upTo(6) });
    const offsets = Int32Array.of(0, 1);
    await it.step({ slots: Int32Array.of(0), offsets, tokens: Int32Array.of(5), drafts: Int32Array.of(0), control });
    await expect(open(6)).rejects.toMatchObject(refused);
    expect((await write(it, full, 0)).written).toEqual(await plain(full));
  });

  test("cancelled while prompts are opened: nothing to resume from is left, and from the tokens all is as before", async () => {
    const it = await generator();
    await write(it, full, 0, ALL_LAYERS);
    let cancelled = 0;
    for (const milliseconds of [0, 1, 2, 3]) {
      const control = new addon.JobControl();
      it.setStrengths({ adapter, strengths: upTo(6) });
      const opening = it.open({ resumeAt: 0, keepAt: ALL_LAYERS, control });
      if (milliseconds > 0) await setTimeout(milliseconds);
      control.abort();
      const outcome = await opening.catch((error: unknown) => error);
      if (outcome instanceof Error) {
        expect(outcome).toMatchObject({ code: "CANCELLED" });
        cancelled += 1;
        const fresh = new addon.JobControl();
        await expect(it.open({ resumeAt: 6, keepAt: new Int32Array(), control: fresh })).rejects.toMatchObject({
          code: "BAD_ARGUMENT",
        });
      }
      expect((await write(it, full, 0, ALL_LAYERS)).written).toEqual(await plain(full));
    }
    expect(cancelled).toBeGreaterThan(0);
  });

  test("are refused where they are not well-formed", async () => {
    const it = await generator();
    for (const wrong of [
      { slots: Int32Array.of(2, 3, 5) },
      { slots: Int32Array.of(2, 2, 4) },
      { slots: Int32Array.of(2, 3, 2) },
      { offsets: Int32Array.of(0, 9, 9, 25) },
      { offsets: Int32Array.of(0, 9, 25) },
      { batches: Int32Array.of(0, 3, 2) },
      { batches: Int32Array.of(0, 2) },
      { batches: Int32Array.of() },
      { tokens: new Int32Array(25).fill(1024) },
      { tokens: new Int32Array(24) },
    ]) {
      expect(() => {
        it.setOpening({ ...PROMPTS, ...wrong });
      }).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
    }
    expect(() => {
      it.copy({ from: 2, to: 2 });
    }).toThrow(TypeError);
  });
});
