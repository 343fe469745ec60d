import { open, readFile, rename, stat, unlink, writeFile, type FileHandle } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { throwIfCancelled } from "../gguf/exact-io.js";
import { sha256OfFile } from "../gguf/hash-file.js";
import { writeExactly } from "../gguf/exact-io.js";
import { asHubError, hubError, notTheHub } from "./hub-error.js";
import type { HubReference } from "./hub-reference.js";
import type { HubSettings } from "./hub-settings.js";

/** A connection that breaks is taken up again this often without a byte in between. */
const TRIES = 4;
const FIRST_PAUSE_MS = 500;
const SHA256 = /^[0-9a-f]{64}$/;

/** A file as the hub describes it. */
export interface HubFile {
  readonly url: string;
  readonly bytes: number;
  /** Changes with the content; of large files their SHA-256. */
  readonly etag: string;
}

export interface DownloadOptions {
  /** Before the second try after a connection broke, in milliseconds; doubles from try to try. Default 500. */
  readonly firstPauseMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Bytes on disk, and in all. */
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

/**
 * Downloads into `target`, by way of `target.part`, which stays where it is cut off and is taken up again from its end, in this call and
 * in a later one. The file gets its name once its length, and where the hub knows it its SHA-256, are right.
 *
 * @throws InputError HUB_OFFLINE where the connection breaks again and again, HUB_LENGTH, HUB_HASH, HUB_NOT_A_HUB, HUB_*; CancelledError
 */
export async function download(
  file: HubFile,
  target: string,
  reference: HubReference,
  settings: HubSettings,
  options: DownloadOptions = {},
): Promise<void> {
  const part = `${target}.part`;
  await forgetOther(part, file.etag);
  const handle = await open(part, "a+");
  try {
    let failures = 0;
    for (let have = (await handle.stat()).size; have < file.bytes;) {
      throwIfCancelled(options.signal);
      const before = have;
      try {
        have = await fetchFrom(file, have, handle, reference, settings, options);
        if (have < file.bytes) throw cutOff(have, file.bytes);
      } catch (error) {
        have = (await handle.stat()).size;
        failures = have > before ? 1 : failures + 1;
        const failure = asHubError(error, reference, settings);
        const again =
          "code" in failure && failure.code === "HUB_OFFLINE" && failures < TRIES && options.signal?.aborted !== true;
        if (!again) throw failure;
        await pause((options.firstPauseMs ?? FIRST_PAUSE_MS) * 2 ** (failures - 1), undefined, {
          ...(options.signal && { signal: options.signal }),
        });
      }
    }
    const { size } = await handle.stat();
    if (size !== file.bytes) {
      await forget(part);
      throw hubError(
        "LENGTH",
        reference,
        `Expected ${file.bytes} bytes but received ${size}; nothing was kept, try again.`,
      );
    }
    await handle.sync();
  } catch (error) {
    throw asHubError(error, reference, settings);
  } finally {
    await handle.close();
  }
  if (SHA256.test(file.etag) && (await sha256OfFile(part, { signal: options.signal })) !== file.etag) {
    await forget(part);
    throw hubError(
      "HASH",
      reference,
      "What was downloaded has another SHA-256 than the hub says; nothing was kept, try again.",
    );
  }
  await rename(part, target);
  await unlink(etagPath(part));
}

/** @returns how many bytes are there now */
async function fetchFrom(
  { url, bytes }: HubFile,
  have: number,
  handle: FileHandle,
  reference: HubReference,
  { endpoint, token }: HubSettings,
  { signal, onProgress }: DownloadOptions,
): Promise<number> {
  const response = await fetch(url, {
    headers: {
      ...(have > 0 && { Range: `bytes=${have}-` }),
      // Compressed, the length would be another one and a range one of the compressed bytes.
      "Accept-Encoding": "identity",
      ...(token !== null && { Authorization: `Bearer ${token}` }),
    },
    ...(signal && { signal }),
  });
  const { status, headers, body } = response;
  if (!response.ok || body === null) {
    await body?.cancel();
    // The server's file ends where the part does, which the hub says is not its end.
    if (status === 416) await handle.truncate(0);
    throw hubError("STATUS", reference, `The download ended with status ${status}; try again later.`, undefined, {
      status,
    });
  }
  if (headers.get("content-type")?.startsWith("text/html") === true) {
    await body.cancel();
    throw notTheHub(reference, endpoint);
  }
  let at = have;
  if (status !== 206 || !(headers.get("content-range") ?? "").startsWith(`bytes ${have}-`)) {
    // The whole file from its start: the server does not do ranges, or not this one.
    await handle.truncate(0);
    at = 0;
  }
  for await (const chunk of body) {
    const block = Buffer.from(chunk as Uint8Array);
    if (at + block.length > bytes) {
      await handle.truncate(0);
      throw hubError("LENGTH", reference, `Expected ${bytes} bytes but received more; nothing was kept, try again.`);
    }
    // Opened for appending: the position is the end of what is there.
    await writeExactly(handle, block, at);
    at += block.length;
    onProgress?.(at, bytes);
  }
  return at;
}

function cutOff(have: number, bytes: number): Error {
  return Object.assign(new Error(`The connection ended after ${have} of ${bytes} bytes.`), { code: "CUT_OFF" });
}

function etagPath(part: string): string {
  return `${part}.etag`;
}

/** Keeps a part only of the very content that is to be downloaded. */
async function forgetOther(part: string, etag: string): Promise<void> {
  const known = await readFile(etagPath(part), "utf8").catch(() => null);
  if (known === etag && (await stat(part).catch(() => null)) !== null) return;
  await forget(part);
  await writeFile(etagPath(part), etag);
}

async function forget(part: string): Promise<void> {
  await unlink(part).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  });
}
