import type { GenerationFacts } from "./types.js";

export const NOTHING_WRITTEN: GenerationFacts = {
  steps: 0,
  tokensComputed: 0,
  tokensWritten: 0,
  draftsProposed: 0,
  draftsAccepted: 0,
  seconds: 0,
  notices: [],
};

/** Of two pieces of work together; each notice once. */
export function factsOfBoth(one: GenerationFacts, other: GenerationFacts): GenerationFacts {
  return {
    ...combined(one, other, (a, b) => a + b),
    notices: [...new Set([...one.notices, ...other.notices])],
  };
}

/** Of what came after `before`. */
export function factsSince(before: GenerationFacts, now: GenerationFacts): GenerationFacts {
  return {
    ...combined(now, before, (a, b) => a - b),
    notices: now.notices.filter((notice) => !before.notices.includes(notice)),
  };
}

function combined(
  one: GenerationFacts,
  other: GenerationFacts,
  by: (a: number, b: number) => number,
): Omit<GenerationFacts, "notices"> {
  return {
    steps: by(one.steps, other.steps),
    tokensComputed: by(one.tokensComputed, other.tokensComputed),
    tokensWritten: by(one.tokensWritten, other.tokensWritten),
    draftsProposed: by(one.draftsProposed, other.draftsProposed),
    draftsAccepted: by(one.draftsAccepted, other.draftsAccepted),
    seconds: by(one.seconds, other.seconds),
  };
}
