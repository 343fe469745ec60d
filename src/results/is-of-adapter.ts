import type { Analysis } from "../analysis/analysis.js";
import { InputError } from "../errors.js";
import { fingerprintOf, sha256OfFile } from "../gguf/hash-file.js";
import type { AdapterFile } from "../lora/adapter-file.js";
import type { CalibrationResult } from "../result.js";

/** Whether both looked at one adapter: by its fingerprint, else by what is known of its shape. */
export function isOfAdapter({ adapter }: Analysis, { adapter: other }: CalibrationResult): boolean {
  if (adapter.fingerprint !== "" && other.fingerprint !== "") return adapter.fingerprint === other.fingerprint;
  return adapter.rank === other.rank && adapter.alpha === other.alpha && adapter.layers.join() === other.layers.join();
}

/**
 * That a file is the very adapter of a calibration, byte for byte.
 *
 * @param path of the result, for messages
 * @returns SHA-256 of the file; undefined where the result knows only its fingerprint
 * @throws InputError RESULT_OTHER_ADAPTER; CancelledError
 */
export async function requireAdapterOf(
  { adapter }: CalibrationResult,
  path: string,
  { gguf }: Pick<AdapterFile, "gguf">,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const byHash = adapter.sha256 !== "";
  const found = byHash ? await sha256OfFile(gguf.path, { signal }) : await fingerprintOf(gguf);
  const meant = byHash ? adapter.sha256 : adapter.fingerprint;
  if (found === meant) return byHash ? found : undefined;
  throw new InputError(
    "RESULT_OTHER_ADAPTER",
    `${gguf.path}: expected the adapter of ${path}, ${adapter.path} (${meant.slice(0, 12) || "no hash"}), but received another file (${found.slice(0, 12)}); its verdicts hold for that one alone. Give that file, or calibrate this one.`,
    { details: { path: gguf.path, result: path, expected: meant, received: found } },
  );
}
