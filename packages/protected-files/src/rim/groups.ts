import type { FileHandle } from "node:fs/promises";
import { openGroup, sealGroup } from "../nodes.ts";
import type { RandomSource } from "../random.ts";
import { type Group, GROUP_BYTES, SEALED_GROUP_BYTES } from "../tree.ts";
import { readFully, writeFully } from "./file-io.ts";

/** Seals one group from and to somewhere, given the entries of its children, and gives its own entry. */
export type GroupSealer = (group: Group, children: Uint8Array) => Promise<Uint8Array>;

/** Opens one group, given its verified entry, from and to somewhere. */
export type GroupOpener = (group: Group, entry: Uint8Array) => Promise<void>;

/** Groups under way at a time on this thread: one is read, one encrypted, one written. */
export const LOCAL_AHEAD = 3;

/** Seals groups from file to file on this thread; reads and writes overlap with the encryption of other groups. */
export function localSealer(input: FileHandle, output: FileHandle, random: RandomSource): GroupSealer {
  const buffers = new BufferPool();
  return (group, children) =>
    buffers.lend(async (plaintext, sealed) => {
      const plain = plaintext.subarray(0, group.lengthBytes);
      const nodes = sealed.subarray(0, group.sealedBytes);
      await readFully(input, plain, group.offset);
      const entry = sealGroup(plain, children, nodes, random);
      await writeFully(output, nodes, group.sealedOffset);
      return entry;
    });
}

/** Opens groups from file to file on this thread. Rejects with TREE_NODE_NOT_AUTHENTIC or DATA_NODE_NOT_AUTHENTIC. */
export function localOpener(input: FileHandle, output: FileHandle): GroupOpener {
  const buffers = new BufferPool();
  return (group, entry) =>
    buffers.lend(async (plaintext, sealed) => {
      const nodes = sealed.subarray(0, group.sealedBytes);
      const plain = plaintext.subarray(0, group.lengthBytes);
      await readFully(input, nodes, group.sealedOffset);
      openGroup(nodes, entry, plain);
      await writeFully(output, plain, group.offset);
    });
}

/** Pairs of buffers of one group each, used again instead of collected. */
class BufferPool {
  readonly #free: (readonly [Uint8Array, Uint8Array])[] = [];

  async lend<T>(use: (plaintext: Uint8Array, sealed: Uint8Array) => Promise<T>): Promise<T> {
    const pair = this.#free.pop() ?? ([new Uint8Array(GROUP_BYTES), new Uint8Array(SEALED_GROUP_BYTES)] as const);
    try {
      return await use(pair[0], pair[1]);
    } finally {
      this.#free.push(pair);
    }
  }
}
