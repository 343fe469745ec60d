import { createHash } from "node:crypto";
import { mkdir, open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder } from "../cache-folder.js";
import { InputError } from "../errors.js";
import type { DownloadOptions } from "../hub/download.js";
import { localPathOf } from "../hub/local-path.js";
import { readExactly } from "../gguf/exact-io.js";
import type { ModelFile } from "../lora/model-file.js";
import { packageVersion } from "../package-version.js";
import { CONFIG_NAME } from "./peft-config.js";
import { WEIGHTS_NAME } from "./read-peft.js";
import { peftToGguf, type ConvertOptions } from "./to-gguf.js";

const SAMPLES = 64;
const SAMPLE_BYTES = 4096;

export interface AdapterPathOptions extends Omit<ConvertOptions, "force"> {
  /** While a `hf:` adapter is downloaded: bytes on disk, and in all of the file. */
  readonly onDownload?: DownloadOptions["onProgress"];
}

/** Whether a path is a folder with a PEFT adapter; one of MLX has a file of the same name, but other weights. */
export async function isPeftFolder(path: string): Promise<boolean> {
  const isFile = async (name: string) => (await stat(join(path, name)).catch(() => null))?.isFile() === true;
  return (await isFile(CONFIG_NAME)) && !(await isFile("adapters.safetensors"));
}

/**
 * The GGUF file of an adapter: the path itself, of `hf:owner/name[/file]` the download (see `localPathOf`), or of a PEFT folder its conversion for this base model, which is kept in the cache
 * (`LORA_BOUNDARY_CACHE`, else the system's folder for such things) under a name made of what it was converted from.
 *
 * @throws see `peftToGguf`
 */
export async function adapterPathOf(
  reference: string,
  model: ModelFile,
  options: AdapterPathOptions = {},
): Promise<string> {
  const path = await localPathOf(reference, { signal: options.signal, onProgress: options.onDownload });
  if (!(await isPeftFolder(path))) return path;
  const folder = join(cacheFolder(), "peft");
  await mkdir(folder, { recursive: true });
  const target = join(folder, `${await keyOf(path, model)}.gguf`);
  if ((await stat(target).catch(() => null))?.isFile() === true) return target;
  await peftToGguf(path, model, target, { ...options, force: true });
  return target;
}

/** Of configuration, weights (size, time, header, sampled blocks), the base model's tensors and this package's version. */
async function keyOf(path: string, model: ModelFile): Promise<string> {
  const hash = createHash("sha256")
    .update(packageVersion)
    .update(await readFile(join(path, CONFIG_NAME)));
  const heads = [...(model.shards[0]?.metadata ?? [])].filter(([key]) => key.includes(".head_count"));
  for (const [key, value] of heads) hash.update(key).update(value.bytes);
  hash
    .update(model.architecture)
    .update([...model.tensors].map(([name, { shape }]) => `${name}${shape.join()}`).join());
  const weights = join(path, WEIGHTS_NAME);
  try {
    const handle = await open(weights, "r");
    try {
      const { size, mtimeNs } = await handle.stat({ bigint: true });
      hash.update(`${size}:${mtimeNs}`);
      const bytes = Number(size);
      for (let sample = 0; sample < SAMPLES; sample++) {
        const position = Math.floor((sample * Math.max(bytes - SAMPLE_BYTES, 0)) / SAMPLES);
        const block = Buffer.allocUnsafe(Math.min(SAMPLE_BYTES, bytes - position));
        await readExactly(handle, weights, block, position);
        hash.update(block);
      }
    } finally {
      await handle.close();
    }
  } catch (error) {
    // Converting says what is missing, or what stands in its place.
    if (error instanceof InputError || (error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  return hash.digest("hex").slice(0, 32);
}
