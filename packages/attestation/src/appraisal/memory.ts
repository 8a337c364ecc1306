import { concatBytes, toHex, utf8 } from "@cloister/encoding";
import { sha256, type Steps } from "./steps.ts";

/**
 * Results of verification by what was verified. Only successes are kept, and never a verdict about time: dates are
 * compared on every use. The oldest entry goes when it is full.
 */
export class Memory {
  readonly #entries = new Map<string, unknown>();
  readonly #maxEntries: number;

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  /**
   * The result of `make`, or that of an earlier call with the same kind and the same input bytes. Every input that the
   * result depends on must be among `inputs`.
   *
   * `make` should call a generator of its module, not be one: V8 keeps what a generator closure has used until the next
   * full collection, which fills the old generation and makes every collection long.
   */
  *recall<T>(kind: string, inputs: readonly Uint8Array[], make: () => Steps<T>): Steps<T> {
    const key = yield* keyOf(kind, inputs);
    const known = this.#entries.get(key);
    // A kind has one result type, so the cast holds.
    if (known !== undefined) return known as T;
    const made = yield* make();
    this.#set(key, made);
    return made;
  }

  /** What `keep` was given for the same kind and the same input bytes. */
  *find<T>(kind: string, inputs: readonly Uint8Array[]): Steps<T | undefined> {
    return this.#entries.get(yield* keyOf(kind, inputs)) as T | undefined;
  }

  /** Keeps a result whose inputs are verified: others could push out what is. */
  *keep(kind: string, inputs: readonly Uint8Array[], result: unknown): Steps<void> {
    this.#set(yield* keyOf(kind, inputs), result);
  }

  #set(key: string, result: unknown): void {
    if (this.#entries.size >= this.#maxEntries) this.#forgetOldest();
    this.#entries.set(key, result);
  }

  #forgetOldest(): void {
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}

function* keyOf(kind: string, inputs: readonly Uint8Array[]): Steps<string> {
  return `${kind}:${toHex(yield* sha256(framed(inputs)))}`;
}

/** The inputs with their lengths before them, so that no two lists give the same bytes. */
function framed(inputs: readonly Uint8Array[]): Uint8Array {
  const lengths = utf8(`${inputs.map(({ length }) => length).join(",")};`);
  return concatBytes(lengths, ...inputs);
}
