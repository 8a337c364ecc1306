/** What `node:util` calls `inspect.custom`. The symbol is global, so this file needs no module of Node's. */
const INSPECT: unique symbol = Symbol.for("nodejs.util.inspect.custom");

const REDACTED = "[secret]";

/**
 * Bytes that must never be printed: keys, private keys, secrets on their way to an enclave. Interpolation, JSON, inspection
 * and structured cloning all yield nothing of the content; `reveal()` is the one way in, and easy to search for.
 */
export class Secret {
  readonly #bytes: Uint8Array;
  /** Says what it is (for example "model key"), never its content. */
  readonly label: string;

  /** Takes ownership of `bytes`: the caller must not keep or change them. */
  constructor(bytes: Uint8Array, label: string) {
    this.#bytes = bytes;
    this.label = label;
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** The secret itself, not a copy: do not store, log or send it anywhere but where it has to go. */
  reveal(): Uint8Array {
    return this.#bytes;
  }

  /** Overwrites the bytes with zeros. Copies that V8 or a library made are out of reach. */
  wipe(): void {
    this.#bytes.fill(0);
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [INSPECT](): string {
    return `${REDACTED} (${this.label})`;
  }
}
