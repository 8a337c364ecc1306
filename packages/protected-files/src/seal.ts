import type { Secret } from "@cloister/encoding";
import { type FormatVersion, sealMetadata } from "./metadata.ts";
import { sealDataNodes, sealMhtNode } from "./nodes.ts";
import { bindPath } from "./path.ts";
import { type RandomSource, systemRandom } from "./random.ts";
import {
  childEntryOffset,
  childrenFirst,
  CHILDREN_PER_MHT,
  ENTRY_BYTES,
  groupOf,
  HEAD_BYTES,
  mhtNodeNumber,
  NODE_BYTES,
  treeShape,
} from "./tree.ts";

export interface SealOptions {
  readonly wrapKey: Secret;
  /** Path under which the file will be opened: the host path of the mount, relative to where the runtime starts. */
  readonly boundPath: string;
  /** Default "1.0", which every Gramine since 1.0 reads. */
  readonly formatVersion?: FormatVersion | undefined;
  /** Default: the system's generator. It must never repeat: the format's IV is constant. */
  readonly random?: RandomSource | undefined;
}

/**
 * The plaintext as a protected file, in memory. The path is bound in normal form. Throws WRAP_KEY_LENGTH, PATH_EMPTY,
 * PATH_TOO_LONG, PATH_MALFORMED, SIZE_OUT_OF_RANGE. Files too large for memory: `sealFileTo` in the rim.
 */
export function sealFile(plaintext: Uint8Array, options: SealOptions): Uint8Array {
  const { random = systemRandom } = options;
  const boundPath = bindPath(options.boundPath).path;
  const shape = treeShape(plaintext.length);
  const sealed = new Uint8Array(shape.nodes * NODE_BYTES);
  const finished = new FinishedChildren();
  for (const mht of childrenFirst(shape)) {
    const group = groupOf(shape, mht);
    const at = mhtNodeNumber(mht) * NODE_BYTES;
    const node = new Uint8Array(NODE_BYTES);
    const data = sealed.subarray(at + NODE_BYTES, at + (1 + group.dataNodes) * NODE_BYTES);
    sealDataNodes(plaintext.subarray(group.offset, group.offset + group.lengthBytes), data, node, random);
    sealed.set(finished.finish(mht, node, random), at);
  }
  const head = plaintext.subarray(0, HEAD_BYTES);
  const metadata = { boundPath, sizeBytes: plaintext.length, rootEntry: finished.rootEntry, head };
  sealed.set(sealMetadata(metadata, options), 0);
  return sealed;
}

/** Entries of finished MHT nodes that wait for their parent; at most 32 a level when nodes come children first. */
export class FinishedChildren {
  readonly #entries = new Map<number, Uint8Array>();

  /** Puts the children's entries into `node`, whose data entries are there already, and gives it encrypted. */
  finish(mht: number, node: Uint8Array, random: RandomSource): Uint8Array {
    const firstChild = mht * CHILDREN_PER_MHT + 1;
    for (let child = firstChild; child < firstChild + CHILDREN_PER_MHT; child += 1) {
      const entry = this.#entries.get(child);
      if (entry === undefined) break;
      node.set(entry, childEntryOffset(child));
      this.#entries.delete(child);
    }
    const { sealed, entry } = sealMhtNode(node, random);
    this.#entries.set(mht, entry);
    return sealed;
  }

  /** Entry of the root once it is finished; zeros for a file without a tree. */
  get rootEntry(): Uint8Array {
    return this.#entries.get(0) ?? new Uint8Array(ENTRY_BYTES);
  }
}
