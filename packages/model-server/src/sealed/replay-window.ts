/** How far below the highest number a record may still come: requests overtake each other on several connections. */
const WINDOW = 1024;

/** Takes each number once, in about the order in which they are given out. */
export class ReplayWindow {
  readonly #seen = new Set<number>();
  #highest = -1;

  /** Whether the number may still come. */
  isFresh(counter: number): boolean {
    return counter > this.#highest - WINDOW && !this.#seen.has(counter);
  }

  /** Marks a number; false where it came before. Only for records that were opened, so that strangers use none up. */
  tryTake(counter: number): boolean {
    if (!this.isFresh(counter)) return false;
    this.#seen.add(counter);
    if (counter > this.#highest) this.#forgetUntil(counter - WINDOW);
    this.#highest = Math.max(this.#highest, counter);
    return true;
  }

  #forgetUntil(limit: number): void {
    for (const counter of this.#seen) if (counter <= limit) this.#seen.delete(counter);
  }
}
