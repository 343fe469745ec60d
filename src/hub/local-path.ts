import type { DownloadOptions } from "./download.js";
import { isHubReference } from "./hub-reference.js";

/**
 * The path of a model or adapter on this machine. `hf:owner/name[@revision][/file]` is downloaded into the cache, all parts of a split
 * model and both files of a PEFT adapter, and asked for again only to see whether it has changed; without a network what is in the cache
 * is used. Any other path is returned as it is.
 *
 * @returns a file; of a PEFT adapter its folder
 * @throws UsageError HUB_REFERENCE, HUB_TOKEN, HUB_ENDPOINT; InputError HUB_OFFLINE, HUB_NOT_FOUND, HUB_GATED, HUB_NOT_A_HUB,
 *   HUB_CHOICE, HUB_LENGTH, HUB_HASH, HUB_STATUS; CancelledError
 */
export async function localPathOf(path: string, options: DownloadOptions = {}): Promise<string> {
  if (!isHubReference(path)) return path;
  // The hub's library is loaded when it is needed: every command starts through here.
  const { hubPathOf } = await import("./hub-path.js");
  return hubPathOf(path, options);
}
