/** Control, format, surrogate and line-separator characters: what a terminal would obey or hide in place of showing it. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escapeOne(character: string): string {
  const short = SHORT[character];
  if (short !== undefined) return short;
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
}

/**
 * Text that is safe to print: control and invisible characters become escapes such as `\n`, `\x1b`, `\u{202e}`.
 * @param keep characters left as they are, for example newlines
 */
export function escapeControls(text: string, keep = ""): string {
  return text.replace(UNSEEN, (character) => (keep.includes(character) ? character : escapeOne(character)));
}

/** The start of a text for an error message: at most `limit` characters, controls escaped. */
export function excerpt(text: string, limit = 80): string {
  const start = Array.from(text.slice(0, 2 * limit))
    .slice(0, limit)
    .join("");
  return escapeControls(start) + (start.length < text.length ? "..." : "");
}

/**
 * A token's bytes, unambiguously: backslashes doubled, controls escaped, and bytes that are not UTF-8 on their own
 * (a character split over tokens) as `\xNN`.
 */
export function escapeBytes(bytes: Uint8Array): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return escapeControls(text.replaceAll("\\", "\\\\"));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // TypeError: not UTF-8 on its own
    return Array.from(bytes, (byte) =>
      byte >= 0x20 && byte < 0x7f && byte !== 0x5c
        ? String.fromCharCode(byte)
        : `\\x${byte.toString(16).padStart(2, "0")}`,
    ).join("");
  }
}
