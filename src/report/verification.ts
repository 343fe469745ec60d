import type { PairedCheck } from "../recipe/judge-scores.js";
import type { VerificationResult } from "../recipe/verification.js";
import { byteSize, percent, plural, signedNats } from "./numbers.js";
import { printable, styleOf, tinted, wrapped, type RenderOptions } from "./text.js";

/** A check in words, for a line of its own and for a test report. */
export interface CheckLine {
  /** Stable: `trim`, `gain`, `full`, `recorded`. */
  readonly id: string;
  readonly passed: boolean;
  readonly sentence: string;
}

/** Pure. */
export function checkLines({ checks, adapter, margin }: VerificationResult): readonly CheckLine[] {
  const { trim, gain, full, recorded } = checks;
  const who = adapter.isNew ? "the new adapter" : "the adapter";
  const interval = `${signedNats(gain.interval.mean)} [${signedNats(gain.interval.low)}, ${signedNats(gain.interval.high)}]`;
  return [
    {
      id: "trim",
      passed: trim.passed,
      sentence:
        trim.failure === "other-tensors"
          ? "the recorded scales no longer make the recorded file"
          : trim.failure === "other-logits"
            ? "llama.cpp computes other logits with the file than with the scales"
            : `${adapter.isNew ? `the scales make a smaller file of ${who}` : "the file is made again, every tensor byte the same"} (${byteSize(trim.bytes ?? 0)}), largest logit difference ${trim.maxLogitDifference ?? 0}`,
    },
    {
      id: "gain",
      passed: gain.passed,
      sentence: `${who} ${gain.passed ? "is" : "is not proven"} better than the base model: ${interval} nats`,
    },
    { id: "full", passed: full.passed, sentence: paired(full, `${who} in full`, margin) },
    { id: "recorded", passed: recorded.passed, sentence: paired(recorded, "the recorded cut", margin) },
  ];
}

const WORDS = {
  better: "is better than",
  "not-worse": "is not worse than",
  worse: "is worse than",
  unproven: "is not proven to be as good as",
} as const;

function paired({ verdict, gain: { mean, low, high }, allowed }: PairedCheck, reference: string, margin: number) {
  const bounds = `${signedNats(mean)} [${signedNats(low)}, ${signedNats(high)}] nats`;
  return `the cut ${WORDS[verdict]} ${reference}: ${bounds}, allowed ${signedNats(-Math.max(0, allowed))} (${percent(margin)} % of the gain)`;
}

/** One line per check, then what it was about. Pure; ends without a line break. */
export function renderVerification(result: VerificationResult, options: RenderOptions): string {
  const style = styleOf(options);
  const { cut, samples, confidence, engine, passed } = result;
  const lines = checkLines(result).map(({ passed: ok, sentence }) => {
    const mark = ok ? tinted("ok    ", "green", style) : tinted("FAILED", "red", style);
    return `${mark} ${printable(sentence)}`;
  });
  const prose = [
    `Cut ${cut.id} (${cut.scales}), ${plural(samples.count, "sample")}, bounds at ${percent(confidence)} % together, ${engine.backend}.`,
    ...(engine.changes.length === 0
      ? []
      : [`The recorded adapter was scored anew, because of: ${engine.changes.join(", ")}.`]),
    passed ? "The recipe holds." : "The recipe does not hold.",
  ];
  return [...lines, ...prose.flatMap((text) => wrapped(printable(text), style.width))].join("\n");
}
