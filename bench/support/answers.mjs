/** How far the lead of the chosen token over the runner-up moves between two computations that should be equal. */
export class Noise {
  largest = 0;
  count = 0;

  note(moved) {
    this.count += 1;
    this.largest = Math.max(this.largest, moved);
  }
}

/**
 * Compares two greedy answers token by token; `noise` learns from those chosen alike, with the same runner-up.
 *
 * @returns null where they are the same; else the first differing position, and how far the lead moved: infinite where one's
 *   choice was not the other's runner-up
 */
export function firstDifference(first, second, noise) {
  const length = Math.max(first.tokens.length, second.tokens.length);
  for (let position = 0; position < length; position++) {
    const [token, other] = [first.tokens[position], second.tokens[position]];
    if (token === other) {
      if (first.runnersUp[position] === second.runnersUp[position]) {
        noise.note(Math.abs(first.margins[position] - second.margins[position]));
      }
      continue;
    }
    const swapped = first.runnersUp[position] === other && second.runnersUp[position] === token;
    // The lead went from +margin to -margin of the other run.
    const moved = swapped ? first.margins[position] + second.margins[position] : Infinity;
    return { position, tokens: [token ?? null, other ?? null], moved };
  }
  return null;
}

/**
 * The lead of one token over another behind the same prefix, as scoring computes it: the difference of two losses, nats.
 *
 * @param prefix tokens, at least one
 */
export async function scoredLead(adapter, candidate, prefix, tokens, { threads }) {
  const samples = tokens.map((token) => {
    const scored = new Uint8Array(prefix.length + 1);
    scored[prefix.length] = 1;
    return { tokens: Int32Array.from([...prefix, token]), scored, group: "", line: 1 };
  });
  const [[loss, lossOfOther]] = await adapter.score(samples, [candidate], { threads });
  return lossOfOther - loss;
}
