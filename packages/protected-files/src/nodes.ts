import { concatBytes } from "@cloister/encoding";
import { ProtectedFileError } from "./errors.ts";
import { KEY_BYTES } from "./kdf.ts";
import { decryptNode, encryptNode, keyText } from "./node-cipher.ts";
import type { RandomSource } from "./random.ts";
import { DATA_PER_MHT, dataEntryOffset, ENTRY_BYTES, NODE_BYTES } from "./tree.ts";

// A group at a time: one MHT node and the 1 to 96 data nodes behind it, which lie together in the file. Nodes are handed on as
// the cipher made them, one array each, and gathered by the write: nothing is copied together first.

/** An encrypted group. */
export interface SealedGroup {
  /** Key and tag of its MHT node, 32 bytes, for its parent. */
  readonly entry: Uint8Array<ArrayBuffer>;
  /** The MHT node and the data nodes, 4096 bytes each, in the order in which they lie in the file. */
  readonly nodes: readonly Uint8Array[];
}

/** A decrypted group, verified. */
export interface OpenedGroup {
  /** Its MHT node, 4096 bytes. */
  readonly mht: Uint8Array;
  /** Its plaintext in order, at most 4096 bytes each. */
  readonly plaintext: readonly Uint8Array[];
}

/**
 * Encrypts a group. `plaintext` is what its data nodes hold (the last may be short), `children` the entries of its child MHT
 * nodes one after the other (none in most groups).
 */
export function sealGroup(plaintext: Uint8Array, children: Uint8Array, random: RandomSource): SealedGroup {
  const mht = new Uint8Array(NODE_BYTES);
  const data = sealDataNodes(plaintext, mht, random);
  mht.set(children, DATA_PER_MHT * ENTRY_BYTES);
  const key = random(KEY_BYTES);
  const { ciphertext, tag } = encryptNode(keyText(key), mht);
  const entry = new Uint8Array(ENTRY_BYTES);
  entry.set(key);
  entry.set(tag, KEY_BYTES);
  return { entry, nodes: [ciphertext, ...data] };
}

/** Writes the entries of the nodes into `mht`. One draw of random bytes for all keys. */
function sealDataNodes(plaintext: Uint8Array, mht: Uint8Array, random: RandomSource): Uint8Array[] {
  const count = Math.ceil(plaintext.length / NODE_BYTES);
  const keys = random(count * KEY_BYTES);
  const text = keyText(keys);
  const nodes: Uint8Array[] = [];
  for (let slot = 0; slot < count; slot += 1) {
    const at = slot * NODE_BYTES;
    const from = slot * KEY_BYTES;
    const node = wholeNode(plaintext.subarray(at, at + NODE_BYTES));
    const { ciphertext, tag } = encryptNode(text.slice(from, from + KEY_BYTES), node);
    nodes.push(ciphertext);
    mht.set(keys.subarray(from, from + KEY_BYTES), dataEntryOffset(slot));
    mht.set(tag, dataEntryOffset(slot) + KEY_BYTES);
  }
  return nodes;
}

/** The last data node is zero filled and encrypted as a whole. */
function wholeNode(bytes: Uint8Array): Uint8Array {
  if (bytes.length === NODE_BYTES) return bytes;
  const node = new Uint8Array(NODE_BYTES);
  node.set(bytes);
  return node;
}

/**
 * Decrypts a group (its MHT node and data nodes) under its own entry; `lengthBytes` says how much plaintext it holds. Throws
 * TREE_NODE_NOT_AUTHENTIC and DATA_NODE_NOT_AUTHENTIC, and gives nothing then.
 */
export function openGroup(sealed: Uint8Array, entry: Uint8Array, lengthBytes: number): OpenedGroup {
  const mht = openMhtNode(sealed.subarray(0, NODE_BYTES), entry);
  return { mht, plaintext: openDataNodes(sealed.subarray(NODE_BYTES), mht, lengthBytes) };
}

/**
 * The first `lengthBytes` bytes of plaintext of consecutive data nodes, an array for each node. `entries` starts with the entry
 * of the first. Throws DATA_NODE_NOT_AUTHENTIC, and gives nothing then.
 */
export function openDataNodes(sealed: Uint8Array, entries: Uint8Array, lengthBytes: number): Uint8Array[] {
  const text = keyText(entries);
  const plaintext: Uint8Array[] = [];
  for (let at = 0, from = 0; at < lengthBytes; at += NODE_BYTES, from += ENTRY_BYTES) {
    const key = text.slice(from, from + KEY_BYTES);
    const tag = entries.subarray(from + KEY_BYTES, from + ENTRY_BYTES);
    const node = decryptNode(key, tag, sealed.subarray(at, at + NODE_BYTES));
    if (node === undefined) throw new ProtectedFileError("DATA_NODE_NOT_AUTHENTIC");
    plaintext.push(lengthBytes - at < NODE_BYTES ? node.subarray(0, lengthBytes - at) : node);
  }
  return plaintext;
}

/**
 * Encrypts a group anew: every node under a fresh key. `children` are the new entries of its child MHT nodes. Throws as
 * `openGroup`.
 */
export function resealGroup(
  sealed: Uint8Array,
  entry: Uint8Array,
  lengthBytes: number,
  children: Uint8Array,
  random: RandomSource,
): SealedGroup {
  return sealGroup(concatBytes(...openGroup(sealed, entry, lengthBytes).plaintext), children, random);
}

/** Puts arrays one after the other into `into`, from `offset`. */
export function gather(parts: readonly Uint8Array[], into: Uint8Array, offset = 0): void {
  let at = offset;
  for (const part of parts) {
    into.set(part, at);
    at += part.length;
  }
}

/** Verified entries of an MHT node (4096 bytes). Throws TREE_NODE_NOT_AUTHENTIC. */
export function openMhtNode(sealed: Uint8Array, entry: Uint8Array): Uint8Array {
  const mht = decryptNode(keyText(entry.subarray(0, KEY_BYTES)), entry.subarray(KEY_BYTES), sealed);
  if (mht === undefined) throw new ProtectedFileError("TREE_NODE_NOT_AUTHENTIC");
  return mht;
}
