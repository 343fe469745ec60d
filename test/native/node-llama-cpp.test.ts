import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { writeVerified, type Sample } from "../../src/index.js";
import { DEMO, temporaryFolder } from "../support/engine-files.js";
import { allBoundaries } from "../support/engine-samples.js";
import { loadTrio } from "../support/engine-trio.js";
import { addonFiles } from "../support/native-jobs.js";

const SCRIPT = fileURLToPath(new URL("../support/node-llama-cpp-scores.mjs", import.meta.url));

interface Answer {
  /** Mean NLL per scored token of every sample, nats. */
  readonly losses: readonly number[];
  readonly cpus: number;
  readonly layers: number;
}

/** A process of its own: an application that knows nothing of this package. */
async function scoresOfNodeLlamaCpp(adapter: string, samples: readonly Sample[]): Promise<Answer> {
  const plain = samples.map(({ tokens, scored }) => ({ tokens: [...tokens], scored: [...scored] }));
  const { addon, libraries } = addonFiles();
  const args = [SCRIPT, DEMO.base, adapter, JSON.stringify(plain), addon, libraries];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as Answer;
}

describe("node-llama-cpp's own API", () => {
  test("evaluates base, adapter and the written smaller adapter to the same losses, in double, within 1e-6 nats per token", async () => {
    await using folder = await temporaryFolder();
    await using it = await loadTrio(3);
    const { samples } = it.set;
    const small = join(folder.path, "small.gguf");
    await writeVerified(it.adapter, it.set, allBoundaries(12)[8]!, small, { threads: 1 });
    const candidates = [0, 12, 8].map((b) => allBoundaries(12)[b]!);
    // One sample at a time, as the other side computes them: another packing rounds differently.
    const asFile = await it.model.loadAdapter(DEMO.adapter, { rankMultiple: 1 });
    const scores = await asFile.score(samples, candidates, { threads: 1, batchTokens: 2 });
    const answers = [];
    for (const adapter of ["", DEMO.adapter, small]) answers.push(await scoresOfNodeLlamaCpp(adapter, samples));
    for (const [index, { losses, cpus, layers }] of answers.entries()) {
      expect({ cpus, layers }).toEqual({ cpus: 1, layers: 12 });
      expect(losses).toHaveLength(3);
      for (const [sample, loss] of losses.entries())
        expect(Math.abs(loss - scores[index]![sample]!)).toBeLessThan(1e-6);
    }
    const [base, full, cut] = answers.map(({ losses }) => losses[0]!);
    expect(base! - full!).toBeGreaterThan(5);
    expect(cut! - full!).toBeGreaterThan(0.1);
  });
});
