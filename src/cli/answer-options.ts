import type { Command } from "commander";
import type { AnswerOptions } from "../evaluation/answer-writer.js";
import { integer } from "./numbers.js";
import type { MachineFlags } from "./machine-options.js";

/** How answers to samples are written, for metrics that judge them. */
export interface AnswerFlags {
  readonly answerTokens: number;
  readonly stop?: readonly string[];
  readonly sequences?: number;
  readonly drafts: boolean;
}

export function addAnswerOptions(command: Command): Command {
  return command
    .optionsGroup("Answers, for metrics that judge them:")
    .option("--answer-tokens <n>", "tokens of an answer at most", integer, 256)
    .option("--stop <texts...>", "end an answer before one of these; \\n is a line break")
    .option("--sequences <n>", "answers written at the same time (default: 16)", integer)
    .option("--no-drafts", "do not guess ahead from earlier answers; the text is the same, but for ties");
}

export function answerOptions(flags: AnswerFlags & Pick<MachineFlags, "threads" | "batchTokens">): AnswerOptions {
  const { answerTokens, stop, sequences, drafts, threads, batchTokens } = flags;
  return { maxTokens: answerTokens, stop: stop?.map(unescaped), sequences, drafts, threads, batchTokens };
}

/** Shells pass `\n` on as two characters. */
function unescaped(text: string): string {
  return text.replace(/\\([nt\\])/g, (_, letter: string) => (letter === "n" ? "\n" : letter === "t" ? "\t" : "\\"));
}
