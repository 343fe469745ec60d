/**
 * White space as Python's `str.split` and `str.rstrip` know it, which the reference implementations use: unlike `\s` with
 * the separators U+001C to U+001F and U+0085, and without the byte order mark.
 */
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const SPACES = new RegExp(`[${SPACE}]+`, "u");
const ALL_SPACES = new RegExp(`[${SPACE}]+`, "gu");
const LAST_SPACES = new RegExp(`[${SPACE}]+$`, "u");

/** The parts between white space, none of them empty. */
export function splitSpaces(text: string): string[] {
  return text.split(SPACES).filter((part) => part !== "");
}

export function withoutSpaces(text: string): string {
  return text.replace(ALL_SPACES, "");
}

export function withoutLastSpaces(text: string): string {
  return text.replace(LAST_SPACES, "");
}
