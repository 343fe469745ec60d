import type { SubsetSection } from "../result.js";
import type { Judgement } from "./judge.js";
import type { SubsetOutcome } from "./subset.js";

/** The subset part of the result object: each size with what the judgement says of its column. */
export function subsetSection({
  subset,
  judgement,
}: {
  readonly subset: SubsetOutcome | null;
  readonly judgement: Judgement;
}): SubsetSection | null {
  if (subset === null) return null;
  const { points, judgedBy, units } = subset;
  return {
    judgedBy,
    perModule: units.some(({ part }) => part !== null),
    units: units.length,
    points: points.flatMap(({ candidate, boost, out, shown }) => {
      const judged = judgement.candidates.find(({ id }) => id === candidate.id);
      if (judged === undefined) return [];
      const gain = shown.base - shown.full;
      const kept = (score: number) => (shown.base - score) / gain;
      return [
        {
          id: candidate.id,
          unitsOut: out.length,
          adaptedLayers: judged.adaptedLayers,
          boost,
          out,
          retention: judged.retention,
          verdict: judged.verdict,
          shown: {
            samples: shown.samples,
            boosted: gain > 0 ? kept(shown.boosted) : null,
            unboosted: gain > 0 ? kept(shown.unboosted) : null,
            random: gain > 0 ? shown.random.map(kept) : [],
          },
        },
      ];
    }),
  };
}
