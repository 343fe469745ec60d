import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The tiny trio that comes with the package. */
export const DEMO = {
  base: here("../../models/demo-base.gguf"),
  adapter: here("../../models/demo-adapter.gguf"),
  samples: here("../../models/demo-samples.jsonl"),
};

/** Test material outside the repository; tests that need it skip where it is absent. */
export const ARCHITECTURES = here("../../../shared/models/architectures/");
const smollm2 = here("../../../shared/models/smollm2-135m/");
export const SMOLLM2 = {
  base: `${smollm2}SmolLM2-135M-Instruct.Q4_1.gguf`,
  adapter: `${smollm2}e2e.lora.gguf`,
  samples: `${smollm2}e2e.samples.jsonl`,
};
export const hasArchitectures = existsSync(ARCHITECTURES);
export const hasSmollm2 = existsSync(SMOLLM2.base);

/** Says in the report why a group of tests did not run. */
export function unlessAbsent(title: string, present: boolean, folder: string): string {
  return present ? title : `${title} (SKIPPED: ../shared/models/${folder} is not here)`;
}

/** A folder that goes away with the scope: `await using folder = await temporaryFolder()`. */
export async function temporaryFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "lora-boundary-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
