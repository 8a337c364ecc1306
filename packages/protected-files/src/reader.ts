import { ProtectedFileError } from "./errors.ts";
import type { FormatVersion } from "./metadata.ts";
import { type NodeCipher, nodeCryptoCipher } from "./node-cipher.ts";
import { openDataNodes, openMhtNode } from "./nodes.ts";
import { checkSealedLength, type OpenedMetadata, openNodeZero, type OpenOptions } from "./open.ts";
import type { SealedSource } from "./source.ts";
import {
  childEntryOffset,
  DATA_PER_MHT,
  dataEntryOffset,
  dataNodeNumber,
  ENTRY_BYTES,
  GROUP_BYTES,
  type Group,
  groupOf,
  HEAD_BYTES,
  mhtNodeNumber,
  NODE_BYTES,
  parentOf,
  type TreeShape,
} from "./tree.ts";

/** Verified MHT nodes kept: 256 KiB, enough to read forward without reading a parent twice in a row. */
const MAX_CACHED_NODES = 64;

/**
 * Random access to a protected file. Reads verify the nodes on the way from the metadata to the bytes asked for, and no
 * others; memory is bounded whatever the size of the file.
 */
export class ProtectedFileReader {
  readonly #source: SealedSource;
  readonly #opened: OpenedMetadata;
  readonly #cipher: NodeCipher;
  readonly #cache = new Map<number, Uint8Array>();

  private constructor(source: SealedSource, opened: OpenedMetadata, cipher: NodeCipher) {
    this.#source = source;
    this.#opened = opened;
    this.#cipher = cipher;
  }

  /** Verifies the metadata. Rejects with the codes of `openFile` for all that node 0 shows. */
  static async open(source: SealedSource, options: OpenOptions): Promise<ProtectedFileReader> {
    checkSealedLength(source.sealedBytes);
    const node = await source.read(0, NODE_BYTES);
    const opened = openNodeZero(node, source.sealedBytes, options);
    return new ProtectedFileReader(source, opened, options.cipher ?? nodeCryptoCipher);
  }

  get sizeBytes(): number {
    return this.#opened.shape.sizeBytes;
  }

  get shape(): TreeShape {
    return this.#opened.shape;
  }

  get boundPath(): string {
    return this.#opened.metadata.boundPath;
  }

  get formatVersion(): FormatVersion {
    return this.#opened.header.formatVersion;
  }

  /** The plaintext bytes that live in the metadata node: the first 3072, or all of a small file. */
  get head(): Uint8Array {
    return this.#opened.metadata.head.subarray(0, Math.min(HEAD_BYTES, this.sizeBytes));
  }

  /**
   * `lengthBytes` verified plaintext bytes from `offset`. Rejects with RANGE_OUT_OF_BOUNDS unless the whole range lies in the
   * file, with TREE_NODE_NOT_AUTHENTIC or DATA_NODE_NOT_AUTHENTIC, and returns nothing then.
   */
  async read(offset: number, lengthBytes: number): Promise<Uint8Array> {
    const end = offset + lengthBytes;
    const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(lengthBytes);
    if (!whole || offset < 0 || lengthBytes < 0 || end > this.sizeBytes) {
      throw new ProtectedFileError("RANGE_OUT_OF_BOUNDS");
    }
    const wanted = new Uint8Array(lengthBytes);
    wanted.set(this.head.subarray(Math.min(offset, HEAD_BYTES), Math.min(end, HEAD_BYTES)));
    for (let at = Math.max(offset, HEAD_BYTES); at < end;) {
      const group = groupOf(this.shape, Math.floor((at - HEAD_BYTES) / GROUP_BYTES));
      const stop = Math.min(end, group.offset + group.lengthBytes);
      await this.#readWithin(group, at, wanted.subarray(at - offset, stop - offset));
      at = stop;
    }
    return wanted;
  }

  /** All plaintext in order, a group of at most 384 KiB at a time; every chunk is verified before it is given. */
  async *chunks(): AsyncGenerator<Uint8Array, void> {
    yield this.head;
    for (let mht = 0; mht < this.shape.mhtNodes; mht += 1) {
      const { offset, lengthBytes } = groupOf(this.shape, mht);
      yield await this.read(offset, lengthBytes);
    }
  }

  /** Verified entries of MHT node `mht`, 4096 bytes; not to be changed. Rejects with TREE_NODE_NOT_AUTHENTIC. */
  async entries(mht: number): Promise<Uint8Array> {
    const cached = this.#cache.get(mht);
    if (cached !== undefined) return cached;
    const sealed = await this.#source.read(mhtNodeNumber(mht) * NODE_BYTES, NODE_BYTES);
    const node = openMhtNode(this.#cipher, sealed, await this.entry(mht));
    const oldest = this.#cache.keys().next();
    if (this.#cache.size >= MAX_CACHED_NODES && oldest.done !== true) this.#cache.delete(oldest.value);
    this.#cache.set(mht, node);
    return node;
  }

  /** Verified entry of MHT node `mht` itself, 32 bytes. Rejects with TREE_NODE_NOT_AUTHENTIC where a node above it is bad. */
  async entry(mht: number): Promise<Uint8Array> {
    if (mht === 0) return this.#opened.metadata.rootEntry;
    const at = childEntryOffset(mht);
    return (await this.entries(parentOf(mht))).subarray(at, at + ENTRY_BYTES);
  }

  /** Fills `wanted` with plaintext of `group` from `start`: the data nodes that hold it are read and verified whole. */
  async #readWithin(group: Group, start: number, wanted: Uint8Array): Promise<void> {
    const first = Math.floor((start - HEAD_BYTES) / NODE_BYTES);
    const from = HEAD_BYTES + first * NODE_BYTES;
    const before = start - from;
    const count = Math.ceil((before + wanted.length) / NODE_BYTES);
    const entries = (await this.entries(group.mht)).subarray(dataEntryOffset(first % DATA_PER_MHT));
    const sealed = await this.#source.read(dataNodeNumber(first) * NODE_BYTES, count * NODE_BYTES);
    const plaintext = before === 0 ? wanted : new Uint8Array(before + wanted.length);
    openDataNodes(this.#cipher, sealed, entries, plaintext);
    if (plaintext !== wanted) wanted.set(plaintext.subarray(before));
  }
}
