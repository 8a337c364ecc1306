import type { FileHandle } from "node:fs/promises";
import { openDataNodes, sealDataNodes } from "../nodes.ts";
import type { RandomSource } from "../random.ts";
import { ENTRY_BYTES, type Group, GROUP_BYTES, mhtNodeNumber, NODE_BYTES } from "../tree.ts";
import { readFully, writeFully } from "./file-io.ts";

/** Seals the data nodes of one group from and to somewhere, and gives their entries (32 bytes each). */
export type GroupSealer = (group: Group) => Promise<Uint8Array>;

/** Opens the data nodes of one group, given their verified entries, from and to somewhere. */
export type GroupOpener = (group: Group, entries: Uint8Array) => Promise<void>;

/** Groups under way at a time on this thread: one is read, one encrypted, one written. */
export const LOCAL_AHEAD = 3;

/** Where the data nodes of a group start in a sealed file. */
export function sealedDataOffset(group: Group): number {
  return (mhtNodeNumber(group.mht) + 1) * NODE_BYTES;
}

/** Seals groups from file to file on this thread; reads and writes overlap with the encryption of other groups. */
export function localSealer(input: FileHandle, output: FileHandle, random: RandomSource): GroupSealer {
  const buffers = new BufferPool();
  return (group) =>
    buffers.lend(async (plaintext, sealed) => {
      const plain = plaintext.subarray(0, group.lengthBytes);
      await readFully(input, plain, group.offset);
      const entries = new Uint8Array(group.dataNodes * ENTRY_BYTES);
      sealDataNodes(plain, sealed, entries, random);
      await writeFully(output, sealed.subarray(0, group.dataNodes * NODE_BYTES), sealedDataOffset(group));
      return entries;
    });
}

/** Opens groups from file to file on this thread. Rejects with DATA_NODE_NOT_AUTHENTIC. */
export function localOpener(input: FileHandle, output: FileHandle): GroupOpener {
  const buffers = new BufferPool();
  return (group, entries) =>
    buffers.lend(async (plaintext, sealed) => {
      const nodes = sealed.subarray(0, group.dataNodes * NODE_BYTES);
      await readFully(input, nodes, sealedDataOffset(group));
      const plain = plaintext.subarray(0, group.lengthBytes);
      openDataNodes(nodes, entries, plain);
      await writeFully(output, plain, group.offset);
    });
}

/** Pairs of buffers of one group each, used again instead of collected. */
class BufferPool {
  readonly #free: (readonly [Uint8Array, Uint8Array])[] = [];

  async lend<T>(use: (plaintext: Uint8Array, sealed: Uint8Array) => Promise<T>): Promise<T> {
    const pair = this.#free.pop() ?? ([new Uint8Array(GROUP_BYTES), new Uint8Array(GROUP_BYTES)] as const);
    try {
      return await use(pair[0], pair[1]);
    } finally {
      this.#free.push(pair);
    }
  }
}
