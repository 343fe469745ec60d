import type { CalibrationResult, SelectedCandidate } from "../result.js";
import { choose, explainNoSelection, reasonFor, type Goal } from "./choose.js";
import { judgeControls, withholdBetter } from "./controls.js";
import { crossFitGain } from "./crossfit.js";
import type { JudgeOptions } from "./judge-options.js";
import { candidateResult, judge, type JudgedCandidate, type Judgement } from "./judge.js";
import { commonStrength } from "./layer-scales.js";
import { paretoFront } from "./pareto.js";
import type { ScoreTable } from "./scores.js";

export interface ConcludeOptions extends JudgeOptions {
  /** Default `economy`. */
  readonly goal?: Goal;
  /** Largest difference between two runs of one candidate, nats; default 0: bit-identical. */
  readonly noiseFloor?: number;
  /** Names of candidates that must not be chosen, whatever is proven of them; default none. */
  readonly excluded?: ReadonlySet<string>;
}

/** The part of the result object that follows from scores alone. */
export interface Conclusion extends Pick<
  CalibrationResult,
  | "goal"
  | "margin"
  | "confidence"
  | "criticalValue"
  | "test"
  | "gate"
  | "candidates"
  | "selected"
  | "noSelection"
  | "pareto"
  | "controls"
> {
  readonly judgement: Judgement;
}

/**
 * From scores to an answer: judge, choose, cross-fit. Pure, and a function of the table alone, so it also says what is known
 * when only some samples are scored, and judges again when margin, confidence or goal change. Without controls in the table
 * nothing is called `better` (`withholdBetter`).
 *
 * @throws as `judge`
 */
export function conclude(table: ScoreTable, options: ConcludeOptions): Conclusion {
  return concludeFrom(judge(table, options), options);
}

/** The rest of `conclude` for a judgement that was made with the same options. */
export function concludeFrom(judged: Judgement, options: ConcludeOptions): Conclusion {
  const { goal = "economy", noiseFloor = 0, excluded } = options;
  const judgement = withholdBetter(judged);
  const chosen = choose(judgement, goal, excluded);
  const stopped = judgement.noClaims === "gate";
  return {
    goal,
    margin: judgement.options.margin,
    confidence: judgement.options.confidence,
    criticalValue: judgement.criticalValue,
    test: judgement.test,
    gate: judgement.gate,
    candidates: judgement.candidates.map((judged) => candidateResult(judged, judgement.options.objective)),
    selected: chosen === null ? null : selected(chosen, judgement, goal, excluded),
    noSelection: chosen !== null || stopped ? null : explainNoSelection(judgement, goal),
    pareto: paretoFront(judgement.candidates),
    controls: judgeControls(judgement, chosen, noiseFloor),
    judgement,
  };
}

function selected(
  chosen: JudgedCandidate,
  judgement: Judgement,
  goal: Goal,
  excluded: ConcludeOptions["excluded"],
): SelectedCandidate {
  const { id, layerScales, feedForwardScales, inputScale, outputScale } = chosen.candidate;
  return {
    candidate: {
      id,
      layerScales,
      ...(feedForwardScales && { feedForwardScales }),
      // Of the base model, of which nothing is kept, as of strengths that differ: 1.
      boost: commonStrength(chosen.candidate) || 1,
      globalScale: 1,
      inputScale,
      outputScale,
    },
    verdict: chosen.verdict,
    reason: reasonFor(chosen, judgement),
    crossFitGain: crossFitGain(judgement.table, { ...judgement.options, goal, ...(excluded && { excluded }) }).gain,
  };
}
