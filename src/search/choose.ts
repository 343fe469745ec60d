import type { NoSelection } from "../result.js";
import { FEWEST_UNITS } from "./bootstrap.js";
import { giveUpAt } from "./give-up.js";
import type { JudgedCandidate, Judgement } from "./judge.js";
import { expectedCriticalValue, unitsFor } from "./power.js";
import type { UnitMean } from "./units.js";
import { natsAtLeast, percentAbout, percentAtLeast, roundedUp } from "./wording.js";

/** `economy`: the fewest adapted layers that lose nothing; `quality`: the best proven better. See DESIGN "Choice". */
export type Goal = "economy" | "quality";

/** Beyond this an estimate of samples only says "many". */
export const MOST_SAMPLES_SAID = 100_000;

/**
 * The choice among the cuts of a judgement. Base model, full adapter and controls are what cuts are compared with and are
 * never chosen.
 *
 * Ties: economy takes the higher mean gain among equally few layers, quality the fewer layers among equal
 * gains, then both the first in the table.
 *
 * @param excluded names of what must not be chosen, whatever is proven; default none
 * @returns null where nothing is proven
 */
export function choose(judgement: Judgement, goal: Goal, excluded: ReadonlySet<string> = NONE): JudgedCandidate | null {
  return provenInOrder(judgement, goal).find(({ id }) => !excluded.has(id)) ?? null;
}

const NONE: ReadonlySet<string> = new Set();

/** All that `choose` could return, the best first. */
export function provenInOrder(judgement: Judgement, goal: Goal): readonly JudgedCandidate[] {
  const proven = judgement.candidates.filter(
    ({ role, verdict }) => role === "cut" && (verdict === "better" || (goal === "economy" && verdict === "not-worse")),
  );
  const layers = (a: JudgedCandidate, b: JudgedCandidate) => a.adaptedSize - b.adaptedSize;
  const gain = (a: JudgedCandidate, b: JudgedCandidate) => b.gain.mean - a.gain.mean;
  const [first, second] = goal === "economy" ? [layers, gain] : [gain, layers];
  // Array.prototype.sort is stable, so what is equal in both keeps the table's order.
  return proven.sort((a, b) => first(a, b) || second(a, b));
}

/** One plain sentence: why this candidate is chosen. */
export function reasonFor(chosen: JudgedCandidate, { candidates, options }: Judgement): string {
  const all = candidates.find(({ role }) => role === "full")?.adaptedLayers ?? 0;
  const layers = `${chosen.adaptedLayers} of ${all} adapted layers`;
  if (chosen.verdict === "better") {
    const least = natsAtLeast(chosen.gainVsFull.low);
    return `With ${layers}, ${chosen.id} is proven better than the full adapter, by at least ${least} ${options.objective.unit}.`;
  }
  const kept = chosen.retention === null ? "enough" : `at least ${percentAtLeast(chosen.retention.low)}`;
  const part = options.objective.name === "kl" ? "changes" : "brings";
  return `With ${layers}, ${chosen.id} is proven to keep ${kept} of what the adapter ${part}.`;
}

/**
 * Why nothing is chosen and what would help; the counterpart of `choose` returning null.
 *
 * `worse` only where every cut is proven worse (for `quality`: than the full adapter, by any amount). Else `unproven`, with
 * the number of independent samples that would decide the most promising cut with a chance of 80 %, by its own mean and
 * spread.
 */
export function explainNoSelection(judgement: Judgement, goal: Goal): NoSelection {
  const cuts = judgement.candidates.filter(({ role }) => role === "cut");
  const dropped = judgement.candidates.filter(({ role, family }) => role === "dropped" && family !== "scale");
  if (cuts.length + dropped.length === 0) {
    const sentence = "There is nothing to cut: the adapter has LoRA in fewer than two layers.";
    return { kind: "worse", sentence, samplesNeeded: null, leastLoss: null };
  }
  const tried = [...cuts, ...dropped];
  if (tried.every((cut) => isLost(cut, judgement, goal))) return everyCutWorse(cuts, dropped.length);
  return unproven(judgement, tried, goal);
}

/** Proven to lose what the goal does not allow: more than the margin; for `quality` anything at all. */
function isLost(judged: JudgedCandidate, { noClaims, criticalValue }: Judgement, goal: Goal): boolean {
  const { role, verdict, gainVsFull, gain, marginContrast } = judged;
  if (role === "dropped") {
    // It has no verdict; what made it leave a race was this, or that it could not be proven with so many samples.
    const { mean, se, count } = goal === "quality" ? gain : marginContrast;
    return noClaims === null && mean + Math.max(criticalValue, giveUpAt(count)) * se < 0;
  }
  return verdict === "worse" || (goal === "quality" && noClaims === null && gainVsFull.high < 0);
}

