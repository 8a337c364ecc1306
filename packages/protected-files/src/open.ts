import type { Secret } from "@cloister/encoding";
import { ProtectedFileError } from "./errors.ts";
import { type Metadata, type MetadataHeader, openMetadata, parseMetadataHeader } from "./metadata.ts";
import { type NodeCipher, nodeCryptoCipher } from "./node-cipher.ts";
import { openGroup } from "./nodes.ts";
import { normalisePath } from "./path.ts";
import { allows, type Tolerance } from "./tolerance.ts";
import {
  childEntryOffset,
  childrenOf,
  ENTRY_BYTES,
  groupOf,
  HEAD_BYTES,
  NODE_BYTES,
  parentOf,
  treeShape,
  type TreeShape,
} from "./tree.ts";

/** In place of a bound path: open the file whatever path it is bound to. A host can then exchange files of one key. */
export const ANY_PATH: unique symbol = Symbol("any bound path");

export interface OpenOptions {
  readonly wrapKey: Secret;
  /** Path the file must be bound to; compared in normal form. */
  readonly boundPath: string | typeof ANY_PATH;
  /** What to let pass that is refused by default. */
  readonly tolerate?: readonly Tolerance[] | undefined;
  /** Default `node:crypto`'s; the rim's `nodeCipher` gives a faster one. */
  readonly cipher?: NodeCipher | undefined;
}

/** A file whose metadata verified; its tree has not been read yet. */
export interface OpenedMetadata {
  readonly header: MetadataHeader;
  readonly metadata: Metadata;
  readonly shape: TreeShape;
}

/**
 * Verifies node 0 of a file of `sealedBytes` bytes (`undefined` where the end is not known yet): everything that can be checked
 * before the tree is read, in the order in which Gramine checks it. Throws LENGTH_NOT_NODES, MAGIC_UNKNOWN, VERSION_UNSUPPORTED, METADATA_NOT_AUTHENTIC, PATH_MISMATCH,
 * PATH_NOT_NORMAL, TRUNCATED and the codes that `tolerate` can switch off.
 */
export function openNodeZero(node: Uint8Array, sealedBytes: number | undefined, options: OpenOptions): OpenedMetadata {
  if (sealedBytes !== undefined) checkSealedLength(sealedBytes);
  const header = parseMetadataHeader(node, options.tolerate);
  const metadata = openMetadata(header, options.wrapKey);
  checkPath(metadata.boundPath, options);
  const shape = treeShape(metadata.sizeBytes);
  const nodes = sealedBytes === undefined ? shape.nodes : sealedBytes / NODE_BYTES;
  if (nodes < shape.nodes) throw new ProtectedFileError("TRUNCATED");
  if (nodes > shape.nodes && !allows(options.tolerate, "appended-nodes"))
    throw new ProtectedFileError("NODES_APPENDED");
  return { header, metadata, shape };
}

/** A protected file is a positive whole number of nodes. Throws LENGTH_NOT_NODES. */
export function checkSealedLength(sealedBytes: number): void {
  if (sealedBytes <= 0 || sealedBytes % NODE_BYTES !== 0) throw new ProtectedFileError("LENGTH_NOT_NODES");
}

function checkPath(bound: string, options: OpenOptions): void {
  if (options.boundPath === ANY_PATH) return;
  const expected = normalisePath(options.boundPath);
  if (bound === expected) return;
  if (normalisePath(bound) !== expected) throw new ProtectedFileError("PATH_MISMATCH");
  if (!allows(options.tolerate, "raw-path")) throw new ProtectedFileError("PATH_NOT_NORMAL");
}

/**
 * The plaintext of a protected file in memory, all of it verified. Throws the codes of `openNodeZero`,
 * TREE_NODE_NOT_AUTHENTIC and DATA_NODE_NOT_AUTHENTIC; returns nothing then. Files too large for memory: `openFileTo` in the
 * rim, or `ProtectedFileReader`.
 */
export function openFile(sealed: Uint8Array, options: OpenOptions): Uint8Array {
  checkSealedLength(sealed.length);
  const { metadata, shape } = openNodeZero(sealed.subarray(0, NODE_BYTES), sealed.length, options);
  const { cipher = nodeCryptoCipher } = options;
  const plaintext = new Uint8Array(shape.sizeBytes);
  plaintext.set(metadata.head.subarray(0, Math.min(HEAD_BYTES, shape.sizeBytes)));
  const entries = new PendingEntries(metadata.rootEntry);
  for (let mht = 0; mht < shape.mhtNodes; mht += 1) {
    const { offset, lengthBytes, sealedOffset, sealedBytes } = groupOf(shape, mht);
    const nodes = sealed.subarray(sealedOffset, sealedOffset + sealedBytes);
    const node = openGroup(cipher, nodes, entries.take(mht), plaintext.subarray(offset, offset + lengthBytes));
    entries.add(mht, node, shape);
  }
  return plaintext;
}

/**
 * Entries of MHT nodes still to come when a file is read forward: 32 bytes for each 388 KiB at most, since every parent stands
 * before its children.
 */
export class PendingEntries {
  readonly #entries = new Map<number, Uint8Array>();

  constructor(rootEntry: Uint8Array) {
    this.#entries.set(0, rootEntry);
  }

  /** Keeps the entries of `mht`'s children, copied, so that the node itself can go. */
  add(mht: number, node: Uint8Array, shape: TreeShape): void {
    for (const child of childrenOf(shape, mht)) {
      const at = childEntryOffset(child);
      this.#entries.set(child, node.slice(at, at + ENTRY_BYTES));
    }
  }

  /** The entry of `mht`, whose parent has been added before. */
  take(mht: number): Uint8Array {
    const entry = this.#entries.get(mht);
    if (entry === undefined) throw new RangeError(`MHT node ${mht} before its parent ${parentOf(mht)}`);
    this.#entries.delete(mht);
    return entry;
  }
}
