import type { CalibrationResult } from "../result.js";
import { displayWidth, printable, type Style } from "./text.js";

// What no shell gives a meaning; `~`, `=` and a leading `-` are left out on purpose.
const PLAIN = /^[A-Za-z0-9_./:,@%+][A-Za-z0-9_./:,@%+-]*$/;

/**
 * One argument for the user's shell, so that the line can be copied. POSIX shells: single quotes; with control characters
 * ANSI-C quotes (bash, zsh, ksh, POSIX.1-2024), since the raw characters would act on the terminal that shows them.
 * Windows: double quotes, which no path can contain there; neither can control characters, so they are only shown.
 */
export function shellQuoted(argument: string, shell: Style["shell"]): string {
  // A leading `-` would be read as an option.
  const safe = argument.startsWith("-") ? `./${argument}` : argument;
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

/** The llama.cpp programs that load the written file, as argument lists with paths quoted. */
function loadingCommands({ model, output }: CalibrationResult, shell: Style["shell"]): readonly (readonly string[])[] {
  if (output === null) return [];
  const files = [`-m ${shellQuoted(model.path, shell)}`, `--lora ${shellQuoted(output.path, shell)}`];
  return [
    ["llama-cli", ...files],
    ["llama-server", ...files],
  ];
}

/** Lines to copy: broken between arguments where the shell can continue a line, never inside one. */
export function commandLines(result: CalibrationResult, { width, shell }: Style): string[] {
  return loadingCommands(result, shell).flatMap((command) => {
    const line = `  ${command.join(" ")}`;
    if (displayWidth(line) <= width || shell === "windows") return [line];
    return command.map(
      (part, index) => `${index === 0 ? "  " : "    "}${part}${index < command.length - 1 ? " \\" : ""}`,
    );
  });
}
