import { packageVersion } from "../package-version.js";
import type { CalibrationResult } from "../result.js";
import type { Conclusion } from "../search/conclude.js";
import type { SessionFacts } from "../engine/session-types.js";
import type { RunRecord } from "./run-record.js";

export interface ResultFacts {
  readonly record: RunRecord;
  readonly session: Pick<SessionFacts, "passes" | "naivePasses" | "replay" | "loss" | "noiseFloor" | "notices">;
  readonly command: readonly string[];
  /** Wall time so far. */
  readonly seconds: number;
}

/**
 * The result object.
 *
 * @param scored indices of the samples that the answer stands on, in the order of its scores
 */
export function resultOf(
  outcome: Conclusion,
  scored: readonly number[],
  { record, session, command, seconds }: ResultFacts,
): CalibrationResult {
  const { judgement, ...answer } = outcome;
  const samples = scored.flatMap((index) => record.samples[index] ?? []);
  const scoredTokens = samples.reduce((sum, sample) => sum + sample.scored, 0);
  const { passes, naivePasses, replay, loss, noiseFloor, notices } = session;
  const { objective, inSample } = judgement.options;
  return {
    schema: "lora-boundary/calibration@1",
    version: packageVersion,
    createdAt: new Date().toISOString(),
    command,
    model: record.model,
    adapter: record.adapter,
    data: {
      path: record.data.path,
      sha256: record.data.sha256,
      samples: samples.length,
      scoredTokens,
      promptTokens: samples.reduce((sum, { tokens }) => sum + tokens, 0) - scoredTokens,
      groups: judgement.units.count,
      seed: record.data.seed,
      template: record.data.template,
      notices: [...record.data.notices, ...notices],
      lines: samples.map(({ line }) => line),
    },
    partial: samples.length < record.samples.length ? { ofSamples: record.samples.length } : null,
    objective: objective.name,
    objectiveScale: { higherIsBetter: objective.higherIsBetter, unit: objective.unit },
    inSample,
    strategy: "exhaustive",
    goal: answer.goal,
    margin: answer.margin,
    confidence: answer.confidence,
    criticalValue: answer.criticalValue,
    gate: answer.gate,
    candidates: answer.candidates,
    selected: answer.selected,
    noSelection: answer.noSelection,
    pareto: answer.pareto,
    controls: { ...answer.controls, noiseFloor },
    output: null,
    engine: { ...record.engine, replay: replay ?? "exact", loss: loss ?? "host" },
    cost: {
      passes,
      naivePasses: Math.max(naivePasses, answer.candidates.length),
      seconds,
      tokensComputed: Math.round(passes * record.tokens),
      tokensShared: 0,
    },
  };
}
