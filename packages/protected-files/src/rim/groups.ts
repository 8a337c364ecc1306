import type { FileHandle } from "node:fs/promises";
import { gather, openGroup, resealGroup, sealGroup } from "../nodes.ts";
import type { RandomSource } from "../random.ts";
import { type Group, GROUP_BYTES, SEALED_GROUP_BYTES } from "../tree.ts";
import { readFully, writeFully, writeParts } from "./file-io.ts";

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

// Nodes are put together before they are written: kept through a write, those of three groups survive a collection, the young
// generation grows for that, and with it what waits outside the heap to be collected. Worker threads have a fixed young
// generation, and write nodes as they are.

/** Seals groups from file to file on this thread; reads and writes overlap with the encryption of other groups. */
export function localSealer(input: FileHandle, output: FileHandle, random: RandomSource): GroupSealer {
  const [inputs, outputs] = [new BufferPool(GROUP_BYTES), new BufferPool(SEALED_GROUP_BYTES)];
  return (group, children) =>
    inputs.lend((read) =>
      outputs.lend(async (written) => {
        const plaintext = read.subarray(0, group.lengthBytes);
        await readFully(input, plaintext, group.offset);
        const entry = sealInto(written, plaintext, children, random);
        await writeFully(output, written.subarray(0, group.sealedBytes), group.sealedOffset);
        return entry;
      }),
    );
}

function sealInto(into: Uint8Array, plaintext: Uint8Array, children: Uint8Array, random: RandomSource): Uint8Array {
  const { entry, nodes } = sealGroup(plaintext, children, random);
  gather(nodes, into);
  return entry;
}

/** Opens groups from file to file on this thread. Rejects with TREE_NODE_NOT_AUTHENTIC or DATA_NODE_NOT_AUTHENTIC. */
export function localOpener(input: FileHandle, output: FileHandle): GroupOpener {
  const [inputs, outputs] = [new BufferPool(SEALED_GROUP_BYTES), new BufferPool(GROUP_BYTES)];
  return (group, entry) =>
    inputs.lend((read) =>
      outputs.lend(async (written) => {
        const nodes = read.subarray(0, group.sealedBytes);
        await readFully(input, nodes, group.sealedOffset);
        gather(openGroup(nodes, entry, group.lengthBytes).plaintext, written);
        await writeFully(output, written.subarray(0, group.lengthBytes), group.offset);
      }),
    );
}

/** Encrypts groups anew from file to file on this thread. Rejects as `localOpener`. */
export function localResealer(input: FileHandle, output: FileHandle, random: RandomSource): GroupResealer {
  const buffers = new BufferPool(SEALED_GROUP_BYTES);
  return async (group, entry, children) => {
    const sealed = await buffers.lend(async (buffer) => {
      const nodes = buffer.subarray(0, group.sealedBytes);
      await readFully(input, nodes, group.sealedOffset);
      return resealGroup(nodes, entry, group.lengthBytes, children, random);
    });
    await writeParts(output, sealed.nodes, group.sealedOffset);
    return sealed.entry;
  };
}

/** Buffers to read into, used again instead of collected. */
class BufferPool {
  readonly #sizeBytes: number;
  readonly #free: Uint8Array[] = [];

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
  }

  async lend<T>(use: (buffer: Uint8Array) => Promise<T>): Promise<T> {
    const buffer = this.#free.pop() ?? new Uint8Array(this.#sizeBytes);
    try {
      return await use(buffer);
    } finally {
      this.#free.push(buffer);
    }
  }
}
