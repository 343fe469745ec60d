import { planRuns } from "../engine/scale-trie.js";
import type { SessionFacts } from "../engine/session-types.js";
import { InputError } from "../errors.js";
import type { Candidate } from "../lora/candidate.js";
import type { ScoreOptions, SearchScorer, Unit } from "../search/scorer.js";
import type { PartFile } from "./read-part.js";

/** Answers from the parts of a run what a session would compute, and counts what that has cost. */
export class RecordedScorer implements SearchScorer {
  readonly layers: number;
  readonly coveredLayers: readonly number[];
  readonly units: readonly Unit[];
  readonly groups: readonly string[];
  readonly tokens: Int32Array;
  readonly batches: readonly (readonly number[])[];
  readonly #parts: readonly PartFile[];
  readonly #first: PartFile;
  #layerTokens = 0;
  #naiveTokens = 0;

  /** @param parts all of them, in order */
  constructor(parts: readonly [PartFile, ...PartFile[]]) {
    const [first] = parts;
    const { record, packing } = first;
    this.layers = record.model.layers;
    this.coveredLayers = record.adapter.layers;
    this.units = record.units;
    this.groups = record.samples.map(({ group }) => group);
    this.tokens = Int32Array.from(record.samples, ({ scored }) => scored);
    this.batches = packing.map(({ samples }) => samples);
    this.#parts = parts;
    this.#first = first;
  }

  /** As a session tells them that has scored everything itself; its self-check runs on the first batch. */
  get facts(): Pick<SessionFacts, "passes" | "naivePasses" | "replay" | "loss" | "noiseFloor" | "notices"> {
    const checks = this.#parts.flatMap(({ check }) => check ?? []);
    const layerTokens = this.#layerTokens + (this.#first.check?.layerTokens ?? 0);
    const worst = (["plain", "close", "exact"] as const).find((replay) => checks.some((it) => it.replay === replay));
    return {
      passes: layerTokens / (this.layers * this.#first.record.tokens),
      naivePasses: this.#naiveTokens / this.#first.record.tokens,
      replay: worst ?? null,
      loss: this.#first.check?.loss ?? null,
      noiseFloor: checks.reduce((most, { noiseFloor }) => Math.max(most, noiseFloor), 0),
      notices: [...new Set(checks.flatMap(({ notices }) => notices))],
    };
  }

  /** Nothing is computed here. */
  cost(): number {
    return 0;
  }

  score(candidates: readonly Candidate[], { batches }: ScoreOptions = {}): Promise<readonly Float64Array[]> {
    const scores = candidates.map(() => new Float64Array(this.groups.length).fill(NaN));
    for (const batch of batches ?? this.batches.keys()) {
      const part = this.#parts[batch % this.#parts.length] ?? this.#first;
      const samples = this.batches[batch] ?? [];
      const before = part.batches
        .filter((other) => other < batch)
        .reduce((sum, other) => sum + (this.batches[other]?.length ?? 0), 0);
      const recorded = candidates.map(({ id }) => recordedAs(id, part));
      for (const [index, column] of scores.entries()) {
        for (const [position, sample] of samples.entries()) {
          column[sample] = recorded[index]?.scores[before + position] ?? NaN;
        }
      }
      this.#count(batch, part, [...new Set(recorded.map(({ vector }) => vector))], candidates.length);
    }
    return Promise.resolve(scores);
  }

  #count(batch: number, part: PartFile, vectors: readonly number[], candidates: number): void {
    const { objective, record, packing } = this.#first;
    const layers = layersOf(vectors, part) + (objective === "kl" ? this.layers : 0);
    this.#layerTokens += layers * (packing[batch]?.tokens ?? 0);
    // The last token of a sample predicts nothing and is not computed.
    const tokens = (this.batches[batch] ?? []).map((sample) => (record.samples[sample]?.tokens ?? 1) - 1);
    this.#naiveTokens += candidates * tokens.reduce((sum, count) => sum + count, 0);
  }
}

function recordedAs(id: string, part: PartFile) {
  const recorded = part.candidates.find((candidate) => candidate.id === id);
  if (recorded !== undefined) return recorded;
  throw new InputError("PART_DAMAGED", `${part.path}: this part has no scores of \`${id}\`; score it again.`, {
    details: { path: part.path, candidate: id },
  });
}

/** Layers that a session computes per token for these vectors. */
function layersOf(indices: readonly number[], { vectors, check, record }: PartFile): number {
  if (check?.replay === "plain") return indices.length * record.model.layers;
  const strengths = indices.map((index) => Float32Array.from(vectors[index] ?? []));
  const { partsPerLayer } = record;
  return planRuns(strengths, { partsPerLayer, ...(check && { usable: check.usable }) }).layersComputed;
}
