import type { RenderOptions } from "../report/text.js";

type Environment = Readonly<Record<string, string | undefined>>;

export interface StyleQuestion {
  readonly width: number;
  readonly isTerminal: boolean;
  /** False: `--no-color`. */
  readonly colorAsked: boolean;
  readonly environment: Environment;
  readonly platform: NodeJS.Platform;
}

/** How a view may draw on a stream, from what is known of it. Pure. */
export function terminalStyle(question: StyleQuestion): RenderOptions {
  return {
    width: question.width,
    color: hasColor(question),
    unicode: hasUnicode(question),
    // Git Bash and other Unix shells on Windows set one of these; cmd and PowerShell do not.
    shell:
      question.platform === "win32" && !question.environment["MSYSTEM"] && !question.environment["SHELL"]
        ? "windows"
        : "posix",
  };
}

/** The flag is asked first, then https://no-color.org, then FORCE_COLOR, then the terminal. */
function hasColor({ colorAsked, isTerminal, environment }: StyleQuestion): boolean {
  if (!colorAsked) return false;
  const { NO_COLOR: no = "", FORCE_COLOR: forced = "", TERM: terminal } = environment;
  if (no !== "" || forced === "0" || forced === "false") return false;
  if (forced !== "") return true;
  return isTerminal && terminal !== "dumb";
}

function hasUnicode({ isTerminal, environment, platform }: StyleQuestion): boolean {
  const { LC_ALL, LC_CTYPE, LANG, TERM, WT_SESSION, TERM_PROGRAM } = environment;
  // Windows converts what goes through a pipe to a code page without these characters, and so does its old console.
  if (platform === "win32") return isTerminal && Boolean(WT_SESSION ?? TERM_PROGRAM ?? TERM);
  // The Linux console has a font of 512 characters.
  if (isTerminal && (TERM === "linux" || TERM === "dumb")) return false;
  // The first that is set and not empty decides (POSIX, "Environment Variables").
  const locale = [LC_ALL, LC_CTYPE, LANG].find((value) => value !== undefined && value !== "");
  return locale === undefined ? platform === "darwin" : /utf-?8/i.test(locale);
}
