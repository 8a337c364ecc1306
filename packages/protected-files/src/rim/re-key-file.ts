import { readFile, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { openNodeZero, type OpenOptions } from "../open.ts";
import { systemRandom } from "../random.ts";
import { ProtectedFileReader } from "../reader.ts";
import { reKeyNodeZero, type ReKeyOptions } from "../re-key.ts";
import { exists, syncDirectory, writeFileAtomically, type WriteOptions } from "./atomic-file.ts";
import { nodeCipher } from "./choose-cipher.ts";
import { fileSource, readNodeZero, withInput, withInputForUpdate, writeFully } from "./file-io.ts";
import { type GroupSealer, LOCAL_AHEAD, localResealer } from "./groups.ts";
import { type SealedFileInfo, type WorkOptions, writeSealed } from "./seal-file.ts";

/**
 * Puts a file under another wrap key in place: only node 0 is written, whatever the size; see `reKeyNodeZero` for what that
 * does not protect against. The old node 0 is kept beside the file until the new one is on the disk, so that a run that was
 * stopped in the middle is repaired by the next (or by `repairReKey`). Rejects with INPUT_MISSING, INPUT_NOT_REGULAR and the
 * codes of `reKeyNodeZero`.
 */
export async function reKeyFile(path: string, options: ReKeyOptions): Promise<void> {
  await repairReKey(path, options);
  await withInputForUpdate(path, async (file, sealedBytes) => {
    const old = await readNodeZero(file, sealedBytes);
    const fresh = reKeyNodeZero(old, sealedBytes, options);
    const backup = backupPath(path);
    await writeFileAtomically(backup, { overwrite: true }, (copy) => copy.writeFile(old));
    await writeFully(file, fresh, 0);
    await file.sync();
    await unlink(backup);
    await syncDirectory(dirname(path));
  });
}

/**
 * Finishes what a stopped `reKeyFile` left: where node 0 opens under the old or the new key the backup is removed, else it is
 * put back. Does nothing where there is no backup.
 */
export async function repairReKey(path: string, options: ReKeyOptions): Promise<void> {
  const backup = backupPath(path);
  if (!(await exists(backup))) return;
  await withInputForUpdate(path, async (file, sealedBytes) => {
    const node = await readNodeZero(file, sealedBytes);
    const isWhole = [options.wrapKey, options.newWrapKey].some((wrapKey) =>
      opens(node, sealedBytes, { ...options, wrapKey }),
    );
    if (!isWhole) {
      const old = await readFile(backup);
      // A backup that does not open under the old key is not ours to restore: this throws and changes nothing.
      openNodeZero(old, sealedBytes, options);
      await writeFully(file, old, 0);
      await file.sync();
    }
    await unlink(backup);
  });
}

/** Options of a full re-encryption. */
export type ReEncryptOptions = ReKeyOptions & WriteOptions & WorkOptions;

/**
 * Encrypts a file anew: every node under a fresh key, metadata under the new wrap key. Through a temporary file that replaces
 * the old one; plaintext exists only in memory, a group at a time. Rejects with the codes of `openFile` and `sealFileTo`.
 */
export async function reEncryptFile(path: string, options: ReEncryptOptions): Promise<SealedFileInfo> {
  const { random = systemRandom, newWrapKey, pool, cipher = await nodeCipher() } = options;
  return withInput(path, async (input, sealedBytes) => {
    const reader = await ProtectedFileReader.open(fileSource(input, sealedBytes), { ...options, cipher });
    const { shape, head, boundPath: bound, formatVersion } = reader;
    return writeFileAtomically(path, { mode: 0o644, overwrite: true }, (output) => {
      const reseal = pool?.resealer(input.fd, output.fd) ?? localResealer(input, output, cipher, random);
      const sealer: GroupSealer = async (group, children) => reseal(group, await reader.entry(group.mht), children);
      const plan = { shape, head, sealer, ahead: pool?.ahead ?? LOCAL_AHEAD, bound };
      const { onProgress, signal } = options;
      return writeSealed(output, plan, {
        wrapKey: newWrapKey,
        boundPath: bound,
        formatVersion,
        random,
        onProgress,
        signal,
      });
    });
  });
}

function opens(node: Uint8Array, sealedBytes: number, options: OpenOptions): boolean {
  try {
    openNodeZero(node, sealedBytes, options);
    return true;
  } catch {
    return false;
  }
}

function backupPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.re-key`);
}
