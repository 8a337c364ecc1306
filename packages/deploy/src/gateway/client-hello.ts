/** What the first bytes of a TLS connection say: the server name, no name, too few bytes yet, or that they are no ClientHello. */
export type ClientHello =
  | { readonly kind: "name"; readonly serverName: string }
  | { readonly kind: "no-name" }
  | { readonly kind: "more" }
  | { readonly kind: "invalid" };

const MORE: ClientHello = { kind: "more" };
const INVALID: ClientHello = { kind: "invalid" };

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME_EXTENSION = 0;
const HOST_NAME = 0;
const RECORD_HEADER_BYTES = 5;
const MAX_RECORD_BYTES = 1 << 14;
/** More than any client sends; a hello may span records. */
export const MAX_HELLO_BYTES = 1 << 15;
const MAX_NAME_BYTES = 253;

/**
 * Reads the server name out of the start of a TLS connection without taking part in it (RFC 8446 sections 4.1.2 and 5.1, RFC 6066
 * section 3). All of it is the attacker's: lengths are bounded, nothing is kept.
 */
export function readClientHello(bytes: Uint8Array): ClientHello {
  if (bytes.length > MAX_HELLO_BYTES) return INVALID;
  const handshake = joinRecords(bytes);
  if (handshake === undefined) return INVALID;
  if (handshake.length < 4) return MORE;
  if (handshake[0] !== CLIENT_HELLO) return INVALID;
  const length = uint(handshake, 1, 3);
  if (length > MAX_HELLO_BYTES) return INVALID;
  if (handshake.length < 4 + length) return MORE;
  try {
    return readName(new Fields(handshake.subarray(4, 4 + length)));
  } catch (error) {
    if (error instanceof RangeError) return INVALID;
    throw error;
  }
}

/** The content of the handshake records that are there, the last maybe in part; `undefined` where there is another kind of record. */
function joinRecords(bytes: Uint8Array): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    if (bytes[at] !== HANDSHAKE_RECORD || (at + 1 < bytes.length && bytes[at + 1] !== 3)) return undefined;
    if (at + RECORD_HEADER_BYTES > bytes.length) break;
    const length = uint(bytes, at + 3, 2);
    if (length === 0 || length > MAX_RECORD_BYTES) return undefined;
    parts.push(bytes.subarray(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + length));
    at += RECORD_HEADER_BYTES + length;
  }
  return Buffer.concat(parts);
}

function readName(hello: Fields): ClientHello {
  hello.skip(2 + 32);
  hello.vector(1);
  hello.vector(2);
  hello.vector(1);
  if (hello.isAtEnd) return { kind: "no-name" };
  const extensions = new Fields(hello.vector(2));
  while (!extensions.isAtEnd) {
    const type = extensions.number(2);
    const content = extensions.vector(2);
    if (type !== SERVER_NAME_EXTENSION) continue;
    const names = new Fields(new Fields(content).vector(2));
    while (!names.isAtEnd) {
      const nameType = names.number(1);
      const name = names.vector(2);
      if (nameType === HOST_NAME) return hostName(name);
    }
  }
  return { kind: "no-name" };
}

function hostName(bytes: Uint8Array): ClientHello {
  const name = Buffer.from(bytes).toString("latin1").toLowerCase();
  const isValid = name.length <= MAX_NAME_BYTES && /^[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?$/.test(name);
  return isValid ? { kind: "name", serverName: name } : INVALID;
}

/** Reads fields one after the other; a field that reaches over the end is a RangeError. */
class Fields {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  skip(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError("field reaches over the end");
    const field = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return field;
  }

  number(length: number): number {
    return uint(this.skip(length), 0, length);
  }

  /** A field behind its length, which takes `lengthBytes`. */
  vector(lengthBytes: number): Uint8Array {
    return this.skip(this.number(lengthBytes));
  }
}

function uint(bytes: Uint8Array, at: number, length: number): number {
  let value = 0;
  for (let index = 0; index < length; index++) value = value * 256 + (bytes[at + index] ?? 0);
  return value;
}
