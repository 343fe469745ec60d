import { InvalidArgumentError, Option } from "commander";
import { requireTarget, writeTarget } from "../gguf/target-file.js";
import type { CommandContext } from "./context.js";

const STDOUT = "-";

/** `--json`: beside the text into a file, or alone on stdout. */
export function jsonOption(): Option {
  return new Option("--json [file]", "the result as JSON: beside the text into a file, or alone to stdout with -")
    .preset(STDOUT)
    .argParser((file: string) => {
      // `--json adapter.gguf` takes the next argument for itself.
      if (file === "" || /\.(gguf|jsonl)$/i.test(file)) {
        throw new InvalidArgumentError("Give a file to write such as result.json, or - for stdout, after --json.");
      }
      return file;
    });
}

export interface JsonRequest {
  /** Of `--json`; undefined: not asked for. */
  readonly target: string | undefined;
  /** Files that must not be written over. */
  readonly inputs: readonly string[];
  readonly force: boolean;
}

/**
 * For the start of a command: a long one must not fail at its end for a name.
 *
 * @throws UsageError, BackendError see `requireTarget`
 */
export async function requireJsonTarget({ target, inputs, force }: JsonRequest): Promise<void> {
  if (target !== undefined && target !== STDOUT) await requireTarget(target, inputs, { force });
}

/**
 * Hands a result over: as text to stdout, as JSON to the file, or as JSON alone to stdout.
 *
 * @param view renders the text, which ends without a line break
 */
export async function deliver(
  result: object,
  view: () => string,
  { target, inputs, force }: JsonRequest,
  { stdout }: CommandContext,
): Promise<void> {
  if (target === STDOUT) {
    stdout(jsonText(result));
    return;
  }
  stdout(view());
  if (target === undefined) return;
  await writeTarget(target, inputs, { force }, async (handle) => {
    await handle.writeFile(jsonText(result));
    await handle.sync();
  });
}

/** 64-bit integers of GGUF metadata become numbers where these are exact, else decimal strings. */
export function jsonText(value: object): string {
  const text = JSON.stringify(
    value,
    (_, item: unknown) => {
      if (typeof item !== "bigint") return item;
      return item >= Number.MIN_SAFE_INTEGER && item <= Number.MAX_SAFE_INTEGER ? Number(item) : String(item);
    },
    2,
  );
  return `${text}\n`;
}
