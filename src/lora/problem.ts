import { InputError } from "../errors.js";

/** One thing wrong with an input, as data: `doctor` shows all of them, other commands stop at them. */
export interface Problem {
  /** Stable, for programs. */
  readonly code: string;
  /** One sentence or two, ending in what to do. */
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** @throws InputError with the code of the first problem, the text of all, and the list in `details.problems` */
export function throwProblems(problems: readonly Problem[]): void {
  const [first] = problems;
  if (first === undefined) return;
  throw new InputError(first.code, problems.map(({ message }) => message).join("\n"), {
    details: { ...first.details, problems },
  });
}
