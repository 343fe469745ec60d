import { readFile } from "node:fs/promises";
import { loadModel, readSamples, type Adapter, type Model, type SampleSet } from "../../src/index.js";
import { DEMO } from "./engine-files.js";

export interface Trio extends AsyncDisposable {
  readonly model: Model;
  readonly adapter: Adapter;
  readonly set: SampleSet;
}

/** Model, adapter and the first `limit` samples; the model goes with the scope, and the rest with it. */
export async function loadTrio(limit: number, files = DEMO): Promise<Trio> {
  const model = await loadModel(files.base);
  const adapter = await model.loadAdapter(files.adapter);
  const set = await readSamples(await firstRows(files.samples, limit), model);
  return { model, adapter, set, [Symbol.asyncDispose]: () => model.dispose() };
}

/** The first rows of a JSONL file, as they stand there; `limit` of `readSamples` draws at random. */
export async function firstRows(path: string, limit: number): Promise<unknown[]> {
  const lines = (await readFile(path, "utf8")).trim().split("\n");
  return lines.slice(0, limit).map((line) => JSON.parse(line) as unknown);
}
