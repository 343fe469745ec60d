import { place, type Origin } from "../data/origin.js";
import type { Sample, SampleSet } from "../data/sample.js";
import { InputError } from "../errors.js";

/**
 * What each sample asks: the tokens before those of its answer, which is what is scored last (with every assistant turn scored,
 * the last of them).
 *
 * @throws InputError SAMPLES_NO_PROMPT where nothing comes before the answer, naming the line
 */
export function answerPrompts({ samples, path }: Pick<SampleSet, "samples" | "path">): readonly Int32Array[] {
  const origin: Origin = { path, unit: path === null ? "row" : "line" };
  return samples.map((sample) => {
    const start = answerStart(sample);
    // A text is all answer: its first token would give it away.
    if (start > 0 && sample.source?.answer !== null) return sample.tokens.slice(0, start);
    throw new InputError(
      "SAMPLES_NO_PROMPT",
      `${place(origin, sample.line)}: Expected a row with a prompt to answer but received plain text. Give \`prompt\` and \`completion\`, a conversation, or leave the row out.`,
      { details: { file: path, line: sample.line } },
    );
  });
}

function answerStart({ scored }: Sample): number {
  let start = scored.lastIndexOf(1);
  while (start > 0 && scored[start - 1] === 1) start -= 1;
  return start;
}
