import { describe, expect, test } from "vitest";
import { loadModel, UsageError } from "../../src/index.js";
import { DEMO } from "../support/engine-files.js";
import { allBoundaries, differing } from "../support/engine-samples.js";
import { loadTrio } from "../support/engine-trio.js";

const SESSION = { threads: 1, batchTokens: 256 };
const gone: unknown = expect.objectContaining({ code: "DISPOSED", name: UsageError.name });
const settled = (promise: Promise<unknown>) =>
  promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );

describe("dispose", () => {
  test("twice is as once; afterwards every call says what was disposed of", async () => {
    const { model, adapter, set } = await loadTrio(1);
    const session = adapter.openSession(set.samples, SESSION);
    await session.score(allBoundaries(12).slice(0, 1));
    await Promise.all([session.dispose(), session.dispose()]);
    await session.dispose();
    await expect(session.score(allBoundaries(12))).rejects.toThrow("The scoring session has been disposed of");
    await expect(session.probe()).rejects.toThrow(gone);
    await expect(session.compareWithFile(allBoundaries(12)[1]!, DEMO.adapter)).rejects.toThrow(gone);
    await adapter.dispose();
    await adapter.dispose();
    expect(() => adapter.openSession(set.samples, SESSION)).toThrow(`The adapter ${DEMO.adapter} has been disposed of`);
    await model.dispose();
    await model.dispose();
    expect(() => model.tokenize("text")).toThrow(gone);
    expect(() => model.tokenBytes(5)).toThrow(gone);
    expect(() => model.isControl(5)).toThrow(gone);
    await expect(model.loadAdapter(DEMO.adapter)).rejects.toThrow(`The model ${DEMO.base} has been disposed of`);
  });

  test("while scores are computed: waits for them, and they are complete", async () => {
    const { model, adapter, set } = await loadTrio(2);
    const session = adapter.openSession(set.samples, SESSION);
    const candidates = allBoundaries(12);
    const ended: string[] = [];
    const running = session.score(candidates).finally(() => ended.push("scores"));
    const closing = session.dispose().finally(() => ended.push("session"));
    await expect(session.score(candidates)).rejects.toThrow(gone);
    const scores = await running;
    await closing;
    expect(ended).toEqual(["scores", "session"]);
    await using again = adapter.openSession(set.samples, SESSION);
    expect(differing(candidates, scores, await again.score(candidates))).toEqual([]);
    await model.dispose();
  });

  test("of the model closes its adapters and their sessions, after the work that was queued", async () => {
    const { model, adapter, set } = await loadTrio(1);
    const [first, second] = [adapter.openSession(set.samples, SESSION), adapter.openSession(set.samples, SESSION)];
    const work = [first.score(allBoundaries(12).slice(10)), first.score(allBoundaries(12).slice(3, 5)), second.probe()];
    await model.dispose();
    const outcomes = await Promise.all(work.map(settled));
    expect(outcomes.map((outcome) => "value" in outcome)).toEqual([true, true, true]);
    await expect(first.score([])).rejects.toThrow(gone);
    await expect(second.probe()).rejects.toThrow(gone);
    expect(() => adapter.openSession(set.samples, SESSION)).toThrow(gone);
  });

  test("of one session leaves the others and the adapter alone", async () => {
    await using it = await loadTrio(1);
    const first = it.adapter.openSession(it.set.samples, SESSION);
    await using second = it.adapter.openSession(it.set.samples, SESSION);
    const candidates = allBoundaries(12).slice(11);
    const scores = await first.score(candidates);
    await first.dispose();
    expect(differing(candidates, await second.score(candidates), scores)).toEqual([]);
  });

  test("of the model while an adapter loads: the adapter is refused, not handed out dead", async () => {
    const model = await loadModel(DEMO.base);
    const loading = settled(model.loadAdapter(DEMO.adapter));
    await model.dispose();
    expect(await loading).toEqual({ error: gone });
  });
});

describe("the queue of a session", () => {
  test("calls made at once run one after another and do not disturb each other", async () => {
    await using it = await loadTrio(2);
    await using session = it.adapter.openSession(it.set.samples, SESSION);
    const [low, high] = [allBoundaries(12).slice(0, 3), allBoundaries(12).slice(9)];
    const [a, b, difference, c] = await Promise.all([
      session.score(low),
      session.score(high),
      session.compareWithFile(allBoundaries(12)[12]!, DEMO.adapter),
      session.score(low),
    ]);
    expect(difference).toBe(0);
    expect(differing(low, a, c)).toEqual([]);
    expect(differing(high, b, await session.score(high))).toEqual([]);
  });

  test("a call that fails does not stop the next", async () => {
    await using it = await loadTrio(1);
    await using session = it.adapter.openSession(it.set.samples, SESSION);
    const [failed, scores] = await Promise.all([
      settled(session.compareWithFile(allBoundaries(12)[1]!, DEMO.samples)),
      session.score(allBoundaries(12).slice(12)),
    ]);
    expect(failed).toEqual({ error: expect.objectContaining({ code: "ADAPTER_LOAD" }) as unknown });
    expect(scores[0]![0]).toBeGreaterThan(0);
  });
});
