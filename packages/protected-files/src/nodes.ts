import { ProtectedFileError } from "./errors.ts";
import { KEY_BYTES } from "./kdf.ts";
import type { NodeCipher } from "./node-cipher.ts";
import type { RandomSource } from "./random.ts";
import { DATA_PER_MHT, ENTRY_BYTES, NODE_BYTES } from "./tree.ts";

// A group at a time: one MHT node and the 1 to 96 data nodes behind it, which lie together in the file. It is encrypted where it
// lies, so that a buffer is read into, worked on and written from.

/**
 * Encrypts a group in place and gives key and tag of its MHT node, 32 bytes, for its parent. `group` is room for the MHT node,
 * then the plaintext of whole data nodes, of which the first `lengthBytes` bytes count and the rest becomes zero. `children` are
 * the entries of its child MHT nodes one after the other (none in most groups). Where it throws, `group` is of no use.
 */
export function sealGroup(
  cipher: NodeCipher,
  group: Uint8Array,
  lengthBytes: number,
  children: Uint8Array,
  random: RandomSource,
): Uint8Array<ArrayBuffer> {
  const [mht, data] = [group.subarray(0, NODE_BYTES), group.subarray(NODE_BYTES)];
  data.fill(0, lengthBytes);
  const entries = mht.fill(0).subarray(0, entriesBytes(data.length));
  putKeys(random((data.length / NODE_BYTES) * KEY_BYTES), entries);
  cipher.encrypt(entries, data, data);
  mht.set(children, DATA_PER_MHT * ENTRY_BYTES);
  const entry = new Uint8Array(ENTRY_BYTES);
  putKeys(random(KEY_BYTES), entry);
  cipher.encrypt(entry, mht, mht);
  return entry;
}

/** Bytes of the entries of so many bytes of nodes. */
function entriesBytes(nodesBytes: number): number {
  return (nodesBytes / NODE_BYTES) * ENTRY_BYTES;
}

/** A key into the first half of each entry. Byte by byte: a view for each key takes longer than its 16 bytes. */
function putKeys(keys: Uint8Array, entries: Uint8Array): void {
  for (let at = 0; at < keys.length; at += 1) {
    const within = at % KEY_BYTES;
    entries[(at - within) * (ENTRY_BYTES / KEY_BYTES) + within] = keys[at] ?? 0;
  }
}

/**
 * Decrypts a group (its MHT node and data nodes) under its own entry into `plaintext`, which is as long as what it holds or as its
 * data nodes, and may be those themselves. Gives its MHT node. Throws TREE_NODE_NOT_AUTHENTIC and DATA_NODE_NOT_AUTHENTIC;
 * `plaintext` is zero then, or as before.
 */
export function openGroup(
  cipher: NodeCipher,
  sealed: Uint8Array,
  entry: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  const mht = openMhtNode(cipher, sealed.subarray(0, NODE_BYTES), entry);
  openDataNodes(cipher, sealed.subarray(NODE_BYTES), mht, plaintext);
  return mht;
}

/**
 * Fills `plaintext` with the first bytes of consecutive data nodes. `entries` starts with the entry of the first. Throws
 * DATA_NODE_NOT_AUTHENTIC; `plaintext` is zero then.
 */
export function openDataNodes(
  cipher: NodeCipher,
  sealed: Uint8Array,
  entries: Uint8Array,
  plaintext: Uint8Array,
): void {
  const wholeBytes = plaintext.length - (plaintext.length % NODE_BYTES);
  const entriesOfWhole = entriesBytes(wholeBytes);
  const isAuthentic =
    cipher.decrypt(
      entries.subarray(0, entriesOfWhole),
      sealed.subarray(0, wholeBytes),
      plaintext.subarray(0, wholeBytes),
    ) &&
    openLastNode(cipher, sealed.subarray(wholeBytes), entries.subarray(entriesOfWhole), plaintext.subarray(wholeBytes));
  if (isAuthentic) return;
  plaintext.fill(0);
  throw new ProtectedFileError("DATA_NODE_NOT_AUTHENTIC");
}

/** A node of which only the first bytes are asked for, if any, and whether it is authentic. */
function openLastNode(cipher: NodeCipher, sealed: Uint8Array, entries: Uint8Array, plaintext: Uint8Array): boolean {
  if (plaintext.length === 0) return true;
  const node = new Uint8Array(NODE_BYTES);
  const isAuthentic = cipher.decrypt(entries.subarray(0, ENTRY_BYTES), sealed.subarray(0, NODE_BYTES), node);
  plaintext.set(node.subarray(0, plaintext.length));
  return isAuthentic;
}

/**
 * Encrypts a group anew in place: every node under a fresh key. `children` are the new entries of its child MHT nodes. Throws as
 * `openGroup`.
 */
export function resealGroup(
  cipher: NodeCipher,
  group: Uint8Array,
  entry: Uint8Array,
  lengthBytes: number,
  children: Uint8Array,
  random: RandomSource,
): Uint8Array<ArrayBuffer> {
  openGroup(cipher, group, entry, group.subarray(NODE_BYTES));
  return sealGroup(cipher, group, lengthBytes, children, random);
}

/** Verified entries of an MHT node (4096 bytes). Throws TREE_NODE_NOT_AUTHENTIC. */
export function openMhtNode(cipher: NodeCipher, sealed: Uint8Array, entry: Uint8Array): Uint8Array {
  const mht = new Uint8Array(NODE_BYTES);
  if (!cipher.decrypt(entry, sealed, mht)) throw new ProtectedFileError("TREE_NODE_NOT_AUTHENTIC");
  return mht;
}
