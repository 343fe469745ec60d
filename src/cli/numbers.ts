import { InvalidArgumentError } from "commander";

/** A whole number from 0; ranges are the core's to check. */
export function integer(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("Give a whole number.");
  return Number(text);
}

/** A number with or without a decimal point. */
export function decimal(text: string): number {
  if (!/^\d*\.?\d+(e-?\d+)?$/i.test(text)) throw new InvalidArgumentError("Give a number such as 0.05.");
  return Number(text);
}

/** Texts with commas between; an empty one is the core's to refuse. */
export function list(text: string): string[] {
  return text.split(",");
}

/** Numbers with commas between. */
export function decimals(text: string): number[] {
  return list(text).map(decimal);
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

/** `90s`, `10m` or `1.5h`, in seconds. */
export function duration(text: string): number {
  const match = /^(\d*\.?\d+)([smh])$/.exec(text);
  if (match === null) throw new InvalidArgumentError("Give a time such as 90s, 10m or 2h.");
  return Number(match[1]) * (SECONDS[match[2] ?? ""] ?? NaN);
}
