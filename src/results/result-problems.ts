import type { ErrorObject } from "ajv";

/** What is wrong in a result file, and where: `candidates[3].perSample`. */
export interface ResultProblem {
  /** Empty for the file as a whole. */
  readonly path: string;
  readonly expected: string;
  readonly received: string;
}

/** `/candidates/3/perSample` as `candidates[3].perSample`. */
export function fieldPath(pointer: string): string {
  return pointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
    .reduce((path, part) => (/^\d+$/.test(part) ? `${path}[${part}]` : path === "" ? part : `${path}.${part}`), "");
}

/** The first violation that a JSON schema has found, in the words of this package. */
export function schemaProblem({ keyword, instancePath, params, data }: ErrorObject): ResultProblem {
  const path = fieldPath(instancePath);
  const detail = params as Readonly<Record<string, unknown>>;
  const received = shown(data);
  switch (keyword) {
    case "required": {
      const field = String(detail["missingProperty"]);
      return { path: path === "" ? field : `${path}.${field}`, expected: "a value", received: "nothing" };
    }
    case "type":
      return { path, expected: [detail["type"]].flat().join(" or "), received };
    case "enum":
      return { path, expected: `one of ${(detail["allowedValues"] as unknown[]).map(shown).join(", ")}`, received };
    case "const":
      return { path, expected: shown(detail["allowedValue"]), received };
    case "minItems":
      return { path, expected: `at least ${String(detail["limit"])} entry`, received: "none" };
    case "minLength":
      return { path, expected: "a name", received };
    default:
      return { path, expected: `a value ${String(detail["comparison"])} ${String(detail["limit"])}`, received };
  }
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
