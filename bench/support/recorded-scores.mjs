import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Recorded on the real adapter; see the README beside it. */
export const SCORES = fileURLToPath(new URL("../../../shared/models/smollm2-135m/e2e.scores.tsv", import.meta.url));

/** @returns per boundary 0 .. 30, mean NLL per token of each of 150 samples; null where the file is absent */
export function recordedBoundaries(path = SCORES) {
  if (!existsSync(path)) return null;
  const lines = readFileSync(path, "utf8").trim().split("\n");
  const rows = new Map(lines.map((line) => line.split("\t")).map(([name, ...values]) => [name, values.map(Number)]));
  const tokens = rows.get("ntok");
  const boundaries = [];
  for (let boundary = 0; rows.has(`upto:${boundary}`); boundary++) {
    boundaries.push(Float64Array.from(rows.get(`upto:${boundary}`), (sum, sample) => sum / tokens[sample]));
  }
  return boundaries;
}
