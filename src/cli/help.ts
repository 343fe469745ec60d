/** Under every help text; DESIGN, "Exit codes and streams". */
export const EXIT_CODES = `
Exit codes:
  0    done
  1    done, but no cut is proven and nothing was written
  2    wrong usage
  3    bad input, or files that do not fit together
  4    not enough memory
  5    the addon, llama.cpp or a device failed, or a file cannot be written
  6    what was written is not what was meant
  70   internal error
  130  cancelled

Results go to stdout, everything else to stderr.`;

/** A block of commands to copy, each with a line that says what for. */
export function examples(...lines: readonly (readonly [command: string, purpose: string])[]): string {
  const blocks = lines.map(([command, purpose]) => `  ${purpose}:\n    lora-boundary ${command}`);
  return `\nExamples:\n${blocks.join("\n")}`;
}
