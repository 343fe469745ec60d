import type { SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import type { ScoreSessionOptions } from "../engine/session-types.js";
import { VerificationError } from "../errors.js";
import { sha256OfFile } from "../gguf/hash-file.js";
import type { NamedScales } from "../lora/candidate.js";
import type { Claim } from "../lora/provenance.js";
import { writeAdapter } from "../lora/trim.js";
import type { CalibrationResult } from "../result.js";

export interface WriteVerifiedOptions extends ScoreSessionOptions {
  /** Write over an existing file; never over the input. Default false. */
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** SHA-256 of the source, where known, for the file's provenance. */
  readonly sourceSha256?: string | undefined;
  /** What is proven of the candidate, for the same. */
  readonly claim?: Claim | undefined;
}

/**
 * Largest difference of any logit that passes as rounding. On the CPU a cut gives the very same bits; other backends
 * may add up in another order.
 */
export const LOGIT_TOLERANCE = 1e-3;
/**
 * The same for padded ranks, which run through other kernels; quantised base models amplify that. A layer too many or too few
 * changes far more, and that the numbers are the right ones is checked by themselves.
 */
export const PADDED_LOGIT_TOLERANCE = 0.1;

/** Quantised kernels amplify the last bit by chance, so one measurement of what a rounding does needs room above it. */
const ROUNDING_ROOM = 4;

/**
 * Writes the adapter of a candidate and proves it: llama.cpp loads the file as an ordinary adapter, and its logits on
 * the first batch of `samples` are compared with those of the in-memory layer scales before the file gets its name.
 *
 * @throws VerificationError LOGITS_DIFFER; nothing is written then
 * @throws as `writeAdapter`; BackendError, MemoryError, CancelledError
 */
export async function writeVerified(
  adapter: Adapter,
  samples: SampleSet,
  candidate: NamedScales,
  target: string,
  { force = false, signal, sourceSha256, claim, ...session }: WriteVerifiedOptions = {},
): Promise<NonNullable<CalibrationResult["output"]>> {
  let maxLogitDifference = Infinity;
  await using scoring = adapter.openSession(samples.samples, session);
  const written = await writeAdapter(adapter.path, candidate, target, {
    force,
    ...(signal && { signal }),
    provenance: { sourceSha256: sourceSha256 === "" ? undefined : sourceSha256, claim },
    verify: async (path, { rounding, padded }) => {
      maxLogitDifference = await scoring.compareWithFile(candidate, path, signal);
      if (maxLogitDifference <= LOGIT_TOLERANCE) return;
      // Rounding strengths in the file is no mistake: it may move logits as far as the same change of every strength does.
      const moved = rounding === 0 ? 0 : await scoring.sensitivity(candidate, rounding, signal);
      const allowed = Math.max(padded ? PADDED_LOGIT_TOLERANCE : LOGIT_TOLERANCE, ROUNDING_ROOM * moved);
      if (maxLogitDifference <= allowed) return;
      throw new VerificationError(
        "LOGITS_DIFFER",
        `${target}: llama.cpp computes other logits with the written file than with the layer scales it stands for: the largest difference is ${maxLogitDifference}, allowed is ${allowed}. Nothing was kept. This is a bug or a faulty backend: please report it.`,
        { details: { target, maxLogitDifference, tolerance: allowed } },
      );
    },
  });
  return {
    path: target,
    sha256: await sha256OfFile(target, { signal }),
    bytes: written.bytes,
    parameters: written.parameters,
    verified: true,
    maxLogitDifference,
  };
}
