import { beforeEach, describe, expect, it } from "vitest";
import { ProgressLine, type ProgressOptions } from "../../src/cli/progress.js";

const CLEAR = "\r\u001b[K";
let now = 0;
let written: string[] = [];
beforeEach(() => {
  now = 0;
  written = [];
});

function line(options: Partial<ProgressOptions> = {}): ProgressLine {
  const write = (text: string) => written.push(text);
  return new ProgressLine({ write, rewrites: true, width: () => 80, unicode: true, now: () => now, ...options });
}

/** One update each 10 ms from now on, with the share of the span that is over. */
function work(progress: ProgressLine, milliseconds: number, label = "Scoring"): void {
  const end = now + milliseconds;
  for (; now <= end; now += 10) {
    progress.update({ label, done: now, total: end, secondsLeft: (end - now) / 1000 });
  }
}

describe("on a terminal", () => {
  it("shows nothing of what is over in 2 s", () => {
    const progress = line();
    work(progress, 1_990);
    progress.done();
    expect(written).toEqual([]);
  });

  it("then rewrites one line, at most ten times a second, and takes it away", () => {
    const progress = line();
    work(progress, 4_000);
    progress.done();
    expect(written).toHaveLength(21 + 1);
    expect(written[0]).toBe(`${CLEAR}Scoring: 50.0 %, about 2.0 s left`);
    expect(written.at(-1)).toBe(CLEAR);
    expect(written.join("")).not.toContain("\n");
    progress.done();
    expect(written).toHaveLength(22);
  });

  it("waits again after the end", () => {
    const progress = line();
    work(progress, 3_000);
    progress.done();
    written = [];
    work(progress, 1_500);
    expect(written).toEqual([]);
  });

  it("never reaches the last column, and shows no control characters", () => {
    const progress = line({ width: () => 20 });
    work(progress, 2_000, "Scoring\n of a long label");
    expect(written).toEqual([`${CLEAR}Scoring\\x0a of a l\u2026`]);
  });

  it("makes room for another text", () => {
    const progress = line();
    work(progress, 2_000);
    progress.hide();
    expect(written.at(-1)).toBe(CLEAR);
    progress.hide();
    expect(written).toHaveLength(2);
  });
});

it("elsewhere prints a line every 10 s, without escapes", () => {
  const progress = line({ rewrites: false });
  work(progress, 25_000);
  progress.done();
  expect(written).toEqual(["Scoring: 40.0 %, about 15 s left\n", "Scoring: 80.0 %, about 5.0 s left\n"]);
});

it("says no time where none is known, and no share beyond the whole", () => {
  const progress = line();
  for (now of [0, 2_000]) progress.update({ label: "Hashing", done: 7, total: 5, secondsLeft: null });
  for (now of [3_000]) progress.update({ label: "Planning", done: 0, total: 0, secondsLeft: null });
  expect(written).toEqual([`${CLEAR}Hashing: 100.0 %`, `${CLEAR}Planning: 0.0 %`]);
});
