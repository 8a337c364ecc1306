import { equalBytes } from "@cloister/encoding";
import { sha256 } from "@cloister/encoding/sha256";

// Merkle tree hashing and proof verification: RFC 6962, section 2.1; verification algorithms of RFC 9162, section 2.1.
// Tree sizes may exceed 32 bits, so halving is done by division and never by shifts.

export const HASH_BYTES = 32;
/** A tree of 2^53 leaves has paths of 53 hashes; no honest proof is longer than this. */
export const MAX_PROOF_HASHES = 64;

const half = (value: number): number => Math.floor(value / 2);
const isOdd = (value: number): boolean => value % 2 === 1;

/** Root of the tree without leaves: SHA-256 of the empty string. */
export const EMPTY_ROOT: Uint8Array = sha256(new Uint8Array(0));

/** SHA-256(0x00 || leaf). */
export function leafHash(leaf: Uint8Array): Uint8Array {
  const input = new Uint8Array(1 + leaf.length);
  input.set(leaf, 1);
  return sha256(input);
}

/** Filled anew for each node; nothing can come between filling and hashing. */
const nodeInput = new Uint8Array(1 + 2 * HASH_BYTES);
nodeInput[0] = 1;

/** SHA-256(0x01 || left || right), of two hashes of 32 bytes. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_BYTES);
  return sha256(nodeInput);
}

const areHashes = (path: readonly Uint8Array[]): boolean =>
  path.length <= MAX_PROOF_HASHES && path.every((item) => item.length === HASH_BYTES);

const isSize = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

/** Whether `path` proves that a leaf with hash `leaf` stands at `index` of the tree with `size` leaves and that root. */
export function verifyInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  path: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (!isSize(index) || !isSize(size) || index >= size || !areHashes(path)) return false;
  let node = index;
  let last = size - 1;
  let result = leaf;
  for (const sibling of path) {
    if (last === 0) return false;
    if (isOdd(node) || node === last) {
      result = nodeHash(sibling, result);
      while (!isOdd(node) && node !== 0) {
        node = half(node);
        last = half(last);
      }
    } else {
      result = nodeHash(result, sibling);
    }
    node = half(node);
    last = half(last);
  }
  return last === 0 && equalBytes(result, root);
}

export interface TreeHead {
  readonly size: number;
  readonly root: Uint8Array;
}

/** Whether `path` proves that the tree of `newer` starts with the tree of `older`. */
export function verifyConsistency(older: TreeHead, newer: TreeHead, path: readonly Uint8Array[]): boolean {
  if (!isSize(older.size) || !isSize(newer.size) || older.size > newer.size || !areHashes(path)) return false;
  if (older.size === newer.size) return path.length === 0 && equalBytes(older.root, newer.root);
  if (older.size === 0) return path.length === 0 && equalBytes(older.root, EMPTY_ROOT);
  let node = older.size - 1;
  let last = newer.size - 1;
  while (isOdd(node)) {
    node = half(node);
    last = half(last);
  }
  // An older tree that is a complete subtree of the newer one is its own starting point.
  const [first, ...rest] = node === 0 ? [older.root, ...path] : path;
  if (first === undefined) return false;
  let oldRoot = first;
  let newRoot = first;
  for (const sibling of rest) {
    if (last === 0) return false;
    if (isOdd(node) || node === last) {
      oldRoot = nodeHash(sibling, oldRoot);
      newRoot = nodeHash(sibling, newRoot);
      while (!isOdd(node) && node !== 0) {
        node = half(node);
        last = half(last);
      }
    } else {
      newRoot = nodeHash(newRoot, sibling);
    }
    node = half(node);
    last = half(last);
  }
  return last === 0 && equalBytes(oldRoot, older.root) && equalBytes(newRoot, newer.root);
}
