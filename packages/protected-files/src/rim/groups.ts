import type { FileHandle } from "node:fs/promises";
import type { NodeCipher } from "../node-cipher.ts";
import { openGroup, resealGroup, sealGroup } from "../nodes.ts";
import type { RandomSource } from "../random.ts";
import { type Group, NODE_BYTES, SEALED_GROUP_BYTES } from "../tree.ts";
import { readFully, writeFully } from "./file-io.ts";

/** Seals one group from and to somewhere, given the entries of its children, and gives its own entry. */
export type GroupSealer = (group: Group, children: Uint8Array) => Promise<Uint8Array>;

/** Opens one group, given its verified entry, from and to somewhere. */
export type GroupOpener = (group: Group, entry: Uint8Array) => Promise<void>;

/** Encrypts one group anew, given its verified entry and the new entries of its children, and gives its new entry. */
export type GroupResealer = (group: Group, entry: Uint8Array, children: Uint8Array) => Promise<Uint8Array>;

/** Opens one group, given its verified entry, and gives its plaintext. */
export type GroupReader = (group: Group, entry: Uint8Array) => Promise<Uint8Array>;

/** Groups under way at a time on this thread: one is read, one encrypted, one written. */
export const LOCAL_AHEAD = 3;

/** Seals groups from file to file on this thread; reads and writes overlap with the encryption of other groups. */
export function localSealer(
  input: FileHandle,
  output: FileHandle,
  cipher: NodeCipher,
  random: RandomSource,
): GroupSealer {
  const buffers = new GroupBuffers();
  return (group, children) =>
    buffers.lend(group, async (nodes) => {
      await readFully(input, plaintextOf(nodes, group), group.offset);
      const entry = sealGroup(cipher, nodes, group.lengthBytes, children, random);
      await writeFully(output, nodes, group.sealedOffset);
      return entry;
    });
}

/** Opens groups from file to file on this thread. Rejects with TREE_NODE_NOT_AUTHENTIC or DATA_NODE_NOT_AUTHENTIC. */
export function localOpener(input: FileHandle, output: FileHandle, cipher: NodeCipher): GroupOpener {
  const buffers = new GroupBuffers();
  return (group, entry) =>
    buffers.lend(group, async (nodes) => {
      await readFully(input, nodes, group.sealedOffset);
      openGroup(cipher, nodes, entry, nodes.subarray(NODE_BYTES));
      await writeFully(output, plaintextOf(nodes, group), group.offset);
    });
}

/** Encrypts groups anew from file to file on this thread. Rejects as `localOpener`. */
export function localResealer(
  input: FileHandle,
  output: FileHandle,
  cipher: NodeCipher,
  random: RandomSource,
): GroupResealer {
  const buffers = new GroupBuffers();
  return (group, entry, children) =>
    buffers.lend(group, async (nodes) => {
      await readFully(input, nodes, group.sealedOffset);
      const fresh = resealGroup(cipher, nodes, entry, group.lengthBytes, children, random);
      await writeFully(output, nodes, group.sealedOffset);
      return fresh;
    });
}

/** The plaintext among the nodes of a group: all behind the MHT node, but for what fills the last. */
export function plaintextOf(nodes: Uint8Array, group: Group): Uint8Array {
  return nodes.subarray(NODE_BYTES, NODE_BYTES + group.lengthBytes);
}

/** Buffers for the nodes of a group, used again instead of collected. */
class GroupBuffers {
  readonly #free: Uint8Array[] = [];

  async lend<T>(group: Group, use: (nodes: Uint8Array) => Promise<T>): Promise<T> {
    const buffer = this.#free.pop() ?? new Uint8Array(SEALED_GROUP_BYTES);
    try {
      return await use(buffer.subarray(0, group.sealedBytes));
    } finally {
      this.#free.push(buffer);
    }
  }
}
