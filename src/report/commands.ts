import type { CalibrationResult } from "../result.js";
import { displayWidth, printable, type Style } from "./text.js";

// What no shell gives a meaning; `~` and `=` are left out on purpose.
const PLAIN = /^[A-Za-z0-9_./:,@%+-]+$/;

/**
 * One argument for the user's shell, so that the line can be copied. POSIX shells: single quotes; with control characters
 * ANSI-C quotes (bash, zsh, ksh, POSIX.1-2024), since the raw characters would act on the terminal that shows them.
 * Windows: double quotes, which no path can contain there; neither can control characters, so they are only shown.
 */
export function shellQuoted(argument: string, shell: Style["shell"]): string {
  // A leading `-` would be read as an option.
  return shellWord(argument.startsWith("-") ? `./${argument}` : argument, shell);
}

/** A word of a command line as it was given, options included; see {@link shellQuoted}. */
export function shellWord(safe: string, shell: Style["shell"]): string {
  if (shell === "windows") {
    return /^[A-Za-z0-9_./:\\-]+$/.test(safe) ? safe : `"${printable(safe).replaceAll('"', "")}"`;
  }
  if (PLAIN.test(safe)) return safe;
  if (printable(safe) === safe) return `'${safe.replaceAll("'", `'\\''`)}'`;
  const escaped = Array.from(safe, (character) => {
    if (character === "'" || character === "\\") return `\\${character}`;
    if (printable(character) === character) return character;
    return Array.from(Buffer.from(character), (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
  });
  return `$'${escaped.join("")}'`;
}

/**
 * The llama.cpp programs that load an adapter, as lines to copy: broken between arguments where the shell can continue a
 * line, never inside one.
 *
 * @param model path of the base model, or a placeholder
 */
export function loadingLines(model: string, adapter: string, { width, shell }: Style): string[] {
  const files = [`-m ${shellQuoted(model, shell)}`, `--lora ${shellQuoted(adapter, shell)}`];
  return ["llama-cli", "llama-server"].flatMap((program) => {
    const command = [program, ...files];
    const line = `  ${command.join(" ")}`;
    if (displayWidth(line) <= width || shell === "windows") return [line];
    return command.map(
      (part, index) => `${index === 0 ? "  " : "    "}${part}${index < command.length - 1 ? " \\" : ""}`,
    );
  });
}

/** {@link loadingLines} of the file that a calibration has written; none where it has not. */
export function commandLines({ model, output }: CalibrationResult, style: Style): string[] {
  return output === null ? [] : loadingLines(model.path, output.path, style);
}
