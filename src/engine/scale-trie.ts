/** One step through the trie of layer scales: what the engine computes in one go. */
export interface TrieRun {
  /** Index of the vector that it scores. */
  readonly vector: number;
  /** The layer that it starts from; 0: from the tokens. */
  readonly resumeAt: number;
  /** Layers, above `resumeAt`, below which later runs will resume. Ascending. */
  readonly keepAt: readonly number[];
}

export interface TriePlan {
  /** In the order to run them. */
  readonly runs: readonly TrieRun[];
  /** Layers computed by all runs together; a plain run computes L. */
  readonly layersComputed: number;
  /** Most states that are kept at the same time. */
  readonly mostStates: number;
}

/**
 * Turns vectors of strengths into runs that share what they can (DESIGN, "One question to the engine"): vectors that
 * begin alike compute the same lower layers, so they form a trie, which is walked depth first, higher strengths first,
 * each run starting from the state kept where it leaves the one before. For boundaries that makes the full adapter the
 * trunk, and everything else a replay of the base model above its cut.
 *
 * @param vectors distinct, each [P L + 2]: strength below layer 0, P of each layer, above the last layer
 * @param partsPerLayer P; default 1
 * @param usable length L, whether a run can resume at layer k; default: everywhere
 */
export function planRuns(
  vectors: readonly Float32Array[],
  { partsPerLayer = 1, usable }: { readonly partsPerLayer?: number; readonly usable?: readonly boolean[] } = {},
): TriePlan {
  const layers = ((vectors[0]?.length ?? 2) - 2) / partsPerLayer;
  const order = vectors.map((_, index) => index).sort((a, b) => descending(at(vectors, a), at(vectors, b)));
  const resumes = order.map((index, position) => {
    const previous = order[position - 1];
    if (previous === undefined) return 0;
    let border = sharedLayers(at(vectors, previous), at(vectors, index), partsPerLayer);
    while (border > 0 && usable?.[border] === false) border -= 1;
    return border;
  });
  // A state is kept by the last run before that computes its layer, and stays until a run starts below it.
  const keeps = order.map(() => new Set<number>());
  for (const [position, border] of resumes.entries()) {
    if (border === 0) continue;
    let source = position - 1;
    while ((resumes[source] ?? 0) >= border && source > 0) source -= 1;
    if ((resumes[source] ?? 0) < border) keeps[source]?.add(border);
  }
  const live = new Set<number>();
  let mostStates = 0;
  for (const [position, border] of resumes.entries()) {
    for (const state of live) if (state > border) live.delete(state);
    for (const state of keeps[position] ?? []) live.add(state);
    mostStates = Math.max(mostStates, live.size);
  }
  return {
    runs: order.map((vector, position) => ({
      vector,
      resumeAt: resumes[position] ?? 0,
      keepAt: [...(keeps[position] ?? [])].sort((a, b) => a - b),
    })),
    layersComputed: resumes.reduce((sum, border) => sum + layers - border, 0),
    mostStates,
  };
}

function descending(a: Float32Array, b: Float32Array): number {
  const index = a.findIndex((strength, position) => strength !== b[position]);
  return index < 0 ? 0 : (b[index] ?? 0) - (a[index] ?? 0);
}

/** Layers from 0 on that two vectors compute alike; at most L - 1, since something has to be left to run. */
export function sharedLayers(a: Float32Array, b: Float32Array, partsPerLayer: number): number {
  const layers = (a.length - 2) / partsPerLayer;
  const first = a.findIndex((strength, position) => strength !== b[position]);
  if (first === 0) return 0;
  return Math.min(layers - 1, first < 0 ? layers : Math.floor((first - 1) / partsPerLayer));
}

function at(vectors: readonly Float32Array[], index: number): Float32Array {
  return vectors[index] ?? new Float32Array();
}
