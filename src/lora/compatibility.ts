import type { AdapterFile } from "./adapter-file.js";
import { shapeText, sizeAt, type LoraPair } from "./lora-pair.js";
import type { ModelFile } from "./model-file.js";
import { throwProblems, type Problem } from "./problem.js";

/** Tensors named in one message; the rest is counted, and complete in `details`. */
const NAMED = 3;

/**
 * Whether an adapter can run on a base model, from the two headers alone.
 *
 * @returns every problem found, none if they fit: ARCHITECTURE_MISMATCH, ADAPTER_CHANGES_NOTHING, LAYER_BEYOND_MODEL,
 *   TENSOR_NOT_IN_MODEL, SHAPE_MISMATCH, ADAPTER_UNKNOWN_TENSOR, NVFP4_NOT_ADAPTABLE
 */
export function checkCompatible(model: ModelFile, adapter: AdapterFile): readonly Problem[] {
  const problems: Problem[] = [];
  const report = (code: string, message: string, details: Readonly<Record<string, unknown>> = {}) =>
    problems.push({ code, message, details: { model: model.path, adapter: adapter.path, ...details } });

  if (adapter.architecture !== model.architecture) {
    report(
      "ARCHITECTURE_MISMATCH",
      `Expected an adapter for architecture \`${model.architecture}\`, the base model's, but received one for \`${adapter.architecture}\`; give the base model that the adapter was trained on.`,
    );
  }
  if (adapter.unknown.length > 0) {
    report(
      "ADAPTER_UNKNOWN_TENSOR",
      `The adapter has tensors that llama.cpp does not know and therefore refuses: ${listed(adapter.unknown)}.`,
      { tensors: names(adapter.unknown) },
    );
  }

  const matched = adapter.pairs.filter(({ name }) => model.tensors.has(name));
  if (matched.length === 0) {
    report(
      "ADAPTER_CHANGES_NOTHING",
      `The adapter changes nothing: none of its ${adapter.pairs.length} pairs matches a tensor of the base model (${listed(adapter.pairs)}); give the base model that it was trained on.`,
      { tensors: names(adapter.pairs) },
    );
    return problems;
  }
  const isBeyond = ({ layer }: LoraPair) => layer !== null && layer >= model.layers;
  if (adapter.pairs.some(isBeyond)) {
    const highest = adapter.layers.at(-1) ?? 0;
    report(
      "LAYER_BEYOND_MODEL",
      `Expected layers 0 to ${model.layers - 1}, the base model's ${model.layers}, but the adapter has LoRA up to layer ${highest}: it was trained on a model of ${highest + 1} or more layers.`,
      { layers: model.layers, highest },
    );
  }
  const missing = adapter.pairs.filter((pair) => !model.tensors.has(pair.name) && !isBeyond(pair));
  if (missing.length > 0) {
    report(
      "TENSOR_NOT_IN_MODEL",
      `The base model lacks tensors that the adapter changes: ${listed(missing)}; llama.cpp refuses such an adapter. Give the base model that it was trained on.`,
      { tensors: names(missing) },
    );
  }
  const misshaped = matched.filter((pair) => baseShape(model, pair).join() !== pair.baseShape.join());
  const [first] = misshaped;
  if (first !== undefined) {
    const others = misshaped.length > 1 ? ` (and ${misshaped.length - 1} more)` : "";
    report(
      "SHAPE_MISMATCH",
      `Expected \`${first.name}\`${others} of shape ${shapeText(trimOnes(baseShape(model, first)))} in the base model, but the adapter was made for ${shapeText(trimOnes(first.baseShape))}; give the base model that it was trained on.`,
      { tensors: names(misshaped) },
    );
  }
  const unadaptable = matched.filter((pair) => isScaledNvfp4(model, pair));
  if (unadaptable.length > 0) {
    report(
      "NVFP4_NOT_ADAPTABLE",
      `llama.cpp cannot apply LoRA to feed-forward tensors stored as NVFP4: ${listed(unadaptable)}; use another quantisation of the base model.`,
      { tensors: names(unadaptable) },
    );
  }
  return problems;
}

/** @throws InputError with every problem of {@link checkCompatible}, if there is one */
export function requireCompatible(model: ModelFile, adapter: AdapterFile): void {
  throwProblems(checkCompatible(model, adapter));
}

function baseShape(model: ModelFile, pair: LoraPair): number[] {
  const tensor = model.tensors.get(pair.name);
  return tensor === undefined ? [] : [sizeAt(tensor, 0), sizeAt(tensor, 1), sizeAt(tensor, 2)];
}

function trimOnes(shape: readonly number[]): readonly number[] {
  return shape[2] === 1 ? shape.slice(0, 2) : shape;
}

/** llama.cpp v0.5.0 ends the process on LoRA for a feed-forward tensor of this type that has a scale of its own. */
function isScaledNvfp4(model: ModelFile, { name, module }: LoraPair): boolean {
  return (
    /^ffn_(up|gate|down)$/.test(module) &&
    model.tensors.get(name)?.type.name === "NVFP4" &&
    model.tensors.has(name.replace(/\.weight$/, ".scale"))
  );
}

function names(tensors: readonly { readonly name: string }[]): readonly string[] {
  return tensors.map(({ name }) => name);
}

function listed(tensors: readonly { readonly name: string }[]): string {
  const shown = tensors.slice(0, NAMED).map(({ name }) => `\`${name}\``);
  const more = tensors.length - shown.length;
  return shown.join(", ") + (more > 0 ? ` and ${more} more` : "");
}
