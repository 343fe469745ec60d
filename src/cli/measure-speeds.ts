import type { SampleSet } from "../data/sample.js";
import type { Adapter } from "../engine/adapter.js";
import { measureSpeed } from "../evaluation/speed.js";
import type { SpeedReport } from "../evaluation/speed-report.js";
import { adaptedLayers, type NamedScales } from "../lora/candidate.js";
import type { CommandContext } from "./context.js";

/** Measures what is neither base model nor full adapter beside these two. */
export function measureSpeeds(
  adapter: Adapter,
  samples: SampleSet,
  [, , ...others]: readonly NamedScales[],
  { threads }: { readonly threads?: number | undefined },
  { signal, progress }: CommandContext,
): Promise<SpeedReport> {
  const cuts = others.filter((candidate) => adaptedLayers(candidate, adapter.file.layers) > 0);
  return measureSpeed(adapter, samples, cuts, {
    ...{ threads, signal },
    onProgress: ({ done, total }) => {
      progress.update({ label: "Measuring the speed", done, total, secondsLeft: null });
    },
  });
}
