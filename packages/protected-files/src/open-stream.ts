import { ProtectedFileError } from "./errors.ts";
import { nodeCryptoCipher } from "./node-cipher.ts";
import { openGroup } from "./nodes.ts";
import { openNodeZero, type OpenOptions, PendingEntries } from "./open.ts";
import { allows } from "./tolerance.ts";
import { groupOf, NODE_BYTES } from "./tree.ts";

/**
 * Decrypts a protected file that can only be read forward, such as a pipe. Yields verified plaintext in order, at most 384 KiB
 * at a time. A refusal can come after earlier chunks were yielded: what came is genuine but not whole, and what is done with it
 * must not last. Throws the codes of `openFile`; NODES_APPENDED and LENGTH_NOT_NODES only at the end. Keeps 32 bytes for each
 * 388 KiB still to come beside one group.
 */
export async function* openStream(
  sealed: AsyncIterable<Uint8Array>,
  options: OpenOptions,
): AsyncGenerator<Uint8Array, void> {
  const { cipher = nodeCryptoCipher } = options;
  const input = new ForwardInput(sealed);
  try {
    const node = await input.take(NODE_BYTES);
    if (node === undefined) throw new ProtectedFileError("LENGTH_NOT_NODES");
    const { metadata, shape } = openNodeZero(node, undefined, options);
    yield metadata.head.subarray(0, Math.min(metadata.head.length, shape.sizeBytes));
    const pending = new PendingEntries(metadata.rootEntry);
    for (let mht = 0; mht < shape.mhtNodes; mht += 1) {
      const group = groupOf(shape, mht);
      const nodes = await input.take(group.sealedBytes);
      if (nodes === undefined) throw new ProtectedFileError("TRUNCATED");
      const plaintext = nodes.subarray(NODE_BYTES);
      pending.add(mht, openGroup(cipher, nodes, pending.take(mht), plaintext), shape);
      yield plaintext.subarray(0, group.lengthBytes);
    }
    await checkEnd(input, options);
  } finally {
    await input.close();
  }
}

async function checkEnd(input: ForwardInput, options: OpenOptions): Promise<void> {
  const tolerated = allows(options.tolerate, "appended-nodes");
  const rest = await input.drain(tolerated ? Infinity : NODE_BYTES);
  if (!tolerated && rest >= NODE_BYTES) throw new ProtectedFileError("NODES_APPENDED");
  if (rest % NODE_BYTES !== 0) throw new ProtectedFileError("LENGTH_NOT_NODES");
}

/** Takes fixed lengths out of chunks of any length. */
class ForwardInput {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next `lengthBytes` bytes, copied, or `undefined` where the input ends before. */
  async take(lengthBytes: number): Promise<Uint8Array | undefined> {
    const taken = new Uint8Array(lengthBytes);
    for (let filled = 0; filled < lengthBytes;) {
      if (this.#rest.length === 0 && !(await this.#next())) return undefined;
      const part = this.#rest.subarray(0, lengthBytes - filled);
      taken.set(part, filled);
      filled += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    return taken;
  }

  /** How many bytes are left, counted until the end or until there are at least `limit`. */
  async drain(limit: number): Promise<number> {
    let count = this.#rest.length;
    while (count < limit && (await this.#next())) count += this.#rest.length;
    return count;
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #next(): Promise<boolean> {
    const next = await this.#chunks.next();
    this.#rest = next.done === true ? new Uint8Array() : next.value;
    return next.done !== true;
  }
}
