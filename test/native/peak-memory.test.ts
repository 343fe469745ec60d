import { describe, expect, test } from "vitest";
import { DEMO } from "../support/engine-files.js";
import { measuresMemory, peakOfSearch } from "../support/peak-memory.js";

const MEBIBYTE = 2 ** 20;
const boundaries = Array.from({ length: 13 }, (_, b) => b);

describe.skipIf(!measuresMemory)(
  measuresMemory
    ? "peak memory of a search"
    : "peak memory of a search (SKIPPED: it is read from /proc, on Linux only, and not under sanitizers)",
  () => {
    test("the demo: no more for 40 samples than for 4, and about what was estimated", async () => {
      const few = await peakOfSearch(DEMO, 4, boundaries);
      const many = await peakOfSearch(DEMO, 40, boundaries);
      expect(few).toMatchObject({ samples: 4, batches: 1 });
      expect(many).toMatchObject({ samples: 40, batches: 10, estimated: few.estimated });
      expect(few.estimated).toBeGreaterThan(4 * MEBIBYTE);
      expect(Math.abs(many.peak - few.peak)).toBeLessThan(5 * MEBIBYTE);
      // JavaScript's own heap moves by a few MiB.
      expect(many.peak).toBeLessThan(few.estimated + 8 * MEBIBYTE);
    });
  },
);
