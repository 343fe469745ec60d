import { execFile, execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { DEMO } from "./engine-files.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Read from /proc; a build with sanitizers keeps what is freed. */
export const measuresMemory = process.platform === "linux" && process.env["LORA_BOUNDARY_ADDON"] === undefined;

export interface PeakMemory {
  /** Bytes beyond model and adapter: resident at the highest, and as the session estimates. */
  readonly peak: number;
  readonly estimated: number;
  readonly samples: number;
  readonly batches: number;
}

/** Searches `boundaries` on copies of the first sample, four to a batch, in a process of its own. */
export async function peakOfSearch(
  files: typeof DEMO,
  samples: number,
  boundaries: readonly number[],
): Promise<PeakMemory> {
  if (!existsSync(`${ROOT}dist/index.js`)) {
    execFileSync(process.execPath, [`${ROOT}node_modules/typescript/bin/tsc`, "-p", "tsconfig.build.json"], {
      cwd: ROOT,
    });
  }
  const script = `${ROOT}test/support/peak-memory.mjs`;
  const args = [script, files.base, files.adapter, files.samples, String(samples), boundaries.join()];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as PeakMemory;
}
