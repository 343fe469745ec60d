import { InputError } from "../errors.js";
import { unreadable } from "../gguf/exact-io.js";
import { openForReading } from "../gguf/read-gguf.js";
import type { CalibrationPart } from "./shard.js";

/** A part and the file that it came from. */
export interface PartFile extends CalibrationPart {
  readonly path: string;
}

/** @throws InputError FILE_*, PART_FORMAT for what is no part, PART_DAMAGED for one that contradicts itself */
export async function readPart(path: string): Promise<PartFile> {
  const handle = await openForReading(path);
  const text = await handle
    .readFile("utf8")
    .catch((error: unknown) => {
      throw unreadable(path, error);
    })
    .finally(() => handle.close());
  const value = parsed(text) as Readonly<Record<string, unknown>> | null;
  if (value?.["schema"] !== "lora-boundary/part@1") {
    throw new InputError(
      "PART_FORMAT",
      `${path}: expected a file that \`calibrate --shard i/n --json FILE\` has written (schema lora-boundary/part@1) but received something else.`,
      { details: { path } },
    );
  }
  const part = value as unknown as CalibrationPart;
  if (!isSound(part)) {
    throw new InputError(
      "PART_DAMAGED",
      `${path}: this part of a run is damaged: it lacks scores that it says it has. Score it again.`,
      { details: { path } },
    );
  }
  return { ...part, path };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Whether it holds what merging reads; the file may have been cut, edited or made by hand. */
function isSound(part: CalibrationPart): boolean {
  try {
    const { shard, inputs, families, judging, record, packing, batches, check, vectors, candidates } = part;
    const expected = packing.map((_, batch) => batch).filter((batch) => batch % shard.of === shard.index - 1);
    const samples = batches.reduce((sum, batch) => sum + (packing[batch]?.samples.length ?? 0), 0);
    const [length] = vectors.map((vector) => vector.length);
    return [
      Object.values(inputs).every((input) => typeof input === "string"),
      Array.isArray(families) && typeof judging === "object",
      record.model.layers * record.partsPerLayer + 2 === length && record.samples.length > 0 && record.tokens > 0,
      Number.isSafeInteger(record.computedTokens) && Array.isArray(record.units),
      Number.isFinite(part.subsetPasses) && Number.isFinite(part.secondsPerPass),
      packing.reduce((sum, batch) => sum + batch.samples.length, 0) === record.samples.length,
      batches.join() === expected.join() && batches.length > 0,
      check === null || Number.isSafeInteger(check.layerTokens),
      vectors.every((vector) => vector.length === length && vector.every(Number.isFinite)),
      candidates.every(({ vector, scores }) => vectors[vector] !== undefined && scores.length === samples),
      candidates.every(({ scores }) => scores.every(Number.isFinite)),
    ].every(Boolean);
  } catch {
    return false;
  }
}
