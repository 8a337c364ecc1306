import { ProtectedFileError } from "./errors.ts";
import { KEY_BYTES } from "./kdf.ts";
import { decryptNode, encryptNode } from "./node-cipher.ts";
import type { RandomSource } from "./random.ts";
import { ENTRY_BYTES, NODE_BYTES } from "./tree.ts";

// Data nodes of one group, a whole group at a time: one draw of random bytes, no object per node beyond the cipher.

/**
 * Encrypts 1 to 96 data nodes. `plaintext` is what they hold (the last may be short), `sealed` receives the nodes one after
 * the other, `mht` (4096 bytes) their entries from slot 0.
 */
export function sealDataNodes(plaintext: Uint8Array, sealed: Uint8Array, mht: Uint8Array, random: RandomSource): void {
  const count = Math.ceil(plaintext.length / NODE_BYTES);
  const keys = random(count * KEY_BYTES);
  for (let slot = 0; slot < count; slot += 1) {
    const at = slot * NODE_BYTES;
    const key = keys.subarray(slot * KEY_BYTES, (slot + 1) * KEY_BYTES);
    const { ciphertext, tag } = encryptNode(key, wholeNode(plaintext.subarray(at, at + NODE_BYTES)));
    sealed.set(ciphertext, at);
    mht.set(key, slot * ENTRY_BYTES);
    mht.set(tag, slot * ENTRY_BYTES + KEY_BYTES);
  }
}

/** The last data node is zero filled and encrypted as a whole. */
function wholeNode(bytes: Uint8Array): Uint8Array {
  if (bytes.length === NODE_BYTES) return bytes;
  const node = new Uint8Array(NODE_BYTES);
  node.set(bytes);
  return node;
}

/**
 * Decrypts consecutive data nodes into `plaintext`, whose length says how much of them is wanted. `entries` starts with the
 * entry of the first. Throws DATA_NODE_NOT_AUTHENTIC; `plaintext` then holds only verified bytes before the bad node.
 */
export function openDataNodes(sealed: Uint8Array, entries: Uint8Array, plaintext: Uint8Array): void {
  for (let at = 0, slot = 0; at < plaintext.length; at += NODE_BYTES, slot += 1) {
    const entry = entries.subarray(slot * ENTRY_BYTES, (slot + 1) * ENTRY_BYTES);
    const node = decryptEntry(entry, sealed.subarray(at, at + NODE_BYTES));
    if (node === undefined) throw new ProtectedFileError("DATA_NODE_NOT_AUTHENTIC");
    const wanted = plaintext.length - at;
    plaintext.set(wanted < NODE_BYTES ? node.subarray(0, wanted) : node, at);
  }
}

/** Encrypts an MHT node (4096 bytes) and gives its own entry of 32 bytes. */
export function sealMhtNode(mht: Uint8Array, random: RandomSource): { sealed: Uint8Array; entry: Uint8Array } {
  const key = random(KEY_BYTES);
  const { ciphertext, tag } = encryptNode(key, mht);
  const entry = new Uint8Array(ENTRY_BYTES);
  entry.set(key);
  entry.set(tag, KEY_BYTES);
  return { sealed: ciphertext, entry };
}

/** Verified entries of an MHT node (4096 bytes). Throws TREE_NODE_NOT_AUTHENTIC. */
export function openMhtNode(sealed: Uint8Array, entry: Uint8Array): Uint8Array {
  const mht = decryptEntry(entry, sealed);
  if (mht === undefined) throw new ProtectedFileError("TREE_NODE_NOT_AUTHENTIC");
  return mht;
}

function decryptEntry(entry: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
  return decryptNode(entry.subarray(0, KEY_BYTES), entry.subarray(KEY_BYTES), sealed);
}
