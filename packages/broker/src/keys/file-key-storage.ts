import type { KeyStorage } from "./key-storage.ts";
import { fileMark, readFileWithMark, replaceFile, withFileLock } from "./store-file.ts";

/** The key document in a file, which processes of one machine may share. */
export function fileKeyStorage(path: string): KeyStorage {
  return {
    read: () => readFileWithMark(path),
    mark: () => fileMark(path),
    update: (edit) =>
      withFileLock(path, async () => {
        const bytes = await edit(await readFileWithMark(path));
        if (bytes !== undefined) await replaceFile(path, bytes);
        return fileMark(path);
      }),
  };
}
