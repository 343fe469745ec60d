import type { CalibrationResult } from "../result.js";
import type { ResultProblem } from "./result-problems.js";

/** What no JSON schema says: lengths that belong together, names that must exist. The first problem, or null. */
export function inconsistency(result: CalibrationResult): ResultProblem | null {
  const { model, data, candidates, selected, adapter, pareto } = result;
  if (data.lines.length !== data.samples) {
    return lengths("data.lines", data.samples, "entries, as data.samples says", data.lines.length);
  }
  const beyond = adapter.layers.findIndex((layer) => layer >= model.layers);
  if (beyond >= 0) {
    const received = String(adapter.layers[beyond]);
    return { path: `adapter.layers[${beyond}]`, expected: `a layer below ${model.layers}`, received };
  }
  const known = new Set<string>();
  for (const [index, candidate] of candidates.entries()) {
    const path = `candidates[${index}]`;
    const { id, layerScales, perSample, samples } = candidate;
    if (known.has(id)) return { path: `${path}.id`, expected: "a name of its own", received: `${id} again` };
    known.add(id);
    if (layerScales.length !== model.layers) {
      return lengths(`${path}.layerScales`, model.layers, "strengths, one per layer", layerScales.length);
    }
    const ffn = candidate.feedForwardScales;
    if (ffn !== undefined && ffn.length !== model.layers) {
      return lengths(`${path}.feedForwardScales`, model.layers, "strengths, one per layer", ffn.length);
    }
    if (perSample.length !== data.samples) {
      return lengths(`${path}.perSample`, data.samples, "scores, one per sample", perSample.length);
    }
    const scored = perSample.filter((score) => score !== null).length;
    if (scored !== samples) {
      return lengths(`${path}.samples`, scored, "as it has scores", samples);
    }
  }
  if (selected !== null) {
    const { id, layerScales } = selected.candidate;
    if (layerScales.length !== model.layers) {
      return lengths("selected.candidate.layerScales", model.layers, "strengths, one per layer", layerScales.length);
    }
    if (!known.has(id)) return stranger("selected.candidate.id", id);
    const chosen = candidates.find((candidate) => candidate.id === id);
    if (chosen !== undefined && chosen.layerScales.join() !== layerScales.join()) {
      const expected = `the strengths of ${id} among the candidates`;
      return { path: "selected.candidate.layerScales", expected, received: "others" };
    }
  }
  const guard = result.guard ?? null;
  for (const [index, { id, perSample }] of (guard?.candidates ?? []).entries()) {
    const path = `guard.candidates[${index}]`;
    if (!known.has(id)) return stranger(`${path}.id`, id);
    if (perSample.length !== guard?.samples) {
      return lengths(`${path}.perSample`, guard?.samples ?? 0, "scores, one per guard sample", perSample.length);
    }
  }
  const points = result.subset?.points ?? [];
  const lost = points.findIndex(({ id }) => !known.has(id));
  if (lost >= 0) return stranger(`subset.points[${lost}].id`, points[lost]?.id ?? "");
  const unknown = pareto.findIndex(({ id }) => !known.has(id));
  return unknown < 0 ? null : stranger(`pareto[${unknown}].id`, pareto[unknown]?.id ?? "");
}

function lengths(path: string, count: number, what: string, received: number): ResultProblem {
  return { path, expected: `${count} ${what}`, received: String(received) };
}

function stranger(path: string, id: string): ResultProblem {
  return { path, expected: "the name of one of the candidates", received: id };
}
