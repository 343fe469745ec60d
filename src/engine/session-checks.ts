import type { Sample } from "../data/sample.js";
import { BackendError, UsageError } from "../errors.js";
import type { Candidate } from "../lora/candidate.js";

/** `readSamples` makes only such; samples made by hand are checked here. */
export function requireSamples(samples: readonly Sample[]): void {
  if (samples.length === 0) {
    throw new UsageError("SAMPLES_EMPTY", "Expected at least one sample for `samples` but received none.");
  }
  for (const [index, { tokens, scored }] of samples.entries()) {
    if (tokens.length === scored.length && scored[0] === 0 && scored.includes(1)) continue;
    throw new UsageError(
      "SAMPLE_SHAPE",
      `Expected \`tokens\` and \`scored\` of one length, with a scored token that is not the first, but sample ${index} has ${tokens.length} tokens and ${scored.length} marks, ${scored.filter((mark) => mark === 1).length} of them scored.`,
      { details: { sample: index } },
    );
  }
}

/** Logits that overflow make every later number meaningless, so they are found where they arise. */
export function requireFinite(sums: Float64Array, candidate: Candidate | undefined, samples: readonly Sample[]): void {
  const position = sums.findIndex((sum) => !Number.isFinite(sum));
  if (position < 0) return;
  const id = candidate?.id ?? "";
  const line = samples[position]?.line ?? 0;
  throw new BackendError(
    "SCORE_NOT_FINITE",
    `Expected a finite score but received ${sums[position] ?? NaN} for candidate \`${id}\` on the sample of line ${line}: the model, the adapter at this strength or the backend computes numbers that overflow. Try another backend or quantisation, or leave this candidate or sample out.`,
    { details: { candidate: id, line } },
  );
}

/** @throws UsageError THREADS_RANGE, BATCH_TOKENS_RANGE */
export function requireRange(option: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  const code = option === "threads" ? "THREADS_RANGE" : "BATCH_TOKENS_RANGE";
  throw new UsageError(code, `Expected an integer from ${low} to ${high} for \`${option}\` but received ${value}.`, {
    details: { option, received: value },
  });
}

/** @throws UsageError OBJECTIVE_RANGE */
export function requireObjective(objective: string): void {
  if (objective === "nll" || objective === "kl") return;
  throw new UsageError("OBJECTIVE_RANGE", `Expected \`nll\` or \`kl\` for \`objective\` but received ${objective}.`, {
    details: { option: "objective", received: objective },
  });
}
