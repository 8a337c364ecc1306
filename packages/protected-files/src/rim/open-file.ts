import type { OpenOptions } from "../open.ts";
import { ProtectedFileReader } from "../reader.ts";
import { allGroups, groupOf } from "../tree.ts";
import { inOrderAhead } from "./ahead.ts";
import { writeFileAtomically, type WriteOptions } from "./atomic-file.ts";
import { nodeCipher } from "./choose-cipher.ts";
import { fileSource, withInput, writeFully } from "./file-io.ts";
import { LOCAL_AHEAD, localOpener } from "./groups.ts";
import { Progress, type WorkOptions } from "./seal-file.ts";

export interface OpenFileToOptions extends OpenOptions, WriteOptions, WorkOptions {}

/** What an opened file was. */
export interface OpenedFileInfo {
  readonly boundPath: string;
  readonly sizeBytes: number;
}

/**
 * Decrypts a protected file of any size into another, in bounded memory. `outputPath` appears when every node has verified, and
 * not before; it has mode 0600 unless told otherwise. Rejects with INPUT_MISSING, INPUT_NOT_REGULAR, OUTPUT_EXISTS, ABORTED and
 * the codes of `openFile`; no plaintext stays behind then.
 */
export async function openFileTo(
  inputPath: string,
  outputPath: string,
  options: OpenFileToOptions,
): Promise<OpenedFileInfo> {
  return withInput(inputPath, async (input, sealedBytes) => {
    const { pool, cipher = await nodeCipher() } = options;
    const reader = await ProtectedFileReader.open(fileSource(input, sealedBytes), { ...options, cipher });
    const { shape, boundPath, sizeBytes } = reader;
    return writeFileAtomically(outputPath, options, async (output) => {
      const opener = pool?.opener(input.fd, output.fd) ?? localOpener(input, output, cipher);
      const progress = new Progress(sizeBytes, reader.head.length, options);
      await writeFully(output, reader.head, 0);
      const open = async (mht: number): Promise<void> => opener(groupOf(shape, mht), await reader.entry(mht));
      for await (const { item: mht } of inOrderAhead(allGroups(shape), pool?.ahead ?? LOCAL_AHEAD, open)) {
        progress.add(groupOf(shape, mht).lengthBytes);
      }
      return { boundPath, sizeBytes };
    });
  });
}

/**
 * Opens a protected file for random access, hands the reader to `use`, and closes the file. Rejects with INPUT_MISSING,
 * INPUT_NOT_REGULAR and the codes of `ProtectedFileReader.open`.
 */
export async function withReader<T>(
  path: string,
  options: OpenOptions,
  use: (reader: ProtectedFileReader) => Promise<T>,
): Promise<T> {
  return withInput(path, async (input, sealedBytes) => {
    const { cipher = await nodeCipher() } = options;
    return use(await ProtectedFileReader.open(fileSource(input, sealedBytes), { ...options, cipher }));
  });
}
