/** What a step costs beside its tokens is shared by the sequences in it: this many drafts are worth it for one alone. */
const SHARED = 64;
/** More are wrong too often, however few sequences there are. */
const LEAST = 8;

/**
 * How many drafts to verify next: twice as many after all were right, after a wrong one about as many as were right, but the
 * more, the fewer sequences share a step.
 */
export class DraftLength {
  readonly #most: number;
  #length: number;

  constructor(most: number, first = most) {
    this.#most = most;
    this.#length = Math.min(first, most);
  }

  /** @param sequences that are being written */
  among(sequences: number): number {
    return Math.max(this.#length, Math.min(this.#most, LEAST, Math.floor(SHARED / sequences)));
  }

  note(proposed: number, accepted: number): void {
    if (proposed === 0) return;
    const allRight = accepted >= Math.min(proposed, this.#length);
    this.#length = allRight ? Math.min(this.#most, this.#length * 2) : Math.max(1, accepted);
  }
}
