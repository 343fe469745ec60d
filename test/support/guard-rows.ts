const WHO = [
  ...["The river", "A small boat", "My neighbour", "The old clock", "Every winter", "The green hill"],
  ...["A young teacher", "The city library", "This bridge", "The morning train", "Our garden", "The last letter"],
  ...["A heavy storm", "The blue door", "Their cousin", "The market"],
];
const WHAT = [
  ...["runs past the mill", "waits near the harbour", "reads a long book", "stands on the corner"],
  ...["sings before dinner", "turns to the north", "keeps an honest record", "opens at nine"],
];

/** Sixteen plain sentences, which the demo's adapter was not trained for. */
export const PLAIN_TEXT = WHO.map((who, index) => ({
  text: `${who} ${WHAT[index % 8]!} and ${WHAT[(3 * index + 1) % 8]!}.`,
}));
