/** How many drafts to verify next: twice as many after all were right, after a wrong one about as many as were right. */
export class DraftLength {
  readonly #most: number;
  #length: number;

  constructor(most: number, first = most) {
    this.#most = most;
    this.#length = Math.min(first, most);
  }

  get length(): number {
    return this.#length;
  }

  note(proposed: number, accepted: number): void {
    if (proposed === 0) return;
    this.#length = accepted === proposed ? Math.min(this.#most, this.#length * 2) : Math.max(1, accepted);
  }
}
