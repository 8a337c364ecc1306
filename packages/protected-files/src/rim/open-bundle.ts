import { createHash } from "node:crypto";
import { type FileHandle, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Secret } from "@cloister/encoding";
import type { BundleFile, BundleManifest } from "../bundle/manifest.ts";
import {
  checkBundleManifest,
  type CheckManifestOptions,
  checkNames,
  checkNodeZero,
  checkPlaintext,
} from "../bundle/open.ts";
import { ProtectedFileError } from "../errors.ts";
import { ProtectedFileReader } from "../reader.ts";
import { allGroups, groupOf } from "../tree.ts";
import { inOrderAhead } from "./ahead.ts";
import { writeFileAtomically } from "./atomic-file.ts";
import { nodeCipher } from "./choose-cipher.ts";
import { fileSource, readNodeZero, withInput, writeFully } from "./file-io.ts";
import type { WorkOptions } from "./seal-file.ts";
import { listTree, makeDirectoryAtomically, type TreeLimits } from "./tree.ts";
import type { WorkerPool } from "./worker-pool.ts";

export interface OpenBundleToOptions extends CheckManifestOptions, WorkOptions {
  readonly wrapKey: Secret;
  readonly limits?: TreeLimits | undefined;
}

type Consume = (chunk: Uint8Array) => Promise<void>;

/**
 * Verifies a sealed directory against its manifest, down to the last byte of every file, without writing anything. Gives the
 * manifest. Rejects with the codes of `openBundle` and `listTree`.
 */
export async function verifyBundleIn(directory: string, options: OpenBundleToOptions): Promise<BundleManifest> {
  const manifest = await checkDirectory(directory, options);
  const advance = progressOf(manifest, options);
  for (const entry of manifest.files) {
    await readEntry(directory, manifest, entry, options, async (chunk) => Promise.resolve(advance(chunk.length)));
  }
  return manifest;
}

/**
 * `openBundle` from directory to directory, for models larger than memory: `output` appears when every file has verified
 * against the manifest; files have mode 0600. Gives the manifest. Rejects as `verifyBundleIn`, and with OUTPUT_EXISTS.
 */
export async function openBundleTo(
  directory: string,
  output: string,
  options: OpenBundleToOptions & { readonly replace?: boolean | undefined },
): Promise<BundleManifest> {
  const manifest = await checkDirectory(directory, options);
  const advance = progressOf(manifest, options);
  await makeDirectoryAtomically(output, options, async (temporary) => {
    for (const entry of manifest.files) {
      const target = join(temporary, entry.path);
      await mkdir(dirname(target), { recursive: true, mode: 0o700 });
      await writeFileAtomically(target, {}, async (file) => {
        let at = 0;
        await readEntry(directory, manifest, entry, options, async (chunk) => {
          await writeFully(file, chunk, at);
          at += chunk.length;
          advance(chunk.length);
        });
      });
    }
  });
  return manifest;
}

/** Signature, expectations, and that exactly the files of the manifest are there. */
async function checkDirectory(directory: string, options: OpenBundleToOptions): Promise<BundleManifest> {
  const manifest = checkBundleManifest(options);
  const nodes = new Map<string, Uint8Array>();
  for (const { path } of await listTree(directory, options.limits)) {
    nodes.set(path, await withInput(join(directory, path), readNodeZero));
  }
  checkNames(manifest, nodes);
  return manifest;
}

/** Gives the plaintext of a file in verified chunks; the whole is checked when the last was given. */
async function readEntry(
  directory: string,
  manifest: BundleManifest,
  entry: BundleFile,
  { wrapKey, pool }: OpenBundleToOptions,
  consume: Consume,
): Promise<void> {
  await withInput(join(directory, entry.path), async (file, sealedBytes) => {
    const node = await readNodeZero(file, sealedBytes);
    const boundPath = checkNodeZero(manifest, entry, node, sealedBytes, wrapKey);
    const keys = { wrapKey, boundPath, cipher: await nodeCipher() };
    const hash = createHash("sha256");
    let sizeBytes = 0;
    for await (const chunk of verifiedChunks(entry.path, async () => {
      const reader = await ProtectedFileReader.open(fileSource(file, sealedBytes), keys);
      return pool === undefined ? reader.chunks() : chunksOn(pool, reader, file);
    })) {
      hash.update(chunk);
      sizeBytes += chunk.length;
      await consume(chunk);
    }
    checkPlaintext(entry, sizeBytes, hash.digest("hex"));
  });
}

/** Any refusal of a file whose node 0 the manifest pins means that the rest of it was changed. */
async function* verifiedChunks(
  path: string,
  open: () => Promise<AsyncIterable<Uint8Array>>,
): AsyncGenerator<Uint8Array, void> {
  try {
    yield* await open();
  } catch (cause) {
    if (!(cause instanceof ProtectedFileError)) throw cause;
    throw new ProtectedFileError("BUNDLE_FILE_CHANGED", { subject: path, cause });
  }
}

/** As the reader's `chunks`, with the groups decrypted on threads: the next ones while the consumer has one. */
async function* chunksOn(
  pool: WorkerPool,
  reader: ProtectedFileReader,
  file: FileHandle,
): AsyncGenerator<Uint8Array, void> {
  yield reader.head;
  const { shape } = reader;
  const read = pool.reader(file.fd);
  const work = async (mht: number): Promise<Uint8Array> => read(groupOf(shape, mht), await reader.entry(mht));
  for await (const { result } of inOrderAhead(allGroups(shape), pool.ahead, work)) yield result;
}

function progressOf(manifest: BundleManifest, { onProgress, signal }: WorkOptions): (bytes: number) => void {
  const totalBytes = manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  let doneBytes = 0;
  return (bytes) => {
    if (signal?.aborted === true) throw new ProtectedFileError("ABORTED");
    doneBytes += bytes;
    onProgress?.(doneBytes, totalBytes);
  };
}
