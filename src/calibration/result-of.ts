import { packageVersion } from "../package-version.js";
import type { CalibrationResult } from "../result.js";
import { subsetSection } from "../search/subset-section.js";
import type { SessionFacts } from "../engine/session-types.js";
import type { GuardedOutcome } from "./guard.js";
import type { RunRecord } from "./run-record.js";

export interface ResultFacts {
  readonly record: RunRecord;
  readonly session: Pick<SessionFacts, "passes" | "naivePasses" | "replay" | "loss" | "noiseFloor" | "notices">;
  readonly command: readonly string[];
  /** Why it ended, where it did not come to its end. */
  readonly cause: NonNullable<CalibrationResult["partial"]>["cause"];
  /** See `suggestSubset`. */
  readonly suggestion: string | null;
  /** Wall time so far. */
  readonly seconds: number;
}

/** The result object. */
export function resultOf(
  outcome: GuardedOutcome,
  { record, session, command, cause, suggestion, seconds }: ResultFacts,
): CalibrationResult {
  const { judgement, samples: judged, stoppedIn, ...answer } = outcome;
  const samples = judged.flatMap((index) => record.samples[index] ?? []);
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
    partial: stoppedIn === null ? null : { ofSamples: record.samples.length, cause, stage: stoppedIn },
    objective: objective.name,
    objectiveScale: { higherIsBetter: objective.higherIsBetter, unit: objective.unit },
    inSample,
    strategy: answer.strategy,
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
    subset: subsetSection(outcome),
    guard: outcome.guard ?? null,
    suggestion,
    output: null,
    engine: { ...record.engine, replay: replay ?? "exact", loss: loss ?? "host" },
    cost: {
      passes,
      naivePasses: Math.max(naivePasses, answer.candidates.length),
      seconds,
      tokensComputed: Math.round(passes * record.tokens),
      tokensShared: Math.round((passes / (record.computedTokens / record.tokens) - passes) * record.tokens),
    },
  };
}