function everyCutWorse(cuts: readonly JudgedCandidate[], dropped: number): NoSelection {
  if (dropped > 0) {
    // What left a race has no bound of its own to quote.
    const all = cuts.length === 0 ? "All" : `${dropped} of ${cuts.length + dropped}`;
    const others = cuts.length === 0 ? "" : "; the others are proven worse";
    const sentence = `Every cut loses more than is allowed: ${all} left the race early${others}.`;
    return { kind: "worse", sentence, samplesNeeded: null, leastLoss: null };
  }
  const losses = cuts.map(({ retention }) => (retention === null ? null : 1 - retention.high));
  const worse = "Every cut scores worse than the full adapter.";
  if (losses.includes(null)) return { kind: "worse", sentence: worse, samplesNeeded: null, leastLoss: null };
  const leastLoss = Math.min(...losses.filter((loss) => loss !== null));
  // A smaller loss would be printed as "0.0 %".
  const sentence =
    leastLoss < 0.001 ? worse : `Every cut loses at least ${percentAtLeast(leastLoss)} of the adapter's gain.`;
  return { kind: "worse", sentence, samplesNeeded: null, leastLoss };
}

function unproven(judgement: Judgement, cuts: readonly JudgedCandidate[], goal: Goal): NoSelection {
  const { units, gate, noClaims } = judgement;
  const critical = units.count < FEWEST_UNITS ? expectedCriticalValue(FEWEST_UNITS) : judgement.criticalValue;
  // Without a proven gain there is no margin to keep within: a cut would have to be better.
  const strict = goal === "quality" || !gate.passed;
  const questions = cuts
    .map((cut) => ({ cut, contrast: strict ? cut.gain : cut.marginContrast }))
    .filter(({ cut }) => !isLost(cut, judgement, goal))
    .filter(({ contrast }) => !contrast.flat);
  const needed = (contrast: UnitMean): number =>
    unitsFor(Math.abs(contrast.mean), contrast.se * Math.sqrt(contrast.count), critical);
  const target = strict
    ? "better than the full adapter"
    : `within ${percentAbout(judgement.options.margin)} of the gain`;
  const opening =
    noClaims === "too-few-samples"
      ? `Nothing can be claimed from fewer than ${FEWEST_UNITS} independent samples (here ${units.count}).`
      : `No cut is proven ${target}.`;

  const withheld = questions.find(
    ({ cut }) => strict && cut.role === "cut" && noClaims === null && cut.gainVsFull.low > 0,
  );
  if (withheld !== undefined) {
    const sentence = `${opening} ${withheld.cut.id} scores better, which counts only once the global scales are scored too.`;
    return { kind: "unproven", sentence, samplesNeeded: null, leastLoss: null };
  }

  // The most promising: the fewest samples among those on the winning side, else the nearest to it.
  const winning = questions.filter(({ contrast }) => contrast.mean > 0);
  const [best] = winning.sort((a, b) => needed(a.contrast) - needed(b.contrast));
  if (best !== undefined) {
    const samplesNeeded = Math.min(MOST_SAMPLES_SAID, roundedUp(needed(best.contrast)));
    const said = samplesNeeded >= MOST_SAMPLES_SAID ? `more than ${MOST_SAMPLES_SAID}` : `about ${samplesNeeded}`;
    const sentence = `${opening} Unproven: ${said} samples would decide about ${best.cut.id}, the most promising.`;
    return { kind: "unproven", sentence, samplesNeeded, leastLoss: null };
  }
  const [nearest] = questions.sort((a, b) => b.contrast.mean / b.contrast.se - a.contrast.mean / a.contrast.se);
  if (nearest === undefined) {
    const sentence = cuts.every(({ gain }) => gain.flat)
      ? `${opening} The samples show no differences to learn from: they look like copies of one sample.`
      : `${opening} What is not proven worse differs from the full adapter by the same amount everywhere.`;
    return { kind: "unproven", sentence, samplesNeeded: null, leastLoss: null };
  }
  const samplesNeeded = Math.min(MOST_SAMPLES_SAID, roundedUp(needed(nearest.contrast)));
  const side = `${nearest.cut.id}, the most promising, is on the losing side`;
  const many = samplesNeeded >= MOST_SAMPLES_SAID ? `>${MOST_SAMPLES_SAID}` : `about ${samplesNeeded}`;
  const sentence = `${opening} More samples are unlikely to help: ${side}, and ${many} would rather prove that it loses.`;
  return { kind: "unproven", sentence, samplesNeeded, leastLoss: null };
}
