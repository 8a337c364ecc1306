import { ProtectedFileError } from "./errors.ts";

// A file is metadata (node 0) and, past 3072 bytes of plaintext, a hash tree: each MHT node ("Merkle hash tree") holds key and
// tag of 96 data nodes and of 32 child MHT nodes. Every parent stands before its children and every MHT node before its data.

export const NODE_BYTES = 4096;
/** Key (16) and tag (16) of one node. */
export const ENTRY_BYTES = 32;
export const DATA_PER_MHT = 96;
const CHILDREN_PER_MHT = 32;
/** Plaintext bytes that live in the metadata node. */
export const HEAD_BYTES = 3072;
/** Plaintext bytes under one MHT node. */
export const GROUP_BYTES = DATA_PER_MHT * NODE_BYTES;
/** Nodes of a full group: the MHT node and its data nodes. */
const GROUP_NODES = DATA_PER_MHT + 1;
export const SEALED_GROUP_BYTES = GROUP_NODES * NODE_BYTES;
/** Largest plaintext: every position in the sealed file stays a safe integer. */
export const MAX_PLAINTEXT_BYTES = 2 ** 52;

/** How many nodes a plaintext of some size takes. */
export interface TreeShape {
  readonly sizeBytes: number;
  readonly dataNodes: number;
  readonly mhtNodes: number;
  /** All nodes, metadata included. */
  readonly nodes: number;
}

/** Shape for a plaintext size in bytes. Throws SIZE_OUT_OF_RANGE. */
export function treeShape(sizeBytes: number): TreeShape {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || sizeBytes > MAX_PLAINTEXT_BYTES) {
    throw new ProtectedFileError("SIZE_OUT_OF_RANGE");
  }
  const dataNodes = Math.max(0, Math.ceil((sizeBytes - HEAD_BYTES) / NODE_BYTES));
  const mhtNodes = Math.ceil(dataNodes / DATA_PER_MHT);
  return { sizeBytes, dataNodes, mhtNodes, nodes: 1 + dataNodes + mhtNodes };
}

/** Physical node number of MHT node `mht`. */
export function mhtNodeNumber(mht: number): number {
  return 1 + GROUP_NODES * mht;
}

/** Physical node number of data node `data`. */
export function dataNodeNumber(data: number): number {
  return data + 2 + Math.floor(data / DATA_PER_MHT);
}

/** MHT node above `mht` (which is not the root). */
export function parentOf(mht: number): number {
  return Math.floor((mht - 1) / CHILDREN_PER_MHT);
}

/** MHT nodes right below `mht` in a tree of this shape. */
export function childrenOf(shape: TreeShape, mht: number): number[] {
  const first = mht * CHILDREN_PER_MHT + 1;
  const count = Math.min(CHILDREN_PER_MHT, shape.mhtNodes - first);
  return Array.from({ length: Math.max(0, count) }, (_, index) => first + index);
}

/** Offset in an MHT node of the entry of its data node number `slot` (0..95). */
export function dataEntryOffset(slot: number): number {
  return slot * ENTRY_BYTES;
}

/** Offset in the parent of the entry of MHT node `mht` (which is not the root). */
export function childEntryOffset(mht: number): number {
  return (DATA_PER_MHT + ((mht - 1) % CHILDREN_PER_MHT)) * ENTRY_BYTES;
}

/** MHT nodes from the root down to `mht`, both included. */
export function pathFromRoot(mht: number): number[] {
  const path = [mht];
  for (let node = mht; node > 0;) {
    node = parentOf(node);
    path.unshift(node);
  }
  return path;
}

/** What one MHT node covers. */
export interface Group {
  readonly mht: number;
  /** First data node, and how many (1..96). */
  readonly firstData: number;
  readonly dataNodes: number;
  /** Where its plaintext starts, and how many bytes it has. */
  readonly offset: number;
  readonly lengthBytes: number;
  /** Where its nodes start in the sealed file (MHT node first, data nodes behind it), and how many bytes they have. */
  readonly sealedOffset: number;
  readonly sealedBytes: number;
}

/** The group of MHT node `mht` in a tree of this shape. */
export function groupOf(shape: TreeShape, mht: number): Group {
  const firstData = mht * DATA_PER_MHT;
  const offset = HEAD_BYTES + firstData * NODE_BYTES;
  const dataNodes = Math.min(DATA_PER_MHT, shape.dataNodes - firstData);
  return {
    mht,
    firstData,
    dataNodes,
    offset,
    lengthBytes: Math.min(GROUP_BYTES, shape.sizeBytes - offset),
    sealedOffset: mhtNodeNumber(mht) * NODE_BYTES,
    sealedBytes: (1 + dataNodes) * NODE_BYTES,
  };
}

/** MHT nodes in the order in which they stand in the file: every parent before its children. */
export function allGroups(shape: TreeShape): Iterable<number> {
  return Array(shape.mhtNodes).keys();
}

/**
 * MHT nodes in the order in which a writer can finish them: children before their parent. Depth first, so that at any time at
 * most 32 finished children a level wait for their parent, whatever the size of the file.
 */
export function* childrenFirst(shape: TreeShape, from = 0): Generator<number, void> {
  if (from >= shape.mhtNodes) return;
  for (const child of childrenOf(shape, from)) yield* childrenFirst(shape, child);
  yield from;
}
