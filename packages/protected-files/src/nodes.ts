import { ProtectedFileError } from "./errors.ts";
import { KEY_BYTES } from "./kdf.ts";
import { decryptNode, encryptNode, keyText } from "./node-cipher.ts";
import type { RandomSource } from "./random.ts";
import { DATA_PER_MHT, dataEntryOffset, ENTRY_BYTES, NODE_BYTES } from "./tree.ts";

// A group at a time: one MHT node and the 1 to 96 data nodes behind it, which lie together in the file.

/**
 * Encrypts a group. `plaintext` is what its data nodes hold (the last may be short), `children` the entries of its child MHT
 * nodes one after the other (none in most groups); `sealed` receives the MHT node and the data nodes. Gives the group's own
 * entry of 32 bytes, for its parent.
 */
export function sealGroup(
  plaintext: Uint8Array,
  children: Uint8Array,
  sealed: Uint8Array,
  random: RandomSource,
): Uint8Array {
  const mht = new Uint8Array(NODE_BYTES);
  sealDataNodes(plaintext, sealed.subarray(NODE_BYTES), mht, random);
  mht.set(children, DATA_PER_MHT * ENTRY_BYTES);
  const key = random(KEY_BYTES);
  const { ciphertext, tag } = encryptNode(keyText(key), mht);
  sealed.set(ciphertext);
  const entry = new Uint8Array(ENTRY_BYTES);
  entry.set(key);
  entry.set(tag, KEY_BYTES);
  return entry;
}

/** One draw of random bytes for all keys. */
function sealDataNodes(plaintext: Uint8Array, sealed: Uint8Array, mht: Uint8Array, random: RandomSource): void {
  const count = Math.ceil(plaintext.length / NODE_BYTES);
  const keys = random(count * KEY_BYTES);
  const text = keyText(keys);
  for (let slot = 0; slot < count; slot += 1) {
    const at = slot * NODE_BYTES;
    const from = slot * KEY_BYTES;
    const node = wholeNode(plaintext.subarray(at, at + NODE_BYTES));
    const { ciphertext, tag } = encryptNode(text.slice(from, from + KEY_BYTES), node);
    sealed.set(ciphertext, at);
    mht.set(keys.subarray(from, from + KEY_BYTES), dataEntryOffset(slot));
    mht.set(tag, dataEntryOffset(slot) + KEY_BYTES);
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
 * Decrypts a group (its MHT node and data nodes) under its own entry into `plaintext`, whose length says how much of it there
 * is, and gives the verified MHT node. Throws TREE_NODE_NOT_AUTHENTIC, and DATA_NODE_NOT_AUTHENTIC as `openDataNodes`.
 */
export function openGroup(sealed: Uint8Array, entry: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const mht = openMhtNode(sealed.subarray(0, NODE_BYTES), entry);
  openDataNodes(sealed.subarray(NODE_BYTES), mht, plaintext);
  return mht;
}

/**
 * Decrypts consecutive data nodes into `plaintext`, whose length says how much of them is wanted. `entries` starts with the
 * entry of the first. Throws DATA_NODE_NOT_AUTHENTIC; `plaintext` then holds only verified bytes before the bad node.
 */
export function openDataNodes(sealed: Uint8Array, entries: Uint8Array, plaintext: Uint8Array): void {
  const text = keyText(entries);
  for (let at = 0, from = 0; at < plaintext.length; at += NODE_BYTES, from += ENTRY_BYTES) {
    const key = text.slice(from, from + KEY_BYTES);
    const tag = entries.subarray(from + KEY_BYTES, from + ENTRY_BYTES);
    const node = decryptNode(key, tag, sealed.subarray(at, at + NODE_BYTES));
    if (node === undefined) throw new ProtectedFileError("DATA_NODE_NOT_AUTHENTIC");
    const wanted = plaintext.length - at;
    plaintext.set(wanted < NODE_BYTES ? node.subarray(0, wanted) : node, at);
  }
}

/** Verified entries of an MHT node (4096 bytes). Throws TREE_NODE_NOT_AUTHENTIC. */
export function openMhtNode(sealed: Uint8Array, entry: Uint8Array): Uint8Array {
  const mht = decryptNode(keyText(entry.subarray(0, KEY_BYTES)), entry.subarray(KEY_BYTES), sealed);
  if (mht === undefined) throw new ProtectedFileError("TREE_NODE_NOT_AUTHENTIC");
  return mht;
}
