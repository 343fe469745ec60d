import type { Sample } from "../data/sample.js";

/**
 * What samples that begin alike share when they are in one batch: the tokens before the first scored one are computed once
 * for all of them (DESIGN, "Prefix sharing"). Scored tokens, and the one that predicts the first of them, are each sample's own.
 */

/** Tokens from the first on that a sample may share with others. */
export function sharableTokens({ scored }: Sample): number {
  return Math.max(0, scored.indexOf(1) - 1);
}

/** Tokens that a batch of these samples computes: those of the tree of their prefixes, and every sample's own. */
export function treeTokens(samples: readonly Sample[]): number {
  const sorted = [...samples].sort(byPrefix);
  return sorted.reduce((sum, sample, index) => {
    const before = sorted[index - 1];
    return sum + sample.tokens.length - 1 - (before === undefined ? 0 : sharedTokens(before, sample));
  }, 0);
}

/** Tokens that all of the samples begin with and may share. */
export function commonTokens(samples: readonly Sample[]): number {
  const [first] = samples;
  if (first === undefined) return 0;
  return samples.reduce((most, sample) => Math.min(most, sharedTokens(first, sample)), sharableTokens(first));
}

/** Below this, samples are not kept together for what they share beyond all others. */
const WORTH_MEETING = 0.25;

/**
 * Groups of samples that belong in one batch because they share much that the others do not: at least a quarter of what is
 * their own otherwise. Without such samples each is a group of one, so that batches stay a random choice of all.
 *
 * @param budget tokens that a group may have; half a batch, so that one batch still holds different ones
 * @returns indices; every sample once
 */
export function samplesToMeet(samples: readonly Sample[], budget: number): number[][] {
  const common = commonTokens(samples);
  const order = samples.map((_, index) => index).sort((a, b) => byPrefix(at(samples, a), at(samples, b)) || a - b);
  const groups: { readonly members: number[]; length: number }[] = [];
  for (const index of order) {
    const sample = at(samples, index);
    const own = sample.tokens.length - 1 - common;
    const group = groups.at(-1);
    const last = group?.members.at(-1);
    const shared = last === undefined ? 0 : sharedTokens(at(samples, last), sample);
    const added = sample.tokens.length - 1 - shared;
    if (group === undefined || shared - common < WORTH_MEETING * own || group.length + added > budget) {
      groups.push({ members: [index], length: sample.tokens.length - 1 });
      continue;
    }
    group.members.push(index);
    group.length += added;
  }
  return groups.map(({ members }) => members);
}

function at(samples: readonly Sample[], index: number): Sample {
  const sample = samples[index];
  if (sample === undefined) throw new RangeError(`No sample ${index} of ${samples.length}.`);
  return sample;
}

function sharedTokens(a: Sample, b: Sample): number {
  const most = Math.min(sharableTokens(a), sharableTokens(b));
  let shared = 0;
  while (shared < most && a.tokens[shared] === b.tokens[shared]) shared += 1;
  return shared;
}

/** Lexicographic by what may be shared: the neighbours of a sample are those that it shares most with. */
function byPrefix(a: Sample, b: Sample): number {
  const shared = sharedTokens(a, b);
  const [ownA, ownB] = [sharableTokens(a) - shared, sharableTokens(b) - shared];
  if (ownA === 0 || ownB === 0) return ownA - ownB;
  return (a.tokens[shared] ?? 0) - (b.tokens[shared] ?? 0);
}
