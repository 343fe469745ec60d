import { createHash } from "node:crypto";
import { readExactly, throwIfCancelled } from "../gguf/exact-io.js";
import { openForReading } from "../gguf/read-gguf.js";
import type { AdapterFile } from "./adapter-file.js";

const BLOCK_BYTES = 4 * 1024 * 1024;

/**
 * SHA-256 over what an adapter computes: alpha, and of every tensor, by name, its type, shape and bytes. Two files with other metadata,
 * such as the version that wrote them, have the same.
 *
 * @throws InputError FILE_*; CancelledError
 */
export async function tensorsHashOf(
  { path, gguf, alpha, invocationTokens }: AdapterFile,
  signal?: AbortSignal,
): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify({ alpha, invocationTokens }));
  const tensors = [...gguf.tensors].sort((a, b) => (a.name < b.name ? -1 : 1));
  const handle = await openForReading(path);
  try {
    for (const { name, type, shape, offset, bytes } of tensors) {
      hash.update(JSON.stringify({ name, type: type.name, shape: shape.map(Number) }));
      for (let done = 0; done < bytes; done += BLOCK_BYTES) {
        throwIfCancelled(signal);
        const block = Buffer.allocUnsafe(Math.min(BLOCK_BYTES, bytes - done));
        await readExactly(handle, path, block, offset + done);
        hash.update(block);
      }
    }
  } finally {
    await handle.close();
  }
  return hash.digest("hex");
}
