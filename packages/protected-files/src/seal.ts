import { concatBytes, type Secret } from "@cloister/encoding";
import { type FormatVersion, sealMetadata } from "./metadata.ts";
import { type NodeCipher, nodeCryptoCipher } from "./node-cipher.ts";
import { sealGroup } from "./nodes.ts";
import { bindPath } from "./path.ts";
import { type RandomSource, systemRandom } from "./random.ts";
import {
  childrenFirst,
  childrenOf,
  ENTRY_BYTES,
  groupOf,
  HEAD_BYTES,
  NODE_BYTES,
  treeShape,
  type TreeShape,
} from "./tree.ts";

export interface SealOptions {
  readonly wrapKey: Secret;
  /** Path under which the file will be opened: the host path of the mount, relative to where the runtime starts. */
  readonly boundPath: string;
  /** Default "1.0", which every Gramine since 1.0 reads. */
  readonly formatVersion?: FormatVersion | undefined;
  /** Default: the system's generator. It must never repeat: the format's IV is constant. */
  readonly random?: RandomSource | undefined;
  /** Default `node:crypto`'s; the rim's `nodeCipher` gives a faster one. */
  readonly cipher?: NodeCipher | undefined;
}

/**
 * The plaintext as a protected file, in memory. The path is bound in normal form. Throws WRAP_KEY_LENGTH, PATH_EMPTY,
 * PATH_TOO_LONG, PATH_MALFORMED, SIZE_OUT_OF_RANGE. Files too large for memory: `sealFileTo` in the rim.
 */
export function sealFile(plaintext: Uint8Array, options: SealOptions): Uint8Array {
  const { random = systemRandom, cipher = nodeCryptoCipher } = options;
  const boundPath = bindPath(options.boundPath).path;
  const shape = treeShape(plaintext.length);
  const sealed = new Uint8Array(shape.nodes * NODE_BYTES);
  const finished = new FinishedGroups<Uint8Array>(shape);
  for (const mht of childrenFirst(shape)) {
    const { offset, lengthBytes, sealedOffset, sealedBytes } = groupOf(shape, mht);
    const group = sealed.subarray(sealedOffset, sealedOffset + sealedBytes);
    group.set(plaintext.subarray(offset, offset + lengthBytes), NODE_BYTES);
    const children = concatBytes(...finished.takeChildren(mht));
    finished.add(mht, sealGroup(cipher, group, lengthBytes, children, random));
  }
  const head = plaintext.subarray(0, HEAD_BYTES);
  const metadata = { boundPath, sizeBytes: plaintext.length, rootEntry: finished.root ?? NO_ROOT, head };
  sealed.set(sealMetadata(metadata, options), 0);
  return sealed;
}

/** Root entry of a file without a tree. */
export const NO_ROOT: Uint8Array = new Uint8Array(ENTRY_BYTES);

/** Entries of groups that wait for their parent; at most 32 a level when groups come children first. */
export class FinishedGroups<Entry> {
  readonly #shape: TreeShape;
  readonly #entries = new Map<number, Entry>();

  constructor(shape: TreeShape) {
    this.#shape = shape;
  }

  add(mht: number, entry: Entry): void {
    this.#entries.set(mht, entry);
  }

  /** The entries of the children of `mht` in order; they are not kept. */
  takeChildren(mht: number): Entry[] {
    return childrenOf(this.#shape, mht).flatMap((child) => {
      const entry = this.#entries.get(child);
      this.#entries.delete(child);
      return entry === undefined ? [] : [entry];
    });
  }

  /** Entry of the root once it is there. */
  get root(): Entry | undefined {
    return this.#entries.get(0);
  }
}
