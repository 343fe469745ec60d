import type { Metric } from "./metric.js";

/** 1 where the answer is one of the references, letter by letter but for white space around it. */
export const exactMatch: Metric = {
  name: "exact",
  higherIsBetter: true,
  unit: "of 1",
  perSample: (answer, references) => {
    const text = answer.trim();
    return references.some((reference) => reference.trim() === text) ? 1 : 0;
  },
  corpus: null,
};
