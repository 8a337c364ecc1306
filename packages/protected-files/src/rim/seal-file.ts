import type { FileHandle } from "node:fs/promises";
import { concatBytes, toHex } from "@cloister/encoding";
import { ProtectedFileError } from "../errors.ts";
import { sealMetadata } from "../metadata.ts";
import { bindPath } from "../path.ts";
import { systemRandom } from "../random.ts";
import { FinishedGroups, NO_ROOT, type SealOptions } from "../seal.ts";
import { childrenFirst, groupOf, HEAD_BYTES, NODE_BYTES, treeShape, type TreeShape } from "../tree.ts";
import { inOrderAhead } from "./ahead.ts";
import { writeFileAtomically, type WriteOptions } from "./atomic-file.ts";
import { nodeCipher } from "./choose-cipher.ts";
import { readFully, withInput, writeFully } from "./file-io.ts";
import { type GroupSealer, LOCAL_AHEAD, localSealer } from "./groups.ts";
import type { WorkerPool } from "./worker-pool.ts";

/** How long work is done, reported and stopped. */
export interface WorkOptions {
  /** Called after each group of 384 KiB of plaintext. */
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Threads to work on; without one, all happens on the calling thread. The caller closes it. */
  readonly pool?: WorkerPool | undefined;
}

export interface SealFileToOptions extends SealOptions, WriteOptions, WorkOptions {}

/** What a sealing made. */
export interface SealedFileInfo {
  readonly boundPath: string;
  readonly sizeBytes: number;
  readonly sealedBytes: number;
  /** GCM tag of node 0, hex: pins the exact file. */
  readonly metadataTag: string;
}

/**
 * Seals a file of any size into another through a temporary file, in bounded memory. Rejects with INPUT_MISSING,
 * INPUT_NOT_REGULAR, INPUT_CHANGED, OUTPUT_EXISTS, ABORTED and the codes of `sealFile`; `outputPath` is then as before. The new
 * file has mode 0644 unless told otherwise: it is ciphertext.
 */
export async function sealFileTo(
  inputPath: string,
  outputPath: string,
  options: SealFileToOptions,
): Promise<SealedFileInfo> {
  const bound = bindPath(options.boundPath).path;
  return withInput(inputPath, async (input, sizeBytes) => {
    const shape = treeShape(sizeBytes);
    const head = new Uint8Array(Math.min(sizeBytes, HEAD_BYTES));
    await readFully(input, head, 0);
    return writeFileAtomically(outputPath, { mode: 0o644, ...withoutMode(options) }, async (output) => {
      const { pool, random = systemRandom, cipher = await nodeCipher() } = options;
      const sealer = pool?.sealer(input.fd, output.fd) ?? localSealer(input, output, cipher, random);
      const info = await writeSealed(
        output,
        { shape, head, sealer, ahead: pool?.ahead ?? LOCAL_AHEAD, bound },
        options,
      );
      if ((await input.stat()).size !== sizeBytes)
        throw new ProtectedFileError("INPUT_CHANGED", { subject: inputPath });
      return info;
    });
  });
}

function withoutMode(options: WriteOptions): WriteOptions {
  return { overwrite: options.overwrite, ...(options.mode !== undefined && { mode: options.mode }) };
}

/** What `writeSealed` puts together. */
export interface SealPlan {
  readonly shape: TreeShape;
  readonly head: Uint8Array;
  readonly sealer: GroupSealer;
  readonly ahead: number;
  readonly bound: string;
}

/** Writes the groups, each when its children are done, and the metadata last. */
export async function writeSealed(
  output: FileHandle,
  plan: SealPlan,
  options: SealOptions & WorkOptions,
): Promise<SealedFileInfo> {
  const { shape, head, bound } = plan;
  const finished = new FinishedGroups<Promise<Uint8Array>>(shape);
  const progress = new Progress(shape.sizeBytes, head.length, options);
  const seal = (mht: number): Promise<Uint8Array> => {
    const children = Promise.all(finished.takeChildren(mht));
    const entry = children.then((entries) => plan.sealer(groupOf(shape, mht), concatBytes(...entries)));
    finished.add(mht, entry);
    return entry;
  };
  for await (const { item: mht } of inOrderAhead(childrenFirst(shape), plan.ahead, seal)) {
    progress.add(groupOf(shape, mht).lengthBytes);
  }
  const rootEntry = (await finished.root) ?? NO_ROOT;
  const metadata = { boundPath: bound, sizeBytes: shape.sizeBytes, rootEntry, head };
  const node = sealMetadata(metadata, options);
  await writeFully(output, node, 0);
  return {
    boundPath: bound,
    sizeBytes: shape.sizeBytes,
    sealedBytes: shape.nodes * NODE_BYTES,
    metadataTag: toHex(node.subarray(42, 58)),
  };
}

/** Counts what is done, tells the caller, and stops where the caller wants. */
export class Progress {
  readonly #totalBytes: number;
  readonly #options: WorkOptions;
  #doneBytes: number;

  constructor(totalBytes: number, doneBytes: number, options: WorkOptions) {
    this.#totalBytes = totalBytes;
    this.#options = options;
    this.#doneBytes = doneBytes;
  }

  /** Throws ABORTED. */
  add(bytes: number): void {
    if (this.#options.signal?.aborted === true) throw new ProtectedFileError("ABORTED");
    this.#doneBytes += bytes;
    this.#options.onProgress?.(this.#doneBytes, this.#totalBytes);
  }
}
