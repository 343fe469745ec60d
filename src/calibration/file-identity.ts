import { createHash } from "node:crypto";
import { fingerprintOf, sha256OfFile } from "../gguf/hash-file.js";
import type { GgufFile } from "../gguf/gguf-file.js";

/** Files up to this size are hashed in full without asking: a second or two. */
export const HASHED_IN_FULL_BYTES = 2 ** 30;

/** What a result records of a file, so that it can be recognised again. */
export interface FileIdentity {
  /** What `sha256sum` prints; empty where the file is too large to read without being asked, or in several parts. */
  readonly sha256: string;
  /** SHA-256 over sizes, headers and sampled blocks; see `fingerprintOf`. */
  readonly fingerprint: string;
}

export interface IdentityOptions {
  /** `full`: hash whole files of any size. */
  readonly hash?: "auto" | "full" | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((share: number) => void) | undefined;
}

/** @param shards one file, or all parts of a split model */
export async function identify(
  shards: readonly GgufFile[],
  { hash = "auto", signal, onProgress }: IdentityOptions = {},
): Promise<FileIdentity> {
  const prints: string[] = [];
  for (const shard of shards) prints.push(await fingerprintOf(shard));
  const [only] = shards;
  const fingerprint =
    prints.length === 1 ? (prints[0] ?? "") : createHash("sha256").update(prints.join("\n")).digest("hex");
  if (only === undefined || shards.length > 1 || (hash === "auto" && only.fileBytes > HASHED_IN_FULL_BYTES)) {
    return { sha256: "", fingerprint };
  }
  const sha256 = await sha256OfFile(only.path, {
    signal,
    ...(onProgress && {
      onProgress: (done: number, total: number) => {
        onProgress(total === 0 ? 1 : done / total);
      },
    }),
  });
  return { sha256, fingerprint };
}
