import { InputError, UsageError } from "../errors.js";
import type { Metric, MetricSample } from "./metric.js";

/**
 * What a user's function gets beside the answer: the row as the file has it, its references (always a list) and its line.
 * A copy: what the function changes in it nobody else sees.
 */
export interface UserSample extends Readonly<Record<string, unknown>> {
  readonly references: readonly string[];
  readonly line: number;
}

export type UserScore = (answer: string, sample: UserSample) => number;

/** What a user's module may export by default, if not the function alone. */
export interface UserMetric {
  readonly name?: string;
  /** Default true. */
  readonly higherIsBetter?: boolean;
  readonly score: UserScore;
  /** The figure of a whole set; default: the mean of the samples. */
  readonly corpus?: (answers: readonly string[], samples: readonly UserSample[]) => number;
}

const FORM =
  "a function `(answer, sample) => number`, or `{ name, higherIsBetter, score, corpus }` with such a `score`";

/**
 * A metric from the default export of a user's module.
 *
 * @param exported the module's default export
 * @param source the module as the user named it; names the metric where the module does not
 * @throws UsageError METRIC_MODULE where the export is neither of the two forms
 */
export function userMetric(exported: unknown, source: string): Metric {
  const given = typeof exported === "function" ? { score: exported } : exported;
  if (typeof given !== "object" || given === null) {
    throw refused(source, `Expected ${FORM} as default export but received ${described(exported)}.`);
  }
  const { name = source, higherIsBetter = true, score, corpus } = given as Readonly<Record<string, unknown>>;
  if (typeof score !== "function") {
    throw refused(source, `Expected ${FORM} as default export but \`score\` is ${described(score)}.`);
  }
  if (typeof name !== "string" || name === "") {
    throw refused(source, `Expected a text for \`name\` but received ${described(name)}.`);
  }
  if (typeof higherIsBetter !== "boolean") {
    throw refused(source, `Expected true or false for \`higherIsBetter\` but received ${described(higherIsBetter)}.`);
  }
  if (corpus !== undefined && typeof corpus !== "function") {
    throw refused(source, `Expected a function for \`corpus\` but received ${described(corpus)}.`);
  }
  // Bound: a module may export an object whose methods use each other.
  const scoring = score.bind(given) as (answer: string, sample: UserSample) => unknown;
  const ofSet = corpus?.bind(given) as
    ((answers: readonly string[], samples: readonly UserSample[]) => unknown) | undefined;
  return {
    name,
    higherIsBetter,
    unit: name,
    perSample: (answer, references, sample) =>
      checkedNumber(() => scoring(answer, userSample(references, sample)), name, ` on line ${sample.line}`, {
        line: sample.line,
        metric: name,
      }),
    corpus:
      ofSet === undefined
        ? null
        : (answers, references, samples) =>
            checkedNumber(
              () =>
                ofSet(
                  answers,
                  samples.map((sample, index) => userSample(references[index] ?? [], sample)),
                ),
              `${name}.corpus`,
              "",
              { metric: name },
            ),
  };
}

function userSample(references: readonly string[], { line, row }: MetricSample): UserSample {
  return { ...structuredClone(row), references: [...references], line };
}

/** @throws InputError METRIC_FAILED, METRIC_VALUE */
function checkedNumber(
  call: () => unknown,
  name: string,
  where: string,
  details: Readonly<Record<string, unknown>>,
): number {
  let value: unknown;
  try {
    value = call();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InputError("METRIC_FAILED", `The metric ${name} failed${where}: ${reason}`, { cause, details });
  }
  if (typeof value === "number" && Number.isFinite(value)) return value;
  const hint =
    value instanceof Promise ? " A metric must answer at once: load what it needs at the top of its module." : "";
  // Its outcome is nobody's any more, and a rejection must not end the process.
  if (value instanceof Promise) value.catch(() => undefined);
  throw new InputError(
    "METRIC_VALUE",
    `Expected a finite number from the metric ${name}${where} but received ${described(value)}.${hint}`,
    { details },
  );
}

function refused(source: string, message: string): UsageError {
  return new UsageError("METRIC_MODULE", `${source}: ${message}`, { details: { option: "metric", file: source } });
}

function described(value: unknown): string {
  if (value === undefined || value === null || typeof value === "boolean" || typeof value === "number") {
    return String(value);
  }
  if (typeof value === "string") return `the text "${value.slice(0, 40)}"`;
  if (value instanceof Promise) return "a promise";
  return typeof value === "function" ? "a function" : `another value (${typeof value})`;
}
