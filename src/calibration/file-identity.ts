import { createHash } from "node:crypto";
import { fingerprintOf, sha256OfParts } from "../gguf/hash-file.js";
import type { GgufFile } from "../gguf/gguf-file.js";

/** What a result records of a file, so that it can be recognised again. */
export interface FileIdentity {
  /** What `sha256sum` prints, of a split model over all parts one after another; empty where it was not asked for. */
  readonly sha256: string;
  /** SHA-256 over sizes, headers and sampled blocks; see `fingerprintOf`. */
  readonly fingerprint: string;
}

export interface IdentityOptions {
  /** `full`: read whole files. Default `auto`: only what the fingerprint needs, whatever the size. */
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
  const fingerprint =
    prints.length === 1 ? (prints[0] ?? "") : createHash("sha256").update(prints.join("\n")).digest("hex");
  if (hash === "auto") return { sha256: "", fingerprint };
  const sha256 = await sha256OfParts(shards, {
    signal,
    onProgress: (done, total) => onProgress?.(total === 0 ? 1 : done / total),
  });
  return { sha256, fingerprint };
}
