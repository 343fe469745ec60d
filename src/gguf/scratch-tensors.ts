import { open, unlink, type FileHandle } from "node:fs/promises";
import { BackendError } from "../errors.js";
import { writeExactly } from "./exact-io.js";
import type { TensorDescriptor } from "./gguf-file.js";
import { temporaryBeside } from "./target-file.js";

/**
 * Tensors that are made and not copied: they wait on disk, beside the file that will have them, so that however many there are, one at a
 * time is in memory. The file goes when this is disposed of.
 */
export class ScratchTensors implements AsyncDisposable {
  readonly path: string;
  readonly #handle: FileHandle;
  #bytes = 0;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  /** @throws BackendError TARGET_UNWRITABLE */
  static async beside(target: string): Promise<ScratchTensors> {
    const path = temporaryBeside(target);
    try {
      return new ScratchTensors(path, await open(path, "wx"));
    } catch (error) {
      throw scratchError(target, error);
    }
  }

  /**
   * Several may be on their way at the same time.
   *
   * @throws BackendError TARGET_FULL
   */
  async add(tensor: Pick<TensorDescriptor, "name" | "type" | "shape">, bytes: Buffer): Promise<TensorDescriptor> {
    const { name, type, shape } = tensor;
    const offset = this.#bytes;
    this.#bytes += bytes.length;
    try {
      await writeExactly(this.#handle, bytes, offset);
    } catch (error) {
      throw scratchError(this.path, error);
    }
    const elements = shape.reduce((product, size) => product * size, 1);
    return { name, type, shape, elements, bytes: bytes.length, path: this.path, offset };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
    await unlink(this.path);
  }
}

function scratchError(path: string, cause: unknown): BackendError {
  const systemCode = String((cause as NodeJS.ErrnoException).code);
  const full = ["ENOSPC", "EDQUOT", "EFBIG"].includes(systemCode);
  return new BackendError(
    full ? "TARGET_FULL" : "TARGET_UNWRITABLE",
    `${path}: tensors cannot be laid down beside the file to write (${systemCode}); nothing was written. ${full ? "Free some space, or give a target on another disk" : "Check the permissions of its folder"}.`,
    { cause, details: { path, systemCode } },
  );
}
