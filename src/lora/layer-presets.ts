import { readFile } from "node:fs/promises";
import { InputError, LoraBoundaryError } from "../errors.js";
import { parseSyntax } from "./layer-grammar-syntax.js";

/** Names for layer strengths, from a file. */
export interface LayerPresets {
  readonly path: string;
  /** Texts of the grammar by name; none names another preset. */
  readonly texts: ReadonlyMap<string, string>;
}

const NAME = /^[A-Za-z_][\w.-]*$/;
const RESERVED = new Set([
  ...[
    "all",
    "full",
    "base",
    "upto",
    "from",
    "window",
    "without",
    "not",
    "scale",
    "attention",
    "ffn",
    "input",
    "output",
  ],
]);

/**
 * Reads a JSON file of presets, an object of texts by name: `{ "light": "without:2,7,22*1.45" }`. Every text is checked as far as that
 * goes without a model; layers out of range are found when it is used.
 *
 * @throws InputError PRESETS_UNREADABLE, PRESETS_JSON, PRESETS_FORMAT, PRESETS_NAME, PRESETS_TEXT
 */
export async function readLayerPresets(path: string): Promise<LayerPresets> {
  const texts = new Map<string, string>();
  for (const [name, text] of Object.entries(await readObject(path))) {
    if (!NAME.test(name) || RESERVED.has(name)) {
      const why = RESERVED.has(name)
        ? "a word of the grammar itself"
        : "letters, digits, `_`, `.` and `-`, a letter first";
      throw presetsError(path, "NAME", `Expected another name for the preset \`${name}\`: ${why}.`, { name });
    }
    if (typeof text !== "string") {
      throw presetsError(
        path,
        "FORMAT",
        `Expected a text such as "upto:17" for the preset \`${name}\` but received ${JSON.stringify(text)}.`,
        { name },
      );
    }
    try {
      const { shape } = parseSyntax(text, { option: "presets", preset: `preset \`${name}\`` });
      if (shape.kind === "name" && !RESERVED.has(shape.name)) {
        throw presetsError(
          path,
          "TEXT",
          `Expected layers or \`full\` or \`base\` for the preset \`${name}\` but received \`${shape.name}\` at character ${shape.position}; a preset cannot name another one.`,
          { name, position: shape.position },
        );
      }
    } catch (error) {
      if (!(error instanceof LoraBoundaryError) || error instanceof InputError) throw error;
      throw presetsError(path, "TEXT", error.message, { name, position: error.details["position"] }, error);
    }
    texts.set(name, text);
  }
  return { path, texts };
}

async function readObject(path: string): Promise<object> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw presetsError(path, "UNREADABLE", "The file of presets cannot be read; check the path.", {}, cause);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw presetsError(path, "JSON", `Expected JSON but it cannot be read (${reason}); mend the file.`, {}, cause);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw presetsError(path, "FORMAT", 'Expected an object of texts by name such as {"light": "without:2,7,22*1.45"}.');
}

function presetsError(
  path: string,
  code: string,
  message: string,
  details: Readonly<Record<string, unknown>> = {},
  cause?: unknown,
): InputError {
  return new InputError(`PRESETS_${code}`, `${path}: ${message}`, { cause, details: { path, ...details } });
}
