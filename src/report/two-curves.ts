import type { CalibrationResult, CandidateResult } from "../result.js";
import { percent } from "./numbers.js";
import { scoreTitle } from "./objective.js";
import { printable } from "./text.js";

/** Where answers and losses say different things of a candidate, beyond the noise of both. */
export interface Disagreement {
  readonly id: string;
  /** Of which kind: the answers keep more of the gain than the losses do, or less. */
  readonly answersKeep: "more" | "less";
  /** Share of the gain that is kept, by each. */
  readonly byAnswers: number;
  readonly byLoss: number;
}

/** Candidates whose two retentions have bounds that do not meet, in the order of the result. */
export function disagreements({ candidates }: Pick<CalibrationResult, "candidates">): readonly Disagreement[] {
  return candidates.flatMap(({ id, nll, retention, droppedAfter }): readonly Disagreement[] => {
    const loss = nll?.retention;
    if (loss == null || retention === null || droppedAfter !== null) return [];
    const more = retention.low > loss.high;
    if (!more && !(retention.high < loss.low)) return [];
    return [{ id, answersKeep: more ? "more" : "less", byAnswers: retention.mean, byLoss: loss.mean }];
  });
}

/** Named one by one up to this many. */
const NAMED = 4;

/** What the losses of the same candidates say; null where they were not looked at, or one of the two gains nothing. */
export function twoCurvesSentence(result: CalibrationResult): string | null {
  if (!result.candidates.some(({ nll, retention }) => nll?.retention != null && retention !== null)) return null;
  const name = printable(scoreTitle(result));
  const found = disagreements(result);
  const parts = (["more", "less"] as const).flatMap((answersKeep) => {
    const these = found.filter((one) => one.answersKeep === answersKeep);
    if (these.length === 0) return [];
    const named = these
      .slice(-NAMED)
      .map(({ id, byAnswers, byLoss }) => `${printable(id)} (${percent(byAnswers)} % against ${percent(byLoss)} %)`);
    const others = these.length > NAMED ? `, and ${these.length - NAMED} more` : "";
    return [
      `by ${name} ${these.length === 1 ? "this candidate keeps" : "these candidates keep"} ${answersKeep} of the gain: ${named.join(", ")}${others}`,
    ];
  });
  const verdicts = result.candidates.filter(contradicted).map(({ id }) => printable(id));
  const apart =
    parts.length === 0
      ? `NLL and ${name} agree on every candidate within their bounds.`
      : `NLL and ${name} disagree beyond their bounds: ${parts.join("; ")}.`;
  const worse =
    verdicts.length === 0 ? "" : ` NLL alone would have called worse what ${name} does not: ${verdicts.join(", ")}.`;
  return `${apart}${worse} NLL only ordered the candidates; nothing was discarded by it.`;
}

function contradicted({ nll, verdict }: CandidateResult): boolean {
  return nll?.verdict === "worse" && (verdict === "not-worse" || verdict === "better");
}
