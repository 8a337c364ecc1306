/**
 * Seconds that calls were worked on, those that run now included: two calls over one second are two. Its rate is how many calls
 * ran on average, which one look at how many run now cannot tell.
 */
export class CallSeconds {
  readonly #now: () => number;
  #running = 0;
  #seconds = 0;
  #since: number;

  /** `now` in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#since = now();
  }

  /** A call more or less from now on. */
  add(calls: 1 | -1): void {
    this.#seconds = this.total;
    this.#since = this.#now();
    this.#running += calls;
  }

  get total(): number {
    return this.#seconds + (this.#running * (this.#now() - this.#since)) / 1000;
  }
}
