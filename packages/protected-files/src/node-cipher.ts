import { gcmDecrypt, gcmEncrypt, keyText } from "./gcm.ts";
import { KEY_BYTES } from "./kdf.ts";
import { ENTRY_BYTES, NODE_BYTES } from "./tree.ts";

/**
 * Encrypts and decrypts nodes of 4096 bytes that lie one after the other, each under the key in its entry of 32 bytes (key, then
 * tag). Input and output are of one length and either the same bytes or wholly different ones. Throws RangeError otherwise, before
 * it touches anything.
 */
export interface NodeCipher {
  /** What it calls: OpenSSL's C interface itself, or the module that wraps it. */
  readonly name: "openssl" | "node:crypto";
  /** Encrypts under the keys in `entries`, never used before, and puts the tags behind them. */
  readonly encrypt: (entries: Uint8Array, plaintext: Uint8Array, ciphertext: Uint8Array) => void;
  /** Whether every node matches the tag of its entry; where one does not, all of `plaintext` is zero. */
  readonly decrypt: (entries: Uint8Array, ciphertext: Uint8Array, plaintext: Uint8Array) => boolean;
}

/** How many nodes a call is about. Throws RangeError unless there are an entry, input and output for each. */
export function countNodes(entries: Uint8Array, input: Uint8Array, output: Uint8Array): number {
  const count = input.length / NODE_BYTES;
  if (!Number.isInteger(count) || output.length !== input.length || entries.length !== count * ENTRY_BYTES) {
    throw new RangeError("entries, input and output are not for the same number of whole nodes");
  }
  const isInPlace = input.buffer === output.buffer && input.byteOffset === output.byteOffset;
  if ((!isInPlace && overlap(input, output)) || overlap(entries, output)) {
    throw new RangeError("the output overlaps with what it is made from");
  }
  return count;
}

function overlap(one: Uint8Array, other: Uint8Array): boolean {
  return (
    one.buffer === other.buffer &&
    one.byteOffset < other.byteOffset + other.length &&
    other.byteOffset < one.byteOffset + one.length
  );
}

/** The cipher that every Node has: one object of `node:crypto` a node. */
export const nodeCryptoCipher: NodeCipher = {
  name: "node:crypto",

  encrypt: (entries, plaintext, ciphertext) => {
    const count = countNodes(entries, plaintext, ciphertext);
    const text = keyText(entries);
    for (let node = 0; node < count; node += 1) {
      const [at, from] = [node * NODE_BYTES, node * ENTRY_BYTES];
      const done = gcmEncrypt(text.slice(from, from + KEY_BYTES), plaintext.subarray(at, at + NODE_BYTES));
      ciphertext.set(done.ciphertext, at);
      entries.set(done.tag, from + KEY_BYTES);
    }
  },

  decrypt: (entries, ciphertext, plaintext) => {
    const count = countNodes(entries, ciphertext, plaintext);
    const text = keyText(entries);
    for (let node = 0; node < count; node += 1) {
      const [at, from] = [node * NODE_BYTES, node * ENTRY_BYTES];
      const key = text.slice(from, from + KEY_BYTES);
      const tag = entries.subarray(from + KEY_BYTES, from + ENTRY_BYTES);
      const done = gcmDecrypt(key, tag, ciphertext.subarray(at, at + NODE_BYTES));
      if (done === undefined) {
        plaintext.fill(0);
        return false;
      }
      plaintext.set(done, at);
    }
    return true;
  },
};
