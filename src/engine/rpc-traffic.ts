import type { Placement } from "./devices.js";
import type { TriePlan } from "./scale-trie.js";

/**
 * Bytes of kept states that travel to and from RPC servers while a plan runs: each state is read once where it is kept,
 * and written once by every run that resumes there. What else travels (tokens, logits, the states between two devices)
 * does so in plain runs too. Beside other devices it is an upper bound: any layer that is not on the CPU may be theirs.
 *
 * @param tokens of all batches together
 */
export function stateBytesOverRpc(
  { runs }: TriePlan,
  { backend, gpuLayers }: Pick<Placement, "backend" | "gpuLayers">,
  { layers, embedding }: { readonly layers: number; readonly embedding: number },
  tokens: number,
): number {
  if (!backend.startsWith("RPC")) return 0;
  // llama.cpp moves layers from the top, and counts the output head as one.
  const firstRemote = gpuLayers < 0 ? 0 : Math.max(0, layers + 1 - gpuLayers);
  // The state at border k is what layer k - 1 has put out, and lies where that was computed.
  const isRemote = (border: number) => border > firstRemote;
  const states = runs.reduce(
    (sum, { resumeAt, keepAt }) => sum + keepAt.filter(isRemote).length + (isRemote(resumeAt) ? 1 : 0),
    0,
  );
  return states * tokens * embedding * Float32Array.BYTES_PER_ELEMENT;
}
