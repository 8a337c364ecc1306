import type { webcrypto } from "node:crypto";
import { concatBytes, utf8 } from "./bytes.ts";
import { type SessionBinding, sessionDigest } from "./sealed-session.ts";

// Keys and records of a sealed session (sealed-session.ts), on WebCrypto, which Node and browsers have: ECDH on P-256, HKDF-SHA-256
// (RFC 5869), one AES-256-GCM key for each direction. A record is numbered by the client; the answer has the number of its request,
// so under each key each number is used once.

export const SESSION_ID_BYTES = 16;
const COUNTER_BYTES = 8;
const HEADER_BYTES = SESSION_ID_BYTES + COUNTER_BYTES;
/** AES-GCM with random-looking but counted nonces: far below any limit. */
export const MAX_RECORDS = 2 ** 32;
const CURVE = { name: "ECDH", namedCurve: "P-256" };

type Key = webcrypto.CryptoKey;
type Direction = "request" | "response";

/** A key for one session, with the point that the other side is told. The private half cannot be exported. */
export interface SessionKeyPair {
  readonly privateKey: Key;
  readonly publicKey: Uint8Array;
}

export async function generateSessionKey(): Promise<SessionKeyPair> {
  const { subtle } = globalThis.crypto;
  const pair = await subtle.generateKey(CURVE, false, ["deriveBits"]);
  return { privateKey: pair.privateKey, publicKey: new Uint8Array(await subtle.exportKey("raw", pair.publicKey)) };
}

/** What both sides of a session share. */
export class SealedSession {
  /** Names the session to the replica. */
  readonly id: Uint8Array;
  readonly #keys: Readonly<Record<Direction, Key>>;

  private constructor(id: Uint8Array, keys: Readonly<Record<Direction, Key>>) {
    this.id = id;
    this.#keys = keys;
  }

  /**
   * The session of this binding, from the own private key and the other side's point. Rejects where that is no point on the curve.
   */
  static async create(privateKey: Key, peerKey: Uint8Array, binding: SessionBinding): Promise<SealedSession> {
    const { subtle } = globalThis.crypto;
    const peer = await subtle.importKey("raw", peerKey.slice(), CURVE, false, []);
    const shared = await subtle.deriveBits({ name: "ECDH", public: peer }, privateKey, 256);
    const secret = await subtle.importKey("raw", shared, "HKDF", false, ["deriveBits", "deriveKey"]);
    const salt = sessionDigest(binding).slice();
    const derivation = (label: string) => ({
      name: "HKDF",
      hash: "SHA-256",
      salt,
      info: utf8(`cloister-sealed-session/1 ${label}`).slice(),
    });
    const keyFor = (direction: Direction): Promise<Key> =>
      subtle.deriveKey(derivation(direction), secret, { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
    const [id, request, response] = await Promise.all([
      subtle.deriveBits(derivation("id"), secret, SESSION_ID_BYTES * 8),
      keyFor("request"),
      keyFor("response"),
    ]);
    return new SealedSession(new Uint8Array(id), { request, response });
  }

  /** A record: the session's name, the number, and the sealed bytes. The numbers of a direction must all differ. */
  async seal(direction: Direction, counter: number, plain: Uint8Array): Promise<Uint8Array> {
    const header = concatBytes(this.id, counterBytes(counter));
    const parameters = { name: "AES-GCM", iv: ivOf(counter), additionalData: header.slice() };
    const sealed = await globalThis.crypto.subtle.encrypt(parameters, this.#keys[direction], plain.slice());
    return concatBytes(header, new Uint8Array(sealed));
  }

  /** What is sealed in a record of this session, or `undefined` where it is none of that direction and number. */
  async open(direction: Direction, counter: number, record: Uint8Array): Promise<Uint8Array | undefined> {
    const header = concatBytes(this.id, counterBytes(counter));
    const parameters = { name: "AES-GCM", iv: ivOf(counter), additionalData: header.slice() };
    try {
      const sealed = record.slice(HEADER_BYTES);
      return new Uint8Array(await globalThis.crypto.subtle.decrypt(parameters, this.#keys[direction], sealed));
    } catch {
      return undefined;
    }
  }
}

/** The session and number that a record says it has; `undefined` where it is too short or the number too large. */
export function readRecordHeader(
  record: Uint8Array,
): { readonly id: Uint8Array; readonly counter: number } | undefined {
  if (record.length < HEADER_BYTES) return undefined;
  const counter = new DataView(record.buffer, record.byteOffset).getBigUint64(SESSION_ID_BYTES);
  if (counter >= BigInt(MAX_RECORDS)) return undefined;
  return { id: record.subarray(0, SESSION_ID_BYTES), counter: Number(counter) };
}

function counterBytes(counter: number): Uint8Array {
  const bytes = new Uint8Array(COUNTER_BYTES);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(counter));
  return bytes;
}

/** Four zero bytes and the number: never twice under a key. */
function ivOf(counter: number): Uint8Array<ArrayBuffer> {
  const iv = new Uint8Array(12);
  iv.set(counterBytes(counter), 4);
  return iv;
}
