/** The pings of one connection that are not answered yet. */
export class Pings {
  readonly #waiting = new Map<number, () => void>();
  #count = 0;

  /** The eight bytes of a new ping. */
  add(onAnswer: () => void): Uint8Array {
    const opaque = new Uint8Array(8);
    this.#count++;
    new DataView(opaque.buffer).setUint32(0, this.#count);
    this.#waiting.set(this.#count, onAnswer);
    return opaque;
  }

  /** Answers that belong to no ping are nothing. */
  answered(opaque: Uint8Array): void {
    const number = new DataView(opaque.buffer, opaque.byteOffset).getUint32(0);
    const onAnswer = this.#waiting.get(number);
    this.#waiting.delete(number);
    onAnswer?.();
  }
}
