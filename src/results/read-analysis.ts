import type { Analysis, LayerEffect, LayerEffects, Lens } from "../analysis/analysis.js";
import type { ResultProblem } from "./result-problems.js";
import { resultError, intervalOf, orElse, readResultFile } from "./result-file.js";

/**
 * Reads what `analyze --json` has written, checked against the published schema and in itself. Fields that this version
 * does not know pass.
 *
 * @throws InputError as `readResult`
 */
export async function readAnalysis(path: string): Promise<Analysis> {
  const { value } = await readResultFile(path, ["analysis"]);
  return analysisOf(value, path);
}

/**
 * @param value keeps to the schema
 * @throws InputError RESULT_FIELD where layers do not belong together
 */
export function analysisOf(value: object, path: string): Analysis {
  const written = value as Analysis;
  const problem = strangeLayer(written);
  if (problem !== null) throw resultError(path, problem);
  const { effects, lens, adapter } = written;
  const { fingerprint = "" } = adapter as Partial<Analysis["adapter"]>;
  return {
    ...written,
    adapter: { ...adapter, fingerprint },
    effects: effects && effectsOf(effects),
    lens: lens && lensOf(lens, effects?.samples ?? 0),
  };
}

function effectsOf(effects: LayerEffects): LayerEffects {
  const bounded = <T extends LayerEffect>(effect: T): T => ({
    ...effect,
    leftOut: intervalOf(effect.leftOut),
    alone: intervalOf(effect.alone),
  });
  const { modules = null } = effects as Partial<LayerEffects>;
  return {
    ...effects,
    criticalValue: orElse(effects.criticalValue, Infinity),
    gain: intervalOf(effects.gain),
    layers: effects.layers.map(bounded),
    modules: modules && modules.map(bounded),
  };
}

/** Earlier versions read all samples and did not say so. */
function lensOf(lens: Lens, all: number): Lens {
  const { samples = all } = lens as Partial<Lens>;
  return { ...lens, samples };
}

/** What no JSON schema says: layers lie in the model, and base and adapter are read at the same ones. */
function strangeLayer({ model, adapter, norms, effects, lens }: Analysis): ResultProblem | null {
  const covered = new Set(adapter.layers);
  const listed: readonly (readonly [path: string, entries: readonly { readonly layer: number }[]])[] = [
    ["norms", norms],
    ["effects.layers", effects?.layers ?? []],
    ["effects.modules", effects?.modules ?? []],
  ];
  for (const [path, entries] of listed) {
    const index = entries.findIndex(({ layer }) => !covered.has(layer));
    if (index >= 0) {
      const received = String(entries[index]?.layer);
      return { path: `${path}[${index}].layer`, expected: "one of `adapter.layers`", received };
    }
  }
  if (lens === null) return null;
  if (lens.base.length !== lens.full.length) {
    const expected = `${lens.full.length} layers, as many as in lens.full`;
    return { path: "lens.base", expected, received: String(lens.base.length) };
  }
  for (const [index, { layer }] of lens.full.entries()) {
    const path = `lens.base[${index}].layer`;
    const other = lens.base[index]?.layer;
    if (other !== layer) return { path, expected: `${layer}, as in lens.full`, received: String(other) };
    if (model !== null && layer >= model.layers) {
      const expected = `a layer below ${model.layers}`;
      return { path: `lens.full[${index}].layer`, expected, received: String(layer) };
    }
  }
  return null;
}
