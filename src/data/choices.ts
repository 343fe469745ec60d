import { InputError } from "../errors.js";
import { place, type Origin } from "./origin.js";
import type { Sample, SampleChoices, SampleSet } from "./sample.js";

/** A sample with choices to tell apart. */
export interface ChoiceSample extends Sample {
  readonly choices: SampleChoices;
}

/** @throws InputError SAMPLES_NO_CHOICES naming the first line without */
export function withChoices({ samples, path }: Pick<SampleSet, "samples" | "path">): readonly ChoiceSample[] {
  const origin: Origin = { path, unit: path === null ? "row" : "line" };
  return samples.map((sample) => {
    const { choices, line } = sample;
    if (choices !== undefined) return { ...sample, choices };
    throw new InputError(
      "SAMPLES_NO_CHOICES",
      `${place(origin, line)}: Expected \`prompt\`, \`choices\` (a list of texts) and \`answer\` (the right one, by its index from 0 or its text) but the row is of another form. Add them, or leave the row out.`,
      { details: { file: path, line } },
    );
  });
}
